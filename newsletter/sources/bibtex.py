"""BibTeX files, as reference managers and publishers write them."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from newsletter.model import LibraryItem, Paper, SkippedPaper
from newsletter.sources.astronomy_journals import ASTRONOMY_JOURNALS
from newsletter.sources.bibliographic_fields import find_arxiv_id, venue
from newsletter.sources.bibtex_entries import BibtexEntry, parse_file, split_outside_braces
from newsletter.sources.bibtex_groups import parse_groups
from newsletter.sources.bibtex_identifiers import arxiv_names, find_doi, link_addresses, pubmed_link
from newsletter.sources.bibtex_names import bibtex_authors
from newsletter.sources.dates import parse_date, parse_month, published_on
from newsletter.sources.latex_fields import plain
from newsletter.sources.links import repair_link
from newsletter.sources.text import excerpt, paper_link, pdf_link
from newsletter.support.identifiers import title_id

_ENTRY = re.compile(r"^[^\S\n]*@[^\S\n]*(?!comment\b|preamble\b|string\b)\w+\s*[{(]", re.MULTILINE | re.IGNORECASE)
_ENDED = tuple(".:?!…。：？！")
_VENUES = (("journaltitle", "journalsubtitle"), ("journal", ""), ("booktitle", "booksubtitle"), ("eventtitle", ""))
_LINKS = ("url", "ee", "link", "bdsk-url-1", "adsurl", "howpublished", "doi")
_KEYWORDS = ("keywords", "keyword", "author_keywords")
_Fields = Mapping[str, str]


def looks_like_bibtex(text: str) -> re.Match[str] | None:
    """Return where the first entry of a text begins; None if it has none."""
    return _ENTRY.search(text)


def read_entries(text: str, shown: str) -> Iterator[Paper | SkippedPaper]:
    """Yield the papers of a BibTeX file; comments, preambles and strings are ignored.

    Args:
        text: the file.
        shown: its name, for errors.
    """
    for item in _items(text, shown, strict=True):
        yield item.paper if isinstance(item, LibraryItem) else item


def read_items(text: str, shown: str) -> Iterator[LibraryItem | SkippedPaper]:
    """Yield the papers of a BibTeX file with their keys and their groups. Two entries may have the same key. A paper
    whose date does not exist has none.
    """
    return _items(text, shown, strict=False)


def _items(text: str, shown: str, strict: bool) -> Iterator[LibraryItem | SkippedPaper]:
    file = parse_file(text, shown)
    groups = parse_groups(file.comments)
    for entry in file.entries:
        if isinstance(entry, SkippedPaper):
            yield entry
            continue
        paper = _paper(entry, f"{shown}:{entry.line}", strict)
        if isinstance(paper, SkippedPaper):
            yield paper
        else:
            paths = groups.paths(entry.key, _list(entry.fields.get("groups", ""), ","))
            yield LibraryItem(key=entry.key or title_id(paper.title), paper=paper, collections=paths)


def _paper(entry: BibtexEntry, where: str, strict: bool) -> Paper | SkippedPaper:
    fields = entry.fields
    title = _with_subtitle(fields, "title", "subtitle")
    if not title:
        return SkippedPaper(where, f"{excerpt(entry.key)} has no title")
    year, month = fields.get("year", ""), plain(fields.get("month", ""))
    try:
        published = published_on(
            (parse_date(fields.get("date", "")), parse_date(year), parse_month(month, fields.get("day", "")))
        )
    except ValueError as error:
        if strict:
            return SkippedPaper(where, f"{excerpt(entry.key)}: {error}")
        published = None
    links = [link for name in _LINKS for link in link_addresses(fields.get(name, ""))]
    arxiv_id, version = find_arxiv_id(arxiv_names(fields, links)) or (None, None)
    doi, doi_version = find_doi(fields, links) or (None, None)
    authors = bibtex_authors(fields.get("author", ""))
    return Paper(
        title=title,
        abstract=plain(fields.get("abstract", "")),
        authors=authors,
        author_count=len(authors) or None,
        venue=_venue(fields, title),
        arxiv_id=arxiv_id,
        version=version if arxiv_id else doi_version,
        doi=doi,
        published=published,
        categories=tuple((fields.get("primaryclass") or fields.get("eprintclass") or "").split()),
        url=next(filter(None, map(repair_link, links)), None) or paper_link(arxiv_id, doi) or pubmed_link(fields),
        pdf_url=pdf_link(arxiv_id),
        keywords=tuple(dict.fromkeys(chain(*(_list(fields.get(name, ""), ",;") for name in _KEYWORDS)))),
    )


def _with_subtitle(fields: _Fields, name: str, sub: str) -> str:
    title, subtitle = plain(fields.get(name, "")), plain(fields.get(sub, ""))
    if not title or not subtitle:
        return title
    return f"{title} {subtitle}" if title.endswith(_ENDED) else f"{title}: {subtitle}"


def _venue(fields: _Fields, title: str) -> str | None:
    """Return the journal, the book or the conference; a book is not in itself."""
    macro = fields.get("journal", "").strip("{} \n")
    names = [ASTRONOMY_JOURNALS.get(macro), *(venue(_with_subtitle(fields, *pair)) for pair in _VENUES)]
    return next((name for name in names if name and name != title), None)


def _list(text: str, separators: str) -> tuple[str, ...]:
    """Return the items of a list; one in braces keeps its separators, unless they enclose the whole list."""
    whole = text.strip()
    parts = list(split_outside_braces(whole, separators))
    if len(parts) == 1 and whole.startswith("{") and whole.endswith("}") and ";" in separators:
        parts = list(split_outside_braces(whole[1:-1], separators))
    return tuple(dict.fromkeys(filter(None, map(plain, parts))))
