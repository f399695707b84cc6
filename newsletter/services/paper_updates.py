"""What digests tell of papers that their subscribers were sent or saved."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from newsletter.model import PaperEvent, PaperUpdate, Subscriber
from newsletter.ranking.publication_age import latest_day
from newsletter.store import paper_events

MOST_UPDATES = 20
"""Events in one digest: warnings first, then the oldest. The next digest has the rest."""

_MAX_DAYS = 60
"""An event that was first seen before that is no news, such as for a subscriber who was away for long. Nor is one that
happened so long before it was first seen, such as by a fetch of past days; but a warning is.
"""


def load_updates(
    connection: Connection, batch: Sequence[Subscriber], now: datetime, leaving_out: date | None = None
) -> dict[int, list[PaperUpdate]]:
    """Return what the digests of some subscribers (by row) tell of papers, oldest event first.

    Args:
        now: when the digests are composed (UTC).
        leaving_out: an edition whose digests count as not sent.
    """
    unreported = paper_events.unreported(
        connection, [one.row for one in batch], now - timedelta(days=_MAX_DAYS), leaving_out
    )
    wanted = {one.row: set(one.preferences.updates) for one in batch}
    found = {
        row: [one for one in own if one.event.kind in wanted[row] and _is_news(one.event)]
        for row, own in unreported.items()
    }
    return {row: _first(own) for row, own in found.items() if own}


def _is_news(event: PaperEvent) -> bool:
    if event.kind.is_warning or event.day is None:
        return True
    return event.seen_at.date() - latest_day(event.day) <= timedelta(days=_MAX_DAYS)


def _first(updates: Sequence[PaperUpdate]) -> list[PaperUpdate]:
    chosen = sorted(updates, key=lambda one: (not one.event.kind.is_warning, one.event.row))[:MOST_UPDATES]
    return sorted(chosen, key=lambda one: one.event.row)
