"""Import and export of subscribers as CSV and JSON lines."""

import csv
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import IO, Any

from newsletter.audience.other_exports import other_export, reading_order
from newsletter.audience.subscriber_file import preferences_from_mapping
from newsletter.config.messages import quoted
from newsletter.errors import UserError
from newsletter.model import Preferences, Subscriber, SubscriberState
from newsletter.store.preferences import to_json
from newsletter.support.csv_files import CsvTable, escape_formula, unescape_formula
from newsletter.support.files import open_file
from newsletter.support.line_files import MOST_OF_A_LINE, LineReader, TextLine, encoding_of
from newsletter.support.text import is_utf8, shorten_middle

_SINGLE = ("email", "name", "state", "papers", "trending", "layout", "announcements")
COLUMNS = (
    "email",
    "name",
    "state",
    "days",
    "time",
    "timezone",
    "papers",
    "trending",
    "layout",
    "interests",
    "never",
    "updates",
    "announcements",
)
"""The columns of a CSV file. ``days``, ``interests``, ``never`` and ``updates`` hold several values, separated by
``;``; ``updates`` may also be ``none``. ``announcements`` is ``yes`` or ``no``."""

_NONE = "none"
"""What the column ``updates`` has for no updates, since an empty cell changes nothing."""

_LINE_ONLY = {"state", "file", "next_due", "last_digest", "created_at"}
"""Keys that ``subscribers list --json`` prints but an import ignores."""

_ADDRESS_COLUMNS = {"email", "email address", "e-mail address"}
_KEYS = (
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
)
_MOST_NAMED = 20
_MOST_OF_A_NAME = 60
_MOST_UNPACKED = 2_000_000_000


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A subscriber of an import; ``state`` is None if the line has none.

    Attributes:
        said: what the line says, by key; the rest of ``preferences`` is as usual.
        consent: where the agreement to get mail came from, as the line says.
    """

    preferences: Preferences
    said: Mapping[str, Any]
    state: SubscriberState | None
    consent: str = ""


@dataclass(frozen=True, slots=True)
class FileRemark:
    """A remark about the whole file."""

    text: str


ImportFile = ImportRow | UserError | FileRemark
"""A result of reading: a subscriber, the error of a line, or a remark."""


def read_lines(path: Path, ignore_unknown: bool = False) -> Iterator[ImportFile]:
    """Read subscribers from a ``.csv`` or ``.jsonl`` file, or from the ``.zip`` of a Mailchimp export; a line that is
    wrong gives its error instead.

    Args:
        ignore_unknown: pass over columns and keys that are not known, with a remark that names them.

    Raises:
        UserError: the file as a whole cannot be read.
    """
    ending = path.suffix.lower()
    if ending in (".csv", ".tsv"):
        yield from _read_csv(lambda: open_file(path, str(path)), path.name, str(path), ignore_unknown)
    elif ending in (".jsonl", ".ndjson"):
        yield from _read_json(lambda: open_file(path, str(path)), str(path), ignore_unknown)
    elif ending == ".zip":
        yield from _read_zip(path, ignore_unknown)
    else:
        raise UserError(f"{path}: unknown file type; name it .csv, .jsonl or .zip")


def _read_zip(path: Path, ignore_unknown: bool) -> Iterator[ImportFile]:
    try:
        with open_file(path, str(path)) as file, zipfile.ZipFile(file) as archive:
            names = reading_order(archive.namelist())
            if not names:
                raise UserError(f"{path}: contains no CSV file; choose the archive that Mailchimp exported")
            for name in names:
                shown = f"{path}/{name}"
                if archive.getinfo(name).file_size > _MOST_UNPACKED:
                    raise UserError(f"{shown}: larger than {_MOST_UNPACKED // 1_000_000} MB unpacked; split it")
                yield from _read_csv(partial(archive.open, name), name.rpartition("/")[2], shown, ignore_unknown)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path}: cannot unpack it ({error}); unpack it and import its CSV files") from None


def _read_csv(open_it: Callable[[], IO[bytes]], name: str, shown: str, ignore_unknown: bool) -> Iterator[ImportFile]:
    encoding = encoding_of(open_it)
    if encoding == "cp1252":
        yield FileRemark(f"{shown}: not UTF-8, so it is read as Windows-1252; if names look wrong, save it as UTF-8")
    with open_it() as file:
        table = CsvTable(LineReader(file, encoding), shown, _ADDRESS_COLUMNS)
        columns = [column.lower() for column in table.columns]
        other = other_export(columns, name)
        if other is None:
            yield from _own_rows(table, columns, shown, ignore_unknown)
            return
        if other.left_out:
            yield FileRemark(f"{shown}: {other.kind} contacts never agreed to get mail; skipped")
            return
        yield FileRemark(f"{shown}: read as {other.name}'s export of {other.kind} contacts{_without(other.ignored)}")
        for row in table.rows(other.address):
            if isinstance(row, UserError):
                yield row
                continue
            where = f"{shown}:{row.line}"
            try:
                read = other.read(row.cells, where)
                yield ImportRow(preferences_from_mapping(read.values, where), read.values, read.state, read.consent)
            except UserError as error:
                yield error


def _without(ignored: Sequence[str]) -> str:
    return f"; columns ignored: {_named(ignored)}" if ignored else ""


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(repr(shorten_middle(name, _MOST_OF_A_NAME)) for name in names[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else shown


def _own_rows(table: CsvTable, columns: Sequence[str], shown: str, ignore_unknown: bool) -> Iterator[ImportFile]:
    unknown = list(dict.fromkeys(one for one in columns if one not in COLUMNS))
    if "email" not in columns:
        raise UserError(f"{shown}:1: no column 'email'; the columns are {', '.join(COLUMNS)}, not {_named(columns)}")
    if unknown and not ignore_unknown:
        what = f"unknown column{'' if len(unknown) == 1 else 's'} {_named(unknown)}"
        raise UserError(
            f"{shown}:1: {what}; the columns are {', '.join(COLUMNS)}; ignore the others with --ignore-unknown"
        )
    twice = [name for name in COLUMNS if columns.count(name) > 1]
    if twice:
        raise UserError(f"{shown}:1: column {twice[0]!r} appears twice; keep one of them")
    if unknown:
        yield FileRemark(f"{shown}{_without(unknown).replace(';', ':', 1)}")
    places = {name: columns.index(name) for name in COLUMNS if name in columns}
    for row in table.rows(places["email"]):
        if isinstance(row, UserError):
            yield row
            continue
        cells = {key: row.cells[place].strip() for key, place in places.items() if place < len(row.cells)}
        try:
            yield _line(_from_row({key: unescape_formula(cell) for key, cell in cells.items()}), f"{shown}:{row.line}")
        except UserError as error:
            yield error


def _line(data: Mapping[str, Any], where: str) -> ImportRow:
    state = data.get("state")
    try:
        known = SubscriberState(state) if state else None
    except ValueError:
        states = ", ".join(SubscriberState)
        raise UserError(f"{where}: state: {quoted(state) or 'this'} is not a state; use one of {states}") from None
    said = {key: value for key, value in data.items() if key not in _LINE_ONLY}
    return ImportRow(preferences_from_mapping(said, where), said, known)


def _from_row(row: Mapping[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = {key: row[key] for key in _SINGLE if row.get(key)}
    schedule: dict[str, Any] = {key: row[key] for key in ("time", "timezone") if row.get(key)}
    if row.get("days"):
        schedule["days"] = _parts(row["days"])
    if schedule:
        data["schedule"] = schedule
    for key in ("interests", "never", "updates"):
        if row.get(key):
            data[key] = _parts(row[key])
    if row.get("updates", "").lower() == _NONE:
        data["updates"] = []
    return {"email": "", **data}


_PART = re.compile(r"(?:\\[\\;]|[^;])+")


def _parts(text: str) -> list[str]:
    """Split a cell at semicolons; ``\\;`` is a literal semicolon, ``\\\\`` a backslash."""
    parts = (re.sub(r"\\([\\;])", r"\1", part).strip() for part in _PART.findall(text))
    return [part for part in parts if part]


def _joined(parts: Iterable[str]) -> str:
    return ";".join(re.sub(r"([\\;])", r"\\\1", part) for part in parts)


def _read_json(open_it: Callable[[], IO[bytes]], shown: str, ignore_unknown: bool) -> Iterator[ImportFile]:
    encoding = encoding_of(open_it)
    if encoding == "cp1252":
        encoding = "utf-8"  # JSON is in no other (RFC 8259, section 8.1); lines that are not are reported.
    ignored: dict[str, None] = {}
    with open_it() as file:
        lines = LineReader(file, encoding)
        while (line := lines.read()) is not None:
            if not line.text.strip() and not line.is_too_long:
                continue
            where = f"{shown}:{line.number}"
            try:
                data = _object(line, where)
                if ignore_unknown:
                    unknown = [key for key in data if key not in _KEYS and key not in _LINE_ONLY]
                    ignored.update(dict.fromkeys(unknown[: _MOST_NAMED + 1]) if len(ignored) <= _MOST_NAMED else {})
                    data = {key: value for key, value in data.items() if key not in unknown}
                yield _line(data, where)
            except UserError as error:
                yield error
    if ignored:
        yield FileRemark(f"{shown}: keys ignored: {_named(list(ignored))}")


def _object(line: TextLine, where: str) -> dict[str, Any]:
    if line.is_too_long:
        raise UserError(f"{where}: longer than {MOST_OF_A_LINE:,} characters; shorten it")
    if not is_utf8(line.text):
        raise UserError(f"{where}: not UTF-8; save the file as UTF-8")
    try:
        data = json.loads(line.text, object_pairs_hook=partial(_with_each_key_once, where))
    except (ValueError, RecursionError):
        raise UserError(f"{where}: not JSON; write one object per line") from None
    if not isinstance(data, dict):
        raise UserError(f'{where}: not an object; each line is one like {{"email": "ada@example.org"}}')
    return data


def _with_each_key_once(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise UserError(f"{where}: {shorten_middle(key, _MOST_OF_A_NAME)}: duplicate key; keep one of them")
        data[key] = value
    return data


def to_row(subscriber: Subscriber) -> dict[str, str]:
    """Convert a subscriber to a CSV row, without formulas. CSV only has the text of interests; JSON lines have all."""
    preferences = subscriber.preferences
    interests = (interest.text or interest.name for interest in preferences.interests)
    row = {
        "email": preferences.email,
        "name": preferences.name,
        "state": subscriber.state.value,
        "days": _joined(preferences.schedule.days),
        "time": preferences.schedule.time.strftime("%H:%M"),
        "timezone": preferences.schedule.timezone,
        "papers": str(preferences.papers),
        "trending": "" if preferences.trending is None else str(preferences.trending),
        "layout": preferences.layout or "",
        "interests": _joined(interests),
        "never": _joined(preferences.never),
        "updates": _joined(preferences.updates) or _NONE,
        "announcements": "yes" if preferences.announcements else "no",
    }
    return {key: escape_formula(cell) for key, cell in row.items()}


def to_object(subscriber: Subscriber) -> dict[str, Any]:
    """Convert a subscriber to a JSON object with all that an import reads."""
    return {"email": subscriber.email, "state": subscriber.state.value, **to_json(subscriber.preferences)}


def csv_text(subscribers: Iterable[Subscriber], heading: bool) -> str:
    """Format rows as CSV, optionally with a heading."""
    out = StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    if heading:
        writer.writeheader()
    for subscriber in subscribers:
        writer.writerow(to_row(subscriber))
    return out.getvalue()
