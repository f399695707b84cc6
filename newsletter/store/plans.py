"""Stored plans: the digests to send, recorded before any of them is sent."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from newsletter.model import Digest, SendState
from newsletter.store import paper_events, webhooks
from newsletter.store.database import upsert
from newsletter.store.schema import ranked_with as ranked_with_table
from newsletter.store.schema import send_papers, sends, subscribers
from newsletter.store.sends import IS_DIGEST, IS_TAKEN_UP, domain_of, release_contents


@dataclass(frozen=True, slots=True)
class RankingInputs:
    """What a digest was ranked with, so that the ranking can be replayed.

    Attributes:
        model_version: the version of the space. ``now``: when the new papers were fixed (UTC).
        after_row: the row above which papers were new. ``content``: the subscriber's interests, and the rules.
    """

    model_version: str
    now: datetime
    after_row: int
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A digest to send, a subscriber to skip with a reason, or a digest that could not be composed.

    Attributes:
        no_papers: why the digest to send has no papers. ``failure``: why it could not be composed.
    """

    subscriber: int
    email: str
    message_id: str
    digest: Digest
    skip_reason: str | None = None
    no_papers: str | None = None
    failure: str | None = None
    basis: RankingInputs | None = None

    @property
    def state(self) -> SendState:
        """Return the initial state of the send."""
        if self.failure is not None:
            return SendState.FAILED
        return SendState.PLANNED if self.skip_reason is None else SendState.SKIPPED


def plan(connection: Connection, plans: Iterable[Plan], now: datetime) -> list[int]:
    """Record what is to be sent, before anything is.

    A subscriber who already has a send in the edition is left alone unless it was skipped; then the digest replaces it.
    So two processes that plan the same edition plan each subscriber once. A digest also replaces one that is still
    planned in another edition. If a paper or an event of a plan went on the wire in an older digest since the plan was
    made, the plan is dropped and what is new to the subscriber waits for the next edition.

    Args:
        plans: at most one for each subscriber.

    Returns:
        The rows of the sends planned now.
    """
    todo = _of_present(connection, sorted(plans, key=lambda one: one.subscriber))
    while True:
        with connection.begin_nested() as attempt:
            planned = _write_down(connection, todo, now)
            overtaken = _hold_papers(connection, planned) | _hold_events(connection, planned)
            if not overtaken:
                return sorted(planned)
            attempt.rollback()
        todo = [one for one in todo if one.subscriber not in overtaken]


def _of_present(connection: Connection, plans: Sequence[Plan]) -> list[Plan]:
    """Drop plans for people who were deleted since they were made.

    The other subscribers are locked, so that no other process plans anything for them before this is written.
    """
    present = select(subscribers.c.row).where(subscribers.c.row.in_([one.subscriber for one in plans]))
    rows = set(connection.execute(present.order_by(subscribers.c.row).with_for_update(key_share=True)).scalars())
    return [one for one in plans if one.subscriber in rows]


def _write_down(connection: Connection, plans: Sequence[Plan], now: datetime) -> dict[int, Plan]:
    """Return the rows of the sends planned now, each with its plan; those that replaced skipped ones are not among
    them.
    """
    if not plans:
        return {}
    _keep_contents(connection, plans)
    statement = upsert(connection, sends)
    written = (
        "email",
        "domain",
        "state",
        "reason",
        "no_papers",
        "considered",
        "since",
        "seen_row",
        "planned_at",
        "settled_at",
    )
    new = {
        name: statement.excluded[name] for name in (*written, "model_version", "after_row", "ranked_with", "not_before")
    }
    statement = statement.on_conflict_do_update(
        index_elements=["edition", "subscriber"], index_where=IS_DIGEST, set_=new, where=IS_TAKEN_UP
    )
    returned = statement.returning(sends.c.row, sends.c.subscriber)
    by_subscriber = {one.subscriber: one for one in plans}
    found = {row: by_subscriber[of] for row, of in connection.execute(returned, [_values(one, now) for one in plans])}
    webhooks.record_outcomes(connection, {row: one.state for row, one in found.items()}, now)
    planned = {row: one for row, one in found.items() if one.state is SendState.PLANNED}
    _take_places(connection, planned, now)
    return planned


def _values(one: Plan, now: datetime) -> dict[str, Any]:
    basis = one.basis
    return {
        "edition": one.digest.edition,
        "subscriber": one.subscriber,
        "message_id": one.message_id,
        "attempts": 0,
        "email": one.email,
        "domain": domain_of(one.email),
        "state": one.state.value,
        "reason": one.failure or one.skip_reason,
        "no_papers": one.no_papers,
        "considered": one.digest.considered,
        "since": one.digest.since,
        "seen_row": one.digest.seen_row,
        "planned_at": basis.now if basis else now,
        "settled_at": None if one.state is SendState.PLANNED else now,
        "not_before": None,
        "model_version": basis.model_version if basis else None,
        "after_row": basis.after_row if basis else None,
        "ranked_with": _name(basis.content) if basis else None,
    }


def _keep_contents(connection: Connection, plans: Sequence[Plan]) -> None:
    """Store subscribers' interests and the rules, once for as long as they stay the same."""
    contents = [
        {"subscriber": one.subscriber, "digest": _name(one.basis.content), "content": one.basis.content}
        for one in plans
        if one.basis is not None
    ]
    if contents:
        connection.execute(upsert(connection, ranked_with_table).on_conflict_do_nothing(), contents)


def _name(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _take_places(connection: Connection, planned: Mapping[int, Plan], now: datetime) -> None:
    """Skip the subscribers' other sends that are still planned, and release their papers: the plans consider them."""
    older: list[int] = []
    for edition in {one.digest.edition for one in planned.values()}:
        rows = [row for row, one in planned.items() if one.digest.edition == edition]
        found = connection.execute(
            update(sends)
            .where(
                sends.c.subscriber.in_([planned[row].subscriber for row in rows]),
                sends.c.state == SendState.PLANNED.value,
                sends.c.row.not_in(rows),
                IS_DIGEST,
            )
            .values(
                state=SendState.SKIPPED.value,
                reason=f"replaced by the digest of {edition} before it was sent",
                settled_at=now,
            )
            .returning(sends.c.row)
        )
        older += found.scalars()
    if older:
        release_contents(connection, older)
    connection.execute(delete(send_papers).where(send_papers.c.send.in_(list(planned))))


def _hold_papers(connection: Connection, planned: Mapping[int, Plan]) -> set[int]:
    """Reserve the papers of planned digests.

    Returns:
        The subscribers for whom another digest has reserved one of them; empty if there is no conflict.
    """
    values = [
        {
            "send": row,
            "rank": choice.rank,
            "subscriber": one.subscriber,
            "paper": choice.paper.row,
            "score": choice.score,
            "section": choice.section,
            "because": choice.because,
        }
        for row, one in planned.items()
        for choice in one.digest.choices
    ]
    if not values:
        return set()
    held = connection.execute(upsert(connection, send_papers).on_conflict_do_nothing(), values)
    if held.rowcount == len(values):
        return set()
    counted = select(send_papers.c.send, func.count()).where(send_papers.c.send.in_(list(planned)))
    numbers = {row[0]: row[1] for row in connection.execute(counted.group_by(send_papers.c.send))}
    return {one.subscriber for row, one in planned.items() if numbers.get(row, 0) < len(one.digest.choices)}


def _hold_events(connection: Connection, planned: Mapping[int, Plan]) -> set[int]:
    """Reserve what planned digests tell of papers, as :func:`_hold_papers` reserves their papers."""
    return paper_events.hold(connection, {row: (one.subscriber, one.digest.updates) for row, one in planned.items()})
