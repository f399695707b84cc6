"""Mailchimp's export of an audience: a CSV file for each kind of contact, in a ZIP archive."""

import csv
import re
from collections.abc import Iterator, Sequence

from newsletter.audience.other_programs.base import (
    OtherRow,
    TableReader,
    cells_by_column,
    consent_of,
    known_zone,
    moment_of,
    tags_of,
    values_of,
)
from newsletter.model import SubscriberState

_COLUMNS = {
    *("member_rating", "optin_time", "optin_ip", "confirm_time", "confirm_ip", "gmtoff", "dstoff", "last_changed"),
    *("leid", "euid", "unsub_time", "clean_time"),
}
_LEAST = 3
"""Number of Mailchimp columns that identify a Mailchimp file."""

_EMAIL = ("email address", "email", "e-mail address")
_READ = {"timezone", "tags", "optin_time", "optin_ip", "confirm_time", "confirm_ip", "unsub_time", "clean_time"}
_FIRST, _LAST, _WHOLE = ("first name", "fname"), ("last name", "lname"), ("name", "full name")
_AGREED = "subscribed"
_KIND = re.compile(r"(?<![a-z])(subscribed|unsubscribed|cleaned|nonsubscribed|sms[ _]only)(?![a-z])")


class Mailchimp(TableReader):
    """A file of Mailchimp's export. Its name or its columns show which contacts it has."""

    name = "Mailchimp"

    def __init__(self, columns: Sequence[str], file: str) -> None:
        self._columns = columns
        # The address comes first, under whatever label.
        self.address = next((columns.index(one) for one in _EMAIL if one in columns), 0)
        known = {*_COLUMNS, *_READ, *_FIRST, *_LAST, *_WHOLE, columns[self.address]}
        self.ignored = [one for one in columns if one not in known]
        by_column = "cleaned" if "clean_time" in columns else "unsubscribed" if "unsub_time" in columns else _AGREED
        self.kind = named_kind(file) or by_column
        self.left_out = self.kind not in (_AGREED, "unsubscribed", "cleaned")

    def read(self, cells: Sequence[str], where: str) -> OtherRow:
        """Read a row."""
        row = cells_by_column(self._columns, cells)
        parts = [_first(row, _FIRST), _first(row, _LAST)]
        name = " ".join(part for part in parts if part) or _first(row, _WHOLE)
        state = None
        if self.kind == "cleaned" or row.get("clean_time"):
            state = SubscriberState.BOUNCED
        elif self.kind == "unsubscribed" or row.get("unsub_time"):
            state = SubscriberState.UNSUBSCRIBED
        steps = [
            (said, " from ".join(part for part in (row.get(f"{step}_time"), row.get(f"{step}_ip")) if part))
            for said, step in (("opted in", "optin"), ("confirmed", "confirm"))
        ]
        email = cells[self.address] if len(cells) > self.address else ""
        return OtherRow(
            values=values_of(email, name, known_zone(row.get("timezone", ""))),
            state=state,
            consent=consent_of(self.name, steps),
            tags=tags_of(_tag_names(row.get("tags", ""))),
            created_at=moment_of(row.get("optin_time")) or moment_of(row.get("confirm_time")),
        )


def is_mailchimp(columns: Sequence[str], file: str) -> bool:
    """Return whether these columns (in lower case) are of Mailchimp's export; the file's name may tell, too."""
    its_own = len(_COLUMNS & set(columns))
    return its_own >= _LEAST or bool(_EMAIL[0] in columns and (its_own or named_kind(file)))


def named_kind(file: str) -> str | None:
    """Return the kind of contacts that a file's name says."""
    found = _KIND.search(file.rpartition("/")[2].lower())
    return found[1] if found else None


def is_agreed(file: str) -> bool:
    """Return whether a file has contacts who get mail, as far as its name says."""
    return named_kind(file) in (None, _AGREED)


def _tag_names(cell: str) -> Iterator[str]:
    """Yield the names in a cell such as ``"VIP","Blog"``."""
    for row in csv.reader([cell], skipinitialspace=True):
        yield from row


def _first(row: dict[str, str], columns: Sequence[str]) -> str:
    return next((row[one] for one in columns if row.get(one)), "")
