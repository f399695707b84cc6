"""Subscribers as CSV and as JSON lines, in and out."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from newsletter.audience.interests import preferences_from_mapping
from newsletter.errors import UserError
from newsletter.model import Preferences, Subscriber, SubscriberState
from newsletter.store.preferences import to_json
from newsletter.textfile import MOST_BYTES_OF_LISTS, read_text

COLUMNS = ("email", "name", "state", "days", "time", "timezone", "papers", "interests", "never")
"""The columns of a CSV file. ``days``, ``interests`` and ``never`` hold several values, parted by ``;``."""


_TOLD_ONLY = {"state", "file", "next_due", "last_digest", "created_at"}
"""What ``subscribers list --json`` tells but a line cannot set (a state is set apart from the preferences)."""


@dataclass(frozen=True, slots=True)
class Line:
    """A subscriber as a line of an import says; ``state`` is None where the line says nothing of it.

    Attributes:
        said: what the line says, by key; the rest of ``preferences`` is as usual.
    """

    preferences: Preferences
    said: Mapping[str, Any]
    state: SubscriberState | None


def read_lines(path: Path) -> Iterator[Line | UserError]:
    """Read subscribers from a ``.csv`` or ``.jsonl`` file; a line that is wrong gives its error instead.

    Raises:
        UserError: the file as a whole cannot be read.
    """
    text = read_text(path, str(path), MOST_BYTES_OF_LISTS)
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: of no known kind; name it .csv or .jsonl")
    for row in reader(text, str(path)):
        if isinstance(row, UserError):
            yield row
            continue
        where, data = row
        try:
            yield _line(data, where)
        except UserError as error:
            yield error


def _line(data: Mapping[str, Any], where: str) -> Line:
    state = data.get("state")
    try:
        known = SubscriberState(state) if state else None
    except ValueError:
        states = ", ".join(SubscriberState)
        raise UserError(f"{where}: state: {state!r} is no state; one of {states}") from None
    said = {key: value for key, value in data.items() if key not in _TOLD_ONLY}
    return Line(preferences_from_mapping(said, where), said, known)


def _csv_rows(text: str, shown: str) -> Iterator[tuple[str, Mapping[str, Any]] | UserError]:
    if "\0" in text:
        raise UserError(f"{shown}: has a NUL character; save it as plain CSV")
    reader = csv.DictReader(StringIO(text), restkey="", strict=True)
    try:
        columns = [name.strip().lower() for name in reader.fieldnames or ()]
    except csv.Error as error:
        raise UserError(f"{shown}:1: not CSV: {error}") from None
    unknown = sorted(set(columns) - set(COLUMNS))
    if "email" not in columns or unknown:
        what = f"unknown column {unknown[0]!r}" if unknown else "no column 'email'"
        raise UserError(f"{shown}:1: {what}; the columns are {', '.join(COLUMNS)}")
    twice = [name for name in COLUMNS if columns.count(name) > 1]
    if twice:
        raise UserError(f"{shown}:1: column {twice[0]!r} is there twice; keep one of them")
    reader.fieldnames = columns
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield UserError(f"{shown}:{reader.line_num}: not CSV: {error}")
            return
        if row is None:
            return
        where = f"{shown}:{reader.line_num}"
        if "" in row:
            yield UserError(f"{where}: more values than columns; put quotes around a value that has a comma")
        else:
            yield where, _from_row({key: (value or "").strip() for key, value in row.items()})


def _from_row(row: Mapping[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = {key: row[key] for key in ("email", "name", "state", "papers") if row.get(key)}
    schedule: dict[str, Any] = {key: row[key] for key in ("time", "timezone") if row.get(key)}
    if row.get("days"):
        schedule["days"] = _parts(row["days"])
    if schedule:
        data["schedule"] = schedule
    for key in ("interests", "never"):
        if row.get(key):
            data[key] = _parts(row[key])
    return {"email": "", **data}


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _json_rows(text: str, shown: str) -> Iterator[tuple[str, Mapping[str, Any]] | UserError]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{shown}:{number}"
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            yield UserError(f"{where}: not JSON; each line is one object")
            continue
        if isinstance(data, dict):
            yield where, data
        else:
            yield UserError(f'{where}: not an object; each line is one like {{"email": "ada@example.org"}}')


def to_row(subscriber: Subscriber) -> dict[str, str]:
    """A subscriber as a row of CSV. Of an interest only its words are kept; JSON lines keep all."""
    preferences = subscriber.preferences
    interests = (interest.text or interest.name for interest in preferences.interests)
    return {
        "email": preferences.email,
        "name": preferences.name,
        "state": subscriber.state.value,
        "days": ";".join(preferences.schedule.days),
        "time": preferences.schedule.time.strftime("%H:%M"),
        "timezone": preferences.schedule.timezone,
        "papers": str(preferences.papers),
        "interests": ";".join(text.replace(";", ",") for text in interests),
        "never": ";".join(word.replace(";", ",") for word in preferences.never),
    }


def to_object(subscriber: Subscriber) -> dict[str, Any]:
    """A subscriber as a line of JSON, with all that an import takes back."""
    return {"email": subscriber.email, "state": subscriber.state.value, **to_json(subscriber.preferences)}


def csv_text(subscribers: Iterable[Subscriber], heading: bool) -> str:
    """Rows of CSV, under a heading if wanted."""
    out = StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    if heading:
        writer.writeheader()
    for subscriber in subscribers:
        writer.writerow(to_row(subscriber))
    return out.getvalue()
