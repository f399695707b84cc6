"""Ghost's CSV export of members (https://ghost.org/help/import-members/)."""

from collections.abc import Sequence

from newsletter.audience.other_programs.base import (
    OtherRow,
    TableReader,
    cells_by_column,
    consent_of,
    is_no,
    moment_of,
    tags_of,
    values_of,
)
from newsletter.model import SubscriberState

_OWN = {"subscribed_to_emails", "complimentary_plan", "stripe_customer_id"}
_LEAST = 2
"""Number of Ghost's own columns that identify its file."""

_READ = {"id", "email", "name", "subscribed_to_emails", "created_at", "deleted_at", "labels"}


class Ghost(TableReader):
    """Ghost's export of members. Members who get no email, and deleted ones, are unsubscribed; labels become tags."""

    name = "Ghost"

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self.address = columns.index("email")
        self.ignored = [one for one in columns if one not in _READ]

    def read(self, cells: Sequence[str], where: str) -> OtherRow:
        """Read a row."""
        row = cells_by_column(self._columns, cells)
        left = is_no(row.get("subscribed_to_emails", "")) or row.get("deleted_at", "").lower() not in ("", "null")
        return OtherRow(
            values=values_of(row["email"], row.get("name", "")),
            state=SubscriberState.UNSUBSCRIBED if left else None,
            consent=consent_of(self.name, [("member since", row.get("created_at", ""))]),
            tags=tags_of(row.get("labels", "").split(",")),
            created_at=moment_of(row.get("created_at")),
        )


def is_ghost(columns: Sequence[str]) -> bool:
    """Return whether these columns (in lower case) are of Ghost's export."""
    return "email" in columns and ("subscribed_to_emails" in columns or len(_OWN & set(columns)) >= _LEAST)
