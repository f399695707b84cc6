"""RIS files, as reference managers and publishers write them (https://en.wikipedia.org/wiki/RIS_(file_format)).

The format has dialects: the same tag means something else in another program, lines are wrapped, and ends of records
are missing. Each record is brought into the standard form here, and then read by rispy.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import rispy  # type: ignore[import-untyped]

from newsletter.model import LibraryItem, Paper, SkippedPaper
from newsletter.sources.author_names import clean_authors
from newsletter.sources.bibliographic_fields import find_arxiv_id, venue
from newsletter.sources.dates import parse_date, published_on
from newsletter.sources.links import repair_link
from newsletter.sources.text import excerpt, from_html, paper_link, pdf_link
from newsletter.support import identifiers

_TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9])(?:(?P<standard>  -)| -)(?:\s+(?P<value>.*))?$")
_TAGS = frozenset(rispy.TAG_KEY_MAPPING) | {"DI", "L5", "LA", "CT", "BT", "ED"}
_LISTS = ("AU", "A1", "KW", "UR", "L1", "L2", "L3", "LK", "N1", "M3", "DA", "Y1", "PY")
"""Tags that occur several times, and whose wrapped lines are further values."""

_TITLES = ("TI", "T1", "CT", "BT")
_ABSTRACTS = ("AB", "N2")
_DATES = ("DA", "Y1", "PY", "Y2")
_DOIS = ("DO", "DI", "UR", "M3", "L3", "LK", "N1", "AN", "ID")
_ARXIV_IDS = ("M3", "AN", "UR", "DO", "ID", "C1", "M1", "LK", "L1", "L2", "N1", "JO", "JF", "T2", "PB")
_JOURNALS = ("JF", "T2", "JO", "BT", "JA", "J2", "J1", "C3")
_SERIES_TYPES = ("BOOK", "EBOOK", "EDBOOK", "THES", "RPRT")
"""Types of references whose T2 is a series, and which are in no other work."""

_NBSP = "\N{NO-BREAK SPACE}"

_Values = Mapping[str, Sequence[str]]


class _Line(NamedTuple):
    """A tag with the texts of its line and of the wrapped lines after it."""

    tag: str
    values: list[str]


def looks_like_ris(text: str) -> re.Match[str] | None:
    """Return where the first record of a text begins; None if it has none."""
    return re.search(r"^[^\S\n]*TY  ?-", text, re.MULTILINE | re.IGNORECASE)


def read_entries(text: str, shown: str) -> Iterator[Paper | SkippedPaper]:
    """Yield the papers of a RIS file.

    Args:
        text: the file.
        shown: its name, for errors.
    """
    for item in _items(text, shown, strict=True):
        yield item.paper if isinstance(item, LibraryItem) else item


def read_items(text: str, shown: str) -> Iterator[LibraryItem | SkippedPaper]:
    """Yield the papers of a RIS file with their keys: a digest of the DOI or else the title, since records have none
    that lasts. A paper whose date does not exist has none.
    """
    return _items(text, shown, strict=False)


def _items(text: str, shown: str, strict: bool) -> Iterator[LibraryItem | SkippedPaper]:
    for line, record in _records(text):
        where = f"{shown}:{line}"
        try:
            paper = _paper(_values(record), where, strict)
        except Exception as error:  # One record that neither this module nor rispy foresaw stops no other.
            paper = SkippedPaper(where, f"not RIS: {type(error).__name__}")
        yield LibraryItem(key=_key(paper), paper=paper) if isinstance(paper, Paper) else paper


def _records(text: str) -> Iterator[tuple[int, list[_Line]]]:
    """Yield the tagged lines of each record, without its end, with the number of its first line.

    A record begins with TY, or with any other tag after the end of the one before, and ends with ER or the next TY.
    """
    start, record = 0, list[_Line]()
    for number, line in enumerate(text.split("\n"), start=1):
        tag, value = _tag(line.replace(_NBSP, " "))
        if tag in ("TY", "ER") and record:
            yield start, record
            record = []
        if tag is None:
            if record:
                record[-1].values.append(value)
        elif tag != "ER":
            if not record:
                start, record = number, [] if tag == "TY" else [_Line("TY", ["GEN"])]
            record.append(_Line(tag, [value]))
    if record:
        yield start, record


def _tag(line: str) -> tuple[str | None, str]:
    """Return the tag of a line and its value; no tag for a wrapped line."""
    found = _TAG.match(line)
    # A wrapped line may begin like a tag ("to - and"), so a tag is in capitals, in the form of the standard, or both.
    if found is None or (found[1].isupper(), found[1].upper() in _TAGS, bool(found["standard"])).count(False) > 1:
        return None, line.strip()
    return found[1].upper(), (found["value"] or "").strip()


def _values(record: Iterable[_Line]) -> _Values:
    lines = [f"{tag}  - {(chr(10) if tag in _LISTS else ' ').join(filter(None, values))}" for tag, values in record]
    found = rispy.loads(
        "\n".join([*lines, "ER  - "]),
        mapping={tag: tag for tag in _TAGS},
        list_tags=_LISTS,
        delimiter_tags_mapping={},
        skip_unknown_tags=True,
    )[0]
    as_lists = {tag: value if isinstance(value, list) else [value] for tag, value in found.items()}
    return {tag: [text for one in value if (text := one.strip())] for tag, value in as_lists.items()}


def _paper(values: _Values, where: str, strict: bool) -> Paper | SkippedPaper:
    titled = next((tag for tag in _TITLES if any(map(from_html, values.get(tag, ())))), None)
    if titled is None:
        return SkippedPaper(where, "the record has no title")
    title = from_html(values[titled][0])
    try:
        published = published_on(map(parse_date, _all(values, _DATES)))
    except ValueError as error:
        if strict:
            return SkippedPaper(where, f"{excerpt(title)}: {error}")
        published = None
    arxiv_id, version = find_arxiv_id(_all(values, _ARXIV_IDS)) or (None, None)
    doi = next(filter(None, map(identifiers.doi, _all(values, _DOIS))), None)
    authors = clean_authors(_all(values, ("AU", "A1")), comma_inside=True)
    return Paper(
        title=title,
        abstract=next(filter(None, map(from_html, _all(values, _ABSTRACTS))), ""),
        authors=authors,
        author_count=len(authors) or None,
        venue=_venue(values, titled),
        arxiv_id=arxiv_id,
        version=version,
        doi=doi,
        published=published,
        url=_link(_all(values, ("UR", "LK"))) or paper_link(arxiv_id, doi),
        pdf_url=_link(values.get("L1", ())) or pdf_link(arxiv_id),
        keywords=tuple(_keywords(values.get("KW", ()))),
    )


def _all(values: _Values, tags: Iterable[str]) -> Iterator[str]:
    for tag in tags:
        yield from values.get(tag, ())


def _venue(values: _Values, titled: str) -> str | None:
    kind = next(iter(values.get("TY", ())), "").upper()
    tags = [tag for tag in _JOURNALS if tag != titled and not (kind in _SERIES_TYPES and tag == "T2")]
    return next(filter(None, (venue(from_html(text)) for text in _all(values, tags))), None)


def _link(written: Iterable[str]) -> str | None:
    return next(
        filter(None, (repair_link(link) for line in written for link in re.split(r"\s+|;\s*(?=https?:|$)", line))), None
    )


def _keywords(written: Iterable[str]) -> list[str]:
    """Return the keywords, without repetitions; a line of several has them separated by semicolons."""
    texts = (part.strip() for line in map(from_html, written) for part in line.split("; "))
    return list(dict.fromkeys(filter(None, texts)))


def _key(paper: Paper) -> str:
    identity = paper.doi or identifiers.title_key(paper.title)
    return hashlib.sha256(identity.encode(errors="replace")).hexdigest()[:16]
