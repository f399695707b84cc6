"""The running newsletter: a real process, a real clock set before a clock change, a clean stop."""

import pickle
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

import pytest
from pytest_httpserver import HTTPServer

from tests.helpers.newsletter import Newsletter, faketime_environment, wait_until
from tests.helpers.smtp import Mailbox

pytestmark = pytest.mark.system


def stop(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out


PEOPLE = {
    # Each asks for a time that comes within minutes of 01:00 UTC on 30 March 2025, when Europe's clocks change.
    "london": ("Europe/London", "02:01"),  # 01:01 UTC; the clock went from 01:00 to 02:00
    "berlin": ("Europe/Berlin", "02:02"),  # a time that does not exist that night: 03:02 comes instead, 01:02 UTC
    "new-york": ("America/New_York", "21:03"),  # 01:03 UTC, still the day before there
}


def test_each_gets_one_email_at_their_own_time_across_a_clock_change(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    for name, (zone, asked) in PEOPLE.items():
        newsletter.subscriber(
            name,
            f"""\
            email: {name}@example.org
            schedule: {{days: daily, time: "{asked}", timezone: {zone}}}
            interests: [language models]
            """,
        )
    newsletter.configure(schedule={"tick_seconds": 10}, ranking={"max_age_days": 3650})
    # The files are read while it is still the day before, so that the change lies ahead.
    newsletter.run("subscribers", "list", now="2025-03-29T22:00")
    process = newsletter.start("run", **faketime_environment("@2025-03-30 00:59:20 x20"))
    wait_until(lambda: len(mail.accepted) >= 3, process)
    time.sleep(
        2
    )  # More than half a minute by the faketime_environment clock: time enough for a second one, if there were any.
    out = stop(process)

    assert sorted(mail.recipients()) == ["berlin@example.org", "london@example.org", "new-york@example.org"]
    arrived = {
        message["To"].addresses[0].username: parsedate_to_datetime(message["Date"]) for message in mail.messages()
    }
    for name, expected in (
        ("london", "2025-03-30 02:01"),
        ("berlin", "2025-03-30 03:02"),
        ("new-york", "2025-03-29 21:03"),
    ):
        zone = ZoneInfo(PEOPLE[name][0])
        local = arrived[name].astimezone(zone)
        late = local - datetime.fromisoformat(expected).replace(tzinfo=zone)
        assert 0 <= late.total_seconds() <= 120, (name, local)
    editions = {row["email"]: row["edition"] for row in newsletter.run("log", "--json").rows}
    assert editions["new-york@example.org"] == "2025-03-29"
    assert editions["berlin@example.org"] == "2025-03-30"
    assert next(line.split("event=")[1].split()[0] for line in out.splitlines()) == "'started'"
    assert out.splitlines()[-1].endswith("event='stopped'")


@pytest.fixture
def papers_source(newsletter: Newsletter, httpserver: HTTPServer) -> HTTPServer:
    """A Hugging Face source that lists one paper, the same each day."""
    httpserver.expect_request("/api/daily_papers").respond_with_json(
        [{"paper": {"id": "2503.00001", "title": "Looms", "summary": "Weaving.", "upvotes": 3}, "title": "Looms"}]
    )
    newsletter.configure(sources={"hf": {"kind": "huggingface", "endpoint": httpserver.url_for("")}})
    return httpserver


def test_the_first_fetch_and_tick_come_at_once_and_sigterm_stops_cleanly(
    newsletter: Newsletter, mail: Mailbox, papers_source: HTTPServer
) -> None:
    newsletter.subscriber("ada", "email: ada@example.org\nschedule: {days: daily, time: '00:00'}\ninterests: [looms]\n")
    newsletter.configure(schedule={"tick_seconds": 1})
    newsletter.run("subscribers", "list", now="2025-03-01T00:00")
    process = newsletter.start("run")
    wait_until(lambda: mail.accepted, process)
    out = stop(process)
    events = [line.split("event=")[1].split()[0].strip("'") for line in out.splitlines()]
    assert events[:2] == ["started", "fetched"]
    assert "edition" in events
    assert "stopping" in events
    assert events[-1] == "stopped"


def test_the_first_start_waits_for_others_that_write(newsletter: Newsletter) -> None:
    newsletter.run("subscribers", "list")
    ended = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db", timeout=60)) as store:
            while not ended.is_set():
                with store:
                    store.execute("INSERT OR REPLACE INTO daily_counts VALUES ('2025-03-01', 'active', 1)")
                time.sleep(0.0005)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        process = newsletter.start("run")
        assert process.stdout is not None
        assert "event='started'" in process.stdout.readline()
    finally:
        ended.set()
        for writer in writers:
            writer.join()
    stop(process)


def test_a_job_that_was_missed_is_made_up_for_once(newsletter: Newsletter, papers_source: HTTPServer) -> None:
    process = newsletter.start("run")
    wait_until(lambda: papers_source.log, process)
    stop(process)
    asked = len(papers_source.log)
    # Its next fetch came and went, many times over, while nothing ran.
    process = newsletter.start("run", **faketime_environment("+10d"))
    wait_until(lambda: len(papers_source.log) > asked, process)
    time.sleep(1)
    out = stop(process)
    assert out.count("event='fetched'") == 1


def test_a_job_that_is_not_due_waits_for_its_time(newsletter: Newsletter, papers_source: HTTPServer) -> None:
    for _ in range(2):
        process = newsletter.start("run")
        assert process.stdout is not None
        assert "event='started'" in process.stdout.readline()
        time.sleep(1.5)
        stop(process)
    # Fetched at the first start, not again at the second.
    assert len({request.query_string for request, _ in papers_source.log}) == len(papers_source.log)


@pytest.mark.parametrize("state", ["ours", "of an earlier version"])
def test_papers_are_fetched_once_where_the_time_comes_twice(
    newsletter: Newsletter, papers_source: HTTPServer, state: str
) -> None:
    # In Berlin 02:30 comes at 00:30 UTC on 26 October 2025, and at 01:30 UTC again.
    newsletter.configure(schedule={"fetch_at": ["02:30"], "timezone": "Europe/Berlin", "tick_seconds": 3600})

    def fetched_from(start: str, expected: int) -> int:
        process = newsletter.start("run", **faketime_environment(f"@2025-10-26 {start}"))
        assert process.stdout is not None
        assert "event='started'" in process.stdout.readline()
        if expected:
            line = next(line for line in process.stdout if "event='fetched'" in line)
        else:
            line = ""
            time.sleep(2)
        return (line + stop(process)).count("event='fetched'")

    assert fetched_from("00:20:00", 1) == 1  # The first start of all fetches.
    if state == "of an earlier version":
        put_state_of_an_earlier_version(newsletter)
    for start, expected in (("00:40:00", 1), ("01:10:00", 0), ("01:40:00", 0)):
        assert fetched_from(start, expected) == expected


def put_state_of_an_earlier_version(newsletter: Newsletter) -> None:
    """Have the store keep fetching as another version pickled it, whose functions and classes are gone."""
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as store, store:
        state = b"\x80\x04cnewsletter.triggers\nDailyTrigger\n."
        with pytest.raises(ModuleNotFoundError):
            pickle.loads(state)
        store.execute("UPDATE scheduled_jobs SET job_state = ?", [state])


def test_a_clock_that_was_wrong_for_a_while_holds_nothing_up(newsletter: Newsletter, papers_source: HTTPServer) -> None:
    process = newsletter.start("run", **faketime_environment("+1500d"))
    wait_until(lambda: papers_source.log, process)
    stop(process)
    process = newsletter.start("run")
    assert process.stdout is not None
    line = process.stdout.readline()
    stop(process)
    next_fetch = datetime.fromisoformat(line.split("next_fetch='")[1].split("'")[0])
    assert next_fetch - datetime.now(UTC) <= timedelta(days=1)


def test_run_once_fetches_sends_what_is_due_and_ends(
    newsletter: Newsletter, mail: Mailbox, papers_source: HTTPServer
) -> None:
    newsletter.subscriber("ada", "email: ada@example.org\nschedule: {days: daily, time: '12:00'}\ninterests: [looms]\n")
    newsletter.run("subscribers", "list", now="2025-03-30T10:00")
    early = newsletter.run("run", "--once", now="2025-03-30T11:00")
    assert "event='fetched' source='hf' papers=2 new=1" in early.out
    assert mail.accepted == []
    newsletter.run("run", "--once", now="2025-03-30T12:00")
    newsletter.run("run", "--once", now="2025-03-30T12:01")
    assert mail.recipients() == ["ada@example.org"]


def test_run_once_goes_on_when_a_source_fails(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.configure(sources={"gone": {"kind": "feed", "url": "http://127.0.0.1:1/feed"}})
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [language models]\n")
    newsletter.run("subscribers", "list", now="2025-11-27T09:00")
    ran = newsletter.run("run", "--once", now="2025-11-28T09:00", code=1)
    assert "event='source_failed' source='gone'" in ran.out
    assert mail.recipients() == ["ada@example.org"]


def test_a_digest_that_comes_after_midnight_is_that_of_the_evening(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.subscriber(
        "ada", "email: ada@example.org\nschedule: {days: daily, time: '23:55'}\ninterests: [language models]\n"
    )
    newsletter.run("subscribers", "list", now="2025-11-28T09:00")
    for now in ("2025-11-29T00:03", "2025-11-29T00:04"):
        newsletter.run("run", "--once", now=now)
    (newsletter.folder / "new.jsonl").write_text('{"title": "Language models", "abstract": "Of language models."}\n')
    newsletter.run("import", "new.jsonl", now="2025-11-29T12:00")
    (dry,) = newsletter.run("send", "--due", "--dry-run", "--json", now="2025-11-29T23:56").rows
    newsletter.run("run", "--once", now="2025-11-29T23:56")
    # The next evening's is not swallowed by the one that came late.
    rows = newsletter.run("log", "--json").rows
    assert [(row["edition"], row["state"]) for row in rows] == [("2025-11-28", "sent"), ("2025-11-29", "sent")]
    assert (dry["edition"], dry["papers"]) == (rows[1]["edition"], rows[1]["papers"])


@pytest.mark.parametrize("command", [["run", "--once"], ["send", "--due"]])
def test_a_look_at_the_future_holds_no_digest_up(newsletter: Newsletter, mail: Mailbox, command: list[str]) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\nschedule: {days: daily}\ninterests: [language models]\n")
    newsletter.subscriber("bob", "email: bob@example.org\nschedule: {days: [sat]}\ninterests: [robustness]\n")
    # A file that is read is scheduled by the time that --now gives.
    newsletter.run("rank", "ada@example.org", now="2035-01-01T12:00", code=None)
    newsletter.run(*command, now="2025-11-27T12:00")
    due = {row["email"]: row["next_due"] for row in newsletter.run("subscribers", "list", "--json").rows}
    assert due == {"ada@example.org": "2025-11-28T07:30:00+00:00", "bob@example.org": "2025-11-29T07:30:00+00:00"}
    assert mail.accepted == []
    newsletter.run(*command, now="2025-11-28T07:31")
    assert mail.recipients() == ["ada@example.org"]


def test_digests_missed_for_days_come_once(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\nschedule: {days: daily}\ninterests: [language models]\n")
    newsletter.run("subscribers", "list", now="2025-11-28T09:00")
    newsletter.run("run", "--once", now="2025-12-04T09:00")
    newsletter.run("run", "--once", now="2025-12-04T09:01")
    assert [row["edition"] for row in newsletter.run("log", "--json").rows] == ["2025-12-04"]
