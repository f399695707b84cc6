"""What the readers of other programs' exports share."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from newsletter.config.fields import Timezone
from newsletter.model import SubscriberState
from newsletter.support.tags import to_tag
from newsletter.support.text import to_single_line

_LONGEST_CONSENT = 300
_GO_ZONE = re.compile(r"\s([+-]\d{4})\s[A-Z]{2,5}(?:\sm=\S+)?$")
_FRACTION = re.compile(r"(\.\d{6})\d+")
_EPOCH = re.compile(r"\d{9,10}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherRow:
    """A subscriber in another program's export.

    Attributes:
        values: the preferences, by the keys of a subscriber file.
        state: None for contacts who get mail there: new ones become active, known ones keep their state.
        consent: where the agreement to get mail came from, in words.
        tags: the lists and labels that the subscriber has there.
        created_at: when the subscriber was added there (UTC), if the export says so.
    """

    values: Mapping[str, Any]
    state: SubscriberState | None
    consent: str
    tags: tuple[str, ...] = ()
    created_at: datetime | None = None


class TableReader(ABC):
    """A reader for a CSV file of a program.

    Attributes:
        name: of the program. ``kind``: which contacts the file has, such as "unsubscribed".
        address: the column with the address. ``ignored``: the columns that are not read.
        left_out: whether its contacts never agreed to get mail.
    """

    name: str
    kind: str = "all"
    address: int
    ignored: Sequence[str]
    left_out: bool = False

    @abstractmethod
    def read(self, cells: Sequence[str], where: str) -> OtherRow:
        """Read a row.

        Raises:
            UserError: the row is wrong; ``where`` it is, for the message.
        """


def cells_by_column(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """Return the cells of a row by column; the first of several columns with one name counts."""
    row: dict[str, str] = {}
    for column, cell in zip(columns, cells, strict=False):
        row.setdefault(column, cell.strip())
    return row


def values_of(email: str, name: str, zone: str | None = None) -> dict[str, Any]:
    """Return preferences by the keys of a subscriber file."""
    values: dict[str, Any] = {"email": email.strip()}
    if name.strip():
        values["name"] = name.strip()
    if zone is not None:
        values["schedule"] = {"timezone": zone}
    return values


def known_zone(name: object) -> str | None:
    """Return a time zone, None if it is unknown here: that is no reason to leave a subscriber out."""
    try:
        return TypeAdapter(Timezone).validate_python(name.strip()) if isinstance(name, str) and name.strip() else None
    except ValidationError:
        return None


def tags_of(names: Iterable[object]) -> tuple[str, ...]:
    """Return the tags for names of lists or labels, each once."""
    tags = (to_tag(name) for name in names if isinstance(name, str))
    return tuple(dict.fromkeys(tag for tag in tags if tag))


def consent_of(program: str, steps: Iterable[tuple[str, str]]) -> str:
    """Describe where an agreement came from: the program, and what was done there when."""
    said = ", ".join(f"{what} {when}" for what, when in steps if when.strip())
    return to_single_line(f"by {program}: {said}" if said else f"by {program}")[:_LONGEST_CONSENT]


def is_yes(cell: str) -> bool:
    """Return whether a cell says yes."""
    return cell.strip().lower() in ("true", "t", "yes", "y", "1")


def is_no(cell: str) -> bool:
    """Return whether a cell says no; an empty one says nothing."""
    return cell.strip().lower() in ("false", "f", "no", "n", "0")


def moment_of(text: object) -> datetime | None:
    """Parse when something was (UTC); None if it is unclear, such as 3/4/2024, or out of range.

    Formats: ISO 8601, Go's ``2024-03-05 10:20:30 +0000 UTC``, RFC 5322, seconds since 1970. A moment without a time
    zone is in UTC.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str):
        return None
    written = _FRACTION.sub(r"\1", _GO_ZONE.sub(r"\1", text.strip()))
    try:
        if _EPOCH.fullmatch(written):
            return datetime.fromtimestamp(int(written), UTC)
        try:
            found = datetime.fromisoformat(written)
        except ValueError:
            found = parsedate_to_datetime(written)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        return None
    return found if found.year >= 1970 else None  # A zero moment, as of Go, says nothing.
