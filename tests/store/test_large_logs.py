"""Questions to a long log of digests and mailings: the answers, and that they do not cost a look at all of it."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, insert, text

from newsletter.model import Preferences, SendState, SubscriberState
from newsletter.store import (
    mailings,
    open_store,
    reading,
    schema,
    send_log,
    sends,
    statistics,
    subscribers,
    tags,
    writing,
)
from newsletter.store.send_log import LogFilter

NOW = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)
PEOPLE, EDITIONS, MAILING = 100, 30, 1
STEPS = 1_000
"""SQLite's steps between two counts."""


def day(number: int) -> date:
    return NOW.date() - timedelta(days=EDITIONS - 1 - number)


def send(row: int, number: int, person: int, state: SendState, mailing: int | None = None) -> dict[str, object]:
    own = {"row": row, "edition": day(number), "subscriber": person, "state": state.value, "mailing": mailing}
    texts = {"email": f"r{person}@example.org", "message_id": f"<{row}@example.org>"}
    return {**own, **texts, "considered": 1, "seen_row": 0, "planned_at": NOW, "attempts": 1}


def lines() -> Iterator[dict[str, object]]:
    """Thirty editions to everybody, then a mailing with the day of an edition in the middle."""
    odd = {(10, 7): SendState.FAILED, (20, 7): SendState.UNSURE, (20, 9): SendState.UNSURE, (29, 5): SendState.DEFERRED}
    row = 0
    for number in range(EDITIONS):
        for person in range(1, PEOPLE + 1):
            row += 1
            yield send(row, number, person, odd.get((number, person), SendState.SENT))
    for person in range(1, PEOPLE + 1):
        row += 1
        yield send(row, 15, person, SendState.FAILED if person == 3 else SendState.SENT, MAILING)


@pytest.fixture
def store(store_url: str) -> Iterator[Engine]:
    """A store with the log."""
    engine = open_store(store_url)
    texts = {"kind": "announcement", "state": "sent", "subject": "News", "name": "news.md", "format": "markdown"}
    with writing(engine) as connection:
        for person in range(1, PEOPLE + 1):
            preferences = Preferences(email=f"r{person}@example.org", announcements=person % 10 != 0)
            subscribers.add(connection, preferences, SubscriberState.ACTIVE, "test", NOW, file=None)
        times = {"send_at": NOW, "created_at": NOW, "created_by": "ada", "source": ""}
        connection.execute(insert(schema.mailings).values(row=MAILING, **texts, **times))
        connection.execute(insert(schema.sends), list(lines()))
    yield engine
    engine.dispose()


PARTS = [
    (LogFilter(states=(SendState.UNSURE,)), [2007, 2009]),
    (LogFilter(states=(SendState.FAILED, SendState.DEFERRED)), [1007, 2905, 3003]),
    (LogFilter(states=(SendState.FAILED,), mailing=MAILING), [3003]),
    (LogFilter(states=(SendState.FAILED,), since=day(11)), [3003]),
    (LogFilter(states=(SendState.UNSURE,), until=day(19)), []),
    (LogFilter(states=(SendState.UNSURE,), subscriber=9), [2009]),
    (LogFilter(states=(SendState.UNSURE, SendState.SENT), since=day(20), until=day(20)), [*range(2001, 2101)]),
    (LogFilter(since=day(15), until=day(15)), [*range(1501, 1601), *range(3001, 3101)]),
    (LogFilter(since=day(15), until=day(15), digests_only=True), [*range(1501, 1601)]),
    (LogFilter(mailing=MAILING), [*range(3001, 3101)]),
    (LogFilter(mailing=MAILING + 1), []),
]


@pytest.mark.both_stores
def test_a_part_of_the_log_has_all_its_lines(store: Engine) -> None:
    with reading(store) as connection:
        for wanted, rows in PARTS:
            assert [line.send.row for line in send_log.log(connection, wanted)] == rows, wanted


@pytest.mark.both_stores
def test_days_and_sends_are_found_in_a_log_with_mailings(store: Engine) -> None:
    with reading(store) as connection:
        found = statistics.editions(connection, 20)
        assert list(found) == [day(number) for number in range(29, 9, -1)]
        assert found[day(15)] == {SendState.SENT: PEOPLE}
        assert found[day(20)] == {SendState.SENT: PEOPLE - 2, SendState.UNSURE: 2}
        assert send_log.editions_made(connection, [day(3), day(EDITIONS)]) == {day(3)}
        assert [one.row for one in sends.unsure(connection)] == [2007, 2009]
        assert [one.row for one in sends.unsure(connection, 1)] == [2007]


@pytest.mark.both_stores
def test_who_gets_an_announcement_is_counted_as_it_is_planned(store: Engine) -> None:
    with writing(store) as connection:
        for person in range(1, 21):
            tags.add(connection, person, ["lab"], NOW)
        subscribers.set_state(connection, 1, SubscriberState.PAUSED, NOW)
        damaged = {2: '{"announcements": false}', 3: "[]"}
        if connection.dialect.name == "sqlite":
            damaged[4] = "{not JSON"
        for row, stored in damaged.items():
            written = text("UPDATE subscribers SET preferences = :stored WHERE row = :row")
            if connection.dialect.name == "postgresql":
                written = text("UPDATE subscribers SET preferences = CAST(:stored AS json) WHERE row = :row")
            connection.execute(written, {"stored": stored, "row": row})
        mailing = mailings.by_row(connection, MAILING)
        assert mailing is not None
        planned, _ = mailings.recipients(connection, mailing, 1_000)
        # Without the ten who declined, the one who is paused, and the one whose damaged preferences still say no.
        assert len(planned) == mailings.number_of_recipients(connection, None) == 88
        assert mailings.number_of_recipients(connection, "lab") == 16


OFTEN: list[tuple[Callable[[Connection], object], int]] = [
    (lambda connection: statistics.editions(connection, EDITIONS), 80_000),
    (lambda connection: send_log.editions_made(connection, [day(3), day(29)]), 5_000),
    (lambda connection: sends.unsure(connection, 20), 5_000),
    (lambda connection: send_log.span(connection, LogFilter(states=(SendState.FAILED,))), 5_000),
    (lambda connection: mailings.counts(connection, [MAILING]), 5_000),
]
"""What pages ask, and the most of SQLite's steps that it may take."""


@pytest.mark.parametrize("analyzed", [False, True], ids=["without statistics", "with statistics"])
def test_what_is_asked_often_reads_little_of_the_log(store: Engine, analyzed: bool) -> None:
    if analyzed:
        with writing(store) as connection:
            connection.exec_driver_sql("ANALYZE")
    with reading(store) as connection:
        for number, (ask, most) in enumerate(OFTEN):
            assert _steps(connection, ask) < most, number


def _steps(connection: Connection, ask: Callable[[Connection], object]) -> int:
    """Return how many steps SQLite takes, to the next thousand."""
    counted = 0

    def step() -> None:
        nonlocal counted
        counted += STEPS

    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(step, STEPS)
    ask(connection)
    driver.set_progress_handler(None, 0)
    return counted
