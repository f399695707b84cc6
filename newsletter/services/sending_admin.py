"""What operators do to sending: pause and resume it, retry and resolve sends. Each is recorded in the audit log."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from newsletter.model import Send, SendState
from newsletter.services.context import AppContext
from newsletter.store import audit, circuit_breakers, pauses, send_changes, sends, writing
from newsletter.store.send_changes import Retry, Selection
from newsletter.support.text import to_single_line

RECENT = timedelta(days=7)
"""Failed sends of older editions are not retried together: their papers are no news."""

_BLOCK = 500


def pause_sending(context: AppContext, reason: str, actor: str) -> None:
    """Pause all sending now, in all processes; ``reason`` is in the operator's words."""
    now, words = context.clock(), to_single_line(reason)
    with writing(context.engine) as connection:
        pauses.begin(connection, words, now)
        audit.record(connection, actor, "sending.pause", "", now, reason=words)


def resume_sending(context: AppContext, actor: str) -> tuple[bool, Sequence[str]]:
    """Resume sending, and use accounts again that were set aside.

    Returns:
        Whether sending was paused, and the accounts.
    """
    now = context.clock()
    with writing(context.engine) as connection:
        accounts = [one.account for one in circuit_breakers.set_aside(connection)]
        was_paused = pauses.end(connection)
        circuit_breakers.reset(connection, accounts)
        if was_paused or accounts:
            audit.record(connection, actor, "sending.resume", "", now, accounts=accounts)
    return was_paused, accounts


def retry_one(context: AppContext, row: int, actor: str) -> Retry | None:
    """Plan a failed or deferred send again; None if it is neither."""
    now = context.clock()
    with writing(context.engine) as connection:
        chosen = [
            one
            for one in sends.by_rows(connection, [row], lock=True)
            if one.state in (SendState.FAILED, SendState.DEFERRED)
        ]
        if not chosen:
            return None
        (outcome,) = send_changes.retry(connection, chosen, now)
        details = {"send": row, "outcome": outcome.value}
        audit.record(connection, actor, "send.retry", chosen[0].email, now, chosen[0].subscriber, **details)
    return outcome


def retry_recent(context: AppContext, states: Sequence[SendState], actor: str) -> Counter[Retry]:
    """Plan the failed or deferred sends of the last days again, newest first, and count the outcomes."""
    wanted = Selection(states=states, since=(context.clock() - RECENT).date())
    counts: Counter[Retry] = Counter()
    before: int | None = None
    while True:
        with writing(context.engine) as connection:
            chosen = send_changes.select_sends(connection, wanted, before, _BLOCK)
            counts.update(send_changes.retry(connection, chosen, context.clock()))
        if not chosen:
            break
        before = chosen[-1].row
    if not counts:
        return counts
    with writing(context.engine) as connection:
        numbers = {outcome.value: number for outcome, number in counts.items()}
        audit.record(
            connection, actor, "send.retry", "", context.clock(), states=[one.value for one in states], **numbers
        )
    return counts


def resolve(context: AppContext, row: int, arrived: bool, actor: str) -> Send | None:
    """Settle a send of unknown outcome: it arrived, or it is to be sent again; None if its outcome is known."""
    now = context.clock()
    with writing(context.engine) as connection:
        found = [one for one in sends.by_rows(connection, [row], lock=True) if one.state is SendState.UNSURE]
        if not found:
            return None
        sends.resolve(connection, [row], arrived, now)
        audit.record(
            connection, actor, "send.resolve", found[0].email, now, found[0].subscriber, send=row, arrived=arrived
        )
    return found[0]
