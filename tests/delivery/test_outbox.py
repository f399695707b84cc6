"""The states of a send: claimed by one, settled once, in doubt only when its process died."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select

from newsletter.delivery import outbox
from newsletter.delivery.transport import Outcome
from newsletter.errors import NewsletterError
from newsletter.model import Choice, Digest, Paper, Preferences, Send, SendState, SubscriberState
from newsletter.store import open_store, papers, reading, sends, subscribers, writing
from newsletter.store.schema import send_papers

NOW = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)
HERE = outbox.Owner.here()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(f"sqlite:///{tmp_path}/store.db")
    with writing(engine) as connection:
        papers.keep(connection, [Paper(title=f"Paper {number}") for number in range(3)], "test", NOW)
        for number in range(20):
            one = Preferences(email=f"r{number}@example.org")
            subscribers.add(connection, one, SubscriberState.ACTIVE, "test", NOW, file=None)
    yield engine
    engine.dispose()


def plan(engine: Engine, number: int = 20, edition: date = date(2025, 11, 28), reason: str | None = None) -> list[int]:
    with writing(engine) as connection:
        known = papers.by_rows(connection, [1, 2])
        choices = tuple(Choice(known[row], row, 0.5, "A", "because") for row in (1, 2))
        digest = Digest(edition=edition, choices=() if reason else choices, considered=3, since=None, seen_row=3)
        plans = [
            sends.Plan(
                subscriber=row,
                email=f"r{row - 1}@example.org",
                message_id=f"<{edition}.{row}@example.org>",
                digest=digest,
                skip_reason=reason,
            )
            for row in range(1, number + 1)
        ]
        return sends.plan(connection, plans, NOW)


def everything(engine: Engine) -> list[Send]:
    with reading(engine) as connection:
        return [send for send, _ in sends.log(connection)]


def waiting(engine: Engine, now: datetime = NOW) -> list[Send]:
    return [send for block in outbox.waiting(engine, now) for send in block]


def test_an_edition_is_planned_once(engine: Engine) -> None:
    assert len(plan(engine)) == 20
    assert plan(engine) == []
    assert len(everything(engine)) == 20


def test_a_skipped_send_may_be_planned_after_all(engine: Engine) -> None:
    assert plan(engine, 2, reason="nothing new") == []
    assert [send.reason for send in everything(engine)] == ["nothing new"] * 2
    assert len(plan(engine, 2)) == 2
    assert [(send.state, send.reason) for send in everything(engine)] == [(SendState.PLANNED, None)] * 2


def test_many_threads_claim_each_send_once(engine: Engine) -> None:
    plan(engine)
    claimed: list[int] = []

    def work() -> None:
        for send in waiting(engine):
            if outbox.claim(engine, send, HERE, NOW):
                claimed.append(send.row)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(1, 21))
    assert waiting(engine) == []


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome(SendState.SENT, "250 ok"), SendState.SENT),
        (Outcome(SendState.FAILED, "550 no", "refused"), SendState.FAILED),
        (Outcome(SendState.DEFERRED, "450 later", "put off"), SendState.DEFERRED),
        (Outcome(SendState.UNSURE, None, "lost"), SendState.UNSURE),
    ],
)
def test_a_claim_is_settled_as_the_server_said(engine: Engine, outcome: Outcome, state: SendState) -> None:
    plan(engine, 1)
    (send,) = waiting(engine)
    assert outbox.claim(engine, send, HERE, NOW)
    assert outbox.settle(engine, send, HERE, outcome, NOW) is state
    (settled,) = everything(engine)
    assert (settled.state, settled.smtp_reply, settled.reason) == (state, outcome.smtp_reply, outcome.reason)
    assert settled.attempts == 1
    assert waiting(engine) == []
    with reading(engine) as connection:
        held = sends.held_papers(connection, [1], NOW - timedelta(days=1))
        person = subscribers.by_rows(connection, [1])[1]
    # What failed for good may be sent another day; what may have arrived may not.
    assert held == {1: set() if state is SendState.FAILED else {1, 2}}
    assert person.seen_row == (3 if state is SendState.SENT else 0)


def test_a_settled_send_is_settled(engine: Engine) -> None:
    plan(engine, 1)
    (send,) = waiting(engine)
    outbox.claim(engine, send, HERE, NOW)
    outbox.settle(engine, send, HERE, Outcome(SendState.SENT, "250 ok"), NOW)
    outbox.settle(engine, send, HERE, Outcome(SendState.FAILED, "550 no"), NOW)
    assert not outbox.claim(engine, send, HERE, NOW)
    assert everything(engine)[0].state is SendState.SENT


def test_what_is_put_off_comes_back_later_each_time_and_fails_after_a_day(engine: Engine) -> None:
    plan(engine, 1)
    now, waits = NOW, []
    for _ in range(20):
        (send,) = waiting(engine, now)
        outbox.claim(engine, send, HERE, now)
        if (
            outbox.settle(engine, send, HERE, Outcome(SendState.DEFERRED, "450 later", "put off"), now)
            is SendState.FAILED
        ):
            break
        (put_off,) = everything(engine)
        assert put_off.not_before is not None
        assert waiting(engine, put_off.not_before - timedelta(seconds=1)) == []
        waits.append(put_off.not_before - now)
        now = put_off.not_before
    assert waits == [timedelta(minutes=15 * 2**number) for number in range(len(waits))]
    assert everything(engine)[0].reason == f"still put off after {len(waits) + 1} tries"
    assert now - NOW <= outbox.RETRY_FOR


def test_who_unsubscribes_gets_nothing_that_was_planned(engine: Engine) -> None:
    plan(engine, 2)
    with writing(engine) as connection:
        subscribers.set_state(connection, 1, SubscriberState.UNSUBSCRIBED, NOW)
    first, second = waiting(engine)
    assert not outbox.claim(engine, first, HERE, NOW)
    assert outbox.claim(engine, second, HERE, NOW)
    skipped = everything(engine)[0]
    assert (skipped.state, skipped.reason) == (SendState.SKIPPED, "the subscriber gets no mail any more")


def test_what_was_certainly_not_sent_is_given_back(engine: Engine) -> None:
    plan(engine, 1)
    (send,) = waiting(engine)
    outbox.claim(engine, send, HERE, NOW)
    outbox.give_back(engine, send, HERE)
    (again,) = waiting(engine)
    assert (again.state, again.attempts) == (SendState.PLANNED, 0)


def claim_as(engine: Engine, owner: str, since: datetime = NOW) -> None:
    plan(engine, 1)
    with writing(engine) as connection:
        assert sends.claim(connection, 1, "r0@example.org", owner, since)


def test_the_claim_of_a_dead_process_is_unsure(engine: Engine) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    claim_as(engine, f"{socket.gethostname()}/{gone.pid}/mark")
    assert [send.row for send in outbox.settle_orphans(engine, NOW)] == [1]
    (send,) = everything(engine)
    assert send.state is SendState.UNSURE
    assert "ended while the message was on the wire (since 2025-11-28 09:00:00 UTC)" in (send.reason or "")
    with reading(engine) as connection:
        assert sends.held_papers(connection, [1], NOW - timedelta(days=1)) == {1: {1, 2}}


def test_the_claim_of_a_process_that_lives_is_left_alone(engine: Engine) -> None:
    claim_as(engine, str(HERE))
    assert outbox.settle_orphans(engine, NOW) == []


@pytest.mark.parametrize(
    ("owner", "after", "orphans"),
    [
        ("elsewhere/1/mark", timedelta(minutes=29), []),
        ("elsewhere/1/mark", timedelta(minutes=31), [1]),
        # The same number as this process, but not this process: a container that was started again.
        (f"{socket.gethostname()}/{os.getpid()}/other", timedelta(0), [1]),
    ],
    ids=["held", "lapsed", "same number"],
)
def test_claims_from_elsewhere_hold_for_a_while(
    engine: Engine, owner: str, after: timedelta, orphans: list[int]
) -> None:
    claim_as(engine, owner)
    assert [send.row for send in outbox.settle_orphans(engine, NOW + after)] == orphans


ANOTHER = "from newsletter.delivery.outbox import Owner; print(Owner.here(), flush=True); input()"


def test_the_claim_of_another_process_holds_while_it_lives(engine: Engine) -> None:
    command = [sys.executable, "-c", ANOTHER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        claim_as(engine, other.stdout.readline().strip())
        # However late it is, or --now says it is.
        assert outbox.settle_orphans(engine, NOW + timedelta(days=365)) == []
        other.kill()
        # Its number is taken until we ask how it ended, but it is gone.
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert [send.row for send in outbox.settle_orphans(engine, NOW)] == [1]


def test_the_claim_of_a_process_whose_number_another_has_now_is_unsure(engine: Engine) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        claim_as(engine, f"{socket.gethostname()}/{other.pid}/mark")
        assert [send.row for send in outbox.settle_orphans(engine, NOW)] == [1]


def test_nobody_claims_what_is_put_off_before_its_time(engine: Engine) -> None:
    plan(engine, 1)
    (send,) = waiting(engine)
    outbox.claim(engine, send, HERE, NOW)
    outbox.settle(engine, send, HERE, Outcome(SendState.DEFERRED, "450 later"), NOW)
    # As by another process that saw it waiting before.
    assert not outbox.claim(engine, send, HERE, NOW + timedelta(minutes=14))
    assert outbox.claim(engine, send, HERE, NOW + timedelta(minutes=15))


@contextmanager
def locked(engine: Engine) -> Iterator[sqlite3.Connection]:
    """The store, as another program holds it that does not let go."""
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=20")  # Kept by the connection, which the pool gives out again.
    assert engine.url.database is not None
    with closing(sqlite3.connect(engine.url.database, check_same_thread=False, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_what_the_server_said_is_written_once_the_store_takes_it(engine: Engine) -> None:
    plan(engine, 1)
    (send,) = waiting(engine)
    outbox.claim(engine, send, HERE, NOW)
    with locked(engine) as other:
        threading.Timer(0.5, other.rollback).start()
        assert outbox.settle(engine, send, HERE, Outcome(SendState.SENT, "250 ok"), NOW) is SendState.SENT
    assert [(send.state, send.smtp_reply) for send in everything(engine)] == [(SendState.SENT, "250 ok")]


@pytest.mark.parametrize("outcome", [Outcome(SendState.SENT, "250 ok"), None], ids=["sent", "given back"])
def test_what_the_store_never_took_is_told_and_written_by_the_next_run(engine: Engine, outcome: Outcome | None) -> None:
    plan(engine, 1)
    (send,) = waiting(engine)
    outbox.claim(engine, send, HERE, NOW)
    words = "sent (250 ok)" if outcome else "not sent"
    expected = (
        rf"r0@example\.org, 2025-11-28: {re.escape(words)}, but that could not be written down: .*locked; note it"
    )
    with locked(engine), pytest.raises(NewsletterError, match=expected):
        if outcome:
            outbox.settle(engine, send, HERE, outcome, NOW, stopping=lambda: True)
        else:
            outbox.give_back(engine, send, HERE, stopping=lambda: True)
    assert outbox.settle_orphans(engine, NOW + timedelta(days=1)) == []
    assert outbox.settle_unwritten(engine) == [SendState.SENT if outcome else SendState.PLANNED]
    assert outbox.settle_unwritten(engine) == []
    assert [send.state for send in everything(engine)] == [SendState.SENT if outcome else SendState.PLANNED]


def test_the_store_itself_refuses_a_paper_twice(engine: Engine) -> None:
    plan(engine, 1)
    with reading(engine) as connection:
        (held, _) = connection.execute(select(send_papers)).mappings().all()
    with pytest.raises(NewsletterError, match="UNIQUE constraint failed"), writing(engine) as connection:
        connection.execute(insert(send_papers).values({**held, "rank": 3}))


def test_a_digest_takes_the_place_of_one_that_was_never_on_the_wire(engine: Engine) -> None:
    plan(engine, 2)
    first, _ = waiting(engine)
    outbox.claim(engine, first, HERE, NOW)
    outbox.settle(engine, first, HERE, Outcome(SendState.FAILED, "550 no"), NOW)
    assert plan(engine, 2, date(2025, 11, 29)) == [3, 4]
    states = [(send.state, send.reason) for send in everything(engine)]
    taken = (SendState.SKIPPED, "not sent before the digest of 2025-11-29 was made, which took its place")
    assert states == [(SendState.FAILED, None), taken, (SendState.PLANNED, None), (SendState.PLANNED, None)]
    assert [send.row for send in waiting(engine)] == [3, 4]
    # One that holds nothing takes no place.
    assert plan(engine, 2, date(2025, 11, 30), reason="nothing new") == []
    assert [send.row for send in waiting(engine)] == [3, 4]


@pytest.mark.parametrize("state", [SendState.CLAIMED, SendState.DEFERRED, SendState.UNSURE, SendState.SENT])
def test_a_digest_takes_no_paper_from_one_that_was_on_the_wire(engine: Engine, state: SendState) -> None:
    plan(engine, 1)
    (send,) = waiting(engine)
    outbox.claim(engine, send, HERE, NOW)
    if state is not SendState.CLAIMED:
        outbox.settle(engine, send, HERE, Outcome(state, "250 ok"), NOW)
    # Planned while the first was not on the wire yet: it is left to the next edition.
    assert plan(engine, 1, date(2025, 11, 29)) == []
    assert [send.state for send in everything(engine)] == [state]


def test_who_lost_a_claim_changes_nothing_any_more(engine: Engine) -> None:
    claim_as(engine, "elsewhere/1/mark")
    assert [send.row for send in outbox.settle_orphans(engine, NOW + timedelta(hours=1))] == [1]
    with writing(engine) as connection:
        assert not sends.settle(connection, 1, "elsewhere/1/mark", sends.Settlement(state=SendState.FAILED), NOW)
    (send,) = everything(engine)
    assert send.state is SendState.UNSURE
    with reading(engine) as connection:
        assert sends.held_papers(connection, [1], NOW - timedelta(days=1)) == {1: {1, 2}}
