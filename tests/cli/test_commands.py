"""The command line as a newcomer and as a script would use it."""

import io
import os
import pty
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tzlocal
from typer.main import get_command

from newsletter.cli import global_options_first
from newsletter.cli.app import COMMANDS, app
from newsletter.cli.lazy import Group
from newsletter.rendering.template import BUNDLED
from tests.helpers.fork_server import ForkedProcess
from tests.helpers.newsletter import CONFIG, NOW, CommandResult, Newsletter
from tests.helpers.smtp import Mailbox

PAPER_KEYS = (
    "id title abstract authors author_count organization published listed_on upvotes comments categories url sources"
)

GROUPS = [one for listed in COMMANDS.values() for one in listed if isinstance(one, Group)]
HELP_SCREENS = [
    "",
    *(one.name for listed in COMMANDS.values() for one in listed),
    *(f"{group.name} {command.name}" for group in GROUPS for command in group.commands),
]


@pytest.mark.parametrize("command", HELP_SCREENS)
def test_help_is_plain_and_fits_80_columns(
    newsletter: Newsletter, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = newsletter.run(*command.split(), "--help").out
    assert f"Usage: newsletter {command}".rstrip() in text
    assert all(len(line) <= 80 for line in text.splitlines())
    # No Python types, ranges or braces.
    assert not re.search(r"<[a-z]|x[<>]=|\{|\blist\[|\.\.\.\]", text.replace("[ARGS]...", "")), text


def parameters(command: Any) -> Iterator[tuple[str, Any]]:
    for listed in getattr(command, "commands", {}).values():
        yield from parameters(getattr(listed, "real", listed))
    for parameter in command.params:
        yield f"{command.name} {parameter.name}", parameter


def test_every_option_and_argument_says_what_it_does() -> None:
    found = list(parameters(get_command(app)))
    assert len(found) > 80
    for name, parameter in found:
        assert re.fullmatch(r"[A-Z].*\.", parameter.help or "", re.DOTALL), name
        flag = getattr(parameter, "is_flag", False)
        assert flag or parameter.name.endswith("completion") or parameter.metavar, f"{name}: no metavar"


def test_every_command_is_in_the_help(newsletter: Newsletter) -> None:
    text = newsletter.run("--help").out
    for listed in COMMANDS.values():
        for command in listed:
            assert f"│ {command.name} " in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rank", "nobody@example.org"], "'nobody@example.org' is not a subscriber"),
        (["preview", "nobody@example.org"], "'nobody@example.org' is not a subscriber"),
        (["send", "--only", "nobody@example.org"], "'nobody@example.org' is not a subscriber"),
        (["unsubscribe", "nobody@example.org"], "'nobody@example.org' is not a subscriber"),
        (["log", "nobody@example.org"], "'nobody@example.org' is not a subscriber"),
        (["log", "--edition", "yesterday"], "--edition: 'yesterday' is not a date; write it like 2025-11-25"),
        (["log", "--state", "snt"], "--state: 'snt' is not a send state; did you mean 'sent'?"),
        (["log", "--state", ""], "--state: '' is not a send state; choose from planned, claimed, sent"),
        (["log", "--paper", "2501.99999"], "--paper: no paper matches '2501.99999'"),
        (["log", "--since", "2025-02-02", "--until", "2025-02-01"], "--since 2025-02-02 is after --until"),
        (["log", "--edition", "2025-02-02", "--until", "2025-02-01"], "--edition cannot be combined with"),
        (["log", "-o", "log.xls"], "--output: log.xls: unknown file type; name it .csv or .jsonl, or add --format"),
        (["log", "--format", "xml"], "--format: 'xml' is not a format; use csv or jsonl"),
        (["log", "--why", "nobody@example.org"], "'nobody@example.org' is not a subscriber"),
        (["log", "--why", "nobody@example.org", "--state", "sent"], "--why can only be combined with --json"),
        (["subscribers", "forget", "nobody@example.org"], "'nobody@example.org' is not a subscriber"),
        (["papers", "show", "2501.99999"], "No paper matches '2501.99999'"),
        (["send", "--only", ""], "'' is not a subscriber"),
        (["log", ""], "'' is not a subscriber"),
        (["--config", "", "log"], "--config: the file name is empty; write it like --config config.yaml"),
        (["log", "--config="], "--config: the file name is empty; write it like --config config.yaml"),
        (["log", "--edition", ""], "--edition: '' is not a date"),
        (["fetch", "--since", ""], "--since: '' is not a date"),
        (["demo", "."], "already has a newsletter; choose another folder"),
        (["papers", "list", "--since", "May"], "--since: 'May' is not a date"),
        (
            ["fetch", "nowhere"],
            "'nowhere' is not a source; known sources: none; add one with 'newsletter sources add'",
        ),
        (
            ["fetch", "--since", "2025-02-02", "--until", "2025-02-01"],
            "--since 2025-02-02 is after --until 2025-02-01",
        ),
        (["subscribe", "nobody"], "subscribe: email: 'nobody' is not an email address"),
        (["subscribe", "a@example.org\nBcc: b@example.org"], "is not an email address"),
        (["subscribe", "a@example.org", "--time", "noon"], "subscribe: schedule.time: 'noon' is not a time of day"),
        (
            ["subscribe", "a@example.org", "--timezone", "Mars"],
            "subscribe: schedule.timezone: 'Mars' is not a time zone",
        ),
        (["subscribe", "a@example.org", "--papers", "0"], "subscribe: papers: '0' is too small; it must be 1 or more"),
        (["subscribers", "export", "--format", "xml"], "--format: 'xml' is not a format; use csv or jsonl"),
        (["import", "nothing.txt"], "nothing.txt"),
        (["--now", "tomorrow", "log"], "--now: 'tomorrow' is not an ISO date-time"),
        (["--now", "0001-01-01", "log"], "--now: '0001-01-01' is not in the years 1970 to 2999"),
        (["fetch", "--since", "9999-12-31"], "--since: '9999-12-31' is not in the years 1970 to 2999"),
        (["import", "x" * 300 + ".txt"], "File name too long; check the path"),
        (["subscribe", "a\udcff@example.org"], "is not valid UTF-8; encode the argument as UTF-8"),
        (
            ["preview", "x@example.org", "--format", "pdf"],
            "--format: 'pdf' is not a format; choose from html, text, eml, json",
        ),
        (["preview", "x@example.org", "--serve"], "'x@example.org' is not a subscriber"),
        (["preview", "x@example.org", "--serve", "--format", "eml"], "--serve shows every format; remove --format"),
        (["preview", "x@example.org", "--port", "8200"], "--port only works with --serve; add --serve"),
        (["interests", "check", "x@example.org"], "'x@example.org' has no file"),
        (
            ["bounces", "read"],
            "bounces: no mailbox is configured; set bounces.maildir or bounces.imap in config.yaml, or",
        ),
        (["bounces", "read", "nonesuch.eml"], "nonesuch.eml: No such file or directory"),
        (["bounces", "forgive", "nobody"], "'nobody' is not an email address"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_exit_2(
    newsletter: Newsletter, arguments: list[str], expected: str
) -> None:
    ran = newsletter.run(*arguments, code=2)
    assert expected in ran.err
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("error: ")


def test_a_full_disk_under_the_output_is_told(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "newsletter", "papers", "list", "--json"]
        ran = subprocess.run(command, cwd=newsletter.folder, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ran.returncode != 0
    assert "No space left on device" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_closed_output_is_no_fault(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    command = shlex.join([sys.executable, "-m", "newsletter", "papers", "list", "--json"])
    for redirection in (">&-", "| head -c 10 >/dev/null"):
        ran = subprocess.run(
            f"{command} {redirection}", shell=True, cwd=newsletter.folder, capture_output=True, text=True
        )
        assert ran.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("lgo", "No such command 'lgo'. Did you mean 'log'?"),
        ("papers lst", "Did you mean 'list'?"),
        ("similar x", "Did you mean 'papers similar'?"),
        ("log --sinc 2025-01-01", "No such option: --sinc. Did you mean '--since'?"),
        ("subscribers list --state actve", "Did you mean 'active'?"),
        ("papers list --limit 0", "it must be 1 or more."),
        ("papers list --limit ten", "write a whole number, like 5."),
        ("log --format cvs", "--format: 'cvs' is not a format; did you mean 'csv'?"),
        ("preview a@example.org --format htm", "did you mean 'html'?"),
    ],
)
def test_mistyped_arguments_get_a_suggestion(newsletter: Newsletter, arguments: str, expected: str) -> None:
    error = newsletter.run(*arguments.split(), code=2).err
    assert expected in " ".join(error.replace("│", " ").split())


def test_an_unknown_option_is_exit_2(newsletter: Newsletter) -> None:
    assert "No such option" in newsletter.run("send", "--fast", code=2).err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["send", "--now", "X"], ["--now", "X", "send"]),
        (["a", "--config=c", "b"], ["--config=c", "a", "b"]),
        (["a", "--", "--now", "b"], ["a", "--", "--now", "b"]),
        (["a", "--now"], ["--now", "a"]),
    ],
)
def test_global_options_come_first(arguments: list[str], expected: list[str]) -> None:
    assert global_options_first(arguments) == expected


def test_paper_json_has_the_promised_keys(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    rows = newsletter.run("papers", "list", "--json").rows
    assert len(rows) == 145
    for row in rows:
        assert set(PAPER_KEYS.split()) <= set(row)
    (lineas,) = newsletter.run("papers", "list", "--title", "LinEAS", "--json").rows
    assert (lineas["organization"], lineas["published"], lineas["comments"]) == ("Apple", "2025-03-11", 1)
    (shown,) = newsletter.run("papers", "show", lineas["id"], "--json").rows
    assert shown == lineas


def test_papers_can_be_filtered(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    days = {row["listed_on"] for row in newsletter.run("papers", "list", "--since", "2025-11-20", "--json").rows}
    assert days == {"2025-11-25"}
    assert newsletter.run("papers", "list", "--until", "2025-01-01").out == "No matching papers.\n"
    assert len(newsletter.run("papers", "list", "--limit", "3", "--json").rows) == 3
    assert newsletter.run("papers", "list", "--source", "elsewhere", "--json").rows == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("library.bib", "@comment{nothing}\n"),
        ("page.bib", "<!doctype html><title>Papers</title><p>One\n"),
        ("page.txt", "Nov 25\n"),
        ("day.json", "[]"),
        ("bad.jsonl", "{}\n"),
        ("feed.xml", '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"></feed>'),
    ],
)
def test_a_file_without_a_paper_is_told_of_and_stops_no_other(newsletter: Newsletter, name: str, text: str) -> None:
    (newsletter.folder / name).write_text(text)
    (newsletter.folder / "good.jsonl").write_text('{"title": "One"}')
    ran = newsletter.run("import", name, "good.jsonl", code=2)
    assert ran.err.endswith(f"error: {name}: no papers found; check that its content matches its file extension\n")
    assert ran.out.endswith("good.jsonl: 1 paper, 1 new\nThe store has 1 paper.\n")
    assert [row["papers"] for row in newsletter.run("import", name, "--json", code=2).rows] == [0]


def test_rank_json_has_the_promised_keys(newsletter: Newsletter, reader: str) -> None:
    newsletter.with_sample()
    rows = newsletter.run("rank", reader, "--top", "3", "--json").rows
    assert len(rows) == 3
    assert set(rows[0]) == {*("rank", "paper_id", "title", "score", "interest", "because", "earlier", "in_digest")}


def test_log_json_has_the_promised_keys(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    newsletter.run("send")
    (row,) = newsletter.run("log", "--json").rows
    assert set(row) == {"edition", "email", "state", "message_id", "sent_at", "smtp_reply", "reason", "papers"} | {
        *("attempts", "settled_at", "not_before", "model_version", "account")
    }
    assert set(row["papers"][0]) == {"id", "rank", "score", "section"}
    assert newsletter.run("log", "--edition", "2025-11-27", "--json").rows == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["rank", "ada@example.org"],
        ["log"],
        ["log", "--why", "bob@example.org"],
        ["papers", "list"],
        ["subscribers", "list"],
        ["sources"],
        ["bounces", "list"],
        ["bounces", "suppressed"],
    ],
)
def test_tables_fit_80_columns(newsletter: Newsletter, mail: Mailbox, reader: str, arguments: list[str]) -> None:
    newsletter.with_sample()
    newsletter.configure(sources={"arxiv": {"kind": "arxiv", "categories": ["cs.LG"]}})
    newsletter.run("subscribe", "bob@example.org")
    said = "550 5.1.1 <bob@example.org>: Recipient address rejected: User unknown in local recipient table"
    mail.on_recipient = lambda address: said if address.startswith("bob") else None
    newsletter.run("send", code=1)
    lines = newsletter.run(*arguments).out.splitlines()
    assert len(lines) > 1
    assert all(len(line.rstrip()) <= 80 for line in lines)


def test_where_there_is_no_room_for_columns_cells_stand_under_another(
    newsletter: Newsletter, mail: Mailbox, reader: str
) -> None:
    newsletter.with_sample()
    newsletter.run("send")
    lines = newsletter.start("log", COLUMNS="39").communicate()[0].splitlines()
    assert lines[:2] == ["edition: 2025-11-28", "state: sent"]
    assert lines[-3:] == [f"subscriber; server reply or reason: {reader}", "  250 taken", ""]
    out = newsletter.start("subscribers", "list", COLUMNS="39").communicate()[0]
    assert out.startswith(f"email: {reader}\nstate: active\nnext due (UTC): ")


@pytest.mark.parametrize(
    ("tz", "written"), [("UTC", "UTC"), ("Etc/UTC", "UTC"), ("Zulu", "UTC"), (":Europe/London", "Europe/London")]
)
def test_who_subscribes_gets_the_time_zone_of_the_machine(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch, tz: str, written: str
) -> None:
    monkeypatch.setenv("TZ", tz)
    tzlocal.reload_localzone()
    assert newsletter.run("subscribe", "ada@example.org").err == ""
    assert f"  timezone: {written}\n" in (newsletter.folder / "subscribers" / "ada.yaml").read_text()


def test_init_lays_out_a_newsletter_that_runs(newsletter: Newsletter, tmp_path: Path) -> None:
    ran = newsletter.run("init", tmp_path / "mine")
    assert {str(path.relative_to(tmp_path / "mine")) for path in (tmp_path / "mine").rglob("*") if path.is_file()} == {
        *("config.yaml", "subscribers/ada.yaml.example", "subscribers/grace.yaml.example"),
        *(str(path.relative_to(BUNDLED.parent)) for path in BUNDLED.rglob("*") if path.suffix in (".mjml", ".txt")),
        *(str(path.relative_to(BUNDLED.parent)) for path in (BUNDLED / "partials").iterdir()),
    }
    assert (tmp_path / "mine" / "templates" / "partials" / "full.mjml").exists()
    assert "Next:" in ran.out
    mine = Newsletter.__new__(Newsletter)
    mine.__dict__.update({**newsletter.__dict__, "folder": tmp_path / "mine"})
    mine.with_sample()
    assert mine.run("subscribers", "list", "--json").rows == []
    assert "No active subscribers" in mine.run("send").out
    for example in (tmp_path / "mine" / "subscribers").glob("*.example"):
        shutil.copyfile(example, example.with_suffix(""))
    emails = [row["email"] for row in mine.run("subscribers", "list", "--json").rows]
    assert len(emails) == 2
    for email in emails:
        assert len(mine.run("rank", email, "--json").rows) >= 5
    assert "ok" in mine.run("interests", "check").out
    (tmp_path / "mine" / "config.yaml").write_text(CONFIG)
    assert "nothing was changed" in newsletter.run("init", tmp_path / "mine").out
    assert (tmp_path / "mine" / "config.yaml").read_text() == CONFIG


def test_init_where_nothing_can_be_written(newsletter: Newsletter) -> None:
    (newsletter.folder / "file").write_text("")
    assert "choose a writable folder" in newsletter.run("init", "file/mine", code=2).err


def test_interests_check_names_every_mistake(newsletter: Newsletter) -> None:
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [looms]\n")
    newsletter.subscriber("bob", "email: bob\npapers: no\n")
    ran = newsletter.run("interests", "check", code=2)
    assert ran.out == f"{newsletter.folder}/subscribers/ada.yaml: ok; ada@example.org, 1 interest\n"
    assert [re.sub(r".*/", "", line).split(":")[:3] for line in ran.err.splitlines()] == [
        ["bob.yaml", "1", " email"],
        ["bob.yaml", "2", " papers"],
    ]


def test_interests_show(newsletter: Newsletter) -> None:
    newsletter.subscriber(
        "ada",
        "email: ada@example.org\nnever: [stocks]\n"
        "interests: [{name: Looms, text: weaving, keywords: {punched card: 2}}]\n",
    )
    out = newsletter.run("interests", "show", "ada@example.org").out
    assert "  Looms: weaving; punched card (2)\n  never: stocks\n" in out
    (row,) = newsletter.run("interests", "show", "--json").rows
    assert row["interests"][0]["keywords"] == {"punched card": 2.0}


def editor(folder: Path, *edits: str) -> str:
    """An $EDITOR that makes one edit (a Python expression of ``text``) each time it is called."""
    script = folder / "editor.py"
    script.write_text(
        "import sys, pathlib\n"
        f"edits = {list(edits)!r}\n"
        "count = pathlib.Path(__file__).with_suffix('.count')\n"
        "number = int(count.read_text()) if count.exists() else 0\n"
        "count.write_text(str(number + 1))\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "text = path.read_text()\n"
        "path.write_text(eval(edits[number]))\n"
    )
    return shlex.join([sys.executable, str(script)])


ADA = "# mine\nemail: ada@example.org # me\ninterests:\n- looms # by hand\n"


Edit = Callable[..., CommandResult]


@pytest.fixture
def edit(newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Edit a subscriber's interests; ``answers`` are typed at what is asked."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(newsletter.folder))

    def run(answers: str, *edits: str, email: str = "ada@example.org") -> CommandResult:
        monkeypatch.setenv("EDITOR", editor(newsletter.folder, *edits))
        monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
        return newsletter.run("interests", "edit", email, code=None)

    return run


def test_edit_checks_on_save_and_offers_to_go_on(newsletter: Newsletter, edit: Edit) -> None:
    path = newsletter.subscriber("ada", ADA)
    ran = edit("y\n", "text.replace('looms', '{nam: engines}')", "text.replace('nam:', 'name:')")
    assert "interests.yaml:4: interests.1.nam: unknown key; did you mean 'name'?" in ran.err
    assert "    4 | - {nam: engines} # by hand" in ran.err
    assert "Continue editing?" in ran.out
    assert ran.code == 0, ran.err
    assert path.read_text() == ADA.replace("looms", "{name: engines}")
    (row,) = newsletter.run("interests", "show", "--json").rows
    assert row["interests"][0]["name"] == "engines"


def test_edit_given_up_changes_nothing(newsletter: Newsletter, edit: Edit) -> None:
    path = newsletter.subscriber("ada", ADA)
    ran = edit("n\n", "text + 'nonsense: 1'")
    assert (ran.code, path.read_text()) == (2, ADA)
    (kept,) = re.findall(r"warning: your edits are kept in (.*)\nerror: Nothing was saved\.", ran.err)
    assert Path(kept).read_text() == ADA + "nonsense: 1"
    (newsletter.folder / "editor.count").unlink()
    assert edit("", "text").out == "Nothing was changed.\n"


def test_edit_keeps_what_was_written_when_the_editor_fails(newsletter: Newsletter, edit: Edit) -> None:
    path = newsletter.subscriber("ada", ADA)
    ran = edit("", "(path.write_text('mine'), sys.exit(3))")
    assert "exited with 3; nothing was saved" in ran.err
    (kept,) = re.findall(r"your edits are kept in (.*)\n", ran.err)
    assert (Path(kept).read_text(), path.read_text()) == ("mine", ADA)


def test_edit_undoes_no_change_that_was_made_meanwhile(newsletter: Newsletter, edit: Edit) -> None:
    path = newsletter.subscriber("ada", ADA)
    ran = edit("", f"pathlib.Path({str(path)!r}).write_text(text + 'papers: 4') and text + 'papers: 5'")
    assert ran.code == 2
    assert path.read_text() == ADA + "papers: 4"
    assert f"error: {path}: it changed while you were editing; edit it again" in ran.err
    (kept,) = re.findall(r"your edits are kept in (.*)\n", ran.err)
    assert Path(kept).read_text() == ADA + "papers: 5"

    newsletter.run("subscribe", "bob@example.org", "--no-file", "-i", "looms")
    subscribe = [sys.executable, "-m", "newsletter", "subscribe", "bob@example.org", "-i", "engines"]
    (newsletter.folder / "editor.count").unlink()
    change = f"__import__('subprocess').run({subscribe!r}) and text.replace('looms', 'wheels')"
    ran = edit("", change, email="bob@example.org")
    assert "error: bob@example.org: it changed while you were editing" in ran.err
    (row,) = newsletter.run("interests", "show", "bob@example.org", "--json").rows
    assert [interest["name"] for interest in row["interests"]] == ["looms", "engines"]


def test_edit_mends_a_file_that_was_wrong_before(newsletter: Newsletter, edit: Edit) -> None:
    path = newsletter.subscriber("ada", ADA + "papres: 5\n")
    ran = edit("", "text.replace('papres', 'papers')")
    assert ran.code == 0, ran.err
    assert path.read_text() == ADA + "papers: 5\n"


def test_edit_of_a_subscriber_without_a_file(newsletter: Newsletter, edit: Edit) -> None:
    newsletter.run("subscribe", "ada@example.org", "--no-file", "-i", "looms")
    ran = edit("", "text.replace('looms', 'engines')")
    assert ran.code == 0, ran.err
    (row,) = newsletter.run("interests", "show", "--json").rows
    assert row["interests"][0]["name"] == "engines"
    assert list((newsletter.folder / "subscribers").iterdir()) == []


def test_preview_writes_files_by_their_ending(newsletter: Newsletter, reader: str, tmp_path: Path) -> None:
    newsletter.with_sample()
    for ending, begins in (("html", b"\n"), ("txt", b"Test Papers\n"), ("eml", b"From: Papers"), ("json", b'{"email"')):
        newsletter.run("preview", reader, "-o", tmp_path / f"x.{ending}")
        content = (tmp_path / f"x.{ending}").read_bytes()
        assert content.startswith(begins) or b"<!doctype html>" in content[:40].lower()
    folder = tmp_path / "folder.eml"
    folder.mkdir()
    assert (
        "folder.eml: Is a directory; check the permissions of the folder"
        in newsletter.run("preview", reader, "-o", folder, code=2).err
    )


def preview_at_terminal(newsletter: Newsletter, *arguments: str, **environment: str) -> str:
    """What a preview says at a terminal."""
    ours, theirs = pty.openpty()
    command = ["--now", NOW, "preview", "ada@example.org", *arguments]
    environment = {**os.environ, "TMPDIR": str(newsletter.folder), "COLUMNS": "200", **environment}
    ran = ForkedProcess(command, cwd=newsletter.folder, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    assert ran.wait(timeout=60) == 0
    with os.fdopen(ours, "rb") as terminal:
        return terminal.read1(100_000).decode()


def test_a_preview_at_a_terminal_opens_the_browser(newsletter: Newsletter, reader: str, tmp_path: Path) -> None:
    newsletter.with_sample()
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    browser.chmod(0o755)
    said = preview_at_terminal(newsletter, BROWSER=str(browser))
    path = Path(opened.read_text().removeprefix("file://"))
    assert f"Written to {path}." in said
    newsletter.run("preview", reader, "--output", tmp_path / "x.html")
    assert path.read_bytes() == (tmp_path / "x.html").read_bytes()
    opened.unlink()
    for arguments in (["--no-open"], ["--format", "html", "--output", "x.html"]):
        assert "Written to " in preview_at_terminal(newsletter, *arguments, BROWSER=str(browser))
        assert not opened.exists()
    said = preview_at_terminal(newsletter, BROWSER="", PATH=str(tmp_path / "empty"), DISPLAY="", WAYLAND_DISPLAY="")
    assert "warning: cannot open a browser; open /" in said


def test_a_preview_without_papers_shows_the_sample_and_keeps_nothing_of_it(
    newsletter: Newsletter, reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ran = newsletter.run("preview", reader, "--format", "json")
    assert ran.err == ("warning: no papers yet: showing sample papers; run 'newsletter fetch' to get real ones\n")
    (sample,) = ran.rows
    assert (sample["sample"], sample["considered"], len(sample["papers"])) == (True, 145, 8)
    assert newsletter.run("papers", "list", "--json").rows == []
    assert not newsletter.config.index_folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["newsletter"]
    newsletter.with_sample()
    newsletter.configure(ranking={"max_publication_age_days": 365})
    ran = newsletter.run("preview", reader, "--format", "json")
    assert ran.rows == [{**sample, "sample": False}]
    assert ran.err == ""


def test_secrets_are_made_for_their_owner_alone(newsletter: Newsletter, reader: str) -> None:
    newsletter.with_sample()
    key = newsletter.folder / "var" / "secret.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o644)
    ran = newsletter.run("log", code=2)
    assert "secret.key: readable by others (mode 0644); run 'chmod 600" in ran.err
    newsletter._monkeypatch.setenv("NEWSLETTER_SECRET_KEY", "short")
    assert "NEWSLETTER_SECRET_KEY: the signing key has 5 bytes and needs 16" in newsletter.run("log", code=2).err


def test_links_stay_the_same_from_run_to_run(newsletter: Newsletter, reader: str) -> None:
    newsletter.with_sample()
    first, second = (newsletter.run("preview", reader, "--format", "text").out for _ in range(2))
    assert first == second
    assert "Unsubscribe: https://papers.example.org/unsubscribe/" in first


def test_a_message_has_the_links_of_its_reader(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    newsletter.configure(site={"reply_to": "Help <help@example.org>"})
    newsletter.run("send")
    (message,) = mail.messages()
    page, letter = str(message["List-Unsubscribe"]).split(", ")
    assert page.startswith("<https://papers.example.org/unsubscribe/")
    assert letter.startswith("<mailto:help@example.org?subject=unsubscribe%20")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for kind in ("plain", "html"):
        text = message.get_body((kind,)).get_content()
        assert "This is your first digest" in " ".join(text.split())
        for path in ("preferences", "unsubscribe", "digest", "feedback"):
            assert f"https://papers.example.org/{path}/" in text


@pytest.mark.parametrize("command", [["send"], ["run", "--once"]])
def test_names_of_examples_are_warned_of_before_mail_goes_to_the_world(
    newsletter: Newsletter, command: list[str]
) -> None:
    newsletter.configure(site={"url": "http://localhost:8000", "from": "papers@newsletter.example"})
    assert "warning" not in newsletter.run(*command).err
    newsletter.configure(smtp={"host": "mail.invalid"})
    assert newsletter.run(*command).err == (
        "warning: site.url: readers cannot reach http://localhost:8000, but mail is sent through mail.invalid; "
        "set your own\n"
        "warning: site.from: readers cannot reach papers@newsletter.example, but mail is sent through mail.invalid; "
        "set your own\n"
    )
    assert newsletter.run("send", "--dry-run").err == ""
    newsletter.configure(site={"url": "https://papers.loom.io", "from": "papers@loom.io", "reply_to": "me@loom.io"})
    assert newsletter.run(*command).err == ""
