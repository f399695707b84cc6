"""Items and collections of a Zotero library, as the Web API v3 writes them
(https://www.zotero.org/support/dev/web_api/v3/basics), and a paper as a new item.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from newsletter.model import LibraryItem, Paper
from newsletter.sources.bibliographic_fields import find_arxiv_id, venue
from newsletter.sources.dates import parse_date, published_on
from newsletter.sources.json_fields import Fields, Text
from newsletter.sources.library_items import MAX_PATH, library_item
from newsletter.sources.links import repair_link
from newsletter.sources.text import from_html, paper_link, web_link
from newsletter.support import identifiers
from newsletter.support.collection_paths import is_chosen
from newsletter.support.person_names import split_name

_NO_PAPERS = ("attachment", "note", "annotation")
_DOI_LINE = re.compile(r"^\s*doi:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_DEEPEST = 50
_PREPRINT_SERVERS = ("biorxiv", "medrxiv")
_PREPRINT_DOIS = ("10.1101/", "10.64898/")
"""Of bioRxiv and medRxiv."""


def _or_empty(value: object) -> object:
    return "" if value is None or isinstance(value, bool) else value


_Words = Annotated[Text, BeforeValidator(_or_empty)]


class _Creator(Fields):
    kind: _Words = Field(default="", alias="creatorType")
    first: _Words = Field(default="", alias="firstName")
    last: _Words = Field(default="", alias="lastName")
    name: _Words = ""


class _Tag(Fields):
    tag: _Words = ""


class _Data(Fields):
    key: Text
    kind: Text = Field(alias="itemType")
    title: _Words = ""
    abstract: _Words = Field(default="", alias="abstractNote")
    creators: list[_Creator] = Field(default_factory=list)
    doi: _Words = Field(default="", alias="DOI")
    url: _Words = ""
    date: _Words = ""
    # Lines such as "arXiv: 2402.01310" count, so the breaks stay.
    extra: Annotated[str, BeforeValidator(_or_empty)] = ""
    archive_id: _Words = Field(default="", alias="archiveID")
    report_number: _Words = Field(default="", alias="reportNumber")
    publication: _Words = Field(default="", alias="publicationTitle")
    proceedings: _Words = Field(default="", alias="proceedingsTitle")
    book: _Words = Field(default="", alias="bookTitle")
    tags: list[_Tag] = Field(default_factory=list)
    collections: list[Text] = Field(default_factory=list)


class _CollectionData(Fields):
    key: Text
    name: _Words = ""
    parent: _Words = Field(default="", alias="parentCollection")
    deleted: bool = False


def is_trashed(item: Mapping[str, Any]) -> bool:
    """Return whether an item is in the trash."""
    data = item.get("data")
    return bool(data.get("deleted")) if isinstance(data, Mapping) else False


def to_library_item(item: Mapping[str, Any], paths: Mapping[str, str]) -> LibraryItem | None:
    """Read an item; None for one that is no paper, has no title, or cannot be read.

    Args:
        paths: the paths of the library's collections, by key.
    """
    try:
        data = _Data.model_validate(item.get("data"))
    except ValidationError:
        return None
    if data.kind in _NO_PAPERS:
        return None
    meta = item.get("meta")
    parsed = str(meta.get("parsedDate", "")) if isinstance(meta, Mapping) else ""
    arxiv_id, doi = _arxiv_id(data), _doi(data)
    paper = Paper(
        title=from_html(data.title),
        abstract=from_html(data.abstract),
        authors=tuple(_authors(data.creators)),
        arxiv_id=arxiv_id,
        doi=doi,
        published=_day((parsed, data.date)),
        venue=venue(from_html(data.publication or data.proceedings or data.book)),
        url=repair_link(data.url) or paper_link(arxiv_id, doi),
        keywords=tuple(dict.fromkeys(one.tag for one in data.tags if one.tag)),
    )
    return library_item(data.key, paper, sorted(paths[key] for key in data.collections if key in paths))


def _authors(creators: Sequence[_Creator]) -> Iterable[str]:
    """Yield the names of the authors or, where nobody is called one, of the first kind of creators."""
    kinds = [one.kind for one in creators]
    wanted = "author" if "author" in kinds or not kinds else kinds[0]
    for one in creators:
        if one.kind == wanted and (name := one.name or f"{one.first} {one.last}".strip()):
            yield name


def _arxiv_id(data: _Data) -> str | None:
    lines = (data.archive_id, data.doi, data.url, data.report_number, data.publication, *data.extra.splitlines())
    found = find_arxiv_id(lines)
    return found[0] if found else None


def _doi(data: _Data) -> str | None:
    line = _DOI_LINE.search(data.extra)
    texts = (data.doi, line[1] if line else "", data.url)
    return next((found for text in texts if (found := identifiers.doi(text))), None)


def _day(texts: Iterable[str]) -> date | None:
    try:
        return published_on(map(parse_date, texts))
    except ValueError:
        return None


def collection_paths(collections: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the paths of collections, such as ``Papers/Chemistry``, by key. Those in the trash are left out."""
    known: dict[str, _CollectionData] = {}
    for one in collections:
        try:
            data = _CollectionData.model_validate(one.get("data"))
        except ValidationError:
            continue
        if data.name and not data.deleted:
            known[data.key] = data
    return {key: "/".join(names)[:MAX_PATH] for key in known if (names := _names(key, known))}


def _names(key: str, known: Mapping[str, _CollectionData]) -> list[str]:
    """Return the names from the topmost collection to this one; none if a collection above it is missing."""
    names: list[str] = []
    while key and len(names) < _DEEPEST:
        if key not in known:
            return []
        names.insert(0, known[key].name)
        key = known[key].parent
    return names


def in_collections(item: LibraryItem, patterns: Collection[str]) -> bool:
    """Return whether an item is in a collection that matches one of some patterns; without patterns, every item is."""
    return not patterns or any(is_chosen(path, patterns) for path in item.collections)


def to_new_item(paper: Paper, key: str) -> dict[str, Any]:
    """Convert a paper to a new item with a key chosen by us; a second request with the same key makes no second item
    (version 0, https://www.zotero.org/support/dev/web_api/v3/write_requests).
    """
    preprint = paper.venue is None and _is_preprint(paper)
    item = {
        "key": key,
        "version": 0,
        "itemType": "preprint" if preprint else "journalArticle",
        "title": paper.title,
        "creators": [_creator(name) for name in paper.authors],
        "abstractNote": paper.abstract,
        "date": paper.published.isoformat() if paper.published else "",
        "DOI": paper.doi or (f"10.48550/arXiv.{paper.arxiv_id}" if preprint and paper.arxiv_id else ""),
        "url": web_link(paper.url) or paper_link(paper.arxiv_id, paper.doi) or "",
        "tags": [],
    }
    # The types have different fields, and Zotero refuses others.
    archived = f"arXiv:{paper.arxiv_id}" if paper.arxiv_id else ""
    if preprint:
        return {**item, "archiveID": archived, "repository": "arXiv" if paper.arxiv_id else ""}
    return {**item, "publicationTitle": paper.venue or "", "extra": archived}


def _is_preprint(paper: Paper) -> bool:
    on_server = any(source in _PREPRINT_SERVERS for source in paper.sources)
    return bool(paper.arxiv_id) or on_server or (paper.doi or "").startswith(_PREPRINT_DOIS)


def _creator(name: str) -> dict[str, str]:
    written = split_name(name)
    if not written.given:
        return {"creatorType": "author", "name": written.family}
    given = ", ".join(part for part in (written.given, written.suffix) if part)
    return {"creatorType": "author", "firstName": given, "lastName": written.family}
