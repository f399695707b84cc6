"""config.yaml: each mistake is one line with file, line, key and mend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.config.settings import Config
from newsletter.config.yaml import check, parse
from newsletter.errors import UserError
from tests.helpers.newsletter import CONFIG, Newsletter


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("port: 1", "prot: 25", "config.yaml:8: smtp.prot: unknown key; did you mean 'port'?"),
        ("port: 1", "port: many", "config.yaml:8: smtp.port: 'many' is not a whole number; write one like 5"),
        ("port: 1", "port: 99999", "config.yaml:8: smtp.port: '99999' is too large; it must be 65535 or less"),
        ("security: none", "security: ssl", "config.yaml:9: smtp.security: 'ssl' is not one of starttls, tls, none"),
        ("  postal_address: 1 Test Street\n", "", "config.yaml:1: site.postal_address: missing; add it"),
        ("from: Papers <papers@example.org>", "from: nobody", "config.yaml:4: site.from: 'nobody' is not an email"),
        ("url: https://papers.example.org", "url: ftp://x", "config.yaml:3: site.url: 'ftp://x' is not a web address"),
        ("name: Test Papers", 'name: "a\\nb"', "config.yaml:2: site.name: 'a\\nb' has a line break"),
        ("name: Test Papers", 'name: " "', "config.yaml:2: site.name: ' ' is empty; enter a value"),
        ("1 Test Street", '"\\u200b"', "config.yaml:5: site.postal_address: '\\u200b' is empty; enter a value"),
        ("smtp:", "subscribers:\nsmtp:", "config.yaml:6: subscribers: is empty; write it on one line"),
        ("smtp:", 'templates: "a\\0b"\nsmtp:', "config.yaml:6: templates: 'a\\x00b' is not a file name"),
        (
            "smtp:",
            "sources:\n  my feed: {kind: feed, url: https://x.org}\nsmtp:",
            "config.yaml:7: sources.my feed: 'my feed' is not a source name; use only letters, digits, '_', "
            "'.' and '-'",
        ),
        (
            "smtp:",
            'brand: {accent: "blue"}\nsmtp:',
            "config.yaml:6: brand.accent: 'blue' is not a colour; write one like",
        ),
        (
            "smtp:",
            'brand: {accent: "#fd0"}\nsmtp:',
            "config.yaml:6: brand.accent: '#fd0' is too light to read on white (contrast 1.3, at least 5.0 needed); "
            "choose a darker colour",
        ),
        ("site:", "sight:", "config.yaml:1: sight: unknown key; did you mean 'site'?"),
        ("smtp:", "smtp: yes\nx:", "config.yaml:6: smtp: 'yes' is not a mapping; write"),
        ("port: 1", "port: 1\n  port: 2", "config.yaml:9: port: duplicate key; keep one of them"),
        ("port: 1", "port: [1", "not YAML"),
        ("port: 1", "password: hunter2", "config.yaml:8: smtp.password: a secret does not belong in config.yaml"),
        (
            "smtp:",
            "bounces:\n  address: returned+mail@example.org\nsmtp:",
            "config.yaml:7: bounces.address: 'returned+mail@example.org' cannot carry a token; use at most 24 ASCII",
        ),
        (
            "smtp:",
            f"bounces:\n  address: {'b' * 25}@example.org\nsmtp:",
            "@example.org' cannot carry a token; use at most 24 ASCII characters",
        ),
        (
            "smtp:",
            "bounces:\n  imap: {host: x, user: y}\n  maildir: returned\nsmtp:",
            "config.yaml:7: bounces.imap: cannot be combined with bounces.maildir; keep one of them",
        ),
        (
            "smtp:",
            "bounces:\n  imap: {host: x, user: y, password: hunter2}\nsmtp:",
            "config.yaml:7: bounces.imap.password: a secret does not belong in config.yaml",
        ),
        (
            "network:",
            "store:\n  url: nonsense\nnetwork:",
            "config.yaml:11: store.url: 'nonsense' is not a database URL",
        ),
        (
            "network:",
            "store:\n  url: postgresql://me:hunter2@db:many/papers\nnetwork:",
            "config.yaml:11: store.url: 'postgresql://...@db:many/papers' is not a database URL",
        ),
        (
            "network:",
            "schedule:\n  timezone: Mars/Base\nnetwork:",
            "config.yaml:11: schedule.timezone: 'Mars/Base' is not a time zone",
        ),
        (
            "network:",
            "sources:\n  a:\n    kind: arxiv\n    categorys: [cs.AI]\nnetwork:",
            "config.yaml:13: sources.a.categorys: unknown key; did you mean 'categories'?",
        ),
        (
            "network:",
            "sources:\n  a:\n    kind: arxive\nnetwork:",
            "config.yaml:12: sources.a.kind: 'arxive' is not one of huggingface, arxiv, ",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_mend(newsletter: Newsletter, old: str, new: str, expected: str) -> None:
    (newsletter.folder / "config.yaml").write_text(CONFIG.replace(old, new, 1))
    ran = newsletter.run("log", code=2)
    assert f"error: {expected}" in ran.err or expected in ran.err, ran.err
    assert ran.out == ""


def test_a_password_in_the_store_url_is_refused_and_not_repeated(newsletter: Newsletter) -> None:
    (newsletter.folder / "config.yaml").write_text(CONFIG + "store:\n  url: postgresql://me:hunter2@db/papers\n")
    ran = newsletter.run("log", code=2)
    assert "config.yaml:14: store.url: a secret does not belong in config.yaml" in ran.err
    assert "hunter2" not in ran.err


def test_a_missing_file_is_named(newsletter: Newsletter) -> None:
    ran = newsletter.run("--config", "other.yaml", "log", code=2)
    assert (
        ran.err
        == "error: other.yaml: no such file; create one with 'newsletter init .', or pass another with --config\n"
    )


def test_a_file_that_is_not_utf8_is_named(newsletter: Newsletter) -> None:
    (newsletter.folder / "config.yaml").write_bytes(b"site: \xff")
    assert "config.yaml: byte 6 is not UTF-8" in newsletter.run("log", code=2).err


def test_a_folder_whose_name_cannot_be_kept_is_named(newsletter: Newsletter) -> None:
    folder = newsletter.folder / "caf\udce9"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    newsletter.folder = folder
    assert newsletter.run("log", code=2).err.endswith(
        "/caf\\udce9/config.yaml: the path is not UTF-8; rename the folder\n"
    )


def test_paths_count_from_the_config_file(newsletter: Newsletter, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "my.yaml"
    moved.write_text(CONFIG)
    newsletter.run("--config", moved, "papers", "list")
    assert (tmp_path / "elsewhere" / "var" / "newsletter.db").exists()


def test_global_options_may_stand_after_the_command(newsletter: Newsletter) -> None:
    assert "nonsense" in newsletter.run("log", "--now", "nonsense", code=2).err


@given(st.text())
def test_any_text_is_a_config_or_a_clear_error(text: str) -> None:
    try:
        check(parse(text, "config.yaml"), Config)
    except UserError as error:
        assert all(line.startswith("config.yaml") for line in str(error).splitlines() if line)


@pytest.mark.parametrize(
    ("engine", "cluster"),
    [
        ("here", None),
        ("processes:3", None),
        ("dask://10.0.0.1:8786", "10.0.0.1:8786"),
        ("dask://[fd00::1]:8786", "[fd00::1]:8786"),
        ("dask:var/scheduler.json", "{folder}/var/scheduler.json"),
        ("dask:/shared/scheduler.json", "/shared/scheduler.json"),
    ],
)
def test_an_engine_may_be_a_cluster(newsletter: Newsletter, engine: str, cluster: str | None) -> None:
    (newsletter.folder / "config.yaml").write_text(f"{CONFIG}engine: '{engine}'\n")
    config = newsletter.config
    assert (str(config.cluster) if config.cluster else None) == (cluster and cluster.format(folder=newsletter.folder))
    # No more hands than an account has sessions.
    assert config.processes == {"here": 1, "processes:3": 3}.get(engine, 4)


@pytest.mark.parametrize(
    "engine", ["cluster", "processes:0", "processes:257", "dask", "dask://10.0.0.1", "dask:", "dask:// x:1"]
)
def test_an_engine_that_is_none_is_told(newsletter: Newsletter, engine: str) -> None:
    (newsletter.folder / "config.yaml").write_text(f"{CONFIG}engine: '{engine}'\n")
    assert f"engine: '{engine}' is not an engine; write here" in newsletter.run("log", code=2).err
