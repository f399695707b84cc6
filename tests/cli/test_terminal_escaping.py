"""What others wrote reaches the terminal as text: it gives no orders, forges no line, and fills no screen."""

import json

import pytest

from tests.helpers.newsletter import CONFIG, CommandResult, Newsletter
from tests.helpers.smtp import Mailbox

EVIL = "\x1b[31m\x07\x9b2Jno\rda\u202e"


def assert_plain(ran: CommandResult, *, lines: int | None = None) -> None:
    for text in (ran.out, ran.err):
        assert all(line.isprintable() for line in text.split("\n")), repr(text)
    assert lines is None or len(ran.err.split("\n")) == lines + 1, ran.err


def test_answers_of_a_mail_server(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    mail.on_recipient = lambda address: "550 \x1b[31mno\x07 \x1b]0;title\x07"
    assert_plain(newsletter.run("send", code=1))
    ran = newsletter.run("log")
    assert_plain(ran)
    assert "\\x1b[31mno" in ran.out
    mail.on_sender = lambda address: "550 \x1b[31mnever"
    assert_plain(newsletter.run("send", now="2025-11-29T09:00", code=1), lines=1)


def test_keys_and_values_of_files(newsletter: Newsletter) -> None:
    newsletter.subscriber("ada", '"\\e[31mna\\nme": x\n')
    newsletter.subscriber("bob", 'email: "\\e[31mbob\\n"\n')
    newsletter.subscriber("eve", 'email: eve@example.org\nname: "\\e[31mE\\u202eve"\ninterests: ["lo\\e[31m\\noms"]\n')
    ran = newsletter.run("interests", "check", code=2)
    assert_plain(ran, lines=3)
    assert "\\x1b[31mna me: unknown key" in ran.err
    for command in ("interests show", "subscribers list", "subscribers show eve@example.org"):
        assert_plain(newsletter.run(*command.split()))
    (newsletter.folder / "config.yaml").write_text(CONFIG + '"\\e[31mx\\ny": z\n')
    assert_plain(newsletter.run("log", code=2), lines=1)


def test_names_of_files(newsletter: Newsletter) -> None:
    newsletter.subscriber("a\x1b[31m\nb", "email: nobody\n")
    assert_plain(newsletter.run("subscribers", "list"), lines=1)
    for name in (f"{EVIL}.jsonl", f"{EVIL}.txt", f"{EVIL}.pdf"):
        (newsletter.folder / name).write_text('{"title": "x"}\n{}\n')
        assert_plain(newsletter.run("import", name, code=None))
    (newsletter.folder / f"{EVIL}.csv").write_text("email\nnobody\n")
    assert_plain(newsletter.run("subscribers", "import", f"{EVIL}.csv", code=2), lines=2)
    assert_plain(newsletter.run("--config", EVIL, "log", code=2), lines=1)
    assert_plain(newsletter.run("init", newsletter.folder / EVIL))


def test_titles(newsletter: Newsletter, reader: str) -> None:
    paper = {"title": f"Pareto {EVIL} reinforcement learning", "abstract": EVIL, "authors": [EVIL], "keywords": [EVIL]}
    (newsletter.folder / "x.jsonl").write_text(json.dumps(paper))
    newsletter.run("import", "x.jsonl")
    for command in ("papers list", "papers list --json", f"rank {reader}", f"preview {reader} --format text"):
        assert_plain(newsletter.run(*command.split()))


def test_json_tells_what_it_must_with_escapes(newsletter: Newsletter) -> None:
    newsletter.configure(sources={"x": {"kind": "file", "path": "\x9b31m.txt"}})
    newsletter.run("fetch", code=1)
    ran = newsletter.run("sources", "--json")
    assert_plain(ran)
    assert "x9b31m.txt" in ran.rows[0]["error"]


LONG = "x" * 5000


@pytest.mark.parametrize(
    ("old", "new", "begin", "end"),
    [
        ("https://papers.example.org", LONG, "error: config.yaml:3: site.url: 'xxx", "like https://papers.example.org"),
        ("Papers <papers@example.org>", LONG, "error: config.yaml:4: site.from: 'xxx", "must have an @-sign."),
        ("postal_address", LONG[:1000], "error: config.yaml:5: site.xxx", "postal_address, reply_to, url"),
    ],
)
def test_a_value_without_end_fills_no_screen(newsletter: Newsletter, old: str, new: str, begin: str, end: str) -> None:
    (newsletter.folder / "config.yaml").write_text(CONFIG.replace(old, new))
    lines = newsletter.run("log", code=2).err.splitlines()
    assert all(len(line) < 700 for line in lines)
    assert [line for line in lines if line.startswith(begin) and line.endswith(end)]
    assert len(newsletter.run("--config", LONG, "log", code=2).err) < 700
