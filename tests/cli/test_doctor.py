"""``newsletter doctor``, worked as an operator would."""

import re
import sqlite3
import threading

import pytest

from newsletter.doctor.result import Check, CheckResult, CheckState, of_error, ok
from newsletter.doctor.runner import run_parallel
from newsletter.errors import NewsletterError
from newsletter.model import SendState
from newsletter.rendering.template import BUNDLED
from tests.helpers.newsletter import NOW, CommandResult, Newsletter
from tests.helpers.smtp import Mailbox


def lines(ran: CommandResult) -> dict[str, CheckResult]:
    """What ``--json`` told, by name."""
    return {
        row["name"]: CheckResult(row["name"], CheckState(row["state"]), row["found"], row["fix"] or "")
        for row in ran.rows
    }


def look(newsletter: Newsletter, code: int | None = None, now: str = NOW) -> dict[str, CheckResult]:
    """All that needs no network."""
    return lines(newsletter.run("doctor", "--offline", "--json", code=code, now=now))


def test_a_fresh_newsletter_where_nothing_answers(newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch) -> None:
    newsletter.run("init", "mine")
    monkeypatch.setenv("COLUMNS", "80")
    newsletter.configure(site={"from": "Papers <papers@newsletter.example>", "url": "http://localhost:1"})
    closed = {"kind": "feed", "url": "http://127.0.0.1:1/feed"}
    newsletter.configure(sources={"journal": closed})
    ran = newsletter.run("doctor", code=1)
    assert max(map(len, ran.out.splitlines())) <= 80
    told = re.sub(r"\s+", " ", ran.out)
    assert "warning sender: site.from: Papers <papers@newsletter.example> is an example address" in told
    assert "bad source journal: GET http://127.0.0.1:1/feed: connection refused (tried once)" in told
    assert "bad smtp: cannot reach 127.0.0.1:1: Connection refused fix: check smtp.host and port" in told
    assert "not checked spf: newsletter.example is an example domain fix: set site.from" in told
    assert "not checked clock: no server sent its time" in told
    assert re.search("ok templates: digest[;,]", told)
    assert ran.out.splitlines()[-1].endswith(" not checked.")
    assert ran.err == ""


def test_json_names_the_same_lines(newsletter: Newsletter) -> None:
    found = lines(newsletter.run("doctor", "--json", code=1))
    assert list(found)[:3] == ["config", "program", "sender"]
    assert found["smtp"].fix == "check smtp.host and port"
    assert set(newsletter.run("doctor", "--json", code=1).rows[0]) == {"name", "state", "found", "fix"}


def test_all_is_well_with_a_good_mail_server(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample().run("send")
    ran = newsletter.run("doctor", "--json")
    found = lines(ran)
    assert found["smtp"].state is CheckState.OK
    assert found["subscribers"].found == "1 active"
    assert "intact, writable" in found["store"].found
    assert found["sends"].found == "no sends waiting"
    assert not [one for one in found.values() if one.state is CheckState.BAD]
    assert len(mail.accepted) == 1  # the digest alone


def test_a_message_to_yourself_by_each_account(newsletter: Newsletter, mail: Mailbox) -> None:
    port = newsletter.config.smtp.port
    text = (newsletter.folder / "config.yaml").read_text()
    account = f"{{host: 127.0.0.1, port: {port}, security: none}}"
    (newsletter.folder / "config.yaml").write_text(
        re.sub(r"smtp:\n(  .*\n)+", f"accounts: {{main: {account}, spare: {account}}}\n", text)
    )
    found = lines(newsletter.run("doctor", "--send-to", "me@Example.org", "--json"))
    assert mail.recipients() == ["me@example.org"] * 2
    first, second = mail.messages()
    assert first["Subject"] and first["List-Unsubscribe"]
    assert first["Message-ID"] != second["Message-ID"]
    told = found["message main"].found + found["message spare"].found
    assert first["Message-ID"] in told and second["Message-ID"] in told
    assert newsletter.run("log").out == "Nothing was sent yet.\n"
    mail.on_sender = lambda address: "553 5.7.1 not yours"
    unsent = lines(newsletter.run("doctor", "--send-to", "me@example.org", "--json", code=1))["message main"]
    assert unsent.found == f"127.0.0.1:{port} refuses the sender papers@example.org: 553 5.7.1 not yours"
    mail.on_sender = lambda address: None
    mail.on_data = lambda address: "554 5.7.1 looks like spam"
    refused = lines(newsletter.run("doctor", "--send-to", "me@example.org", "--json", code=1))["message main"]
    assert (refused.state, "554 5.7.1 looks like spam" in refused.found) == (CheckState.BAD, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--send-to", "me"), "--send-to: 'me' is not an email address"),
        (("--send-to", "a@b.org", "--offline"), "mutually exclusive"),
    ],
)
def test_bad_usage(newsletter: Newsletter, options: tuple[str, ...], words: str) -> None:
    ran = newsletter.run("doctor", *options, code=2)
    assert words in ran.err
    assert ran.out == ""


def test_a_configuration_that_cannot_be_read(newsletter: Newsletter) -> None:
    newsletter.configure(smtp={"prot": 25}, ranking={"min_score": 7})
    ran = newsletter.run("doctor", "--json", code=2)
    assert [(row["name"], row["state"]) for row in ran.rows] == [
        ("config", "bad"),
        ("config", "bad"),
        ("everything else", "not checked"),
    ]
    assert ran.rows[0]["found"].endswith("smtp.prot: unknown key")
    assert ran.rows[0]["fix"] == "did you mean 'port'?"
    (newsletter.folder / "config.yaml").unlink()
    assert "create one with 'newsletter init .'" in newsletter.run("doctor", "--json", code=2).rows[0]["fix"]


def test_secrets(newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch) -> None:
    newsletter.configure(smtp={"user": "me", "password_file": "password"})
    newsletter.configure(bounces={"imap": {"host": "127.0.0.1", "user": "me", "password_file": "password"}})
    assert "create the file" in look(newsletter, 1)["password"].fix
    path = newsletter.folder / "password"
    path.write_text("open-sesame")
    path.chmod(0o640)
    found = look(newsletter, 1)
    for name in ("password", "password bounces"):
        assert (found[name].state, found[name].fix) == (CheckState.BAD, f"run 'chmod 600 {path}'")
    path.chmod(0o600)
    (newsletter.folder / "var" / "secret.key").chmod(0o644)
    ran = newsletter.run("doctor", "--offline", "--json", code=1)
    assert lines(ran)["password"].state is lines(ran)["password bounces"].state is CheckState.OK
    assert lines(ran)["signing key"].fix.startswith("run 'chmod 600 ")
    assert "open-sesame" not in ran.out


def test_templates(newsletter: Newsletter) -> None:
    folder = newsletter.folder / "templates"
    folder.mkdir()
    (folder / "mine.mjml").write_text("<mjml><mj-body>\n<mj-txt>x</mj-txt></mj-body></mjml>")
    unused = look(newsletter, 0)["templates"]
    assert (unused.state, unused.found) == (CheckState.WARNING, f"{folder}/mine.mjml:2: MJML has no <mj-txt>")
    assert unused.fix == "correct the template, or remove it: it is not in use"
    newsletter.configure(digest={"template": "mine"})
    assert look(newsletter, 1)["templates"].state is CheckState.BAD
    long = "<mj-text>" + "long " * 25_000 + "{{ unsubscribe_url }}</mj-text>"
    (folder / "mine.mjml").write_text(
        f"<mjml><mj-body><mj-section><mj-column>{long}</mj-column></mj-section></mj-body></mjml>"
    )
    (folder / "mine.txt").write_text("{{ nothing }}")
    assert "mine.txt:1: 'nothing' is undefined" in look(newsletter, 1)["templates"].found
    (folder / "mine.txt").write_text("text")
    heavy = look(newsletter, 0)["templates"]
    assert (heavy.state, "over 102 kB, the last papers" in heavy.fix) == (CheckState.WARNING, True)
    (folder / "mine.mjml").write_text((BUNDLED / "digest.mjml").read_text())
    silent = look(newsletter, 0)["templates"]
    assert (silent.state, silent.found) == (CheckState.WARNING, "mine.txt does not show what became of papers")
    (folder / "mine.txt").write_text('{% if updates %}{% include "partials/updates.txt" %}{% endif %}')
    assert look(newsletter, 0)["templates"].state is CheckState.OK


def test_subscribers_files_are_read_and_nothing_is_changed(newsletter: Newsletter, reader: str) -> None:
    found = look(newsletter, 0)["subscribers"]
    assert found.found == "1 active, 1 of them in new files"
    assert newsletter.run("doctor", "--offline").out.count("1 of them in new files") == 1
    bob = newsletter.subscriber("bob", "email: bob\n")
    one = look(newsletter, 1)["subscribers"]
    assert one.found.startswith(f"{bob}:1: email: 'bob' is not an email address")
    newsletter.subscriber("cyd", "email: ada@example.org\nintrests: []\n")
    two = look(newsletter, 1)["subscribers"]
    assert (two.found, two.fix) == ("2 errors in bob.yaml, cyd.yaml", "list them with 'newsletter interests check'")


def test_nobody_is_subscribed_yet(newsletter: Newsletter) -> None:
    finding = look(newsletter, 0)["subscribers"]
    assert (finding.state, "newsletter subscribe" in finding.fix) == (CheckState.WARNING, True)


def test_what_waits_in_the_store(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    mail.on_recipient = lambda address: "421 4.3.2 going down"
    newsletter.run("send", code=None)
    assert look(newsletter, 0)["sends"] == ok("sends", "1 deferred")
    sql(newsletter, f"UPDATE sends SET state = '{SendState.PLANNED}', not_before = NULL")
    planned = look(newsletter, 0, now="2025-11-28T11:00")["sends"]
    assert (planned.found, planned.fix) == (
        "1 planned; the first since 2025-11-28 09:00 UTC",
        "send them with 'newsletter send'",
    )
    sql(newsletter, f"UPDATE sends SET state = '{SendState.UNSURE}'")
    unsure = look(newsletter, 0)["sends"]
    assert (unsure.state, "newsletter sends resolve" in unsure.fix) == (CheckState.WARNING, True)


def test_nothing_sends_by_itself(newsletter: Newsletter, reader: str) -> None:
    newsletter.run("subscribers", "list")
    assert look(newsletter, 0)["schedule"].state is CheckState.OK
    newsletter.run("fetch")
    newsletter.with_sample().run("send", "--dry-run")
    late = look(newsletter, 0, now="2025-12-03T12:00")["schedule"]
    assert late.state is CheckState.WARNING
    assert "1 due since 2025-12-01 07:30 UTC got no digest" in late.found
    assert "newsletter run" in late.fix


def sql(newsletter: Newsletter, statement: str) -> None:
    connection = sqlite3.connect(newsletter.folder / "var" / "newsletter.db")
    with connection:
        connection.execute(statement)
    connection.close()


def test_a_damaged_store(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    sql(newsletter, "PRAGMA wal_checkpoint(TRUNCATE)")
    path = newsletter.folder / "var" / "newsletter.db"
    content = bytearray(path.read_bytes())
    middle = content.index(b"Bayesian")
    page = middle - middle % 4096
    content[page : page + 200] = b"\xff" * 200
    path.write_bytes(content)
    store = look(newsletter, 1)["store"]
    assert (store.state, "damaged" in store.found) == (CheckState.BAD, True), store
    assert store.fix == "restore it from a backup"


def test_a_store_that_others_may_read(newsletter: Newsletter) -> None:
    newsletter.run("papers", "list")
    path = newsletter.folder / "var" / "newsletter.db"
    path.chmod(0o644)
    store = look(newsletter, 0)["store"]
    assert (store.state, store.fix) == (CheckState.WARNING, f"run 'chmod 600 {path}'")


def test_a_store_that_cannot_be_opened(newsletter: Newsletter) -> None:
    newsletter.store.write_bytes(b"this is no store" * 100)
    found = look(newsletter, 1)
    assert (found["store"].state, found["store"].fix) == (CheckState.BAD, "restore a backup")
    assert "not a newsletter store" in found["store"].found
    assert "subscribers" not in found
    assert found["templates"].state is CheckState.OK


def test_a_full_disk(newsletter: Newsletter) -> None:
    newsletter.run("papers", "list")
    ended = newsletter.run_on_full_disk("--now", NOW, "doctor", "--offline")
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 1
    told = re.sub(r"\s+", " ", ended.stdout)
    assert "File too large fix: free disk space there, or check its quota" in told
    assert "disk I/O error fix: check the disk and who else uses it" in told


def test_a_clock_that_was_set_back(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    clock = look(newsletter, 1, now="2025-11-27T09:00")["clock"]
    assert (clock.state, clock.found) == (
        CheckState.BAD,
        "it is 2025-11-27 09:00 UTC, but the newest entry of the store is of 2025-11-28 09:00",
    )


def test_a_check_that_fails_or_hangs_keeps_no_other_from_being_told() -> None:
    never = threading.Event()

    def hangs() -> CheckResult:
        never.wait()
        return ok("slow", "")

    def fails() -> CheckResult:
        raise RuntimeError("a mistake of ours")

    def broken() -> CheckResult:
        raise NewsletterError("smtp: it is broken; mend it")

    checks = [
        Check("slow", hangs, "wait longer"),
        Check("wrong", fails, "tell us"),
        Check("smtp", broken, "?"),
        Check("good", lambda: ok("good", "well"), "?"),
    ]
    told = list(run_parallel(checks, 0.5))
    never.set()
    assert [one.state for one in told] == [CheckState.BAD, CheckState.BAD, CheckState.BAD, CheckState.OK]
    assert (told[0].found, told[0].fix) == ("timed out after 0.5 s", "wait longer")
    assert told[1].found == "RuntimeError: a mistake of ours"
    assert (told[2].found, told[2].fix) == ("it is broken", "mend it")
    assert of_error("x", NewsletterError("no mend in it"), "this one").fix == "this one"


def test_without_a_site_it_says_what_works_by_email(newsletter: Newsletter) -> None:
    path = newsletter.folder / "config.yaml"
    path.write_text(path.read_text().replace("  url: https://papers.example.org\n", ""))
    found = look(newsletter)
    assert (found["feedback"].state, found["feedback"].found) == (
        CheckState.WARNING,
        "messages have no links for it, since there is neither a site nor a mailbox to read",
    )
    assert found["feedback"].fix == "set site.url, or bounces.imap or bounces.maildir"
    assert found["unsubscribe"].found == "email to papers@example.org, which you process with 'newsletter unsubscribe'"
    for name in ("new", "cur", "tmp"):
        (newsletter.folder / "mailbox" / name).mkdir(parents=True)
    newsletter.configure(bounces={"maildir": "mailbox"}, site={"reply_to": "Us <us@example.org>"})
    read = "email to us@example.org, which 'newsletter run' reads from mailbox"
    found = look(newsletter)
    assert (found["unsubscribe"].state, found["unsubscribe"].found) == (CheckState.OK, read)
    assert found["feedback"].found == f"{read}; readers change their interests the same way, but not their schedule"
    imap = {"host": "imap.example.org", "user": "papers@example.org"}
    newsletter.configure(bounces={"imap": imap, "maildir": None})
    found = look(newsletter)
    apart = "email to us@example.org, but 'newsletter run' reads the mailbox of papers@example.org"
    assert found["feedback"].found == found["unsubscribe"].found == apart
    assert found["feedback"].state is found["unsubscribe"].state is CheckState.WARNING
    newsletter.configure(site={"reply_to": "Papers+readers@example.org"})
    assert look(newsletter)["feedback"].state is CheckState.OK
    newsletter.configure(bounces={"address": "back@example.org", "imap": None})
    piped = "email to back@example.org, which its mail server must pass to 'newsletter bounces read -'"
    assert look(newsletter)["unsubscribe"].found == piped
    online = lines(newsletter.run("doctor", "--json", code=None))["site"]
    assert (online.state, online.found) == (CheckState.NOT_CHECKED, "no public site, so nothing leads there")
    newsletter.configure(site={"url": "https://papers.example.org"})
    assert look(newsletter)["feedback"].found == "pages at https://papers.example.org"
