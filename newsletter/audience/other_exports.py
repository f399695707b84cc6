"""Readers for exports of listmonk and Mailchimp."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from newsletter.config.fields import Timezone
from newsletter.errors import UserError
from newsletter.model import SubscriberState
from newsletter.support.text import to_single_line

_LONGEST_CONSENT = 300

_LISTMONK = {"uuid", "email", "name", "attributes", "status"}
_LISTMONK_STATES = {
    "enabled": None,
    "disabled": SubscriberState.PAUSED,
    "blocklisted": SubscriberState.UNSUBSCRIBED,
}

_MAILCHIMP = {
    *("member_rating", "optin_time", "optin_ip", "confirm_time", "confirm_ip", "gmtoff", "dstoff", "last_changed"),
    *("leid", "euid", "unsub_time", "clean_time"),
}
_MAILCHIMP_LEAST = 3
"""Number of Mailchimp columns that identify a Mailchimp file."""

_MAILCHIMP_EMAIL = ("email address", "email", "e-mail address")
_MAILCHIMP_READ = {"timezone", "optin_time", "optin_ip", "confirm_time", "confirm_ip", "unsub_time", "clean_time"}
_FIRST, _LAST, _WHOLE = ("first name", "fname"), ("last name", "lname"), ("name", "full name")
_AGREED = "subscribed"
_KIND = re.compile(r"(?<![a-z])(subscribed|unsubscribed|cleaned|nonsubscribed|sms[ _]only)(?![a-z])")


@dataclass(frozen=True, slots=True)
class OtherRow:
    """A row of another program's export.

    Attributes:
        values: the preferences, by the keys of a subscriber file.
        state: None for contacts who get mail there: new ones become active, known ones keep their state.
        consent: where the agreement to get mail came from, in words.
    """

    values: Mapping[str, Any]
    state: SubscriberState | None
    consent: str


class Listmonk:
    """listmonk's export of subscribers. It does not say which list somebody has left."""

    name = "listmonk"
    kind = "all"
    left_out = False

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self.address = columns.index("email")
        self.ignored = [one for one in columns if one not in _LISTMONK | {"created_at", "updated_at"}]

    def read(self, cells: Sequence[str], where: str) -> OtherRow:
        """Read a row.

        Raises:
            UserError: it has a status that listmonk does not have.
        """
        row = dict(zip(self._columns, cells, strict=False))
        status = row.get("status", "").strip().lower()
        if status not in _LISTMONK_STATES:
            raise UserError(f"{where}: status: {status!r} is not a status; use one of {', '.join(_LISTMONK_STATES)}")
        values = _values(row.get("email", ""), row.get("name", ""), _zone_in(row.get("attributes", "")))
        created = row.get("created_at", "")
        return OtherRow(values, _LISTMONK_STATES[status], _consent(self.name, [("added", created)]))


class Mailchimp:
    """A file of Mailchimp's export. Its name or its columns show which contacts it has.

    Attributes:
        left_out: whether its contacts never agreed to get mail.
    """

    name = "Mailchimp"

    def __init__(self, columns: Sequence[str], file: str) -> None:
        self._columns = columns
        # The address comes first, under whatever label.
        self.address = next((columns.index(one) for one in _MAILCHIMP_EMAIL if one in columns), 0)
        known = {*_MAILCHIMP, *_MAILCHIMP_READ, *_FIRST, *_LAST, *_WHOLE, columns[self.address]}
        self.ignored = [one for one in columns if one not in known]
        found = _KIND.search(file.lower())
        by_column = "cleaned" if "clean_time" in columns else "unsubscribed" if "unsub_time" in columns else _AGREED
        self.kind = found[1] if found else by_column
        self.left_out = self.kind not in (_AGREED, "unsubscribed", "cleaned")

    def read(self, cells: Sequence[str], where: str) -> OtherRow:
        """Read a row."""
        row: dict[str, str] = {}
        for column, cell in zip(self._columns, cells, strict=False):
            row.setdefault(column, cell.strip())
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
        values = _values(cells[self.address] if len(cells) > self.address else "", name, _zone(row.get("timezone", "")))
        return OtherRow(values, state, _consent(self.name, steps))


def other_export(columns: Sequence[str], file: str) -> Listmonk | Mailchimp | None:
    """Return the reader for the export with these columns (in lower case), None for our own format.

    Args:
        file: the file's name.
    """
    if set(columns) >= _LISTMONK:
        return Listmonk(columns)
    its_own = len(_MAILCHIMP & set(columns))
    labelled = _MAILCHIMP_EMAIL[0] in columns and (its_own or _KIND.search(file.lower()))
    return Mailchimp(columns, file) if labelled or its_own >= _MAILCHIMP_LEAST else None


def reading_order(names: Iterable[str]) -> list[str]:
    """Return the CSV files of a Mailchimp archive, those of contacts who left first, so that no other file brings them
    back.
    """
    files = [one for one in names if one.lower().endswith(".csv") and not one.startswith("__MACOSX/")]
    contacts = [one for one in files if _KIND.search(one.rpartition("/")[2].lower())]
    return sorted(contacts or files, key=lambda one: (_kind_of(one) == _AGREED, one))


def _kind_of(name: str) -> str:
    found = _KIND.search(name.rpartition("/")[2].lower())
    return found[1] if found else _AGREED


def _values(email: str, name: str, zone: str | None) -> Mapping[str, Any]:
    values: dict[str, Any] = {"email": email.strip()}
    if name.strip():
        values["name"] = name.strip()
    if zone is not None:
        values["schedule"] = {"timezone": zone}
    return values


def _first(row: Mapping[str, str], columns: Sequence[str]) -> str:
    return next((row[one] for one in columns if row.get(one)), "")


def _zone(name: str) -> str | None:
    """Return a time zone, None if it is unknown here: that is no reason to leave a subscriber out."""
    try:
        return TypeAdapter(Timezone).validate_python(name.strip()) if name.strip() else None
    except ValidationError:
        return None


def _zone_in(attributes: str) -> str | None:
    """Return the time zone from listmonk's attributes, an arbitrary JSON object."""
    try:
        read = json.loads(attributes)
    except (ValueError, RecursionError):
        return None
    found = read.get("timezone") if isinstance(read, dict) else None
    return _zone(found) if isinstance(found, str) else None


def _consent(program: str, steps: Iterable[tuple[str, str]]) -> str:
    said = ", ".join(f"{what} {when}" for what, when in steps if when.strip())
    return to_single_line(f"by {program}: {said}" if said else f"by {program}")[:_LONGEST_CONSENT]
