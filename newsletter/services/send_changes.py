"""Changes of sends by an operator: retry them, cancel them, or record after a restore that they were sent."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from newsletter.audience.next_due import due_on, next_due
from newsletter.model import Send, Subscriber, SubscriberState
from newsletter.services.context import AppContext
from newsletter.services.messages import new_message_id
from newsletter.store import reading, send_changes, subscribers, writing
from newsletter.store.send_changes import Noted, Retry, Selection

_BLOCK = 500


def retry(context: AppContext, wanted: Selection, dry: bool) -> Iterator[tuple[Send, Retry]]:
    """Plan sends again, newest first, so that a paper of several digests stays in the newest."""
    before: int | None = None
    while True:
        with reading(context.engine) as connection:
            chosen = send_changes.select_sends(connection, wanted, before, _BLOCK)
        if not chosen:
            return
        with writing(context.engine) as connection:
            outcomes = send_changes.retry(connection, chosen, context.clock(), dry)
        yield from zip(chosen, outcomes, strict=True)
        before = chosen[-1].row


def cancel(context: AppContext, edition: date) -> tuple[int, int]:
    """Cancel an edition's sends; return how many were cancelled, and how many are on the wire and were not."""
    with writing(context.engine) as connection:
        return send_changes.cancel(connection, edition, context.clock())


def mark_sent(context: AppContext, edition: date, before: datetime, dry: bool) -> Counter[str]:
    """Record that all active subscribers got an edition if they were due for it before a given time (aware).

    Returns:
        The number of subscribers: ``noted``, those who ``had`` it by the log, and those ``not_due`` by then.
    """
    counts: Counter[str] = Counter()
    after = 0
    while True:
        with reading(context.engine) as connection:
            page = subscribers.page(connection, after, _BLOCK, SubscriberState.ACTIVE)
        if not page:
            return counts
        after = page[-1].row
        due = [one for one in page if _was_due(one, edition, before)]
        with writing(context.engine) as connection:
            missing = send_changes.without_edition(connection, [one.row for one in due], edition)
            noted = [_noted(context, one, edition) for one in due if one.row in missing]
            if not dry:
                send_changes.mark_sent(connection, noted, edition, context.clock())
        counts += Counter(noted=len(noted), had=len(due) - len(noted), not_due=len(page) - len(due))


def _was_due(subscriber: Subscriber, edition: date, before: datetime) -> bool:
    moment = due_on(subscriber.preferences.schedule, edition)
    return moment is not None and moment < before


def _noted(context: AppContext, subscriber: Subscriber, edition: date) -> Noted:
    schedule = subscriber.preferences.schedule
    due = due_on(schedule, edition) or context.clock()
    following = next_due(schedule, max(context.clock(), due + timedelta(seconds=1)))
    return Noted(subscriber.row, subscriber.email, new_message_id(context, subscriber, edition), following)
