"""Papers from files, each read according to its extension."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from newsletter.config.sources import FileSource, HuggingFaceSource
from newsletter.errors import UserError
from newsletter.sources import arxiv, bibtex, daily_page, feed, huggingface, jsonl, ris
from newsletter.sources.base import DateRange, Found
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient
from newsletter.support.files import MAX_LIST_BYTES, read_bytes, read_text
from newsletter.support.line_files import decode_text

Papers = Iterator[Found]

_KNOWN = (
    ".txt (a saved Daily Papers page), .jsonl or .ndjson (one paper per line), .json (a saved response of the "
    "Hugging Face daily papers), .bib (BibTeX), .ris (RIS), .xml, .atom or .rss (a saved feed)"
)
_EMPTY = "{}: the file is empty; save it again"


@dataclass(frozen=True, slots=True)
class FileReader:
    """A file, which is read again at each fetch, whatever the range of days."""

    name: str
    settings: FileSource
    folder: Path

    def fetch(self, window: DateRange, http: HttpClient) -> Papers:
        return read_file(self.folder / self.settings.path, str(self.settings.path), window.until)


def read_file(path: Path, shown: str, as_of: date) -> Papers:
    """Read the papers of a file.

    Args:
        path: the file.
        shown: its name, for errors.
        as_of: the day it was saved or a later one; it determines the year of a Daily Papers page.

    Raises:
        UserError: it cannot be read, or does not have the format of its extension.
    """
    ending = path.suffix.lower()
    if ending not in _READERS:
        raise UserError(f"{shown}: unknown extension {ending!r}; known extensions: {_KNOWN}")
    return _READERS[ending](path, shown, as_of)


def _text(path: Path, shown: str) -> str:
    return _checked(read_text(path, shown, MAX_LIST_BYTES), shown)


def _text_in_any_encoding(path: Path, shown: str) -> str:
    """Read a text of a reference manager, which may be older than UTF-8."""
    return _checked(decode_text(read_bytes(path, shown, MAX_LIST_BYTES)), shown)


def _checked(text: str, shown: str) -> str:
    if "\0" in text:
        raise UserError(f"{shown}: not a text file; save the file as UTF-8 text")
    if not text.strip():
        raise UserError(_EMPTY.format(shown))
    return text


def _page(path: Path, shown: str, as_of: date) -> Papers:
    return iter(daily_page.read_page(_text(path, shown), shown, as_of).papers)


def _lines(path: Path, shown: str, as_of: date) -> Papers:
    return jsonl.read_lines(_text(path, shown), shown)


def _bibtex(path: Path, shown: str, as_of: date) -> Papers:
    return bibtex.read_entries(_text_in_any_encoding(path, shown), shown)


def _ris(path: Path, shown: str, as_of: date) -> Papers:
    return ris.read_entries(_text_in_any_encoding(path, shown), shown)


def _json(path: Path, shown: str, as_of: date) -> Papers:
    try:
        entries = json.loads(_text(path, shown))
    except json.JSONDecodeError as error:
        raise UserError(f"{shown}:{error.lineno}: not JSON: {error.msg}; save the file again") from None
    except (ValueError, RecursionError):
        raise UserError(f"{shown}: JSON that cannot be parsed; save the file again") from None
    if not isinstance(entries, list):
        raise UserError(
            f"{shown}:1: not a list like the Hugging Face daily papers; for one paper per line, "
            "use the extension .jsonl"
        )
    endpoint = str(HuggingFaceSource(kind="huggingface").endpoint)
    return huggingface.papers_in(entries, f"{shown}: paper", endpoint)


def _feed(path: Path, shown: str, as_of: date) -> Papers:
    content = read_bytes(path, shown, MAX_LIST_BYTES)  # Bytes, since a feed may have another encoding than UTF-8.
    if not content.strip():
        raise UserError(_EMPTY.format(shown))
    try:
        parsed = feed.parse(content, shown)
        if "arxiv.org" in f"{parsed.feed.get('id', '')} {parsed.feed.get('link', '')}".lower():
            return iter(list(arxiv.papers_in(parsed, shown, replacements=True)))
        return feed.papers_in(parsed, shown)
    except SourceError as error:
        raise UserError(f"{error}; save the feed again") from None


_READERS: Mapping[str, Callable[[Path, str, date], Papers]] = {
    ".txt": _page,
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".json": _json,
    ".bib": _bibtex,
    ".ris": _ris,
    ".xml": _feed,
    ".atom": _feed,
    ".rss": _feed,
}
