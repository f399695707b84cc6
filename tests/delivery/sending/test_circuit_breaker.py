"""The circuit breaker: a server that refuses everybody gives nobody up; other accounts take over."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from newsletter.services.demo import LoopbackServer
from tests.helpers import bounce_reports as reports
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.smtp import Mailbox
from tests.services.test_containment import states, with_readers

LIMIT = 10


def refuse_all(mail: Mailbox, stage: str, answer: str | None) -> None:
    setattr(mail, f"on_{stage}", lambda address: answer)


@contextmanager
def second_account(newsletter: Newsletter, **settings: object) -> Iterator[Mailbox]:
    """A healthy second account beside the one of ``mail``."""
    box = Mailbox()
    first = newsletter.config.smtp
    with LoopbackServer(box) as server:
        common = {"host": "127.0.0.1", "security": "none"}
        accounts = {"first": {**common, "port": first.port}, "second": {**common, "port": server.port, **settings}}
        text = (newsletter.folder / "config.yaml").read_text()
        start = text.index("smtp:")
        (newsletter.folder / "config.yaml").write_text(text[:start] + text[text.index("network:") :])
        newsletter.configure(accounts=accounts)
        yield box


@pytest.mark.both_stores
@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("recipient", "550 5.1.1 no such user"),
        ("recipient", "550 no such user here"),
        ("recipient", "554 5.7.1 relay access denied"),
        ("data", "554 5.7.1 account suspended"),
        ("data", "554 no"),
    ],
)
def test_a_server_that_refuses_everybody_gives_nobody_up(
    newsletter: Newsletter, mail: Mailbox, stage: str, answer: str
) -> None:
    newsletter.with_sample()
    emails = with_readers(newsletter, 60)
    refuse_all(mail, stage, answer)
    ran = newsletter.run("send", code=1)
    assert "account smtp is set aside" in ran.err
    assert answer.split()[0] in ran.err
    assert "newsletter resume" in ran.err
    assert Counter(states(newsletter).values()) == {"planned": 60}
    assert newsletter.run("bounces", "suppressed", "--json").rows == []
    # Until somebody sees to it, nobody else is refused either.
    ran = newsletter.run("send", code=1, now="2025-11-28T09:01")
    assert "account smtp is set aside" in ran.err
    refuse_all(mail, stage, None)
    assert newsletter.run("resume").out == "Account smtp is in use again.\n"
    newsletter.run("send", now="2025-11-28T09:02")
    assert Counter(mail.recipients()) == Counter(emails)
    assert {one["state"] for one in newsletter.run("subscribers", "list", "--json").rows} == {"active"}


@pytest.mark.parametrize(
    ("stage", "answer"), [("recipient", "550 5.7.1 blocked"), ("data", "554 refused"), ("sender", "550 who are you")]
)
def test_a_healthy_account_takes_over(newsletter: Newsletter, mail: Mailbox, stage: str, answer: str) -> None:
    newsletter.with_sample()
    emails = with_readers(newsletter, 120)
    refuse_all(mail, stage, answer)
    with second_account(newsletter) as healthy:
        ran = newsletter.run("send", code=None)
    assert Counter(healthy.recipients()) == Counter(emails)
    assert "account first" in ran.err
    assert answer.split()[0] in ran.err
    assert set(states(newsletter).values()) == {"sent"}


def test_dead_mailboxes_among_others_are_no_burst(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    emails = with_readers(newsletter, 60)
    dead = set(emails[::3])
    mail.on_recipient = lambda address: "550 5.1.1 no such user" if address in dead else None
    newsletter.run("send", code=1)
    told = states(newsletter)
    assert {email for email, state in told.items() if state == "failed"} == dead
    assert len(newsletter.run("bounces", "suppressed", "--json").rows) == len(dead)


def test_a_large_share_of_refusals_sets_an_account_aside(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.configure(smtp={"sessions": 1})
    emails = with_readers(newsletter, 120)
    refused = {email for place, email in enumerate(emails) if place % 4}
    mail.on_recipient = lambda address: "550 5.1.1 no such user" if address in refused else None
    ran = newsletter.run("send", code=1)
    assert "% of the messages of the last 10 minutes were refused" in ran.err
    counts = Counter(states(newsletter).values())
    assert counts["failed"] == 0
    assert newsletter.run("bounces", "suppressed", "--json").rows == []


def test_a_test_message_brings_the_account_back(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    emails = with_readers(newsletter, 30)
    refuse_all(mail, "recipient", "550 5.1.1 no such user")
    newsletter.run("send", code=1)
    # Its time has come and it is refused as well: nobody is given up for it, and the next one waits longer.
    newsletter.run("send", code=1, now="2025-11-28T09:16")
    assert Counter(states(newsletter).values()) == {"planned": 30}
    refuse_all(mail, "recipient", None)
    newsletter.run("send", code=1, now="2025-11-28T09:31")
    assert mail.accepted == []
    newsletter.run("send", now="2025-11-28T09:50")
    assert Counter(mail.recipients()) == Counter(emails)


def test_what_one_message_cannot_bear_fails_that_one(newsletter: Newsletter, mail: Mailbox) -> None:
    """A server that hangs up after the final dot of each message may have them: these are unsure, but not everybody."""
    newsletter.with_sample()
    with_readers(newsletter, 40)
    refuse_all(mail, "data", "999 what")
    newsletter.run("send", code=1)
    counts = Counter(states(newsletter).values())
    assert counts["unsure"] <= LIMIT + newsletter.config.smtp.sessions
    assert counts["planned"] == 40 - counts["unsure"]


@pytest.mark.both_stores
def test_pause_stops_all_sending_until_resume(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    assert "resume" in newsletter.run("pause", "--reason", "wrong template").out
    ran = newsletter.run("send", code=2)
    assert "sending is paused since 2025-11-28 09:00 UTC (wrong template); 'newsletter resume' continues it" in ran.err
    newsletter.run("send", "--only", reader, code=2)
    newsletter.run("run", "--once", code=None)
    assert mail.accepted == []
    assert newsletter.run("resume").out == "Sending is resumed.\n"
    assert newsletter.run("resume").out == "Nothing to resume: sending was not paused and no account was set aside.\n"
    newsletter.run("send")
    assert mail.recipients() == [reader]


@pytest.mark.system
def test_pause_stops_an_edition_that_is_under_way(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    emails = with_readers(newsletter, 60)
    newsletter.configure(smtp={"per_second": 10})
    paused = []

    def pause_at_the_fifth(address: str) -> None:
        if len(mail.accepted) == 5 and not paused:
            paused.append(newsletter.start("pause").wait())

    mail.on_data = pause_at_the_fifth
    process = newsletter.start("--now", NOW, "send")
    assert process.wait(timeout=60) == 1
    assert "sending is paused since" in process.stderr.read()
    sent = len(mail.accepted)
    assert 5 < sent < 5 + 2 * newsletter.config.smtp.sessions
    newsletter.configure(smtp={"per_second": 1000})
    newsletter.run("resume")
    newsletter.run("send")
    assert Counter(mail.recipients()) == Counter(emails)


def test_a_report_of_a_burst_suppresses_nobody(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.configure(smtp={"sessions": 1}, bounces={"address": "bounces@papers.example.org"})
    emails = with_readers(newsletter, 30)
    # One message is taken; it comes back later, when the account is set aside for what followed.
    refuse_after = 1
    mail.on_recipient = lambda address: "550 5.1.1 no such user" if len(mail.accepted) >= refuse_after else None
    newsletter.run("send", code=1)
    (recipient,) = mail.recipients()
    message = mail.messages()[0]
    report = newsletter.folder / "report.eml"
    report.write_bytes(reports.postfix(reports.About(recipient, "bounces@papers.example.org", message["Message-ID"])))
    out = newsletter.run("bounces", "read", report).out
    assert out.startswith(f"{recipient}: hard, 5.1.1")
    assert "bounced" not in out
    assert newsletter.run("bounces", "suppressed", "--json").rows == []
    assert {one["state"] for one in newsletter.run("subscribers", "list", "--json").rows} == {"active"}
    assert len(emails) == 30
