"""What several processes do at once comes out as if they had done it one after another."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from newsletter.audience import signup, subscriptions
from newsletter.audience.form_limits import LimitVerdict, RequestOrigin
from newsletter.config.mail import Limits
from newsletter.config.web import SignUps
from newsletter.delivery.sending import rate_limit
from newsletter.model import Digest, DigestItem, LibraryItem, Paper, Preferences, SendState, SubscriberState
from newsletter.store import (
    feedback,
    libraries,
    open_store,
    paper_upsert,
    papers,
    plans,
    reading,
    send_log,
    sends,
    sign_ups,
    statistics,
    subscribers,
    suppressions,
    writing,
)
from newsletter.store.retention import forget_person
from newsletter.store.schema import daily_counts
from newsletter.store.schema import sign_ups as requests
from newsletter.store.suppressions import Reason

pytestmark = pytest.mark.both_stores

NOW = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)
PEOPLE = 12


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url)
    yield engine
    engine.dispose()


def fill(engine: Engine, number: int) -> None:
    with writing(engine) as connection:
        paper_upsert.upsert(connection, [Paper(title=f"Paper {one}") for one in range(4)], "test", NOW)
        for one in range(number):
            person = Preferences(email=f"r{one}@example.org")
            subscribers.add(connection, person, SubscriberState.ACTIVE, "test", NOW, file=None)


def plan(engine: Engine, edition: date, rows: list[int], paper: int) -> list[int]:
    with writing(engine) as connection:
        known = papers.by_rows(connection, [paper])
        choices = (DigestItem(known[paper], 1, 0.5, "A", "because"),)
        digest = Digest(edition=edition, choices=choices, considered=3, since=None, seen_row=3)
        return plans.plan(
            connection,
            [
                plans.Plan(
                    subscriber=row, email=f"r{row - 1}@example.org", message_id=f"<{edition}.{row}@x>", digest=digest
                )
                for row in rows
            ],
            NOW,
        )


def at_once(*works: Callable[[], object]) -> list[object]:
    """What each gave, all begun at the same moment."""
    begin, given, failed = threading.Barrier(len(works)), [None] * len(works), list[Exception]()

    def run(place: int) -> None:
        begin.wait()
        try:
            given[place] = works[place]()  # type: ignore[call-overload]
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return given


CLAIM = """
import sys
from datetime import UTC, datetime
from newsletter.store import open_store, sends, writing
engine, block = open_store(sys.argv[1]), [None]
input()
while block:
    with writing(engine) as connection:
        block = sends.claim(connection, sends.ClaimFilter(), sys.argv[2], datetime(2025, 11, 28, 9, tzinfo=UTC), 7)
    print(*(send.row for send in block))
"""


def test_processes_claim_each_send_once(engine: Engine, store_url: str) -> None:
    fill(engine, 300)
    planned = plan(engine, date(2025, 11, 28), list(range(1, 301)), 1)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, store_url, owner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for owner in ("one", "other")
    ]
    told = at_once(*(lambda process=one: process.communicate("\n", timeout=60) for one in processes))
    claimed = [[int(row) for row in out.split()] for out, _ in told]  # type: ignore[misc]
    assert [error for _, error in told] == ["", ""]  # type: ignore[misc]
    assert sorted(claimed[0] + claimed[1]) == planned
    with reading(engine) as connection:
        owners = {claim.row: claim.owner for claim in sends.claims(connection)}
    assert owners == dict.fromkeys(claimed[0], "one") | dict.fromkeys(claimed[1], "other")


def test_who_claims_waits_for_nobody_on_postgresql(engine: Engine, backend: str) -> None:
    if backend == "sqlite":
        return  # where one alone writes
    fill(engine, 6)
    planned = plan(engine, date(2025, 11, 28), [1, 2, 3, 4, 5, 6], 1)
    with writing(engine) as one, writing(engine) as other:
        first = sends.claim(one, sends.ClaimFilter(), "one", NOW, 4)
        second = sends.claim(other, sends.ClaimFilter(), "other", NOW, 4)
    assert ([send.row for send in first], [send.row for send in second]) == (planned[:4], planned[4:])


def test_of_two_editions_planned_at_once_one_is_sent(engine: Engine) -> None:
    fill(engine, PEOPLE)
    rows = list(range(1, PEOPLE + 1))
    for day in range(5):
        first, second = date(2025, 11, 1) + timedelta(days=2 * day), date(2025, 11, 2) + timedelta(days=2 * day)
        # In whatever order they are named.
        at_once(lambda: plan(engine, first, rows, 1), lambda: plan(engine, second, rows[::-1], 2))  # noqa: B023
    with reading(engine) as connection:
        waiting = [line.send.subscriber for line in send_log.log(connection) if line.send.state is SendState.PLANNED]
    assert sorted(waiting) == rows


def test_one_edition_planned_by_two_is_planned_once(engine: Engine) -> None:
    fill(engine, PEOPLE)
    rows = list(range(1, PEOPLE + 1))
    given = at_once(
        *(lambda order=order: plan(engine, date(2025, 11, 28), order, 1) for order in (rows, rows[::-1], rows))
    )
    assert sorted(len(one) for one in given) == [0, 0, PEOPLE]  # type: ignore[arg-type]


def test_limits_hold_for_all_from_the_first_message_on(engine: Engine) -> None:
    grants = at_once(*(lambda: rate_limit.acquire(engine, "smtp", Limits(per_day=20), 6, NOW).number for _ in range(6)))
    assert sum(grants) == 20  # type: ignore[arg-type]
    limits = Limits(per_second=2)
    given = at_once(*(lambda: rate_limit.acquire(engine, "slow", limits, 1, NOW).first for _ in range(6)))
    assert len(set(given)) == 6


def test_requests_are_counted_one_by_one(engine: Engine) -> None:
    limits = SignUps(per_network=3)

    def ask(number: int) -> bool:
        with writing(engine) as connection:
            person = Preferences(email=f"r{number}@example.org")
            return (
                signup.add_request(connection, "key", person, RequestOrigin("192.0.2.0/24"), limits, NOW)
                is LimitVerdict.TAKEN
            )

    assert sum(at_once(*(lambda one=one: ask(one) for one in range(8)))) == 3  # type: ignore[arg-type]
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(requests)).scalar() == 3
    taken = at_once(*(lambda: take(engine) for _ in range(5)))
    assert len({row for row in taken if row is not None}) == sum(row is not None for row in taken)


def take(engine: Engine) -> int | None:
    with writing(engine) as connection:
        found = sign_ups.take(connection, NOW, NOW + timedelta(minutes=5))
    return found.row if found is not None else None


def test_papers_stand_in_the_order_in_which_they_can_be_seen(engine: Engine) -> None:
    found = [Paper(title=f"Paper {number}") for number in range(20)]

    def keep(some: list[Paper]) -> int:
        with writing(engine) as connection:
            return paper_upsert.upsert(connection, some, "test", NOW).new

    assert sum(at_once(lambda: keep(found), lambda: keep(found[::-1]), lambda: keep(found[5:]))) == 20  # type: ignore[arg-type]
    inside, kept = threading.Event(), list[int]()

    def last() -> None:
        inside.wait()
        keep([Paper(title="Last")])

    later = threading.Thread(target=last)
    later.start()
    with writing(engine) as connection:
        paper_upsert.upsert(connection, [Paper(title="First")], "test", NOW)
        inside.set()
        later.join(timeout=0.3)
        assert later.is_alive()
    later.join()
    with reading(engine) as connection:
        kept = papers.rows_after(connection, 0)
        titles = [papers.by_rows(connection, [row])[row].title for row in kept[-2:]]
    assert titles == ["First", "Last"]


def test_new_files_make_each_subscriber_once(engine: Engine, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"r{number}.yaml").write_text(f"email: r{number}@example.org\ninterests: [looms]\n")

    def read() -> int:
        with writing(engine) as connection:
            report = subscriptions.sync_files(connection, tmp_path, NOW)
        assert report.problems == []
        return len(report.added)

    assert sorted(at_once(read, read, read)) == [0, 0, 5]  # type: ignore[type-var]


def test_what_is_said_twice_at_once_is_said_once(engine: Engine) -> None:
    fill(engine, 1)

    def say(verdict: feedback.Verdict) -> None:
        with writing(engine) as connection:
            feedback.give(connection, 1, 1, verdict, None, NOW)
            suppressions.suppress(connection, "x@example.org", Reason(f"{REASONS[verdict]}"), NOW)
            statistics.keep_counts(connection, NOW.date())

    at_once(*(lambda one=one: say(one) for one in (*feedback.Verdict, *feedback.Verdict)))
    with reading(engine) as connection:
        (given,) = feedback.of(connection, [1])[1]
        found = suppressions.find(connection, "x@example.org")
        counted = connection.execute(select(daily_counts.c.state, daily_counts.c.number)).all()
    assert given.verdict in feedback.Verdict
    # What weighs more stands, whichever came first.
    assert found is not None
    assert found.reason is Reason.COMPLAINT
    assert counted == [("active", 1)]


REASONS = {feedback.Verdict.MORE: Reason.COMPLAINT, feedback.Verdict.LESS: Reason.FORGOTTEN}


@pytest.mark.parametrize("forgets", [False, True])
def test_a_library_is_removed_while_its_items_are_stored(engine: Engine, forgets: bool) -> None:
    fill(engine, 1)
    with writing(engine) as connection:
        library = libraries.ensure(connection, 1, "upload:a.bib").row
    stored = threading.Event()

    def sync() -> None:
        with writing(engine) as connection:
            libraries.by_row(connection, library)
            libraries.merge_items(connection, library, [LibraryItem(key="k", paper=Paper(title="T"))])
            stored.set()
            time.sleep(0.3)

    def remove() -> None:
        stored.wait(5)
        with writing(engine) as connection:
            if forgets:
                forget_person(connection, 1, NOW)
            else:
                libraries.remove(connection, library)

    at_once(sync, remove)
    with reading(engine) as connection:
        assert libraries.of(connection, 1) == [] == libraries.items(connection, [library])
