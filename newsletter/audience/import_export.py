"""Import and export of subscribers as CSV and JSON lines."""

import csv
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from typing import IO, Any

from newsletter.audience.column_map import ColumnMap, joined, listed
from newsletter.audience.import_json import read_document, read_json_lines
from newsletter.audience.import_rows import FileRemark, ImportFile, own_row, row_of_other
from newsletter.audience.other_programs import files_in_archive, other_export
from newsletter.audience.other_programs.base import TableReader, tags_of
from newsletter.errors import UserError
from newsletter.model import Subscriber
from newsletter.store.preferences import to_json
from newsletter.support.csv_files import CsvTable, Row, escape_formula, unescape_formula
from newsletter.support.files import open_file
from newsletter.support.line_files import LineReader, encoding_of

_SINGLE = ("email", "name", "state", "papers", "trending", "layout")
_SEVERAL = ("interests", "never", "updates", "tags")
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
    "tags",
)
"""The columns of a CSV file. ``days`` and those from ``interests`` on hold several values, separated by ``;``;
``updates`` may also be ``none``."""

_ORIGIN = ("created_at", "consent")
"""Columns that are only imported: when and how somebody agreed to get mail."""

MAPPED = (*COLUMNS, *_ORIGIN)
"""The keys that columns of another table may be mapped to."""

_NONE = "none"
"""What the column ``updates`` has for no updates, since an empty cell changes nothing."""

_ADDRESS_COLUMNS = {"email", "email address", "e-mail address"}
_MOST_UNPACKED = 2_000_000_000
_UNMAPPED = ColumnMap({})


def read_lines(path: Path, ignore_unknown: bool = False, mapping: ColumnMap = _UNMAPPED) -> Iterator[ImportFile]:
    """Read subscribers from a ``.csv``, ``.jsonl`` or ``.json`` file, or from the ``.zip`` of another program's export;
    a line that is wrong gives its error instead.

    Args:
        ignore_unknown: pass over columns and keys that are not known, with a remark that names them.
        mapping: columns of a CSV file that hold what ours do. Other unknown columns are passed over.

    Raises:
        UserError: the file as a whole cannot be read.
    """
    ending = path.suffix.lower()
    if mapping.columns and ending in (".jsonl", ".ndjson", ".json"):
        raise UserError(f"{path}: --map is for columns of CSV files; rename the keys in the file")
    if ending in (".csv", ".tsv"):
        yield from _read_csv(lambda: open_file(path, str(path)), path.name, str(path), ignore_unknown, mapping)
    elif ending in (".jsonl", ".ndjson"):
        yield from read_json_lines(lambda: open_file(path, str(path)), str(path), ignore_unknown)
    elif ending == ".json":
        yield from read_document(path, ignore_unknown)
    elif ending == ".zip":
        with files_of_archive(path) as contained:
            for name, open_it in contained:
                yield from _read_csv(open_it, name.rpartition("/")[2], f"{path}/{name}", ignore_unknown, mapping)
    else:
        raise UserError(f"{path}: unknown file type; name it .csv, .jsonl, .json or .zip")


@contextmanager
def files_of_archive(path: Path) -> Iterator[list[tuple[str, Callable[[], IO[bytes]]]]]:
    """Open another program's archive: the CSV files with contacts, each by its name and how to open it.

    Raises:
        UserError: the archive cannot be unpacked, which may turn out while a file is read, or has no such file.
    """
    try:
        with open_file(path, str(path)) as file, zipfile.ZipFile(file) as archive:
            names = files_in_archive(archive.namelist())
            if not names:
                raise UserError(f"{path}: contains no CSV file; choose the archive that the other program exported")
            for name in names:
                if archive.getinfo(name).file_size > _MOST_UNPACKED:
                    raise UserError(f"{path}/{name}: larger than {_MOST_UNPACKED // 1_000_000} MB unpacked; split it")
            yield [(name, partial(archive.open, name)) for name in names]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path}: cannot unpack it ({error}); unpack it and import its CSV files") from None


def _read_csv(
    open_it: Callable[[], IO[bytes]], name: str, shown: str, ignore_unknown: bool, mapping: ColumnMap
) -> Iterator[ImportFile]:
    encoding = encoding_of(open_it)
    if encoding == "cp1252":
        yield FileRemark(f"{shown}: not UTF-8, so it is read as Windows-1252; if names look wrong, save it as UTF-8")
    with open_it() as file:
        table = CsvTable(LineReader(file, encoding), shown, _ADDRESS_COLUMNS | _named_for_email(mapping))
        columns = [column.lower() for column in table.columns]
        mapped = mapping.places(table.columns, f"{shown}:1")
        other = other_export(columns, name)
        if other is None:
            yield from _own_rows(table, columns, shown, ignore_unknown, mapped)
        elif other.left_out:
            yield FileRemark(f"{shown}: {other.kind} contacts never agreed to get mail; skipped")
        else:
            yield from _other_rows(table, other, shown, mapped)


def _named_for_email(mapping: ColumnMap) -> set[str]:
    return {mapping.columns["email"].strip().lower()} if "email" in mapping.columns else set()


def _other_rows(
    table: CsvTable, other: TableReader, shown: str, mapped: Mapping[str, Sequence[int]]
) -> Iterator[ImportFile]:
    used = {table.columns[place].lower() for places in mapped.values() for place in places}
    ignored = [one for one in other.ignored if one not in used]
    yield FileRemark(f"{shown}: read as {other.name}'s export of {other.kind} contacts{_without(ignored)}")
    for row in table.rows(other.address):
        if isinstance(row, UserError):
            yield row
            continue
        where = f"{shown}:{row.line}"
        try:
            yield row_of_other(other.read(row.cells, where), where, _mapping_of(row, {}, mapped))
        except UserError as error:
            yield error


def _without(ignored: Sequence[str]) -> str:
    return f"; columns ignored: {listed(ignored)}" if ignored else ""


def _own_rows(
    table: CsvTable, columns: Sequence[str], shown: str, ignore_unknown: bool, mapped: Mapping[str, Sequence[int]]
) -> Iterator[ImportFile]:
    used = {place for places in mapped.values() for place in places}
    left = {place: name for place, name in enumerate(columns) if place not in used}
    own = {name: [place] for place, name in reversed(left.items()) if name in COLUMNS and name not in mapped}
    unknown = list(dict.fromkeys(name for name in left.values() if name not in COLUMNS))
    if "email" not in own and "email" not in mapped:
        fix = "" if mapped else "; name the columns of another table with --map, such as --map email=Address"
        raise UserError(
            f"{shown}:1: no column 'email'; the columns are {', '.join(COLUMNS)}, not {listed(columns)}{fix}"
        )
    if unknown and not ignore_unknown and not mapped:
        what = f"unknown column{'' if len(unknown) == 1 else 's'} {listed(unknown)}"
        raise UserError(
            f"{shown}:1: {what}; the columns are {', '.join(COLUMNS)}; ignore the others with --ignore-unknown, or "
            "say what they hold with --map"
        )
    twice = [name for name in own if list(left.values()).count(name) > 1]
    if twice:
        raise UserError(f"{shown}:1: column {twice[0]!r} appears twice; keep one of them")
    if unknown:
        yield FileRemark(f"{shown}{_without(unknown).replace(';', ':', 1)}")
    for row in table.rows({**own, **mapped}["email"][0]):
        if isinstance(row, UserError):
            yield row
            continue
        try:
            yield own_row({"email": "", **_mapping_of(row, own, mapped)}, f"{shown}:{row.line}")
        except UserError as error:
            yield error


def _mapping_of(row: Row, own: Mapping[str, Sequence[int]], mapped: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    places = {**own, **mapped}
    data = _from_cells({key: unescape_formula(joined(row.cells, place)) for key, place in places.items()})
    if "tags" in mapped and "tags" in data:
        # Names of groups in another program, such as "Reading Group, Lab".
        data["tags"] = list(tags_of(name for part in data["tags"] for name in part.split(",")))
    return data


def _from_cells(row: Mapping[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = {key: row[key] for key in (*_SINGLE, *_ORIGIN) if row.get(key)}
    schedule: dict[str, Any] = {key: row[key] for key in ("time", "timezone") if row.get(key)}
    if row.get("days"):
        schedule["days"] = _parts(row["days"])
    if schedule:
        data["schedule"] = schedule
    for key in _SEVERAL:
        if row.get(key):
            data[key] = _parts(row[key])
    if row.get("updates", "").lower() == _NONE:
        data["updates"] = []
    return data


_PART = re.compile(r"(?:\\[\\;]|[^;])+")


def _parts(text: str) -> list[str]:
    """Split a cell at semicolons; ``\\;`` is a literal semicolon, ``\\\\`` a backslash."""
    parts = (re.sub(r"\\([\\;])", r"\1", part).strip() for part in _PART.findall(text))
    return [part for part in parts if part]


def _joined(parts: Iterable[str]) -> str:
    return ";".join(re.sub(r"([\\;])", r"\\\1", part) for part in parts)


def to_row(subscriber: Subscriber, tags: Sequence[str]) -> dict[str, str]:
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
        "tags": _joined(tags),
    }
    return {key: escape_formula(cell) for key, cell in row.items()}


def to_object(subscriber: Subscriber, tags: Sequence[str]) -> dict[str, Any]:
    """Convert a subscriber to a JSON object with all that an import reads."""
    values = to_json(subscriber.preferences)
    return {"email": subscriber.email, "state": subscriber.state.value, **values, "tags": list(tags)}


def csv_text(subscribers: Iterable[Subscriber], heading: bool, tags: Mapping[int, Sequence[str]] | None = None) -> str:
    """Format rows as CSV, optionally with a heading.

    Args:
        tags: those of each subscriber, by row.
    """
    out = StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    if heading:
        writer.writeheader()
    for subscriber in subscribers:
        writer.writerow(to_row(subscriber, (tags or {}).get(subscriber.row, ())))
    return out.getvalue()
