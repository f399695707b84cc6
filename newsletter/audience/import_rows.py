"""Subscribers of an import, whatever file they come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from newsletter.audience.other_programs.base import OtherRow, moment_of
from newsletter.audience.subscriber_file import contents_from_mapping
from newsletter.config.messages import quoted
from newsletter.errors import UserError
from newsletter.model import Preferences, SubscriberState
from newsletter.support.text import to_single_line

KEYS = (
    "email",
    "name",
    "schedule",
    "papers",
    "trending",
    "layout",
    "interests",
    "never",
    "never_authors",
    "alerts",
    "updates",
    "announcements",
    "tags",
)
"""Keys of a line of JSON."""

LINE_ONLY = {"state", "file", "next_due", "last_digest", "created_at", "consent"}
"""Keys that are no preferences. ``subscribers list --json`` prints some that an import ignores."""

_LONGEST_CONSENT = 300


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A subscriber of an import; ``state`` is None if the line has none.

    Attributes:
        said: what the line says, by key; the rest of ``preferences`` is as usual.
        consent: where the agreement to get mail came from, as the line says.
        tags: those that the line has. ``created_at``: when the person subscribed elsewhere (UTC), if the line says so.
        where: the file and line.
    """

    preferences: Preferences
    said: Mapping[str, Any]
    state: SubscriberState | None
    consent: str = ""
    tags: tuple[str, ...] = ()
    created_at: datetime | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class FileRemark:
    """A remark about the whole file."""

    text: str


ImportFile = ImportRow | UserError | FileRemark
"""A result of reading: a subscriber, the error of a line, or a remark."""


def own_row(data: Mapping[str, Any], where: str) -> ImportRow:
    """Make a row of our own keys.

    Raises:
        UserError: a value is wrong (a line for each).
    """
    state = data.get("state")
    try:
        known = SubscriberState(state) if state else None
    except ValueError:
        states = ", ".join(SubscriberState)
        raise UserError(f"{where}: state: {quoted(state) or 'this'} is not a state; use one of {states}") from None
    said = {key: value for key, value in data.items() if key not in LINE_ONLY}
    contents = contents_from_mapping(said, where)
    created, consent = data.get("created_at"), data.get("consent")
    steps = [consent if isinstance(consent, str) else "", f"since {created}" if isinstance(created, str) else ""]
    return ImportRow(
        contents.preferences,
        said,
        known,
        consent=to_single_line(", ".join(step for step in steps if step))[:_LONGEST_CONSENT],
        tags=contents.tags or (),
        created_at=moment_of(created),
        where=where,
    )


def row_of_other(row: OtherRow, where: str, mapped: Mapping[str, Any]) -> ImportRow:
    """Make a row of another program's export.

    Args:
        mapped: what columns mapped by hand say, by our keys; it replaces what the export says.

    Raises:
        UserError: a value is wrong (a line for each).
    """
    values = {**row.values, **mapped}
    if "schedule" in row.values and "schedule" in mapped:
        values["schedule"] = {**row.values["schedule"], **mapped["schedule"]}
    own = own_row({"state": row.state.value if row.state else None, **values}, where)
    return ImportRow(
        own.preferences,
        own.said,
        own.state,
        consent=", ".join(part for part in (row.consent, own.consent) if part),
        tags=tuple(dict.fromkeys((*row.tags, *own.tags))),
        created_at=own.created_at or row.created_at,
        where=where,
    )
