"""Works of OpenAlex: requests for them, and their data (https://docs.openalex.org/api-entities/works)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from newsletter.model import Paper
from newsletter.sources.bounds import MAX_CHARACTERS, MAX_ITEMS
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient
from newsletter.sources.json_fields import Day, Fields, Text, Title
from newsletter.sources.text import from_html, paper_link, web_link
from newsletter.support import identifiers

PAPER_FIELDS = (
    "id,doi,display_name,publication_date,authorships,abstract_inverted_index,primary_location,locations,keywords"
)
"""The fields that :func:`to_paper` reads."""

PAGE = 200
"""Works in a response, the maximum that OpenAlex allows."""

_MOST_WORDS = 20_000
_MOST_AUTHORS, _LONGEST_NAME = MAX_ITEMS["authors"]
_MOST_INSTITUTIONS = 1_000
_LONGEST_INSTITUTION = 300
_ID = re.compile(r"(?:https?://openalex\.org/)?(W\d{1,19})", re.ASCII)
_ORCID = re.compile(r"(?:https?://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])", re.ASCII)
_ROR = re.compile(r"(?:https?://ror\.org/)?(0[a-z\d]{6}\d{2})", re.ASCII)
_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", re.IGNORECASE)


def _list(value: object) -> object:
    return value or []


class _Institution(Fields):
    display_name: Text | None = None
    ror: Text | None = None


class _Author(Fields):
    display_name: Text | None = None
    orcid: Text | None = None


class _Authorship(Fields):
    author: _Author | None = None
    institutions: Annotated[list[_Institution], BeforeValidator(_list)] = Field(default_factory=list)


class _Venue(Fields):
    display_name: Text | None = None
    type: Text | None = None


class _Location(Fields):
    landing_page_url: Text | None = None
    source: _Venue | None = None


class _Keyword(Fields):
    display_name: Text | None = None


class _Work(Fields):
    id: Text
    doi: Text | None = None
    authorships: Annotated[list[_Authorship], BeforeValidator(_list)] = Field(default_factory=list)
    referenced_works: Annotated[list[Text], BeforeValidator(_list)] = Field(default_factory=list)


class _PaperOfWork(_Work):
    display_name: Title
    publication_date: Day = None
    abstract_inverted_index: dict[str, list[int]] | None = None
    primary_location: _Location | None = None
    locations: Annotated[list[_Location], BeforeValidator(_list)] = Field(default_factory=list)
    keywords: Annotated[list[_Keyword], BeforeValidator(_list)] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OpenAlexWork:
    """What a work says about its paper besides the bibliographic data.

    Attributes:
        id: such as ``W2741809807``.
        doi: in lower case; that of arXiv for some preprints.
        title: None if it was not requested.
        authors: names, each with an ORCID iD in its bare form or None.
        institutions: names, each with a ROR id in its bare form or None; each once.
        cited: the ids of the works that it cites.
    """

    id: str
    doi: str | None
    title: str | None
    authors: tuple[tuple[str, str | None], ...]
    institutions: tuple[tuple[str, str | None], ...]
    cited: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorksPage:
    """Some works of a response; ``next_cursor`` requests the next ones and is empty after the last."""

    works: tuple[Mapping[str, Any], ...]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class OpenAlex:
    """The API.

    Attributes:
        url: of the API. ``contact``: a mail address, as OpenAlex asks for. ``key``: of the API.
    """

    http: HttpClient
    url: str
    contact: str
    key: str | None = None

    def page(
        self, wanted: str, fields: str, cursor: str = "*", page_size: int = PAGE, sort: str | None = None
    ) -> WorksPage:
        """Request works.

        Args:
            wanted: the value of ``filter``. ``fields``: the value of ``select``.
            cursor: ``*`` for the first page, then the ``next_cursor`` of the page before.
            sort: such as ``publication_date:desc``; None for the order of OpenAlex.

        Raises:
            SourceError: OpenAlex did not answer as expected.
        """
        params: dict[str, str | int] = {
            "filter": wanted,
            "select": fields,
            "per-page": page_size,
            "cursor": cursor,
            "mailto": self.contact,
        }
        if sort:
            params["sort"] = sort
        answer = self.http.get(f"{self.url}/works", params | ({"api_key": self.key} if self.key else {}))
        found = answer.json()
        works = found.get("results") if isinstance(found, Mapping) else None
        if not isinstance(works, list):
            raise SourceError(f"{answer.asked}: the response has no list of works (results)")
        meta = found.get("meta")
        following = meta.get("next_cursor") if works and isinstance(meta, Mapping) else None
        return WorksPage(
            tuple(work for work in works if isinstance(work, Mapping)),
            following if isinstance(following, str) and following != cursor else "",
        )


def to_work(work: Mapping[str, Any]) -> OpenAlexWork | None:
    """Read a work; None for one that cannot be read."""
    try:
        data = _Work.model_validate(work)
    except ValidationError:
        return None
    if (own := _ID.fullmatch(data.id)) is None:
        return None
    people = [one.author for one in data.authorships[:_MOST_AUTHORS] if one.author is not None]
    institutions = {
        (one.display_name[:_LONGEST_INSTITUTION], _bare(_ROR, one.ror)): None
        for authorship in data.authorships
        for one in authorship.institutions
        if one.display_name
    }
    title = work.get("display_name")
    return OpenAlexWork(
        id=own[1],
        doi=found.lower() if (found := _bare(_DOI, data.doi)) else None,
        title=from_html(title)[: MAX_CHARACTERS["title"]] if isinstance(title, str) else None,
        authors=tuple(
            (one.display_name[:_LONGEST_NAME], _bare(_ORCID, one.orcid)) for one in people if one.display_name
        ),
        institutions=tuple(institutions)[:_MOST_INSTITUTIONS],
        cited=tuple(cited[1] for one in data.referenced_works if (cited := _ID.fullmatch(one))),
    )


def _bare(pattern: re.Pattern[str], text: str | None) -> str | None:
    found = pattern.fullmatch(text) if text else None
    return found[1] if found else None


def to_paper(work: Mapping[str, Any]) -> Paper | None:
    """Read the bibliographic data of a work (:data:`PAPER_FIELDS`); None without a title, or if it cannot be read."""
    try:
        data = _PaperOfWork.model_validate(work)
    except ValidationError:
        return None
    primary = data.primary_location or _Location()
    places = [primary, *data.locations]
    texts = [data.doi or "", *(place.landing_page_url or "" for place in places)]
    found = next((found for text in texts if (found := identifiers.arxiv_id(text))), None)
    arxiv_id = found[0] if found else None
    doi = identifiers.doi(data.doi or "")
    return Paper(
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


def _venue(places: Sequence[_Location]) -> str | None:
    """Return the first journal or conference; repositories such as arXiv are none."""
    named = (place.source for place in places if place.source and place.source.type != "repository")
    return next((source.display_name for source in named if source.display_name), None)


def _abstract(index: Mapping[str, Sequence[int]]) -> str:
    """Return the text of an index of its words with their positions."""
    placed = [(place, word) for word, places in index.items() for place in places]
    words = (word for _, word in sorted(placed)[:_MOST_WORDS])
    return " ".join(words)[: 2 * MAX_CHARACTERS["abstract"]]
