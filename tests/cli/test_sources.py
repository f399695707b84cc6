"""The sources commands: list, add, test and remove, against servers on loopback and a terminal."""

import os
import pty
import select
import signal
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from ruamel.yaml import YAML
from werkzeug import Request, Response

from newsletter.config import source_changes
from newsletter.config.source_kinds import source_kinds
from newsletter.errors import UserError
from tests.helpers.hostile_servers import HostileServer, RawHandler, answering, atom, saying
from tests.helpers.newsletter import CONFIG, Newsletter
from tests.helpers.terminal import typed

BIB = """@article{a, title={Kelp under ice}, author={Doe, Jane and Roe, Rita}, year={2025}, journal={Polar Notes},
  doi={10.1000/kelp.1}, keywords={ice}, abstract={Kelp grows below ice. We measure it.}}
@article{b, author={Doe, Jane}}
"""


@pytest.fixture
def library(newsletter: Newsletter) -> Path:
    path = newsletter.folder / "library.bib"
    path.write_text(BIB)
    return path


def config_text(newsletter: Newsletter) -> str:
    return (newsletter.folder / "config.yaml").read_text()


# Add.


def test_a_source_from_options_is_tested_and_written(newsletter: Newsletter, library: Path) -> None:
    path = newsletter.folder / "config.yaml"
    real = newsletter.folder / "real.yaml"
    real.write_text(f"{CONFIG}# The end.\n")
    real.chmod(0o640)
    path.unlink()
    path.symlink_to(real)
    ran = newsletter.run("sources", "add", "file", "--set", "path=library.bib", "--name", "mine")
    assert "1. Kelp under ice" in ran.out
    assert "skipped: library.bib:3: 'b' has no title" in ran.out
    assert "newsletter fetch mine" in ran.out
    assert real.read_text() == f"{CONFIG}# The end.\n\nsources:\n  mine:\n    kind: file\n    path: library.bib\n"
    assert path.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert newsletter.run("papers", "list", "--json").rows == []
    assert newsletter.config.sources["mine"].kind == "file"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "KIND: missing; pass one of "),
        (["fed"], "KIND: 'fed' is not a kind of source; did you mean 'feed'?"),
        (["feed"], "--set url=VALUE: missing; pass it: Address of the feed"),
        (["feed", "--set", "url=x"], "--set url: 'x' is not a web address"),
        (["feed", "--set", "url"], "--set: has no '='"),
        (["feed", "--set", "ulr=https://x.org"], "--set ulr: unknown for feed; did you mean 'url'?"),
        (["arxiv", "--set", "categories=cs.LG, cs.LGG"], "categories.2: 'cs.LGG' is not a category"),
        (["arxiv", "--set", "categories=cs.LG", "--set", "pause_seconds=-1"], "pause_seconds: '-1' is too small"),
        (["arxiv", "--set", "categories=cs.LG", "--name", "a b"], "--name: 'a b' is not a source name"),
        (
            ["arxiv", "--set", "categories=cs.LG", "--name", "hf"],
            "--name: 'hf' is taken; use another name, like 'hf-2'",
        ),
        (["huggingface"], "'hf' is a source with the same settings"),
        (["huggingface", "--set", "by=day", "--set", "by=week"], "--set by: given twice"),
    ],
)
def test_what_cannot_be_added_is_explained(newsletter: Newsletter, arguments: list[str], said: str) -> None:
    newsletter.configure(sources={"hf": {"kind": "huggingface"}})
    before = config_text(newsletter)
    ran = newsletter.run("sources", "add", "--no-test", *arguments, code=2)
    assert said in ran.err
    assert config_text(newsletter) == before


def test_a_secret_is_neither_written_nor_repeated(newsletter: Newsletter) -> None:
    ran = newsletter.run("sources", "add", "huggingface", "--set", "api_key=s3cr3t", code=2)
    assert "a secret does not belong in config.yaml" in ran.err
    assert "s3cr3t" not in ran.out + ran.err


@pytest.mark.parametrize("kind", source_kinds())
def test_each_kind_says_what_it_is_and_what_it_needs(newsletter: Newsletter, kind: str) -> None:
    found = source_kinds()[kind]
    assert found.summary.endswith(".")
    assert all(field.description for field in found.fields.values() if field.required)
    needed = {name for name, field in found.fields.items() if field.required}
    ran = newsletter.run("sources", "add", kind, "--no-test", code=None)
    if "names no works; set " in ran.err:  # Any one of several settings is enough.
        assert ran.code == 2
        return
    assert ran.code == (2 if needed else 0)
    assert {line.split("=")[0].removeprefix("error: --set ") for line in ran.err.splitlines()} == needed
    # Every field takes its own default, as a person would write it.
    defaults = [f"--set={name}={field.default}" for name, field in found.fields.items() if field.default]
    given = [f"--set={name}={'https://x.org/f' if 'url' in name else 'cs.LG'}" for name in needed]
    newsletter.run("sources", "add", kind, "--no-test", "--name", "other", *given, *defaults, code=None)
    assert needed == set() or newsletter.config.sources["other"].kind == kind


def test_a_source_that_fails_is_not_added_unless_wanted(newsletter: Newsletter, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/feed").respond_with_data("", status=404)
    before = config_text(newsletter)
    new = ["sources", "add", "feed", "--set", f"url={httpserver.url_for('/feed')}"]
    ran = newsletter.run(*new, code=1)
    assert "status 404 (tried once); nothing is at this URL" in ran.err
    assert "Pass --yes" in ran.out
    assert config_text(newsletter) == before
    newsletter.run(*new, "--yes")
    assert list(newsletter.config.sources) == ["localhost"]


def test_a_terminal_is_asked(newsletter: Newsletter, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = list(source_kinds())
    number = str(kinds.index("file") + 1)
    with typed(monkeypatch, "fille", number, "", "library.bib", "x y", "kelp", "y"):
        ran = newsletter.run("sources", "add")
    assert "did you mean 'file'?" in ran.err
    assert "path: is empty" in ran.err
    assert "'x y' is not a source name" in ran.err
    assert "Name of the source [library]" in ran.out
    assert "1. Kelp under ice" in ran.out
    assert all(kind in ran.out for kind in kinds)
    assert YAML().load(config_text(newsletter))["sources"] == {"kelp": {"kind": "file", "path": "library.bib"}}


def test_a_terminal_is_asked_for_optional_settings(newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ("cs.LGG", "cs.LG, stat.ML", "replacement", "replacements", "perhaps", "true", "", "", "y")
    with typed(monkeypatch, *answers):
        ran = newsletter.run("sources", "add", "arxiv", "--no-test")
    assert "categories.1: 'cs.LGG' is not a category of arXiv" in ran.err
    assert "replacement: unknown for arxiv; did you mean 'replacements'?" in ran.err
    assert "replacements: 'perhaps' is not a boolean" in ran.err
    assert "pause_seconds (default: 3). Delay between calls" in ran.out
    assert config_text(newsletter).endswith(
        "sources:\n  arxiv:\n    kind: arxiv\n    categories: [cs.LG, stat.ML]\n    replacements: true\n"
    )


@pytest.mark.parametrize(("answer", "added"), [("n", False), ("y", True)])
def test_a_terminal_decides_on_a_source_that_fails(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch, answer: str, added: bool
) -> None:
    with typed(monkeypatch, "", answer):
        ran = newsletter.run("sources", "add", "file", "--set", "path=none.bib", code=None)
    assert "The test failed. Add the source anyway?" in ran.out
    assert ran.code == (0 if added else 1)
    assert ("none.bib" in config_text(newsletter)) is added


@pytest.mark.parametrize("answers", [(), ("file",), ("file", "library.bib"), ("file", "library.bib", "x")])
def test_the_end_of_the_input_changes_nothing(
    newsletter: Newsletter, library: Path, monkeypatch: pytest.MonkeyPatch, answers: tuple[str, ...]
) -> None:
    with typed(monkeypatch, *answers):
        newsletter.run("sources", "add", "--no-test", code=1)
    assert config_text(newsletter) == CONFIG


def read(terminal: int) -> bytes:
    """Read what a process wrote to its terminal; nothing once it has ended."""
    assert select.select([terminal], [], [], 60)[0]
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


@pytest.mark.system
def test_ctrl_c_changes_nothing(newsletter: Newsletter) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "newsletter", "sources", "add", "huggingface", "--no-test"]
    process = subprocess.Popen(command, cwd=newsletter.folder, stdin=theirs, stdout=theirs, stderr=theirs)
    newsletter.processes.append(process)
    os.close(theirs)
    shown = b""
    while b"Setting to change" not in shown:
        shown += read(ours)
    process.send_signal(signal.SIGINT)
    while part := read(ours):
        shown += part
    os.close(ours)
    assert process.wait(60) == 1
    assert b"Aborted" in shown
    assert b"Traceback" not in shown
    assert config_text(newsletter) == CONFIG


def test_a_file_that_was_changed_meanwhile_is_left_alone(newsletter: Newsletter) -> None:
    path = newsletter.folder / "config.yaml"
    change = source_changes.add_source(path, "hf", {"kind": "huggingface"})
    path.write_text(f"{CONFIG}# Another editor.\n")
    with pytest.raises(UserError, match="changed meanwhile"):
        change.write()
    assert path.read_text() == f"{CONFIG}# Another editor.\n"


def test_a_byte_order_mark_and_line_ends_stay(newsletter: Newsletter) -> None:
    path = newsletter.folder / "config.yaml"
    text = f"\ufeff{CONFIG}".replace("\n", "\r\n").encode()
    path.write_bytes(text)
    newsletter.run("sources", "add", "huggingface", "--no-test")
    assert path.read_bytes() == text + b"\r\nsources:\r\n  huggingface:\r\n    kind: huggingface\r\n"
    newsletter.run("sources", "remove", "huggingface")
    assert path.read_bytes() == text + b"\r\nsources: {}\r\n"


# Test.


def daily(day: str) -> list[dict]:
    return [{"paper": {"id": "2511.00001", "title": f"Tides of {day}", "publishedAt": f"{day}T10:00:00.000Z"}}]


def test_if_there_is_nothing_new_earlier_days_are_read(newsletter: Newsletter, httpserver: HTTPServer) -> None:
    def answer(request: Request) -> Response:
        day = request.args["date"]
        return Response(str(daily(day)).replace("'", '"') if day == "2025-11-26" else "[]")

    httpserver.expect_request("/api/daily_papers").respond_with_handler(answer)
    newsletter.configure(sources={"hf": {"kind": "huggingface", "endpoint": httpserver.url_for("/").rstrip("/")}})
    out = newsletter.run("sources", "test", "hf").out
    assert "hf (huggingface): 1 paper in " in out
    assert f"  GET {httpserver.url_for('/api/daily_papers')}?date=2025-11-26" in out
    assert "Nothing new now, so these are from 2025-11-26 to 2025-11-28." in out
    assert "1. Tides of 2025-11-26" in out
    assert "identifiers: arXiv 2511.00001" in out
    (row,) = newsletter.run("sources", "test", "hf", "--days", "3", "--json").rows
    assert [(paper["arxiv_id"], paper["published"]) for paper in row["papers"]] == [("2511.00001", "2025-11-26")]
    assert (len(row["requests"]), row["since"], row["earlier"], row["error"]) == (3, "2025-11-26", False, None)


def test_what_did_not_change_since_the_fetch_is_shown(newsletter: Newsletter, httpserver: HTTPServer) -> None:
    def answer(request: Request) -> Response:
        known = "If-None-Match" in request.headers
        return Response(status=304) if known else Response(atom("<title>Fog</title>"), headers={"ETag": '"1"'})

    httpserver.expect_request("/feed").respond_with_handler(answer)
    newsletter.configure(sources={"fog": {"kind": "feed", "url": httpserver.url_for("/feed")}})
    newsletter.run("fetch")
    assert "1. Fog" in newsletter.run("sources", "test", "fog").out
    assert "If-None-Match" not in httpserver.log[-1][0].headers


def test_other_settings_and_kinds_can_be_tested(newsletter: Newsletter, library: Path) -> None:
    newsletter.configure(sources={"mine": {"kind": "file", "path": "none.bib"}})
    before = config_text(newsletter)
    assert "none.bib: No such file" in newsletter.run("sources", "test", "file", "--set", "path=none.bib", code=1).err
    assert "Kelp" in newsletter.run("sources", "test", "mine", "--set", "path=library.bib").out
    assert "did you mean 'mine'?" in newsletter.run("sources", "test", "mina", code=2).err
    assert config_text(newsletter) == before


def test_what_is_cut_is_shown(newsletter: Newsletter, library: Path) -> None:
    library.write_text(f"@article{{a, title={{{'kelp ' * 300}}}, author={{Doe, Jane}}}}")
    newsletter.configure(sources={"mine": {"kind": "file", "path": "library.bib"}})
    out = newsletter.run("sources", "test", "mine").out
    assert "title cut to 1,000 of 1,499 characters" in " ".join(out.split())
    assert all(len(line) <= 80 for line in out.splitlines())


# List and failures.

PAGE = b'[{"paper": {"id": "2511.00001", "title": "T"}}]'
FAILURES: dict[str, tuple[RawHandler, str]] = {
    "limited": (answering("429 Too Many"), "status 429 (tried 2 times); too many requests; the next fetch tries again"),
    "changed": (
        saying(b'{"papers": []}'),
        "the response is not a list of papers; the next fetch tries again; if it stays so, check its settings",
    ),
    "renamed": (
        saying(PAGE.replace(b"title", b"name")),
        "none of 2 entries can be read: 2025-11-27, page 1, paper 1: title: missing; the next fetch tries again",
    ),
}


def test_each_failure_says_where_what_and_what_to_do(newsletter: Newsletter) -> None:
    with ExitStack() as servers:
        sources = {
            name: {"kind": "huggingface", "endpoint": servers.enter_context(HostileServer(talk))}
            for name, (talk, _) in FAILURES.items()
        }
        empty = servers.enter_context(HostileServer(saying(b"[]")))
        newsletter.configure(
            sources={
                **sources,
                "empty": {"kind": "huggingface", "endpoint": empty},
            },
        )
        ran = newsletter.run("fetch", code=1)
        assert "failed; 0 papers" in ran.out
        tested = newsletter.run("sources", "test", "limited", code=1)
    rows = {row["name"]: row for row in newsletter.run("sources", "--json").rows}
    for name, (_, words) in FAILURES.items():
        assert words in rows[name]["error"], name
        assert f"warning: {name}: {rows[name]['error']}" in ran.err
    assert (rows["empty"]["error"], rows["empty"]["papers"]) == (None, 0)
    listed = newsletter.run("sources").out
    assert all(len(line.rstrip()) <= 80 for line in listed.splitlines())
    assert "'newsletter run' fetches again at 06:00 (UTC)" in listed
    flat = " ".join(listed.split())
    assert all(f"{name}: failed 2025-11-28 09:00: " in flat for name in FAILURES)
    assert "status 429 (tried once); too many requests" in tested.err


def test_the_list_is_the_default_of_the_group(newsletter: Newsletter) -> None:
    assert "add one with 'newsletter sources add'" in newsletter.run("sources").out
    newsletter.configure(sources={"hf": {"kind": "huggingface"}})
    assert newsletter.run("sources").out == newsletter.run("sources", "list").out
    assert newsletter.run("sources", "--json").rows == newsletter.run("sources", "list", "--json").rows
    assert "remove" in newsletter.run("sources", "--help").out
    assert "No such command 'lst'" in newsletter.run("sources", "lst", code=2).err


# Remove.


def test_a_removed_source_keeps_its_papers(newsletter: Newsletter, library: Path) -> None:
    text = f"{CONFIG}# Our own.\nsources: # all\n  # The library.\n  mine: {{kind: file, path: library.bib}} # mine\n"
    path = newsletter.folder / "config.yaml"
    path.write_text(text)
    newsletter.run("fetch")
    newsletter.run("sources", "remove", "mine")
    assert path.read_text() == f"{CONFIG}# Our own.\nsources: {{}} # all\n  # The library.\n"
    assert len(newsletter.run("papers", "list", "--json").rows) == 1
    assert newsletter.run("sources", "--json").rows == []
    assert "'mine' is not a source; sources: none" in newsletter.run("sources", "remove", "mine", code=2).err


def test_what_is_left_of_a_source_removed_by_hand_can_be_removed(newsletter: Newsletter, library: Path) -> None:
    newsletter.configure(sources={"mine": {"kind": "file", "path": "library.bib"}})
    newsletter.run("fetch")
    (newsletter.folder / "config.yaml").write_text(CONFIG)
    assert "removed" in newsletter.run("sources").out
    newsletter.run("sources", "remove", "mine")
    assert newsletter.run("sources", "--json").rows == []
    assert config_text(newsletter) == CONFIG
