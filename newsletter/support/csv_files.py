"""CSV: read rows under a heading, so that a broken row affects only itself, and write cells so that spreadsheets never
take one for a formula.
"""

import csv
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from newsletter.errors import UserError
from newsletter.support.line_files import MOST_OF_A_LINE, LineReader, TextLine
from newsletter.support.text import is_utf8

_MOST_LINES = 200
"""Maximum lines of one row: values may have line breaks in quotes, and an unclosed quote never ends."""

_DELIMITERS = (",", ";", "\t", "|")
_NAMED_DELIMITER = re.compile(r"sep=([^\w\"'\r\n])\s*", re.IGNORECASE)  # Excel's first line
_LOOKS_LIKE_AN_ADDRESS = re.compile(r"\s*[^\s@]+@[^\s@]+\s*")

# The beginnings of formulas (OWASP, "CSV Injection"), also in full-width and small forms. Programs that take ';' or a
# tab for the delimiter see more beginnings.
_FORMULA = "[=+\\-@＝＋－＠﹦﹢﹣﹫]"
_BEGINNING = r"(?:^|(?<=[;\t\r\n]))"
_IS_RISKY = rf"(?=[\s\"']*{_FORMULA}|'*[\t\r\n])"
_TO_GUARD = re.compile(_BEGINNING + _IS_RISKY)
_GUARDED = re.compile(f"{_BEGINNING}'{_IS_RISKY}")


def escape_formula(text: str) -> str:
    """Escape a cell so that no spreadsheet takes it for a formula: put an apostrophe before each beginning of one."""
    return _TO_GUARD.sub("'", text)


def unescape_formula(text: str) -> str:
    """Undo :func:`escape_formula`: remove one apostrophe before each beginning of a formula."""
    return _GUARDED.sub("", text)


@dataclass(frozen=True, slots=True)
class Row:
    """A row, with the number of its first line; it has as many cells as there are columns, or fewer."""

    line: int
    cells: list[str]


class CsvTable:
    """A CSV file. Its delimiter is detected from the heading.

    Args:
        shown: the file's name, for errors.
        known: names of columns, in lower case, some of which the heading must have.

    Attributes:
        columns: the names in the heading, as written.

    Raises:
        UserError: there is no heading.
    """

    def __init__(self, lines: LineReader, shown: str, known: Collection[str]) -> None:
        self._lines = lines
        self._shown = shown
        self._doubtful_until = 0
        self.columns = self._heading(known)
        self._lengths = {len(self.columns)}

    def rows(self, address: int) -> Iterator[Row | UserError]:
        """Yield the rows that are not empty; a broken one yields its error instead.

        An unclosed quote swallows what follows. So a row that ends inside a quote, is too long, or contains what looks
        like rows, is given up, and reading continues with the line after its first.

        Args:
            address: the column with the address, which identifies a row.
        """
        while True:
            taken, cells, problem = self._read(self._delimiter)
            if not taken:
                return
            where = f"{self._shown}:{taken[0].number}"
            if problem is None and any(self._is_row(line.text, address) for line in taken[1:]):
                problem = "a quote is not closed before the next row; check the quotes"
            if problem is not None:
                self._lines.put_back(taken[1:])
                self._doubtful_until = taken[-1].number + _MOST_LINES
                yield UserError(f"{where}: {problem}")
            elif any(cell.strip() for cell in cells):
                problem = self._problem_with(taken, cells)
                yield Row(taken[0].number, cells) if problem is None else UserError(f"{where}: {problem}")

    def _problem_with(self, taken: list[TextLine], cells: list[str]) -> str | None:
        if any("\0" in cell for cell in cells):
            return "contains a NUL character; remove it"
        if not all(is_utf8(cell) for cell in cells):
            return "contains bytes that are not text; save the file as UTF-8"
        if any(cell.strip() for cell in cells[len(self.columns) :]):
            return "more values than columns; put quotes around values with commas"
        # After an unclosed quote, what looks like a row may be the rest of a value: nobody may be subscribed by that.
        is_odd = sum(line.text.count('"') for line in taken) % 2 or len(cells) not in self._lengths
        if is_odd and taken[0].number <= self._doubtful_until:
            return "is not a complete row, and follows a quote that is not closed; check the quotes"
        self._lengths.add(len(cells))
        return None

    def _heading(self, known: Collection[str]) -> list[str]:
        first = self._first_line()
        named = _NAMED_DELIMITER.fullmatch(first.text)
        if named is not None:
            first = self._first_line()
        self._lines.put_back([first])
        self._delimiter = named[1] if named is not None else _delimiter_of(first.text, known)
        _, cells, problem = self._read(self._delimiter)
        columns = [cell.strip() for cell in cells]
        if problem is not None or any("\0" in cell or not is_utf8(cell) for cell in columns):
            raise UserError(f"{self._shown}:{first.number}: {problem or 'the heading is not text; save it as UTF-8'}")
        return columns

    def _first_line(self) -> TextLine:
        line = self._lines.read()
        while line is not None and not line.is_too_long and not line.text.strip():
            line = self._lines.read()
        if line is None:
            raise UserError(f"{self._shown}: is empty; its first line must name the columns")
        return line

    def _read(self, delimiter: str) -> tuple[list[TextLine], list[str], str | None]:
        """Return the next row: its lines, its cells, and what is wrong with it (None: nothing); no lines at the end."""
        taken: list[TextLine] = []
        reader = csv.reader(self._following(taken), delimiter=delimiter, strict=True)
        try:
            cells = next(reader, [])
        except csv.Error as error:
            return taken, [], _in_words(error)
        if taken and taken[0].is_too_long:
            return taken, [], f"longer than {MOST_OF_A_LINE:,} characters; shorten it"
        return taken, cells, None

    def _following(self, taken: list[TextLine]) -> Iterator[str]:
        """Yield the lines of a row on demand, adding each to ``taken``, up to the maximum."""
        length = 0
        while len(taken) < _MOST_LINES and length < MOST_OF_A_LINE:
            line = self._lines.read()
            if line is None:
                return
            if line.is_too_long and taken:
                self._lines.put_back([line])
                return
            taken.append(line)
            length += len(line.text)
            yield line.text

    def _is_row(self, text: str, address: int) -> bool:
        try:
            cells = next(csv.reader([text], delimiter=self._delimiter), [])
        except csv.Error:
            return False
        as_many = len(cells) == len(self.columns) > 1
        return as_many and _LOOKS_LIKE_AN_ADDRESS.fullmatch(cells[address]) is not None


def _delimiter_of(heading: str, known: Collection[str]) -> str:
    """Return the delimiter that gives a heading a known column, and the most columns."""

    def fit(delimiter: str) -> tuple[bool, int]:
        try:
            cells = next(csv.reader([heading], delimiter=delimiter), [])
        except csv.Error:
            return False, 0
        return any(cell.strip().lower() in known for cell in cells), len(cells)

    return max(_DELIMITERS, key=fit)


def _in_words(error: csv.Error) -> str:
    said = str(error)
    if "field larger" in said:
        return f"a value of more than {csv.field_size_limit():,} characters; shorten it"
    if "end of data" in said:
        return "a quote is not closed; close it, or double quotes inside values"
    return f"not CSV ({said}); double quotes inside values"
