"""Imports of JSON: lines with an object each, and documents such as other programs' APIs return."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

from newsletter.audience.column_map import listed
from newsletter.audience.import_rows import KEYS, LINE_ONLY, FileRemark, ImportFile, ImportRow, own_row, row_of_other
from newsletter.audience.other_programs import listmonk
from newsletter.errors import UserError
from newsletter.support.files import open_file, read_bytes
from newsletter.support.line_files import MOST_OF_A_LINE, LineReader, TextLine, decode_text, encoding_of
from newsletter.support.text import is_utf8, shorten_middle

_MOST_OF_A_NAME = 60
_MOST_IGNORED = 20
_LARGEST_DOCUMENT = 200_000_000
_DEEPEST_LIST = 3
"""How deep the list of entries may be in a document, as ``data.results`` is."""


class _Unknown:
    """Collects the unknown keys that are passed over."""

    def __init__(self, ignore: bool) -> None:
        self._ignore = ignore
        self._found: dict[str, None] = {}

    def without(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an entry without its unknown keys, if those are to be ignored."""
        if not self._ignore:
            return data
        unknown = [key for key in data if key not in KEYS and key not in LINE_ONLY]
        if len(self._found) <= _MOST_IGNORED:
            self._found.update(dict.fromkeys(unknown[: _MOST_IGNORED + 1]))
        return {key: value for key, value in data.items() if key not in unknown}

    def remarks(self, shown: str) -> Iterator[FileRemark]:
        """Yield a remark that names them, if there are any."""
        if self._found:
            yield FileRemark(f"{shown}: keys ignored: {listed(list(self._found))}")


def read_json_lines(open_it: Callable[[], IO[bytes]], shown: str, ignore_unknown: bool) -> Iterator[ImportFile]:
    """Read subscribers from lines with an object each; a line that is wrong gives its error instead."""
    unknown = _Unknown(ignore_unknown)
    for where, data in objects_in_lines(open_it, shown):
        if isinstance(data, UserError):
            yield data
            continue
        try:
            yield _row(data, where, unknown)
        except UserError as error:
            yield error
    yield from unknown.remarks(shown)


def read_document(path: Path, ignore_unknown: bool) -> Iterator[ImportFile]:
    """Read subscribers from a JSON document: a list of them, or an object that contains one.

    Raises:
        UserError: the file cannot be read, is not JSON, or has no list of subscribers.
    """
    entries = entries_of(path)
    if entries is None:
        yield from read_json_lines(lambda: open_file(path, str(path)), str(path), ignore_unknown)
        return
    if any(isinstance(entry, dict) and listmonk.is_listmonk(entry) for entry in entries):
        yield FileRemark(f"{path}: read as listmonk's subscribers")
    unknown = _Unknown(ignore_unknown)
    for number, entry in enumerate(entries, 1):
        where = f"{path}: entry {number}"
        try:
            if not isinstance(entry, dict):
                raise UserError(f'{where}: not an object; each entry has an "email"')
            yield _row(entry, where, unknown)
        except UserError as error:
            yield error
    yield from unknown.remarks(str(path))


def entries_of(path: Path) -> list[Any] | None:
    """Return the entries in a JSON document: subscribers or addresses. None if it is JSON lines.

    Raises:
        UserError: the file cannot be read, is not JSON, or has no list of entries.
    """
    text = decode_text(read_bytes(path, str(path), _LARGEST_DOCUMENT))
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        if text.lstrip().startswith("{") and "\n" in text.strip():
            return None
        raise UserError(f"{path}: not JSON; check that it is the file that the other program exported") from None
    found = _entries_in(document, _DEEPEST_LIST)
    if found is None:
        raise UserError(f"{path}: has no list of subscribers or addresses; check that it is the right file")
    return found


def _entries_in(value: object, depth: int) -> list[Any] | None:
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return None
    if (one := listmonk.from_profile(value)) is not None:
        return [one]
    if isinstance(value.get("email"), str):
        return [value]
    for inner in value.values() if depth else ():
        if (found := _entries_in(inner, depth - 1)) is not None:
            return found
    return None


def _row(data: Mapping[str, Any], where: str, unknown: _Unknown) -> ImportRow:
    if listmonk.is_listmonk(data):
        return row_of_other(listmonk.read_entry(data, where), where, {})
    return own_row(unknown.without(data), where)


def objects_in_lines(open_it: Callable[[], IO[bytes]], shown: str) -> Iterator[tuple[str, dict[str, Any] | UserError]]:
    """Yield the object of each line that is not empty, with where it is; or the error of a line that is none."""
    encoding = encoding_of(open_it)
    if encoding == "cp1252":
        encoding = "utf-8"  # JSON is in no other (RFC 8259, section 8.1); lines that are not are reported.
    with open_it() as file:
        lines = LineReader(file, encoding)
        while (line := lines.read()) is not None:
            if not line.text.strip() and not line.is_too_long:
                continue
            where = f"{shown}:{line.number}"
            try:
                yield where, _object(line, where)
            except UserError as error:
                yield where, error


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
