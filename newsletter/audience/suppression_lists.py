"""Lists of addresses that must not get mail, as newsletter programs and mail providers export them.

Read are the exports of Amazon SES, SendGrid, Mailgun, Postmark and Brevo (CSV files, and what their APIs return), those
of listmonk, Mailchimp, Ghost and Substack (whoever gets no mail there), and plain lists of addresses.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from newsletter.audience.column_map import listed
from newsletter.audience.import_export import files_of_archive
from newsletter.audience.import_json import entries_of, objects_in_lines
from newsletter.audience.import_rows import FileRemark
from newsletter.audience.other_programs import listmonk, other_export
from newsletter.audience.other_programs.base import OtherRow, is_no
from newsletter.audience.suppression_reasons import SKIPPED, address_in, reason_in, reason_of_file
from newsletter.config.fields import plain_address
from newsletter.config.messages import quoted
from newsletter.errors import UserError
from newsletter.model import SubscriberState
from newsletter.store.suppressions import Reason
from newsletter.support.csv_files import CsvTable, unescape_formula
from newsletter.support.files import open_file
from newsletter.support.line_files import LineReader, encoding_of

_ADDRESS = ("email", "emailaddress", "address", "recipient", "subscriber", "contact", "mail", "destination")
_REASON = (
    *("reason", "suppressionreason", "type", "bouncetype", "code", "category", "event", "status", "state"),
    *("error", "description"),
)
_IS_BLOCKED = ("emailblacklisted", "emailblocklisted", "blacklisted", "blocklisted", "suppressed")
_PLAIN = re.compile(r"[^a-z]")
_OF_STATE = {SubscriberState.UNSUBSCRIBED: Reason.UNSUBSCRIBED, SubscriberState.BOUNCED: Reason.BOUNCED}


@dataclass(frozen=True, slots=True)
class SuppressedAddress:
    """An address that must not get mail, and ``where`` the list has it."""

    email: str
    reason: Reason
    where: str


Found = SuppressedAddress | UserError | FileRemark
"""A result of reading: an address, the error of a line, or a remark."""


def read_suppressed(path: Path) -> Iterator[Found]:
    """Read a list of suppressed addresses; a line that is wrong gives its error instead. A remark counts the lines of
    people who do get mail there, which are passed over.

    Raises:
        UserError: the file as a whole cannot be read.
    """
    skipped = 0
    for found in _lines(path):
        if found is None:
            skipped += 1
        else:
            yield found
    if skipped:
        yield FileRemark(f"{path}: {skipped:,} addresses that get mail there, or bounced for a while only; skipped")


def _lines(path: Path) -> Iterator[Found | None]:
    ending, shown = path.suffix.lower(), str(path)
    if ending in (".jsonl", ".ndjson"):
        yield from _objects(objects_in_lines(lambda: open_file(path, shown), shown), path.name)
    elif ending == ".json":
        entries = entries_of(path)
        if entries is None:
            yield from _objects(objects_in_lines(lambda: open_file(path, shown), shown), path.name)
        else:
            numbered = ((f"{shown}: entry {number}", entry) for number, entry in enumerate(entries, 1))
            yield from _objects(numbered, path.name)
    elif ending == ".zip":
        with files_of_archive(path) as contained:
            for name, open_it in contained:
                yield from _table(open_it, name.rpartition("/")[2], f"{shown}/{name}")
    else:
        yield from _table(lambda: open_file(path, shown), path.name, shown)


def _table(open_it: Callable[[], IO[bytes]], name: str, shown: str) -> Iterator[Found | None]:
    with open_it() as file:
        lines = LineReader(file, encoding_of(open_it))
        table = CsvTable(lines, shown, {"email", "address", "email address", "emailaddress"})
        first = next((place for place, cell in enumerate(table.columns) if address_in(cell)), None)
        if first is None:
            yield from _rows_under_heading(table, name, shown)
        else:
            yield from _rows_without_heading(table, first, name, shown)


def _rows_without_heading(table: CsvTable, place: int, name: str, shown: str) -> Iterator[Found | None]:
    columns = [str(number) for number in range(len(table.columns))]
    yield _entry(table.columns[place], table.columns, columns, f"{shown}:1", name)
    for row in table.rows(place):
        if isinstance(row, UserError):
            yield row
        else:
            email = row.cells[place] if place < len(row.cells) else ""
            yield _entry(email, row.cells, columns, f"{shown}:{row.line}", name)


def _rows_under_heading(table: CsvTable, name: str, shown: str) -> Iterator[Found | None]:
    other = other_export([column.lower() for column in table.columns], name)
    if other is not None and other.left_out:
        return
    columns = [_PLAIN.sub("", column.lower()) for column in table.columns]
    place = other.address if other is not None else _place_of_address(columns)
    if place is None:
        raise UserError(
            f"{shown}:1: no column with addresses; name it 'email' (and one with the reason 'reason'), not "
            f"{listed(table.columns)}"
        )
    for row in table.rows(place):
        if isinstance(row, UserError):
            yield row
            continue
        where = f"{shown}:{row.line}"
        if other is None:
            yield _entry(row.cells[place] if place < len(row.cells) else "", row.cells, columns, where, name)
            continue
        try:
            yield _of_other(other.read(row.cells, where), where)
        except UserError as error:
            yield error


def _place_of_address(columns: Sequence[str]) -> int | None:
    return next((columns.index(name) for name in _ADDRESS if name in columns), None)


def _entry(email: str, cells: Sequence[str], columns: Sequence[str], where: str, file: str) -> Found | None:
    named = dict(zip(columns, cells, strict=False))
    if any(is_no(named.get(column, "")) for column in _IS_BLOCKED):
        return None
    headed = [named[column] for column in _REASON if column in named]
    return _suppressed(email, headed or [cell for cell in cells if cell != email], set(columns), where, file)


def _suppressed(email: str, said: Iterable[str], columns: set[str], where: str, file: str) -> Found | None:
    found = next((reason for text in said if (reason := reason_in(text)) is not None), None)
    if found == SKIPPED:
        return None
    try:
        address = plain_address(unescape_formula(email.strip()))
    except ValueError as error:
        return UserError(f"{where}: email: {quoted(email) or 'it'} {error}")
    reason = found if isinstance(found, Reason) else reason_of_file(file, columns)
    return SuppressedAddress(address, reason, where)


def _of_other(row: OtherRow, where: str) -> Found | None:
    if row.state not in _OF_STATE:
        return None
    try:
        return SuppressedAddress(plain_address(str(row.values["email"])), _OF_STATE[row.state], where)
    except ValueError as error:
        return UserError(f"{where}: email: {quoted(row.values['email']) or 'it'} {error}")


def _objects(entries: Iterable[tuple[str, Any]], file: str) -> Iterator[Found | None]:
    for where, entry in entries:
        try:
            yield _of_object(entry, where, file)
        except UserError as error:
            yield error


def _of_object(entry: object, where: str, file: str) -> Found | None:
    if isinstance(entry, UserError):
        return entry
    if isinstance(entry, str):
        return _suppressed(entry, (), set(), where, file)
    if not isinstance(entry, dict):
        raise UserError(f'{where}: neither an address nor an object with an "email"')
    if listmonk.is_listmonk(entry):
        return _of_other(listmonk.read_entry(entry, where), where)
    flat = dict(_flat(entry))
    columns = list(flat)
    place = _place_of_address(columns)
    email = flat[columns[place]] if place is not None else ""
    return _entry(email, list(flat.values()), columns, where, file)


def _flat(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the texts of an object by plain key; of ``{"reason": {"code": …}}`` the code is the reason."""
    for key, value in entry.items():
        plain = _PLAIN.sub("", str(key).lower())
        if isinstance(value, Mapping):
            inner = value.get("code", value.get("message"))
            if isinstance(inner, str):
                yield plain, inner
        elif isinstance(value, str | bool | int):
            yield plain, str(value)
