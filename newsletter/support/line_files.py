"""Read files line by line, of any size and in any common encoding."""

import codecs
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from typing import IO

MOST_OF_A_LINE = 1_000_000
"""In characters. Longer lines are skipped without being loaded into memory."""

_CHUNK = 1 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is a prefix of it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WRONG = re.compile("[\udc80-\udcff]")
_NEWLINE = re.compile("\r\n?")
_RIGHT = re.compile("[^\0-\x7f\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line with its number (1 is the first) and its line end. One that is too long has no text.

    Bytes that are not text become lone surrogates (``surrogateescape``).
    """

    number: int
    text: str
    is_too_long: bool = False


def encoding_of(open_file: Callable[[], IO[bytes]]) -> str:
    """Detect the encoding of a file: from its byte order mark, UTF-8 if most of it is valid, otherwise Windows-1252.

    Args:
        open_file: opens the file again; it is read to its end.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    right = wrong = 0
    with open_file() as file:
        chunk = file.read(_CHUNK)
        for mark, encoding in _BOMS:
            if chunk.startswith(mark):
                return encoding
        if re.match(rb"(?:[^\0]\0){2}", chunk):
            return "utf-16-le"
        if re.match(rb"(?:\0[^\0]){2}", chunk):
            return "utf-16-be"
        while chunk:
            text = decoder.decode(chunk)
            if not text.isascii():
                right += len(_RIGHT.findall(text))
                wrong += len(_WRONG.findall(text))
            chunk = file.read(_CHUNK)
    return "cp1252" if wrong > right else "utf-8"


def decode_text(content: bytes) -> str:
    """Decode a file in any encoding that :func:`encoding_of` detects; all line ends become ``\\n``.

    Single bytes that are not UTF-8 in a file that otherwise is, as after joining two files, are read as Windows-1252.
    """
    encoding = encoding_of(lambda: BytesIO(content))
    text = content.decode(encoding, "surrogateescape" if encoding.startswith("utf-8") else "replace")
    return _NEWLINE.sub("\n", _WRONG.sub(_from_windows, text)).removeprefix("\ufeff")


def _from_windows(byte: re.Match[str]) -> str:
    return byte[0].encode("ascii", "surrogateescape").decode("cp1252", "replace")


class LineReader:
    """Reads lines one at a time, and can put them back."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        wide = encoding.startswith(("utf-16", "utf-32"))
        self._file = TextIOWrapper(file, encoding, errors="replace" if wide else "surrogateescape", newline="")
        self._again: deque[TextLine] = deque()
        self._number = 0

    def read(self) -> TextLine | None:
        """Return the next line, None at the end."""
        if self._again:
            return self._again.popleft()
        text = self._file.readline(MOST_OF_A_LINE)
        if not text:
            return None
        self._number += 1
        too_long = False
        while len(text) == MOST_OF_A_LINE and not text.endswith(("\n", "\r")):
            text, too_long = self._file.readline(MOST_OF_A_LINE), True
        return TextLine(self._number, "" if too_long else text, too_long)

    def put_back(self, lines: Iterable[TextLine]) -> None:
        """Return these lines again next."""
        self._again.extendleft(reversed(list(lines)))
