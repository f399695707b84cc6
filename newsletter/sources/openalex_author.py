"""A person's own publications, by ORCID iD or OpenAlex author id, from OpenAlex
(https://docs.openalex.org/api-entities/works).
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from newsletter.errors import Stopped
from newsletter.model import LibraryItem, LibraryKind, LibraryRef, Paper
from newsletter.sources.bounds import MAX_CHARACTERS
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, Params
from newsletter.sources.json_fields import Day, Fields, Text, Title
from newsletter.sources.library_items import MAX_ITEMS, LibraryChanges, library_item
from newsletter.sources.text import from_html, paper_link, web_link
from newsletter.support import identifiers

_PAGE = 200
_MOST_WORDS = 20_000
_FIELDS = "id,doi,display_name,publication_date,authorships,abstract_inverted_index,primary_location,locations,keywords"


class _Author(Fields):
    display_name: Text | None = None


class _Authorship(Fields):
    author: _Author | None = None


class _Venue(Fields):
    display_name: Text | None = None
    type: Text | None = None


class _Location(Fields):
    landing_page_url: Text | None = None
    source: _Venue | None = None


class _Keyword(Fields):
    display_name: Text | None = None


def _list(value: object) -> object:
    return value or []


class _Work(Fields):
    id: Text
    display_name: Title
    doi: Text | None = None
    publication_date: Day = None
    authorships: Annotated[list[_Authorship], BeforeValidator(_list)] = Field(default_factory=list)
    abstract_inverted_index: dict[str, list[int]] | None = None
    primary_location: _Location | None = None
    locations: Annotated[list[_Location], BeforeValidator(_list)] = Field(default_factory=list)
    keywords: Annotated[list[_Keyword], BeforeValidator(_list)] = Field(default_factory=list)


def read_author(
    http: HttpClient,
    url: str,
    ref: LibraryRef,
    since: str | None,
    *,
    contact: str,
    key: str | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> LibraryChanges | None:
    """Read the works of an author; None if they are the same as at the last time.

    OpenAlex has no list of changes, so all of them are read. The version is a digest of what was read.

    Args:
        url: of the API.
        ref: an ORCID iD or an OpenAlex author.
        since: the version at the last time.
        contact: a mail address, as OpenAlex asks for. ``key``: of the API.

    Raises:
        SourceError: OpenAlex did not answer as expected, or knows no works of the author.
        Stopped: the newsletter is stopping.
    """
    works = islice(_works(http, url, ref, contact, key, should_stop), MAX_ITEMS)
    items = {item.key: item for work in works if (item := to_library_item(work)) is not None}
    if not items:
        raise SourceError(f"{ref.address}: OpenAlex knows no papers of this author; check the identifier")
    version = hashlib.sha256(repr(sorted(items.items())).encode()).hexdigest()
    return None if version == since else LibraryChanges(version=version, items=tuple(items.values()))


def _works(
    http: HttpClient, url: str, ref: LibraryRef, contact: str, key: str | None, should_stop: Callable[[], bool]
) -> Iterator[Mapping[str, Any]]:
    by = "author.orcid" if ref.kind is LibraryKind.ORCID else "author.id"
    cursor = "*"
    while cursor:
        if should_stop():
            raise Stopped
        params: Params = {
            "filter": f"{by}:{ref.id}",
            "select": _FIELDS,
            "per-page": _PAGE,
            "cursor": cursor,
            "mailto": contact,
        }
        answer = http.get(f"{url}/works", {**params, **({"api_key": key} if key else {})})
        found = answer.json()
        works = found.get("results") if isinstance(found, Mapping) else None
        if not isinstance(works, list):
            raise SourceError(f"{answer.asked}: the response has no list of works (results)")
        yield from (work for work in works if isinstance(work, Mapping))
        meta = found.get("meta")
        following = meta.get("next_cursor") if works and isinstance(meta, Mapping) else None
        cursor = following if isinstance(following, str) and following != cursor else ""


def to_library_item(work: Mapping[str, Any]) -> LibraryItem | None:
    """Read a work; None for one without a title, or that cannot be read."""
    try:
        data = _Work.model_validate(work)
    except ValidationError:
        return None
    primary = data.primary_location or _Location()
    places = [primary, *data.locations]
    texts = [data.doi or "", *(place.landing_page_url or "" for place in places)]
    found = next((found for text in texts if (found := identifiers.arxiv_id(text))), None)
    arxiv_id = found[0] if found else None
    doi = identifiers.doi(data.doi or "")
    paper = Paper(
        title=from_html(data.display_name),
        abstract=from_html(_abstract(data.abstract_inverted_index or {})),
        authors=tuple(one.author.display_name for one in data.authorships if one.author and one.author.display_name),
        arxiv_id=arxiv_id,
        doi=doi,
        published=data.publication_date,
        venue=_venue(places),
        url=paper_link(arxiv_id, doi) or web_link(primary.landing_page_url),
        keywords=tuple(one.display_name for one in data.keywords if one.display_name),
    )
    return library_item(data.id.rpartition("/")[2], paper)


def _venue(places: Sequence[_Location]) -> str | None:
    """Return the first journal or conference; repositories such as arXiv are none."""
    named = (place.source for place in places if place.source and place.source.type != "repository")
    return next((source.display_name for source in named if source.display_name), None)


def _abstract(index: Mapping[str, Sequence[int]]) -> str:
    """Return the text of an index of its words with their positions."""
    placed = [(place, word) for word, places in index.items() for place in places]
    words = (word for _, word in sorted(placed)[:_MOST_WORDS])
    return " ".join(words)[: 2 * MAX_CHARACTERS["abstract"]]
