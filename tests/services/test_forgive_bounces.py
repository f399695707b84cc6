"""Forgiving bounces: whom it brings back, whom it leaves alone, and that nobody gets a digest twice."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from newsletter.services import forgive_bounces
from tests.audience.test_subscriptions import state
from tests.helpers import bounce_reports as reports
from tests.helpers.bounce_reports import About
from tests.helpers.newsletter import NOW, CommandResult, Newsletter
from tests.helpers.smtp import Mailbox
from tests.services.test_bounces import listed, send_one, some_papers, suppressed, take

GONE = "550 5.1.1 no such user"
READERS = ("ada@one.example", "bob@one.example", "cyd@two.example", "dan@two.example")


@pytest.fixture
def readers(newsletter: Newsletter) -> tuple[str, ...]:
    """Four subscribers at two domains, and papers for them."""
    newsletter.with_sample()
    lines = [json.dumps({"email": email, "interests": ["reinforcement learning"]}) for email in READERS]
    (newsletter.folder / "people.jsonl").write_text("\n".join(lines))
    newsletter.run("subscribers", "import", "people.jsonl")
    return READERS


def refuse(mail: Mailbox, *emails: str, answer: str = GONE) -> None:
    mail.on_recipient = lambda address: answer if address in emails else None


def forgive(newsletter: Newsletter, *arguments: str, now: str = "2025-11-28T12:00", code: int = 0) -> CommandResult:
    return newsletter.run("bounces", "forgive", *arguments, now=now, code=code)


def subscriber_states(newsletter: Newsletter) -> dict[str, str]:
    return {row["email"]: row["state"] for row in newsletter.run("subscribers", "list", "--json").rows}


@pytest.mark.both_stores
@pytest.mark.parametrize(
    ("selection", "back"),
    [
        (["--domain", "one.example"], READERS[:2]),
        (["--domain", "@Two.Example"], READERS[2:]),
        (["--since", "2025-11-28T08:59"], READERS),
        (["--since", "2025-11-28T10:01+01:00"], ()),
        (["--domain", "one.example", "--since", "2025-11-28"], READERS[:2]),
        (["--domain", "sub.one.example"], ()),
        (["--all"], READERS),
    ],
)
def test_many_are_forgiven_at_once_and_get_the_edition_once(
    newsletter: Newsletter, mail: Mailbox, readers: tuple[str, ...], selection: list[str], back: tuple[str, ...]
) -> None:
    refuse(mail, *readers)
    newsletter.run("send", code=1)
    ids = {row["email"]: row["message_id"] for row in newsletter.run("log", "--json").rows}
    assert set(subscriber_states(newsletter).values()) == {"bounced"}
    ran = forgive(newsletter, *selection)
    if back:
        assert ran.out == (
            f"{len(back)} subscribers are active again.\n"
            f"{len(back)} digests are planned again; 'newsletter send' sends what is planned.\n"
        )
    else:
        assert ran.out == "No matching bounced addresses.\n"
    refuse(mail)
    newsletter.run("send", now="2025-11-28T12:01")
    newsletter.run("send", now="2025-11-28T12:02")
    assert Counter(mail.recipients()) == Counter(back)
    assert {message["To"]: message["Message-ID"] for message in mail.messages()} == {one: ids[one] for one in back}
    assert subscriber_states(newsletter) == {one: "active" if one in back else "bounced" for one in readers}
    assert {email for email, _ in suppressed(newsletter)} == {*readers} - {*back}


def test_batches_are_as_good_as_one(
    newsletter: Newsletter, mail: Mailbox, readers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgive_bounces, "_BATCH", 2)
    refuse(mail, *readers)
    newsletter.run("send", code=1)
    assert "4 subscribers are active again" in forgive(newsletter, "--all", "--dry-run").out
    assert "4 subscribers are active again" in forgive(newsletter, "--all").out
    assert suppressed(newsletter) == []


def test_a_dry_run_tells_and_changes_nothing(newsletter: Newsletter, mail: Mailbox, readers: tuple[str, ...]) -> None:
    refuse(mail, *readers[:3])
    newsletter.run("send", code=1)
    before = [newsletter.run(*command.split()).out for command in ("log --json", "subscribers list --json")]
    ran = forgive(newsletter, "--domain", "one.example", "--dry-run")
    assert ran.out.splitlines()[1:] == [
        *readers[:2],
        "2 subscribers are active again.",
        "2 digests are planned again; 'newsletter send' sends what is planned.",
    ]
    assert "is no longer suppressed (bounced)" in forgive(newsletter, readers[0], "--dry-run").out
    assert [newsletter.run(*command.split()).out for command in ("log --json", "subscribers list --json")] == before
    assert len(suppressed(newsletter)) == 3


def test_json_has_a_line_for_each(newsletter: Newsletter, mail: Mailbox, readers: tuple[str, ...]) -> None:
    refuse(mail, *readers[:2])
    newsletter.run("send", code=1)
    told = {"reason": "bounced", "state": "active", "planned_again": "2025-11-28"}
    expected = [{"email": email, **told} for email in readers[:2]]
    assert forgive(newsletter, "--all", "--dry-run", "--json").rows == expected
    assert forgive(newsletter, readers[0], "--json").rows == expected[:1]
    assert forgive(newsletter, "--all", "--json").rows == expected[1:]
    nobody = {"email": "x@y.example", "reason": None, "state": None, "planned_again": None}
    assert forgive(newsletter, "x@y.example", "--json").rows == [nobody]


@pytest.mark.both_stores
def test_complaints_and_unsubscribes_stay(newsletter: Newsletter, mail: Mailbox, readers: tuple[str, ...]) -> None:
    ada, bob, cyd, dan = readers
    newsletter.run("send")
    ids = {row["email"]: row["message_id"] for row in newsletter.run("log", "--json").rows}
    take(newsletter, reports.yahoo_complaint(About(ada, message_id=ids[ada])))
    newsletter.run("unsubscribe", bob)
    # Bounced first, then left: no longer of the newsletter by that person's own wish.
    take(newsletter, reports.postfix(About(cyd, message_id=ids[cyd])))
    newsletter.run("unsubscribe", cyd)
    take(newsletter, reports.postfix(About(dan, message_id=ids[dan])))
    assert forgive(newsletter, "--all").out == "1 subscriber is active again.\n"
    assert subscriber_states(newsletter) == {**dict.fromkeys((ada, bob, cyd), "unsubscribed"), dan: "active"}
    assert sorted(suppressed(newsletter)) == [(ada, "complaint"), (bob, "unsubscribed"), (cyd, "bounced")]
    # What arrived once is not sent again.
    newsletter.run("send", now="2025-11-28T13:00")
    assert Counter(mail.recipients()) == Counter(readers)
    # One by one a complaint may be forgiven, which brings nobody back.
    assert (
        f"{ada} is unsubscribed; if that person asks to come back, run 'newsletter subscribe --again"
        in forgive(newsletter, ada).out
    )


def test_who_was_paused_for_bouncing_is_back_and_who_paused_is_not(
    newsletter: Newsletter, mail: Mailbox, readers: tuple[str, ...]
) -> None:
    newsletter.configure(bounces={"soft_limit": 1})
    refuse(mail, *readers[:2], answer="552 5.2.2 mailbox full")
    newsletter.run("send", code=1)
    (newsletter.folder / "list.csv").write_text(f"email,state\n{readers[3]},paused\n")
    newsletter.run("subscribers", "import", "list.csv")
    assert Counter(subscriber_states(newsletter).values()) == {"paused": 3, "active": 1}
    assert "2 subscribers are active again" in forgive(newsletter, "--all").out
    assert subscriber_states(newsletter)[readers[3]] == "paused"


@pytest.mark.parametrize("selection", [["--all"], ["--domain", "example.org"], ["--since", "2025-11-28"]])
def test_an_address_that_was_left_is_suppressed_no_more(
    newsletter: Newsletter, mail: Mailbox, reader: str, selection: list[str]
) -> None:
    some_papers(newsletter, 28)
    sent = send_one(newsletter, mail)
    path = newsletter.folder / "subscribers" / "ada.yaml"
    path.write_text(path.read_text().replace("ada@example.org", "ada@elsewhere.example"))
    newsletter.run("subscribers", "list")
    take(newsletter, reports.postfix(sent))
    assert suppressed(newsletter) == [(None, "bounced")]
    told = "1 address without a subscriber is no longer suppressed.\n"
    assert forgive(newsletter, "--domain", "elsewhere.example").out == "No matching bounced addresses.\n"
    assert forgive(newsletter, *selection, "--dry-run").out.endswith(told)
    assert forgive(newsletter, *selection).out == told
    assert suppressed(newsletter) == []


def test_one_who_is_forgiven_gets_the_digest_that_failed(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    some_papers(newsletter, 28)
    refuse(mail, reader)
    newsletter.run("send", code=1)
    assert forgive(newsletter, reader).out == (
        f"{reader} is no longer suppressed (bounced).\n{reader} is active.\n"
        "The digest of 2025-11-28 is planned again; 'newsletter send' sends it.\n"
    )
    # Refused once more, it bounces once more.
    newsletter.run("send", now="2025-11-28T12:01", code=1)
    assert state(newsletter)["state"] == "bounced"
    assert [row[0] for row in listed(newsletter)] == ["hard", "hard"]
    forgive(newsletter, reader, now="2025-11-28T13:00")
    refuse(mail)
    newsletter.run("send", now="2025-11-28T13:01")
    assert mail.recipients() == [reader]
    # It was sent: nothing of it is left to plan.
    assert "planned again" not in forgive(newsletter, reader, now="2025-11-28T14:00").out


def test_a_digest_that_is_no_news_is_not_planned_again(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    some_papers(newsletter, 28)
    refuse(mail, reader)
    newsletter.run("send", code=1)
    assert "planned again" not in forgive(newsletter, reader, now="2025-11-30T09:00").out
    refuse(mail)
    # Its papers come with the next one.
    newsletter.run("send", now="2025-11-30T09:01")
    assert mail.recipients() == [reader]
    assert {row["edition"]: row["state"] for row in newsletter.run("log", "--json").rows} == {
        "2025-11-28": "failed",
        "2025-11-30": "sent",
    }


def test_papers_that_came_in_another_digest_meanwhile_are_not_sent_twice(
    newsletter: Newsletter, mail: Mailbox, reader: str
) -> None:
    """Below the limit a reader goes on: what failed was sent the next morning."""
    newsletter.configure(bounces={"hard_limit": 2})
    some_papers(newsletter, 27)
    refuse(mail, reader)
    newsletter.run("send", now="2025-11-27T20:00", code=1)
    refuse(mail)
    newsletter.run("send", now="2025-11-28T08:00")
    assert "planned again" not in forgive(newsletter, reader, now="2025-11-28T08:01").out
    newsletter.run("send", now="2025-11-28T09:00")
    assert mail.recipients() == [reader]
    rows = newsletter.run("log", "--json").rows
    assert {row["edition"]: row["state"] for row in rows} == {"2025-11-27": "failed", "2025-11-28": "sent"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no address given; pass an EMAIL, --domain, --since or --all"),
        (["a@b.example", "--all"], "EMAIL, --domain with --since, and --all are mutually exclusive; pass one of them"),
        (["a@b.example", "--domain", "b.example"], "are mutually exclusive"),
        (["--all", "--since", "2025-11-28"], "are mutually exclusive"),
        (["--domain", "not a domain"], "--domain: 'not a domain' is not a domain; write it like example.org"),
        (["--domain", ""], "--domain: '' is not a domain"),
        (["--domain", "a@b.example"], "--domain: 'a@b.example' is not a domain"),
        (["--since", "yesterday"], "--since: 'yesterday' is not an ISO date-time"),
        (["nobody"], "'nobody' is not an email address"),
    ],
)
def test_exactly_one_way_of_saying_who_is_wanted(newsletter: Newsletter, arguments: list[str], told: str) -> None:
    assert told in forgive(newsletter, *arguments, code=2).err


@pytest.mark.parametrize(("answer", "back"), [("y", True), ("n", False)])
def test_on_a_terminal_it_asks_first(
    newsletter: Newsletter, mail: Mailbox, readers: tuple[str, ...], answer: str, back: bool
) -> None:
    refuse(mail, readers[0])
    newsletter.run("send", code=1)
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "newsletter", "--now", NOW, "bounces", "forgive", "--all"]
    process = subprocess.Popen(
        command, cwd=newsletter.folder, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    os.write(ours, f"{answer}\n".encode())
    out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "Reinstate 1 address? [y/N]" in err
    assert (process.returncode == 0) is back
    assert ("1 subscriber is active again" in out) is back
    assert (subscriber_states(newsletter)[readers[0]] == "active") is back
