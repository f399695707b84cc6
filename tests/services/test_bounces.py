"""What came back, end to end: what is proved and what is not, what it leads to, and that nothing undoes it."""

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from email import message_from_bytes
from pathlib import Path

import pytest
import trustme
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import create_engine

from newsletter import store
from tests.audience.test_subscriptions import state
from tests.helpers import bounce_reports as reports
from tests.helpers.bounce_reports import About
from tests.helpers.imap import PASSWORD, USER, ImapServer
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.test_scheduler import stop, wait_until

READER = "ada@example.org"


class Senders:
    """What the mail server was told of each message: its envelope's sender."""

    def __init__(self, mail: Mailbox) -> None:
        self.seen: list[str] = []
        mail.on_sender = self._take

    def _take(self, address: str) -> None:
        self.seen.append(address)


@pytest.fixture
def bounces(newsletter: Newsletter) -> None:
    """Reports have an address of their own, and a Maildir."""
    newsletter.configure(bounces={"address": "bounces@papers.example.org", "maildir": "returned"})
    for name in ("new", "cur", "tmp"):
        (newsletter.folder / "returned" / name).mkdir(parents=True)
    some_papers(newsletter, 27)


def some_papers(newsletter: Newsletter, day: int) -> None:
    """Take in papers that one or another is sent."""
    about = ("Multi-objective reinforcement learning and Pareto fronts", "Language models")
    papers = [json.dumps({"title": f"{text}, {day}", "abstract": text}) for text in about]
    (newsletter.folder / "new.jsonl").write_text("\n".join(papers))
    newsletter.run("import", "new.jsonl", now=f"2025-11-{day}T08:00")


def send_one(newsletter: Newsletter, mail: Mailbox, day: int = 28) -> About:
    """Send an edition to the one reader; returns what a report of it can know."""
    senders = Senders(mail)
    newsletter.run("send", now=f"2025-11-{day}T09:00")
    recipient, content = mail.accepted[-1]
    return About(recipient, senders.seen[-1], message_from_bytes(content)["Message-ID"])


def send_again(newsletter: Newsletter, mail: Mailbox, day: int) -> About:
    """The same, on another day, with a new paper to send."""
    some_papers(newsletter, day)
    return send_one(newsletter, mail, day)


def take(newsletter: Newsletter, content: bytes, now: str = "2025-11-28T10:00") -> str:
    (newsletter.folder / "came.eml").write_bytes(content)
    return newsletter.run("bounces", "read", "came.eml", now=now).out


def listed(newsletter: Newsletter) -> list[tuple[object, ...]]:
    rows = newsletter.run("bounces", "list", "--json").rows
    return [(row["kind"], row["email"], row["status"], row["effect"]) for row in rows]


def suppressed(newsletter: Newsletter) -> list[tuple[object, ...]]:
    return [(row["email"], row["reason"]) for row in newsletter.run("bounces", "suppressed", "--json").rows]


def test_each_message_has_a_return_path_of_its_own(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None
) -> None:
    newsletter.subscriber("bob", "email: bob@example.org\ninterests: [language models]\n")
    senders = Senders(mail)
    newsletter.run("send")
    assert len(set(senders.seen)) == 2
    for sender in senders.seen:
        assert sender.startswith("bounces+")
        assert sender.endswith("@papers.example.org")
    for message in mail.messages():
        assert message["From"] == "Papers <papers@example.org>"
        assert "bounces+" not in str(message)
        assert "<mailto:bounces@papers.example.org?subject=unsubscribe%20" in message["List-Unsubscribe"]


def test_without_an_address_for_reports_the_sender_is_the_from_address(
    newsletter: Newsletter, mail: Mailbox, reader: str
) -> None:
    some_papers(newsletter, 28)
    assert send_one(newsletter, mail).return_path == "papers@example.org"


@pytest.mark.parametrize("proof", ["return path", "message id"])
def test_a_mailbox_that_is_gone_gets_nothing_any_more(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None, proof: str
) -> None:
    sent = send_one(newsletter, mail)
    if proof == "return path":
        # As when a server on the way writes a Message-ID of its own.
        sent = About(sent.recipient, sent.return_path, "<other@relay.example>")
    else:
        sent = About(sent.recipient, "bounces@papers.example.org", sent.message_id)
    assert take(newsletter, reports.postfix(sent)) == "ada@example.org: hard, 5.1.1; now bounced.\n"
    assert listed(newsletter) == [("hard", READER, "5.1.1", "bounced")]
    assert state(newsletter)["state"] == "bounced"
    assert suppressed(newsletter) == [(READER, "bounced")]
    # Read again, it is no second one.
    assert take(newsletter, reports.postfix(sent)) == "Already processed: hard, ada@example.org.\n"
    assert len(listed(newsletter)) == 1
    assert newsletter.run("send", now="2025-11-29T09:00").out.startswith("No active subscribers")


def test_a_forged_report_changes_nothing(newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None) -> None:
    sent = send_one(newsletter, mail)
    local, _, token = sent.return_path.partition("@")[0].partition("+")
    row, edition, mac = token.split("-")
    other_day = f"{local}+{row}-{edition[:-1]}0-{mac}@papers.example.org"
    for forged in (
        reports.postfix(About(READER)),
        reports.postfix(About(READER, other_day)),
        reports.qmail(About(READER, sent.return_path[:-22] + "a" * 3 + sent.return_path[-19:])),
        reports.yahoo_complaint(About(READER)),
        reports.letter("unsubscribe MQ.abcdefghijklmnopqrstuvwxyz0"),
        reports.letter("unsubscribe", in_reply_to="<20251128.000000000000000000000000@example.org>"),
    ):
        assert take(newsletter, forged).startswith("Ignored: ")
    assert listed(newsletter) == suppressed(newsletter) == []
    assert state(newsletter)["state"] == "active"


def test_soft_ones_of_several_editions_pause(newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None) -> None:
    newsletter.configure(bounces={"soft_limit": 2, "soft_days": 3})

    def full(sent: About, number: int) -> bytes:
        return reports.postfix(sent, "5.2.2", f"smtp; 552 5.2.2 mailbox full ({number})")

    first = send_one(newsletter, mail, 24)
    take(newsletter, full(first, 1), now="2025-11-24T10:00")
    take(newsletter, full(first, 2), now="2025-11-25T10:00")
    assert state(newsletter)["state"] == "active"  # two reports, of one message
    second = send_again(newsletter, mail, 29)
    take(newsletter, full(second, 1), now="2025-11-29T10:00")
    assert state(newsletter)["state"] == "active"  # the first is too long ago
    third = send_again(newsletter, mail, 30)
    assert "now paused" in take(newsletter, full(third, 1), now="2025-11-30T10:00")
    assert [row[3] for row in listed(newsletter)] == [None, None, None, "paused"]
    assert suppressed(newsletter) == []
    # Forgiven, it begins anew.
    assert "ada@example.org is active" in newsletter.run("bounces", "forgive", READER, now="2025-11-30T11:00").out
    take(newsletter, full(third, 2), now="2025-11-30T12:00")
    assert state(newsletter)["state"] == "active"


def test_how_many_hard_ones_suppress_is_a_setting(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None
) -> None:
    newsletter.configure(bounces={"hard_limit": 2})
    first = send_one(newsletter, mail, 24)
    take(newsletter, reports.postfix(first), now="2025-11-24T10:00")
    # Another report of the same digest is no second one.
    take(newsletter, reports.postfix(first, said="smtp; 550 5.1.1 once more"), now="2025-11-24T11:00")
    assert (state(newsletter)["state"], suppressed(newsletter)) == ("active", [])
    assert listed(newsletter) == [("hard", READER, "5.1.1", None)] * 2
    second = send_again(newsletter, mail, 25)
    assert "now bounced" in take(newsletter, reports.postfix(second), now="2025-11-25T10:00")
    assert suppressed(newsletter) == [(READER, "bounced")]
    # Forgiven, it begins anew.
    newsletter.run("bounces", "forgive", READER, now="2025-11-26T10:00")
    third = send_again(newsletter, mail, 29)
    assert "state unchanged" in take(newsletter, reports.postfix(third), now="2025-11-29T10:00")
    assert state(newsletter)["state"] == "active"


def test_refusals_while_sending_count_to_the_limit(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.configure(bounces={"hard_limit": 2})
    mail.on_recipient = lambda address: "550 5.1.1 no such user"
    for day, becomes in ((24, "active"), (25, "bounced")):
        some_papers(newsletter, day)
        newsletter.run("send", now=f"2025-11-{day}T09:00", code=1)
        assert state(newsletter)["state"] == becomes
    assert suppressed(newsletter) == [(READER, "bounced")]


@pytest.mark.parametrize(("status", "limit"), [("5.1.1", "hard_limit"), ("5.2.2", "soft_limit")])
def test_what_came_back_from_an_old_address_does_not_count_for_the_new_one(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None, status: str, limit: str
) -> None:
    newsletter.configure(bounces={limit: 2})
    first, second = send_one(newsletter, mail, 24), send_again(newsletter, mail, 25)
    path = newsletter.folder / "subscribers" / "ada.yaml"
    path.write_text(path.read_text().replace("ada@", "lovelace@"))
    third = send_again(newsletter, mail, 28)
    assert third.recipient == "lovelace@example.org"
    for number, sent in enumerate((first, third, second)):
        report = reports.postfix(sent, status, f"smtp; 550 {status} failed")
        assert "state unchanged" in take(newsletter, report, now=f"2025-11-28T1{number}:00")
    assert state(newsletter, "lovelace@example.org")["state"] == "active"
    # The old one is suppressed by its own two.
    assert suppressed(newsletter) == ([(None, "bounced")] if status == "5.1.1" else [])


def test_a_pause_of_ones_own_is_not_ended_by_forgiving(newsletter: Newsletter, reader: str) -> None:
    (newsletter.folder / "list.csv").write_text("email,state\nada@example.org,paused\n")
    newsletter.run("subscribers", "list")
    newsletter.run("subscribers", "import", "list.csv")
    ran = newsletter.run("bounces", "forgive", READER)
    assert ran.out.startswith("ada@example.org was not suppressed.\nada@example.org is paused; ")
    assert state(newsletter)["state"] == "paused"


def test_what_says_nothing_of_the_mailbox_changes_nothing(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None
) -> None:
    newsletter.configure(bounces={"soft_limit": 1})
    sent = send_one(newsletter, mail)
    assert "refused, 5.7.1; state" in take(newsletter, reports.postfix(sent, "5.7.1", "smtp; 550 5.7.1 blocked"))
    assert "notice, an automatic reply; state" in take(newsletter, reports.vacation(sent))
    assert "notice, delayed; state" in take(newsletter, reports.postfix(sent, "4.4.1", "smtp; 4", "delayed"))
    assert "notice, feedback of type not-spam" in take(newsletter, reports.yahoo_complaint(sent, "not-spam"))
    assert listed(newsletter) == [("refused", READER, "5.7.1", None)]
    assert state(newsletter)["state"] == "active"


@pytest.mark.parametrize("style", [reports.yahoo_complaint, reports.outlook_complaint])
def test_who_complains_is_unsubscribed_and_no_import_undoes_it(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None, style
) -> None:
    sent = send_one(newsletter, mail)
    assert take(newsletter, style(sent)) == "ada@example.org: complaint; now unsubscribed.\n"
    assert suppressed(newsletter) == [(READER, "complaint")]
    (newsletter.folder / "list.csv").write_text("email,state\nADA@example.org,active\n")
    assert "1 unchanged" in newsletter.run("subscribers", "import", "list.csv").out
    told = "ada@example.org is suppressed and gets no mail (complaint, 2025-11-28)"
    assert told in newsletter.run("subscribe", READER, "--again", code=2).err
    # Complaining weighs more than what comes later.
    newsletter.run("unsubscribe", READER)
    take(newsletter, reports.postfix(sent))
    assert suppressed(newsletter) == [(READER, "complaint")]
    ran = newsletter.run("bounces", "forgive", READER)
    assert ran.out.startswith("ada@example.org is no longer suppressed (complaint).\nada@example.org is unsubscribed; ")
    assert state(newsletter)["state"] == "unsubscribed"
    newsletter.run("subscribe", READER, "--again", now="2025-11-28T11:00")
    assert state(newsletter)["state"] == "active"
    # A bounce of what went out before is old news.
    later = reports.postfix(sent, said="smtp; 550 5.1.1 late")
    assert "state unchanged" in take(newsletter, later, now="2025-11-29T10:00")


def test_a_bounce_of_an_old_address_does_not_touch_the_new_one(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None
) -> None:
    sent = send_one(newsletter, mail)
    path = newsletter.folder / "subscribers" / "ada.yaml"
    path.write_text(path.read_text().replace("ada@", "lovelace@"))
    newsletter.run("subscribers", "list")
    assert "state unchanged" in take(newsletter, reports.postfix(sent))
    assert state(newsletter, "lovelace@example.org")["state"] == "active"
    assert suppressed(newsletter) == [(None, "bounced")]
    # No file brings it back: neither one that is changed, nor a new one.
    path.write_text(path.read_text().replace("lovelace@", "Ada@"))
    newsletter.subscriber("zoe", "email: ADA@example.org\n")
    ran = newsletter.run("subscribers", "list", "--json")
    assert [row["email"] for row in ran.rows] == ["lovelace@example.org"]
    assert ran.err.count("is suppressed and gets no mail (bounced, 2025-11-28)") == 2
    newsletter.run("bounces", "forgive", READER)
    assert [row["email"] for row in newsletter.run("subscribers", "list", "--json").rows] == ["Ada@example.org"]


def test_letters_unsubscribe_at_once(newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None) -> None:
    newsletter.subscriber("bob", "email: bob@example.org\ninterests: [language models]\n")
    newsletter.run("send")
    ada, bob = sorted(mail.messages(), key=lambda one: str(one["To"]))
    subject = ada["List-Unsubscribe"].partition("subject=")[2].rstrip(">").replace("%20", " ")
    assert take(newsletter, reports.letter(subject)) == "ada@example.org: unsubscribe; now unsubscribed.\n"
    reply = reports.letter("Re: papers", "unsubscribe\n> Hello", bob["Message-ID"])
    assert take(newsletter, reply) == "bob@example.org: unsubscribe; now unsubscribed.\n"
    assert sorted(suppressed(newsletter)) == [(READER, "unsubscribed"), ("bob@example.org", "unsubscribed")]


@pytest.mark.parametrize(
    "letter",
    [
        lambda subject: reports.letter(f"[EXTERNAL] Re: {subject}"),
        lambda subject: reports.letter("(no subject)", f"Sent from my phone\n\n{subject}\n"),
    ],
    ids=["tags", "body"],
)
def test_an_unsubscribe_email_is_understood_whatever_a_gateway_writes_around_it(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None, letter: Callable[[str], bytes]
) -> None:
    newsletter.run("send")
    subject = mail.messages()[0]["List-Unsubscribe"].partition("subject=")[2].rstrip(">").replace("%20", " ")
    other = subject.replace("unsubscribe ", "unsubscribe 9")  # of another reader, and not signed
    assert take(newsletter, letter(other)).startswith("Ignored: unsubscribe")
    assert state(newsletter)["state"] == "active"
    assert take(newsletter, letter(subject)) == "ada@example.org: unsubscribe; now unsubscribed.\n"


@pytest.mark.parametrize(
    "style",
    [
        lambda about: reports.wrapped(reports.gone(about), about, levels=2),
        lambda about: reports.gone(about, kind="global-delivery-status", returned="message/global-headers"),
        lambda about: reports.report(about, *reports.VENDORS["Cisco ESA"][:2]),
    ],
    ids=["wrapped", "internationalised", "words in another field"],
)
def test_reports_of_every_form_are_believed_by_their_proof_alone(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None, style: Callable[[About], bytes]
) -> None:
    sent = send_one(newsletter, mail)
    assert take(newsletter, style(About(READER))).startswith("Ignored: hard")
    assert take(newsletter, style(sent)).startswith("ada@example.org: hard, ")
    assert state(newsletter)["state"] == "bounced"


def test_a_message_that_cannot_be_acted_on_keeps_no_other_from_being_read(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None
) -> None:
    newsletter.subscriber("bob", "email: bob@example.org\ninterests: [language models]\n")
    newsletter.configure(smtp={"sessions": 1})  # Senders are seen in the order of the messages.
    senders, box = Senders(mail), newsletter.folder / "returned"
    newsletter.run("send")
    sent = {
        recipient: About(recipient, sender, message_from_bytes(content)["Message-ID"])
        for sender, (recipient, content) in zip(senders.seen, mail.accepted, strict=True)
    }
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as connection:
        connection.execute("UPDATE subscribers SET state = 'damaged' WHERE email = ?", (READER,))
        connection.commit()
    (box / "new" / "1").write_bytes(reports.postfix(sent[READER]))
    (box / "new" / "2").mkdir()
    os.mkfifo(box / "new" / "3")
    (box / "new" / "4").write_bytes(reports.postfix(sent["bob@example.org"]))
    ran = newsletter.run("bounces", "read", code=1)
    assert ran.out == "2 read: 1 failed, 1 hard.\nSubscribers: 1 bounced.\n"
    assert ran.err.startswith("error: 1: cannot read it (ValueError: 'damaged' is not a valid SubscriberState)")
    assert (box / "cur" / "1:2,S").exists()
    assert newsletter.run("bounces", "read").out == "No unread messages in the mailbox.\n"
    (box / "new" / "5").write_bytes(reports.gone(sent[READER]))
    ran = newsletter.run("run", "--once", code=1)
    assert "event='bounce_failed' message='5' error=\"ValueError: 'damaged' is not" in ran.out
    # A mail server that pipes it in is to keep it, and try again.
    code, _, err = piped(newsletter, reports.gone(sent[READER]))
    assert (code, err.partition(": Value")[0]) == (os.EX_TEMPFAIL, "error: cannot read this message")


def test_what_waits_is_not_sent_to_who_left(newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None) -> None:
    mail.on_recipient = lambda address: "450 4.7.1 greylisted"
    newsletter.run("send")
    mail.on_recipient = lambda address: None
    (row,) = newsletter.run("log", "--json").rows
    take(newsletter, reports.yahoo_complaint(About(message_id=row["message_id"])))
    newsletter.run("send", now="2025-11-28T12:00")
    (row,) = newsletter.run("log", "--json").rows
    assert (row["state"], row["reason"]) == ("skipped", "the subscriber no longer gets mail")
    assert mail.accepted == []


@pytest.mark.parametrize(
    ("answer", "becomes"),
    [("550 5.1.1 no such user", "bounced"), ("552 5.2.2 full", "active"), ("550 5.7.1 not from you", "active")],
)
def test_a_refusal_of_the_recipient_is_a_bounce(
    newsletter: Newsletter, mail: Mailbox, reader: str, answer: str, becomes: str
) -> None:
    some_papers(newsletter, 28)
    mail.on_recipient = lambda address: answer
    newsletter.run("send", code=1)
    assert state(newsletter)["state"] == becomes
    kinds = {"550 5.1.1 no such user": ["hard"], "552 5.2.2 full": ["soft"]}
    assert [row[0] for row in listed(newsletter)] == kinds.get(answer, [])


def test_the_mailbox_is_read_and_what_is_understood_is_put_away(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None
) -> None:
    sent, box = send_one(newsletter, mail), newsletter.folder / "returned"
    (box / "new" / "1").write_bytes(reports.postfix(sent))
    (box / "cur" / "2:2,").write_bytes(reports.letter("A question", "How does it work?"))
    (box / "cur" / "3:2,S").write_bytes(reports.yahoo_complaint(sent))
    (box / "new" / "4").write_bytes(reports.qmail(About(READER)))
    ran = newsletter.run("bounces", "read")
    assert ran.out == "3 read: 1 hard, 1 not known, 1 other.\nSubscribers: 1 bounced.\n"
    assert sorted(path.name for path in (box / ".Processed" / "cur").iterdir()) == ["1:2,S"]
    assert sorted(path.name for path in (box / "cur").iterdir()) == ["2:2,S", "3:2,S", "4:2,S"]
    assert newsletter.run("bounces", "read").out == "No unread messages in the mailbox.\n"


def test_a_mailbox_behind_imap_is_read(
    newsletter: Newsletter, mail: Mailbox, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_papers(newsletter, 28)
    sent = send_one(newsletter, mail)
    with ImapServer(trustme.CA()) as server:
        settings = {"host": "127.0.0.1", "port": server.port, "security": "none", "user": USER}
        newsletter.configure(bounces={"imap": settings})
        monkeypatch.setenv("NEWSLETTER_IMAP_PASSWORD", PASSWORD)
        server.put("1", reports.gmail(sent))
        server.put("2", reports.letter("A question"))
        assert newsletter.run("bounces", "read").out == "2 read: 1 hard, 1 other.\nSubscribers: 1 bounced.\n"
    assert "Connection refused; check bounces.imap.host" in newsletter.run("bounces", "read", code=1).err


def test_run_reads_the_mailbox_before_it_sends_and_goes_on_without_it(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None
) -> None:
    sent, box = send_one(newsletter, mail), newsletter.folder / "returned"
    (box / "new" / "1").write_bytes(reports.postfix(sent))
    ran = newsletter.run("run", "--once", now="2025-11-29T09:00")
    assert "event='came_back' kind='hard' email='ada@example.org' effect='bounced'" in ran.out
    assert "event='bounces' hard=1" in ran.out
    newsletter.subscriber("bob", "email: bob@example.org\nschedule: {days: daily}\ninterests: [language models]\n")
    newsletter.run("subscribers", "list", now="2025-11-29T05:00")
    box.rename(newsletter.folder / "elsewhere")
    ran = newsletter.run("run", "--once", now="2025-11-30T09:00", code=1)
    assert "event='bounces_failed' error='bounces.maildir: " in ran.out
    assert mail.recipients() == [READER, "bob@example.org"]


def test_the_running_newsletter_reads_the_mailbox(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None
) -> None:
    sent, box = send_one(newsletter, mail), newsletter.folder / "returned"
    newsletter.configure(bounces={"read_minutes": 0.1})
    process = newsletter.start("run")
    for number in (1, 2):  # at the start, and again in its own time
        (box / "new" / str(number)).write_bytes(reports.yahoo_complaint(sent) + b"\r\n" * number)
        wait_until(lambda number=number: (box / ".Processed" / "cur" / f"{number}:2,S").exists(), process)
    out = stop(process)
    assert "event='came_back' kind='complaint' email='ada@example.org' effect='unsubscribed'" in out
    # Without a mailbox there is no such job any more.
    document = newsletter.folder / "config.yaml"
    document.write_text(document.read_text().replace("  maildir: returned\n", ""))
    process = newsletter.start("run")
    wait_until(lambda: process.stdout and "started" in process.stdout.readline(), process)
    assert "bounces" not in stop(process)


def piped(newsletter: Newsletter, content: bytes) -> tuple[int, str, str]:
    """How the command ends when a mail server pipes a message into it."""
    (newsletter.folder / "piped.eml").write_bytes(content)
    process = newsletter.start("bounces", "read", "-", stdin=newsletter.folder / "piped.eml")
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_mail_server_may_pipe_a_report_in(newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None) -> None:
    sent = send_one(newsletter, mail)
    # What nobody understands is taken all the same: the server would make it bounce.
    assert piped(newsletter, b"\xff\0" * 1_000_000)[0] == 0
    assert piped(newsletter, reports.exchange(sent)) == (0, "ada@example.org: hard, 5.1.10; now bounced.\n", "")


def test_a_store_that_does_not_answer_has_the_mail_server_try_again(
    newsletter: Newsletter, mail: Mailbox, reader: str, bounces: None
) -> None:
    sent = send_one(newsletter, mail)
    path = newsletter.folder / "var" / "newsletter.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    code, out, err = piped(newsletter, reports.postfix(sent))
    assert (code, out) == (os.EX_TEMPFAIL, "")
    assert "was created by a newer version" in err


def test_a_store_of_before_keeps_its_unsubscribes(newsletter: Newsletter) -> None:
    path = newsletter.folder / "var" / "newsletter.db"
    path.unlink()
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0003")
        connection.exec_driver_sql(
            "INSERT INTO subscribers "
            "(email, email_key, state, consent, preferences, seen_row, created_at, state_since) VALUES "
            "('ada@example.org', 'ada@example.org', 'unsubscribed', 'test', '{}', 0, "
            "'2025-11-28 09:00:00', '2025-11-28 09:00:00')"
        )
    engine.dispose()
    (row,) = newsletter.run("bounces", "suppressed", "--json", now="2025-12-01").rows
    assert row == {"email": "ada@example.org", "reason": "unsubscribed", "since": "2025-11-28T09:00:00+00:00"}


def test_a_maildir_that_is_not_there_is_told_with_its_mend(newsletter: Newsletter, tmp_path: Path) -> None:
    newsletter.configure(bounces={"maildir": str(tmp_path / "nonesuch")})
    assert "/nonesuch: no such Maildir; create it" in newsletter.run("bounces", "read", code=2).err
