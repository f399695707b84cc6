"""Papers in files, each read as its ending says."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from newsletter.config.sources import FileSource, HuggingFaceSource
from newsletter.errors import UserError
from newsletter.model import Paper, SkippedPaper
from newsletter.sources import arxiv, bibtex, daily_page, feed, huggingface, jsonl
from newsletter.sources.base import DateRange
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient
from newsletter.support.files import MAX_LIST_BYTES, read_bytes, read_text

Papers = Iterator[Paper | SkippedPaper]

_KNOWN = (
    ".txt (a saved Daily Papers page), .jsonl or .ndjson (a paper a line), .json (a saved answer of the Hugging Face "
    "daily papers), .bib (BibTeX), .xml, .atom or .rss (a saved feed)"
)
_EMPTY = "{}: the file is empty; save it again"


@dataclass(frozen=True, slots=True)
class FileReader:
    """A file, read again at each fetch whatever the days asked for."""

    name: str
    settings: FileSource
    folder: Path

    def fetch(self, window: DateRange, http: HttpClient) -> Papers:
        return read_file(self.folder / self.settings.path, str(self.settings.path), window.until)


def read_file(path: Path, shown: str, as_of: date) -> Papers:
    """The papers of a file.

    Args:
        path: the file.
        shown: its name, for errors.
        as_of: the day it was saved or a later one; from it a Daily Papers page has its year.

    Raises:
        UserError: it cannot be read, or is not what its ending says.
    """
    ending = path.suffix.lower()
    if ending not in _READERS:
        raise UserError(f"{shown}: the ending {ending!r} does not say what is in it; known are {_KNOWN}")
    return _READERS[ending](path, shown, as_of)


def _text(path: Path, shown: str) -> str:
    text = read_text(path, shown, MAX_LIST_BYTES)
    if "\0" in text:
        raise UserError(f"{shown}: this is not text; save the file as UTF-8 text")
    if not text.strip():
        raise UserError(_EMPTY.format(shown))
    return text


def _page(path: Path, shown: str, as_of: date) -> Papers:
    return iter(daily_page.read_page(_text(path, shown), shown, as_of).papers)


def _lines(path: Path, shown: str, as_of: date) -> Papers:
    return jsonl.read_lines(_text(path, shown), shown)


def _bibtex(path: Path, shown: str, as_of: date) -> Papers:
    return bibtex.read_entries(_text(path, shown), shown)


def _json(path: Path, shown: str, as_of: date) -> Papers:
    try:
        entries = json.loads(_text(path, shown))
    except json.JSONDecodeError as error:
        raise UserError(f"{shown}:{error.lineno}: not JSON: {error.msg}; save the file again") from None
    except (ValueError, RecursionError):
        raise UserError(f"{shown}: not JSON that can be read; save the file again") from None
    if not isinstance(entries, list):
        raise UserError(
            f"{shown}:1: not a list, as the Hugging Face daily papers are; a file with a paper a line ends in .jsonl"
        )
    endpoint = str(HuggingFaceSource(kind="huggingface").endpoint)
    return huggingface.papers_in(entries, f"{shown}: paper", endpoint)


def _feed(path: Path, shown: str, as_of: date) -> Papers:
    content = read_bytes(path, shown, MAX_LIST_BYTES)  # not text yet: a feed may be in another encoding than UTF-8
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
    ".xml": _feed,
    ".atom": _feed,
    ".rss": _feed,
}
