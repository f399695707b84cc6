"""Substack's exports of subscribers: ``email_list.….csv`` of the archive, and the table of the dashboard.

They say who pays (``active_subscription``, ``plan``, ``expiry``), which does not matter: free ones get mail, too.
"""

from collections.abc import Sequence

from newsletter.audience.other_programs.base import (
    OtherRow,
    TableReader,
    cells_by_column,
    consent_of,
    is_yes,
    moment_of,
    values_of,
)
from newsletter.model import SubscriberState

_OWN = {"active_subscription", "email_disabled", "stripe_plan", "first_payment_at", "paid_upgrade_date"}
_COMMON = {"active", "subscription_type", "expiry", "plan", "subscription_date", "subscription_expires_at"}
_LEAST = 2
"""Number of common columns that identify a file without one of Substack's own."""

_CREATED = ("created_at", "subscription_date", "start_date", "subscribed_at")
_READ = {"email", "name", "email_disabled", *_CREATED}


class Substack(TableReader):
    """Substack's export of subscribers. Those who disabled email are unsubscribed."""

    name = "Substack"

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = _plain(columns)
        self.address = self._columns.index("email")
        self.ignored = [one for one, plain in zip(columns, self._columns, strict=True) if plain not in _READ]

    def read(self, cells: Sequence[str], where: str) -> OtherRow:
        """Read a row."""
        row = cells_by_column(self._columns, cells)
        created = next((row[one] for one in _CREATED if row.get(one)), "")
        return OtherRow(
            values=values_of(row["email"], row.get("name", "")),
            state=SubscriberState.UNSUBSCRIBED if is_yes(row.get("email_disabled", "")) else None,
            consent=consent_of(self.name, [("subscribed", created)]),
            created_at=moment_of(created),
        )


def is_substack(columns: Sequence[str]) -> bool:
    """Return whether these columns (in lower case) are of Substack's export."""
    plain = set(_plain(columns))
    return "email" in plain and bool(_OWN & plain or len(_COMMON & plain) >= _LEAST)


def _plain(columns: Sequence[str]) -> list[str]:
    return [column.replace(" ", "_") for column in columns]
