"""The log: who got what, when, why and why not, on the screen and in files."""

import csv
import json

import pytest

from tests.helpers import bounce_reports as reports
from tests.helpers.bounce_reports import About
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox

BOB = "bob@example.org"
PARETO = "Multi-objective__reinforcement__learning__and__Pareto__fronts"


def some_papers(newsletter: Newsletter, name: str, now: str) -> None:
    about = ("Multi-objective reinforcement learning and Pareto fronts", "Language models")
    rows = [json.dumps({"title": f"{text}, {name}", "abstract": text}) for text in about]
    (newsletter.folder / "new.jsonl").write_text("\n".join(rows))
    newsletter.run("import", "new.jsonl", now=now)


@pytest.fixture
def two_days(newsletter: Newsletter, mail: Mailbox, reader: str) -> str:
    """Two editions to two readers: all is well on the first day, Bob is refused on the second."""
    newsletter.subscriber("bob", f"email: {BOB}\ninterests: [language models, Pareto fronts]\n")
    some_papers(newsletter, "one", "2025-11-27T08:00")
    newsletter.run("send", now="2025-11-27T09:00")
    some_papers(newsletter, "two", "2025-11-28T08:00")
    mail.on_recipient = lambda address: "550 5.7.1 no" if address == BOB else None
    newsletter.run("send", now="2025-11-28T09:00", code=1)
    return reader


ASKED = {
    "": "27 ada, 27 bob, 28 ada, 28 bob",
    "--edition 2025-11-27": "27 ada, 27 bob",
    "--since 2025-11-28": "28 ada, 28 bob",
    "--until 2025-11-27 --state sent": "27 ada, 27 bob",
    "--state failed": "28 bob",
    "--state failed --state sent": "27 ada, 27 bob, 28 ada, 28 bob",
    "--state failed --until 2025-11-27": "",
    "ADA@example.org": "27 ada, 28 ada",
    "bob@example.org --state sent": "27 bob",
    "--paper Language__models,__two": "28 bob",
    "--paper Language__models,__two --state sent": "",
    f"--paper {PARETO},__two": "28 ada, 28 bob",
    f"--paper {PARETO},__two --state sent": "28 ada",
    "bob@example.org --paper Language__models,__one --since 2025-11-27": "27 bob",
    "--paper Language__models,__one --since 2025-11-28": "",
    "--paper Nobody__got__it": "",
}


def test_filters_combine_and_pages_follow_each_other(
    newsletter: Newsletter, two_days: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (newsletter.folder / "old.jsonl").write_text('{"title": "Nobody got it", "abstract": "Of looms."}')
    newsletter.run("import", "old.jsonl")
    for page in (1, 2, 500):
        monkeypatch.setattr("newsletter.audience.log_export._PAGE", page)
        for asked, lines in ASKED.items():
            rows = newsletter.run("log", *(word.replace("__", " ") for word in asked.split()), "--json").rows
            found = ", ".join(f"{row['edition'][-2:]} {row['email'].partition('@')[0]}" for row in rows)
            assert found == lines, asked


def test_the_table_says_when_and_what_the_server_said(newsletter: Newsletter, two_days: str) -> None:
    out = newsletter.run("log", "--edition", "2025-11-28").out
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["2025-11-28", "sent", "09:00:00", "1", two_days],
        ["250", "taken"],
        ["2025-11-28", "failed", "09:00:00", "2", BOB],
        ["the", "mail", "server", "refused", "it", "permanently;"],
        ["550", "5.7.1", "no"],
    ]
    assert newsletter.run("log", "--state", "planned").out == "No matching log entries.\n"


def test_the_log_goes_to_files(newsletter: Newsletter, two_days: str) -> None:
    assert newsletter.run("log", "-o", "log.csv").out == "4 lines written to log.csv.\n"
    assert newsletter.run("log", "--format", "csv").out == (newsletter.folder / "log.csv").read_text()
    newsletter.run("log", "-o", "log.jsonl", "--state", "failed")
    (told,) = newsletter.run("log", "--state", "failed", "--json").rows
    assert json.loads((newsletter.folder / "log.jsonl").read_text()) == told
    assert (newsletter.folder / "log.csv").stat().st_mode & 0o077 == 0
    *_, row = csv.DictReader((newsletter.folder / "log.csv").open())
    assert (row["state"], row["papers"], row["sent_at"]) == ("failed", "2", "")
    assert row["settled_at"] == "2025-11-28T09:00:00+00:00"
    assert row["paper_ids"].split(";") == [paper["id"] for paper in told["papers"]]
    before = (newsletter.folder / "log.csv").read_bytes()
    ran = newsletter.run_on_full_disk("log", "-o", "log.csv")
    assert ran.returncode != 0
    assert (newsletter.folder / "log.csv").read_bytes() == before
    assert not list(newsletter.folder.glob(".*.tmp"))


def test_a_table_program_is_given_no_formula(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.run("subscribe", "=cmd+1@example.org", "--no-file")
    newsletter.run("send")
    (row,) = csv.DictReader(newsletter.run("log", "--format", "csv").out.splitlines())
    assert row["email"] == "'=cmd+1@example.org"
    assert newsletter.run("log", "--json").rows[0]["email"] == "=cmd+1@example.org"


def told(newsletter: Newsletter, email: str, now: str) -> dict[str, str]:
    """What --why prints, by the first words of its lines."""
    out = newsletter.run("log", "--why", email, now=now).out
    assert all(len(line) <= 80 for line in out.splitlines())
    days: dict[str, str] = {}
    day = ""
    for line in out.splitlines()[1:]:
        day = line[:25].strip() or day
        days[day] = f"{days.get(day, '')} {line[25:].strip()}".strip()
    return days


def test_the_last_fortnight_in_words(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.configure(bounces={"address": "bounces@papers.example.org"})
    newsletter.subscriber(
        "ada",
        """\
        email: ada@example.org
        schedule: {days: weekdays, time: "07:30", timezone: Europe/Paris}
        interests: [language models]
        """,
    )
    newsletter.run("subscribers", "list", now="2025-11-18T08:12")
    # Wednesday: nothing ran. Thursday: a digest. Friday: nothing new. The weekend. Monday: refused. Tuesday: put off.
    some_papers(newsletter, "one", "2025-11-20T05:00")
    newsletter.run("send", "--due", now="2025-11-20T06:30:04")
    newsletter.run("send", "--due", now="2025-11-21T06:31")
    some_papers(newsletter, "two", "2025-11-24T05:00")
    mail.on_recipient = lambda address: "550 5.7.1 not from you"
    newsletter.run("send", "--due", now="2025-11-24T06:30", code=1)
    mail.on_recipient = lambda address: "450 4.2.0 greylisted"
    newsletter.run("send", "--due", now="2025-11-25T06:30")
    mail.on_recipient = lambda address: None
    days = told(newsletter, "ADA@example.org", "2025-11-25T06:32")
    assert days["now"] == "active since 2025-11-18; mon, tue, wed, thu, fri at 07:30 (Europe/Paris)"
    assert days["Wed 12 Nov to Mon 17 Nov"] == "not subscribed yet"
    assert days["Tue 18 Nov"] == "no digest: its time, 07:30, had passed subscribed at 09:12"
    assert days["Wed 19 Nov"].startswith("no digest for anyone: at 07:30 the newsletter did not run")
    assert days["Thu 20 Nov"] == "1 paper, accepted by the server at 07:30:04"
    assert days["Fri 21 Nov"] == (
        "skipped: no new papers since 2025-11-20; of 1 earlier paper, none reached a match of 18%; "
        "none has a word of the interests"
    )
    assert days["Sat 22 Nov to Sun 23 Nov"] == "not a scheduled day"
    assert days["Mon 24 Nov"] == (
        "1 paper, not sent: the mail server refused it permanently (07:30:00); it said “550 5.7.1 not from you”"
    )
    assert days["Tue 25 Nov"].startswith(
        "1 paper, not sent yet: the mail server asked to try again later (07:30:00); next try at 07:3"
    )
    assert days["Tue 25 Nov"].endswith("; it said “450 4.2.0 greylisted”")
    assert days["next"] == "Wed 26 Nov 07:30"

    newsletter.run("send", "--due", now="2025-11-25T08:00")
    sent = newsletter.run("log", "ada@example.org", "--state", "sent", "--json").rows[-1]
    (newsletter.folder / "came.eml").write_bytes(reports.postfix(About(message_id=sent["message_id"])))
    newsletter.run("bounces", "read", "came.eml", now="2025-11-26T05:00")
    days = told(newsletter, "ada@example.org", "2025-11-28T09:00")
    assert days["Tue 25 Nov"] == "1 paper, accepted by the server at 09:00:00 after 2 tries"
    assert days["Wed 26 Nov"].startswith("a bounce (hard) came back at 06:00 of the digest of Tue 25 Nov: “")
    assert days["Wed 26 Nov"].endswith("; bounced since")
    assert days["Thu 27 Nov to Fri 28 Nov"] == "bounced"
    assert days["next"].startswith("none; if the mailbox works again, run 'newsletter bounces forgive ada@example.org'")
    (row,) = newsletter.run("log", "--why", "ada@example.org", "--json", now="2025-11-28T09:00").rows
    assert [one["state"] for one in row["days"]] == [*[None] * 5, "sent", "skipped", None, None, "failed", "sent"] + [
        None
    ] * 3
    assert (row["state"], row["next_due"], row["days"][5]["papers"]) == ("bounced", None, 1)


def test_why_tells_what_waits_and_what_it_cannot_know(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.subscriber("bob", f"email: {BOB}\nschedule: {{days: daily, time: '23:00'}}\ninterests: [robots]\n")
    newsletter.run("subscribers", "list", now="2025-11-23T12:00")
    # It is due since Monday, and nothing ran; for Bob neither, and then his schedule was another.
    assert told(newsletter, reader, "2025-11-25T09:00")["Mon 24 Nov to Tue 25 Nov"] == (
        "due at 07:30, not composed yet: neither 'run' nor 'send' has run since"
    )
    assert told(newsletter, reader, "2025-11-25T09:00")["next"].startswith(
        "due since Mon 24 Nov 07:30; sent by the next "
    )
    some_papers(newsletter, "one", "2025-11-25T08:00")
    newsletter.configure(smtp={"port": 1})
    newsletter.run("send", "--only", reader, now="2025-11-25T09:00", code=1)
    days = told(newsletter, reader, "2025-11-25T10:00")
    assert days["Tue 25 Nov"] == "1 paper, planned at 09:00, not sent yet; the next run sends them"
    path = newsletter.folder / "subscribers" / "bob.yaml"
    path.write_text(path.read_text().replace("23:00", "06:00"))
    newsletter.run("subscribers", "list", now="2025-11-25T10:00")
    assert told(newsletter, BOB, "2025-11-25T10:00")["Tue 25 Nov"].startswith(
        "no digest, although others have one: at 06"
    )
    newsletter.run("unsubscribe", reader, now="2025-11-25T11:00")
    days = told(newsletter, reader, "2025-11-26T10:00")
    assert days["Tue 25 Nov"].endswith("the subscriber gets no mail now unsubscribed at 11:00")
    assert days["Wed 26 Nov"] == "unsubscribed"
    newsletter.run("subscribe", reader, "--again", now="2025-11-27T12:00")
    days = told(newsletter, reader, "2025-11-27T13:00")
    assert days["Wed 26 Nov"] == "no digest; the state at that time is unknown"
    assert days["Thu 27 Nov"] == "no digest: its time, 07:30, had passed active at 12:00"
