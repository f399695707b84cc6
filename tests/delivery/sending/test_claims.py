"""The states of a send: claimed by one, settled once, in doubt only when its process died."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, create_engine, insert, select

from newsletter.config.mail import Delivery
from newsletter.delivery.sending import claims
from newsletter.delivery.sending.pending_writes import PendingWrites
from newsletter.delivery.sending.send_recorder import SendRecorder
from newsletter.delivery.smtp.transport import Outcome
from newsletter.errors import NewsletterError
from newsletter.model import Digest, DigestItem, Paper, Preferences, Send, SendState, SubscriberState
from newsletter.store import (
    open_store,
    paper_upsert,
    papers,
    plans,
    reading,
    send_log,
    sends,
    subscribers,
    worker_stats,
    writing,
)
from newsletter.store.schema import send_papers

NOW = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)
HERE = str(claims.ClaimOwner.here())


pytestmark = pytest.mark.both_stores


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url)
    with writing(engine) as connection:
        paper_upsert.upsert(connection, [Paper(title=f"Paper {number}") for number in range(3)], "test", NOW)
        for number in range(20):
            one = Preferences(email=f"r{number}@example.org")
            subscribers.add(connection, one, SubscriberState.ACTIVE, "test", NOW, file=None)
    yield engine
    engine.dispose()


def plan(engine: Engine, number: int = 20, edition: date = date(2025, 11, 28), reason: str | None = None) -> list[int]:
    with writing(engine) as connection:
        known = papers.by_rows(connection, [1, 2])
        choices = tuple(DigestItem(known[row], row, 0.5, "A", "because") for row in (1, 2))
        digest = Digest(edition=edition, choices=() if reason else choices, considered=3, since=None, seen_row=3)
        wanted = [
            plans.Plan(
                subscriber=row,
                email=f"r{row - 1}@example.org",
                message_id=f"<{edition}.{row}@example.org>",
                digest=digest,
                skip_reason=reason,
            )
            for row in range(1, number + 1)
        ]
        return plans.plan(connection, wanted, NOW)


def everything(engine: Engine) -> list[Send]:
    with reading(engine) as connection:
        return [send for send, *_ in send_log.log(connection)]


ANY = sends.ClaimFilter()


def claim(engine: Engine, now: datetime = NOW, limit: int = 100, owner: str = HERE) -> list[Send]:
    with writing(engine) as connection:
        return sends.claim(connection, ANY, owner, now, limit)


def start(engine: Engine, *claimed: Send, now: datetime = NOW, owner: str = HERE) -> set[int]:
    with writing(engine) as connection:
        return sends.mark_on_wire(connection, {send.row: "smtp" for send in claimed}, owner, now)


def settle(engine: Engine, send: Send, outcome: Outcome, now: datetime = NOW, owner: str = HERE) -> bool:
    with writing(engine) as connection:
        settled = {send.row: claims.to_send_outcome(send, outcome, Delivery(), now)}
        return send.row in sends.record_outcomes(connection, settled, owner, now)


def give_back(engine: Engine, *claimed: Send, on_wire: bool = False) -> None:
    with writing(engine) as connection:
        sends.release_claims(connection, [send.row for send in claimed], HERE, on_wire)


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
        while block := claim(engine, limit=3):
            claimed.extend(send.row for send in block)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(1, 21))


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
    (send,) = claim(engine)
    assert start(engine, send) == {1}
    assert settle(engine, send, outcome)
    (settled,) = everything(engine)
    assert (settled.state, settled.smtp_reply, settled.reason) == (state, outcome.smtp_reply, outcome.reason)
    assert settled.attempts == 1
    assert claim(engine) == []
    with reading(engine) as connection:
        held = send_log.held_papers(connection, [1], NOW - timedelta(days=1))
        person = subscribers.by_rows(connection, [1])[1]
    # What failed for good may be sent another day; what may have arrived may not.
    assert held == {1: set() if state is SendState.FAILED else {1, 2}}
    assert person.seen_row == (3 if state is SendState.SENT else 0)


def test_a_settled_send_is_settled(engine: Engine) -> None:
    plan(engine, 1)
    (send,) = claim(engine)
    start(engine, send)
    assert settle(engine, send, Outcome(SendState.SENT, "250 ok"))
    assert not settle(engine, send, Outcome(SendState.FAILED, "550 no"))
    assert claim(engine) == []
    assert everything(engine)[0].state is SendState.SENT


def test_what_is_put_off_comes_back_later_each_time_and_fails_when_it_is_no_news_any_more(engine: Engine) -> None:
    plan(engine, 1)
    now, waits = NOW, []
    for _ in range(20):
        (send,) = claim(engine, now)
        start(engine, send, now=now)
        settle(engine, send, Outcome(SendState.DEFERRED, "450 later", "put off"), now)
        (put_off,) = everything(engine)
        if put_off.state is SendState.FAILED:
            break
        assert put_off.not_before is not None
        assert claim(engine, put_off.not_before - timedelta(seconds=1)) == []
        waits.append(put_off.not_before - now)
        now = put_off.not_before
    assert len(waits) == 7
    assert all(1 <= wait / timedelta(minutes=5 * 2**number) <= 1.2 for number, wait in enumerate(waits))
    assert put_off.reason == "still deferred after 8 attempts"
    assert now - NOW <= timedelta(hours=20)


def test_who_unsubscribes_gets_nothing_that_is_not_on_the_wire_yet(engine: Engine) -> None:
    plan(engine, 2)
    claimed = claim(engine)
    with writing(engine) as connection:
        subscribers.set_state(connection, 1, SubscriberState.UNSUBSCRIBED, NOW)
    assert start(engine, *claimed) == {2}
    skipped = everything(engine)[0]
    assert (skipped.state, skipped.reason) == (SendState.SKIPPED, "the subscriber no longer gets mail")


def test_a_message_to_an_address_that_has_changed_meanwhile_is_made_again(engine: Engine) -> None:
    plan(engine, 1)
    claimed = claim(engine)
    with writing(engine) as connection:
        subscribers.set_preferences(connection, 1, Preferences(email="new@example.org"), NOW)
    assert start(engine, *claimed) == set()
    assert [send.email for send in claim(engine)] == ["new@example.org"]


def test_what_was_certainly_not_sent_is_given_back(engine: Engine) -> None:
    plan(engine, 2)
    claimed = claim(engine)
    start(engine, claimed[0])
    give_back(engine, claimed[0], on_wire=True)
    give_back(engine, claimed[1])
    assert [(send.state, send.attempts) for send in everything(engine)] == [(SendState.PLANNED, 0)] * 2
    assert [send.row for send in claim(engine)] == [1, 2]


def test_what_was_put_off_and_is_given_back_is_put_off_still(engine: Engine) -> None:
    plan(engine, 1)
    (send,) = claim(engine)
    start(engine, send)
    settle(engine, send, Outcome(SendState.DEFERRED, "450 later"))
    later = NOW + timedelta(minutes=6)
    give_back(engine, *claim(engine, later))
    (again,) = everything(engine)
    assert (again.state, again.attempts) == (SendState.DEFERRED, 1)
    assert [send.attempts for send in claim(engine, later)] == [1]


def claim_as(engine: Engine, owner: str, since: datetime = NOW) -> None:
    plan(engine, 1)
    (send,) = claim(engine, since, owner=owner)
    assert start(engine, send, now=since, owner=owner) == {1}


def test_of_a_dead_process_what_was_on_the_wire_is_unsure_and_the_rest_goes_on(engine: Engine) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    plan(engine, 3)
    owner = f"{socket.gethostname()}/{gone.pid}/mark"
    claimed = claim(engine, owner=owner)
    start(engine, claimed[0], owner=owner)
    assert [send.row for send in claims.release_orphans(engine, NOW)] == [1]
    first, *rest = everything(engine)
    assert first.state is SendState.UNSURE
    assert "ended while the message was on the wire (since 2025-11-28 09:00:00 UTC)" in (first.reason or "")
    with reading(engine) as connection:
        assert send_log.held_papers(connection, [1], NOW - timedelta(days=1)) == {1: {1, 2}}
    assert [(send.state, send.attempts) for send in rest] == [(SendState.PLANNED, 0)] * 2


def test_the_claim_of_a_process_that_lives_is_left_alone(engine: Engine) -> None:
    claim_as(engine, HERE)
    assert claims.release_orphans(engine, NOW) == []


@pytest.mark.parametrize(
    ("owner", "after", "orphans"),
    [
        ("elsewhere/1/mark", timedelta(minutes=29), []),
        ("elsewhere/1/mark", timedelta(minutes=31), [1]),
        ("elsewhere/1/mark", timedelta(minutes=-29), []),
        ("elsewhere/1/mark", timedelta(days=-1), [1]),
        # The same number as this process, but not this process: a container that was started again.
        (f"{socket.gethostname()}/{os.getpid()}/other", timedelta(0), [1]),
    ],
    ids=["held", "lapsed", "a clock a little behind", "a clock set back", "same number"],
)
def test_claims_from_elsewhere_hold_for_a_while(
    engine: Engine, owner: str, after: timedelta, orphans: list[int]
) -> None:
    claim_as(engine, owner)
    assert [send.row for send in claims.release_orphans(engine, NOW + after)] == orphans


def test_a_claim_that_is_renewed_holds_from_then_on(engine: Engine) -> None:
    claim_as(engine, "elsewhere/1/mark")
    with writing(engine) as connection:
        sends.renew(connection, "elsewhere/1/mark", NOW + timedelta(minutes=20))
    assert claims.release_orphans(engine, NOW + timedelta(minutes=45)) == []


ANOTHER = "from newsletter.delivery.sending.claims import ClaimOwner; print(ClaimOwner.here(), flush=True); input()"


def test_the_claim_of_another_process_holds_while_it_lives(engine: Engine) -> None:
    command = [sys.executable, "-c", ANOTHER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        claim_as(engine, other.stdout.readline().strip())
        # However late it is, or --now says it is.
        assert claims.release_orphans(engine, NOW + timedelta(days=365)) == []
        other.kill()
        # Its number is taken until we ask how it ended, but it is gone.
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert [send.row for send in claims.release_orphans(engine, NOW)] == [1]


def test_the_claim_of_a_process_whose_number_another_has_now_is_unsure(engine: Engine) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        claim_as(engine, f"{socket.gethostname()}/{other.pid}/mark")
        assert [send.row for send in claims.release_orphans(engine, NOW)] == [1]


def test_what_an_owner_that_cannot_be_reached_has_on_the_wire_stays_its_own_and_the_rest_is_free(
    engine: Engine,
) -> None:
    plan(engine, 2)
    on_wire, waits = claim(engine, owner="elsewhere/1/mark/3")
    start(engine, on_wire, owner="elsewhere/1/mark/3")
    assert claims.release_orphans(engine, NOW, lost={"elsewhere/1/mark/3"}) == []
    assert [send.state for send in everything(engine)] == [SendState.CLAIMED, SendState.PLANNED]
    # It lives: what was taken from it does not go on the wire, whoever has it now, and what it had there is settled.
    assert start(engine, waits, owner="elsewhere/1/mark/3") == set()
    claim(engine)
    assert start(engine, waits, owner="elsewhere/1/mark/3") == set()
    assert settle(engine, on_wire, Outcome(SendState.SENT, "250 ok"), owner="elsewhere/1/mark/3")


def test_what_goes_on_the_wire_as_its_claim_runs_out_is_left_alone(engine: Engine) -> None:
    plan(engine, 1)
    (send,) = claim(engine, owner="elsewhere/1/mark")
    with writing(engine) as connection:
        assert sends.mark_on_wire(connection, {send.row: "smtp"}, "elsewhere/1/mark", NOW) == {send.row}
        # Who saw the claim a moment ago, not on the wire and long not renewed.
        sends.release_claims(connection, [send.row], "elsewhere/1/mark", on_wire=False)
    assert [one.state for one in everything(engine)] == [SendState.CLAIMED]


def test_two_runs_in_one_process_hold_their_claims_apart(engine: Engine) -> None:
    first, second = (SendRecorder(engine, Delivery(), lambda: NOW, PendingWrites(), lambda: False) for _ in range(2))
    claim_as(engine, first.owner)
    (send,) = everything(engine)
    with second:
        second.release(send)
    assert [one.state for one in everything(engine)] == [SendState.CLAIMED]
    # Both are known by their process, which lives.
    assert claims.release_orphans(engine, NOW + timedelta(days=1)) == []


def claimed_twice(engine: Engine) -> Send:
    """A send that another freed while its owner still had it in hand, and that the owner claimed again."""
    plan(engine, 1)
    (send,) = claim(engine)
    claims.release_orphans(engine, NOW, lost={HERE})
    assert claim(engine) == [send]
    return send


def test_what_its_owner_claimed_twice_goes_once(engine: Engine) -> None:
    send = claimed_twice(engine)
    with recorder_of(engine) as (recorder, _):
        assert recorder.start(send, "smtp")
        # The other letter of the same send, as another session would carry it, or be stopped before it could.
        assert not recorder.start(send, "smtp")
        recorder.release(send)
        recorder.record(send, Outcome(SendState.FAILED, reason="the message could not be made"))
        recorder.flush()
        assert [one.state for one in everything(engine)] == [SendState.CLAIMED]
        recorder.record(send, Outcome(SendState.SENT, "250 ok"), "smtp")
    assert [one.state for one in everything(engine)] == [SendState.SENT]


def test_what_its_owner_claimed_twice_goes_once_where_two_sessions_start_it_together(engine: Engine) -> None:
    send = claimed_twice(engine)
    with recorder_of(engine) as (recorder, _), ThreadPoolExecutor(2) as threads:
        with locked(engine):
            # The ledger waits with this one, so that both of the others are written together.
            recorder.release(replace(send, row=send.row + 1))
            begun = [threads.submit(recorder.start, send, "smtp") for _ in range(2)]
            time.sleep(0.5)
        assert sorted(one.result() for one in begun) == [False, True]


def test_what_the_store_never_took_of_a_message_is_not_lost_to_its_other_letter(engine: Engine) -> None:
    send = claimed_twice(engine)
    start(engine, send)
    with locked(engine), recorder_of(engine, should_stop=True) as (recorder, pending):
        recorder.record(send, Outcome(SendState.SENT, "250 ok"), "smtp")
        recorder.release(send)
    pending.write(engine, NOW)
    assert [one.state for one in everything(engine)] == [SendState.SENT]


@contextmanager
def locked(engine: Engine) -> Iterator[Connection]:
    """The store, as another program holds it that does not let go."""
    with engine.connect() as connection, create_engine(engine.url).connect() as other:
        # Kept by the connection, which the pool gives out again.
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA busy_timeout=20")
            other.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("SET lock_timeout = 20")
            connection.commit()
            other.exec_driver_sql("LOCK TABLE sends IN EXCLUSIVE MODE")
        connection.close()
        yield other


@contextmanager
def recorder_of(engine: Engine, *, should_stop: bool = False) -> Iterator[tuple[SendRecorder, PendingWrites]]:
    pending = PendingWrites()
    with SendRecorder(engine, Delivery(), lambda: NOW, pending, lambda: should_stop) as recorder:
        recorder.owner = HERE  # that the claims of these tests are made by
        yield recorder, pending


def recorded(recorder: SendRecorder) -> list[SendState]:
    """The states of the results so far."""
    states = []
    while not recorder.results.empty():
        states.append(recorder.results.get().outcome.state)
    return states


def test_what_the_server_said_is_written_once_the_store_takes_it(engine: Engine) -> None:
    plan(engine, 1)
    (send,) = claim(engine)
    with recorder_of(engine) as (recorder, _):
        assert recorder.start(send, "smtp")
        with locked(engine) as other:
            recorder.record(send, Outcome(SendState.SENT, "250 ok"), "smtp")
            time.sleep(0.5)
            assert recorded(recorder) == []
            other.rollback()
    assert recorded(recorder) == [SendState.SENT]
    assert [(send.state, send.smtp_reply) for send in everything(engine)] == [(SendState.SENT, "250 ok")]


@pytest.mark.parametrize("outcome", [Outcome(SendState.SENT, "250 ok"), None], ids=["sent", "given back"])
def test_what_the_store_never_took_is_told_and_written_by_the_next_run(engine: Engine, outcome: Outcome | None) -> None:
    plan(engine, 1)
    (send,) = claim(engine)
    start(engine, send)
    words = "sent (250 ok)" if outcome else "not sent"
    expected = (
        rf"r0@example\.org, 2025-11-28: {re.escape(words)}, but this could not be recorded: "
        r".*(locked|lock timeout); note it"
    )
    with locked(engine), recorder_of(engine, should_stop=True) as (recorder, pending):
        if outcome:
            recorder.record(send, outcome, "smtp")
        else:
            recorder.release(send, on_wire=True)
    assert re.match(expected, str(recorder.error))
    assert claims.release_orphans(engine, NOW + timedelta(days=1)) == []
    assert [state for _, state in pending.write(engine, NOW)] == ([SendState.SENT] if outcome else [])
    assert pending.write(engine, NOW) == []
    assert [send.state for send in everything(engine)] == [SendState.SENT if outcome else SendState.PLANNED]


def test_each_message_is_named_of_which_the_store_took_nothing(engine: Engine) -> None:
    plan(engine, 3)
    claimed = claim(engine)
    for send in claimed:
        start(engine, send)
    with locked(engine), recorder_of(engine, should_stop=True) as (recorder, pending):
        for send in claimed:
            recorder.record(send, Outcome(SendState.SENT, "250 ok"), "smtp")
    assert [line.partition(",")[0] for line in str(recorder.error).splitlines()] == [send.email for send in claimed]
    assert [state for _, state in pending.write(engine, NOW)] == [SendState.SENT] * 3


def test_nothing_goes_on_the_wire_that_the_store_does_not_know_of(engine: Engine) -> None:
    plan(engine, 1)
    (send,) = claim(engine)
    with (
        locked(engine),
        recorder_of(engine, should_stop=True) as (recorder, _),
        pytest.raises(NewsletterError, match=r"locked|lock timeout"),
    ):
        recorder.start(send, "smtp")
    assert claims.release_orphans(engine, NOW + timedelta(days=1)) == []
    assert [send.state for send in everything(engine)] == [SendState.CLAIMED]


def test_the_store_itself_refuses_a_paper_twice(engine: Engine) -> None:
    plan(engine, 1)
    with reading(engine) as connection:
        (held, _) = connection.execute(select(send_papers)).mappings().all()
    with pytest.raises(NewsletterError, match=r"(?i)unique constraint"), writing(engine) as connection:
        connection.execute(insert(send_papers).values({**held, "rank": 3}))


def test_a_digest_takes_the_place_of_one_that_was_never_on_the_wire(engine: Engine) -> None:
    plan(engine, 2)
    (first,) = claim(engine, limit=1)
    start(engine, first)
    settle(engine, first, Outcome(SendState.FAILED, "550 no"))
    assert plan(engine, 2, date(2025, 11, 29)) == [3, 4]
    states = [(send.state, send.reason) for send in everything(engine)]
    taken = (SendState.SKIPPED, "replaced by the digest of 2025-11-29 before it was sent")
    assert states == [(SendState.FAILED, None), taken, (SendState.PLANNED, None), (SendState.PLANNED, None)]
    # One that holds nothing takes no place.
    assert plan(engine, 2, date(2025, 11, 30), reason="nothing new") == []
    assert [send.row for send in claim(engine)] == [3, 4]


@pytest.mark.parametrize("state", [SendState.CLAIMED, SendState.DEFERRED, SendState.UNSURE, SendState.SENT])
def test_a_digest_takes_no_paper_from_one_that_was_on_the_wire(engine: Engine, state: SendState) -> None:
    plan(engine, 1)
    (send,) = claim(engine)
    start(engine, send)
    if state is not SendState.CLAIMED:
        settle(engine, send, Outcome(state, "250 ok"))
    # Planned while the first was not on the wire yet: it is left to the next edition, and keeps nobody else waiting.
    assert len(plan(engine, 2, date(2025, 11, 29))) == 1
    assert [(send.subscriber, send.state) for send in everything(engine)] == [(1, state), (2, SendState.PLANNED)]


def test_who_lost_a_claim_changes_nothing_any_more(engine: Engine) -> None:
    claim_as(engine, "elsewhere/1/mark")
    (lost,) = claims.release_orphans(engine, NOW + timedelta(hours=1))
    assert not settle(engine, lost, Outcome(SendState.FAILED, "550 no"), owner="elsewhere/1/mark")
    (send,) = everything(engine)
    assert send.state is SendState.UNSURE
    with reading(engine) as connection:
        assert send_log.held_papers(connection, [1], NOW - timedelta(days=1)) == {1: {1, 2}}


def test_lanes_part_the_sends_by_domain(engine: Engine) -> None:
    plan(engine, 3)
    with writing(engine) as connection:
        assert sends.claim(connection, sends.ClaimFilter(only="example.com"), HERE, NOW, 5) == []
        assert sends.claim(connection, sends.ClaimFilter(without=("example.org",)), HERE, NOW, 5) == []
        assert sends.waiting(connection, NOW, sends.ClaimFilter(only="example.org")) == 3
        assert [one.row for one in sends.claim(connection, sends.ClaimFilter(subscriber=2), HERE, NOW, 5)] == [2]
        assert [one.row for one in sends.claim(connection, sends.ClaimFilter(only="example.org"), HERE, NOW, 5)] == [
            1,
            3,
        ]


def test_each_process_is_counted_by_what_it_settled_for_as_long_as_it_is_at_work(engine: Engine) -> None:
    plan(engine)
    later = NOW + timedelta(seconds=10)
    for owner, number, state, now in (
        ("one/1/mark/1", 3, SendState.SENT, NOW),
        ("one/1/mark/2", 1, SendState.FAILED, later),
        ("one/1/mark/2", 2, SendState.SENT, later),
        ("two/1/mark/1", 4, SendState.SENT, NOW),
    ):
        claimed = claim(engine, limit=number, owner=owner)
        rows = start(engine, *claimed, owner=owner)
        with writing(engine) as connection:
            sends.record_outcomes(connection, {row: sends.SendOutcome(state=state) for row in rows}, owner, now)
            # Of a claim that was lost nothing is counted.
            sends.record_outcomes(connection, {row: sends.SendOutcome(state=state) for row in rows}, owner, now)
    with reading(engine) as connection:
        one, two = worker_stats.seen_since(connection, NOW)
        assert worker_stats.seen_since(connection, later) == [one]
    assert (one.host, one.process, two.host) == ("one", "1", "two")
    assert one.sends == {SendState.SENT: 5, SendState.FAILED: 1}
    assert two.sends == {SendState.SENT: 4}
    assert (one.since, one.last, one.a_second) == (NOW, later, 0.6)
    assert two.a_second is None
    with writing(engine) as connection:
        worker_stats.forget(connection, later)
        assert [each.host for each in worker_stats.seen_since(connection, NOW)] == ["one"]
