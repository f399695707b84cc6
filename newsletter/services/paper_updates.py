"""What digests tell of papers that their subscribers were sent or saved."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from newsletter.model import PaperEvent, PaperUpdate, Subscriber
from newsletter.store import paper_events

MOST_UPDATES = 20
"""Events in one digest: warnings first, then the oldest. The next digest has the rest."""

_MAX_AGE = timedelta(days=60)
"""An event that was first seen before that is no news, such as for a subscriber who was away for long."""

_LONGEST_DELAY = timedelta(days=180)
"""A publication or correction that a source reports later than that, such as after a fetch of past years, is no news.
It stays in the history of the paper. A warning is news however late it is.
"""


def load_updates(
    connection: Connection, batch: Sequence[Subscriber], now: datetime, leaving_out: date | None = None
) -> dict[int, list[PaperUpdate]]:
    """Return what the digests of some subscribers (by row) tell of papers, oldest event first.

    Args:
        now: when the digests are composed (UTC).
        leaving_out: an edition whose digests count as not sent.
    """
    unreported = paper_events.unreported(connection, [one.row for one in batch], now - _MAX_AGE, leaving_out)
    wanted = {one.row: set(one.preferences.updates) for one in batch}
    found = {
        row: [one for one in own if one.event.kind in wanted[row] and _is_news(one.event)]
        for row, own in unreported.items()
    }
    return {row: _first(own) for row, own in found.items() if own}


def _is_news(event: PaperEvent) -> bool:
    return event.kind.is_warning or event.day is None or event.seen_at.date() - event.day <= _LONGEST_DELAY


def _first(updates: Sequence[PaperUpdate]) -> list[PaperUpdate]:
    chosen = sorted(updates, key=lambda one: (not one.event.kind.is_warning, one.event.row))[:MOST_UPDATES]
    return sorted(chosen, key=lambda one: one.event.row)
