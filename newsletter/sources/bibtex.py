"""BibTeX files, as reference managers write them."""

import logging
import re
from collections.abc import Iterator
from datetime import date

from bibtexparser.entrypoint import parse_string
from bibtexparser.library import Library
from bibtexparser.middlewares import MonthIntMiddleware, RemoveEnclosingMiddleware
from bibtexparser.middlewares.names import parse_single_name_into_parts, split_multiple_persons_names
from bibtexparser.model import Block, DuplicateBlockKeyBlock, DuplicateFieldKeyBlock, Entry, ParsingFailedBlock
from pylatexenc.latex2text import LatexNodes2Text  # type: ignore[import-untyped]
from pylatexenc.latexwalker import LatexWalkerError  # type: ignore[import-untyped]

from newsletter.model import LibraryItem, Paper, SkippedPaper
from newsletter.sources.bounds import sane_day
from newsletter.sources.text import excerpt, paper_link, pdf_link, web_link
from newsletter.support import identifiers
from newsletter.support.text import to_single_line

# This module reports broken entries itself; without a handler the parser's log would go to stderr as well.
logging.getLogger("bibtexparser").addHandler(logging.NullHandler())

_ENTRY = re.compile(r"^\s*@\s*(?!comment\b|preamble\b|string\b)\w+\s*[{(]", re.MULTILINE | re.IGNORECASE)
_LATEX = LatexNodes2Text(math_mode="verbatim")
_LATEX_SIGNS = re.compile(r"[\\~]|--|``|''")
_BARE_PERCENT = re.compile(r"(?<!\\)%")
_ESCAPED = re.compile(r"\\([_%&#~])")
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)


def looks_like_bibtex(text: str) -> re.Match[str] | None:
    """Return where the first entry of a text begins; None if it has none."""
    return _ENTRY.search(text)


def read_entries(text: str, shown: str) -> Iterator[Paper | SkippedPaper]:
    """Yield the papers of a BibTeX file; comments, preambles and strings are ignored.

    Args:
        text: the file.
        shown: its name, for errors.
    """
    for item in read_items(text, shown):
        yield item.paper if isinstance(item, LibraryItem) else item


def read_items(text: str, shown: str) -> Iterator[LibraryItem | SkippedPaper]:
    """Yield the papers of a BibTeX file with their keys, and the groups that JabRef put them in. Two entries may have
    the same key.
    """
    try:
        library = parse_string(text, append_middleware=[MonthIntMiddleware()])
    except Exception as error:  # The parser promises to raise nothing, but some input breaks that.
        yield SkippedPaper(f"{shown}:1", f"not BibTeX: {type(error).__name__}")
        return
    for block in library.blocks:
        where = f"{shown}:{(block.start_line or 0) + 1}"
        entry = _entry(block, library)
        if entry:
            paper = _paper(entry, where)
            yield paper if isinstance(paper, SkippedPaper) else _item(entry, paper)
        elif isinstance(block, ParsingFailedBlock):
            why = getattr(block.error, "abort_reason", None) or str(block.error)
            yield SkippedPaper(where, f"not BibTeX: {to_single_line(why)}")


def _entry(block: Block, library: Library) -> Entry | None:
    if isinstance(block, DuplicateBlockKeyBlock | DuplicateFieldKeyBlock):
        # An entry with a duplicate key or field is still usable, but the parser has left it unparsed.
        inner = block.ignore_error_block
        if not isinstance(inner, Entry):
            return None
        bare = RemoveEnclosingMiddleware().transform_entry(inner, library)
        MonthIntMiddleware().transform_entry(bare, library)
        return bare
    return block if isinstance(block, Entry) else None


def _item(entry: Entry, paper: Paper) -> LibraryItem:
    groups = next((str(field.value) for field in entry.fields if field.key.lower() == "groups"), "")
    names = map(_plain, groups.split(","))
    return LibraryItem(key=entry.key, paper=paper, collections=tuple(dict.fromkeys(filter(None, names))))


def _paper(entry: Entry, where: str) -> Paper | SkippedPaper:
    fields = {field.key.lower(): str(field.value) for field in reversed(entry.fields)}
    title = _plain(fields.get("title", ""))
    if not title:
        return SkippedPaper(where, f"{excerpt(entry.key)} has no title")
    link = _ESCAPED.sub(r"\1", fields.get("url", "")).strip()
    arxiv_id, version = _arxiv_id(fields, link) or (None, None)
    doi = identifiers.doi(_ESCAPED.sub(r"\1", fields.get("doi", ""))) or identifiers.doi(link)
    try:
        published = _published(fields)
    except ValueError as error:
        return SkippedPaper(where, f"{excerpt(entry.key)}: {error}")
    authors = tuple(_authors(fields.get("author", "")))
    return Paper(
        title=title,
        abstract=_plain(fields.get("abstract", "")),
        authors=authors,
        author_count=len(authors) or None,
        arxiv_id=arxiv_id,
        version=version,
        doi=doi,
        published=published,
        categories=tuple(fields.get("primaryclass", "").split()),
        url=web_link(link) or paper_link(arxiv_id, doi),
        pdf_url=pdf_link(arxiv_id),
        keywords=tuple(filter(None, map(_plain, re.split("[,;]", fields.get("keywords", ""))))),
    )


def _plain(latex: str) -> str:
    """Convert LaTeX to text: decode accents and escaped characters, drop braces, keep formulas."""
    if not _LATEX_SIGNS.search(latex) and ("$" not in latex or "{" not in latex):
        return to_single_line(latex.replace("{", "").replace("}", ""))  # Most texts; the decoder takes 3 ms each.
    # Abstracts pasted from web pages have unescaped percent signs; in LaTeX they would start a comment.
    escaped = _BARE_PERCENT.sub(r"\\%", latex)
    try:
        return to_single_line(_LATEX.latex_to_text(escaped))
    except (LatexWalkerError, ValueError, IndexError, RecursionError):
        return to_single_line(latex.replace("{", "").replace("}", ""))


def _authors(text: str) -> Iterator[str]:
    for person in split_multiple_persons_names(text):
        name = _plain(parse_single_name_into_parts(person, strict=False).merge_first_name_first)
        if name and name != "others":
            yield name


def _arxiv_id(fields: dict[str, str], link: str) -> tuple[str, int | None] | None:
    """Return the arXiv id from an eprint field of arXiv (or of no named archive), a DOI or a link."""
    archive = fields.get("archiveprefix") or fields.get("eprinttype") or "arxiv"
    eprint = fields.get("eprint", "") if archive.strip().lower() == "arxiv" else ""
    return identifiers.arxiv_id(eprint) or identifiers.arxiv_id(fields.get("doi", "")) or identifiers.arxiv_id(link)


def _published(fields: dict[str, str]) -> date | None:
    """Return the day, or the first of the month or year if that is all there is.

    Raises:
        ValueError: the date does not exist.
    """
    written = fields.get("date") or "-".join(
        part for part in (fields.get("year", ""), fields.get("month", ""), fields.get("day", "")) if part
    )
    match = _DATE.match(written.strip())
    if match is None:
        return None
    try:
        return sane_day(date(int(match[1]), int(match[2] or 1), int(match[3] or 1)))
    except ValueError:
        raise ValueError(f"the date {written!r} does not exist") from None
