"""Works of OpenAlex: requests for them, and their data (https://docs.openalex.org/api-entities/works)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from newsletter.model import Paper, PaperStatus
from newsletter.sources.author_names import tidy_authors
from newsletter.sources.bounds import MAX_CHARACTERS, MAX_ITEMS
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, HttpResponse
from newsletter.sources.json_fields import Day, Fields, Text, Title
from newsletter.sources.text import from_html, paper_link, pdf_link, web_link
from newsletter.support import identifiers

PAPER_FIELDS = (
    "id,doi,display_name,publication_date,authorships,abstract_inverted_index,primary_location,locations,keywords"
)
"""The fields that :func:`to_paper` needs, for a paper of a library."""

ALL_FIELDS = f"{PAPER_FIELDS},ids,type,is_retracted,topics"
"""The fields that :func:`to_paper` reads, for a paper of the newsletter."""

PAGE = 100
"""Works in a response, the most that OpenAlex documents."""

DEEPEST = 10_000
"""OpenAlex gives no more works of one list by the number of their page."""

_MOST_WORDS = 20_000
_MOST_AUTHORS, _LONGEST_NAME = MAX_ITEMS["authors"]
_MOST_INSTITUTIONS = 1_000
_LONGEST_INSTITUTION = 300
_ID = re.compile(r"(?:https?://openalex\.org/)?(W\d{1,19})", re.ASCII)
_ORCID = re.compile(r"(?:https?://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])", re.ASCII)
_ROR = re.compile(r"(?:https?://ror\.org/)?(0[a-z\d]{6}\d{2})", re.ASCII)
_HEADING = re.compile("abstract[:.]?|summary:", re.IGNORECASE)
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
    raw_author_name: Text | None = None
    institutions: Annotated[list[_Institution], BeforeValidator(_list)] = Field(default_factory=list)


class _Venue(Fields):
    display_name: Text | None = None
    type: Text | None = None


class _Location(Fields):
    landing_page_url: Text | None = None
    pdf_url: Text | None = None
    source: _Venue | None = None


class _Named(Fields):
    display_name: Text | None = None


class _Ids(Fields):
    pmid: Text | int | None = None


class _Work(Fields):
    id: Text
    doi: Text | None = None
    is_retracted: bool | None = None
    authorships: Annotated[list[_Authorship], BeforeValidator(_list)] = Field(default_factory=list)
    referenced_works: Annotated[list[Text], BeforeValidator(_list)] = Field(default_factory=list)


class _PaperOfWork(_Work):
    display_name: Title
    publication_date: Day = None
    abstract_inverted_index: dict[str, list[int]] | None = None
    primary_location: _Location | None = None
    locations: Annotated[list[_Location], BeforeValidator(_list)] = Field(default_factory=list)
    topics: Annotated[list[_Named], BeforeValidator(_list)] = Field(default_factory=list)
    keywords: Annotated[list[_Named], BeforeValidator(_list)] = Field(default_factory=list)
    ids: _Ids | None = None


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
        retracted: whether it was retracted.
    """

    id: str
    doi: str | None
    title: str | None
    authors: tuple[tuple[str, str | None], ...]
    institutions: tuple[tuple[str, str | None], ...]
    cited: tuple[str, ...]
    retracted: bool = False


@dataclass(frozen=True, slots=True)
class WorksPage:
    """Some works of a response.

    Attributes:
        next_cursor: requests the next ones; empty after the last, and of a page requested by its number.
        total: the number of all works that match; None if the response does not say. ``asked``: the request.
    """

    works: tuple[Any, ...]
    next_cursor: str
    total: int | None = None
    asked: str = ""

    def has_more(self, seen: int) -> bool:
        """Return whether OpenAlex gives pages after this one, with which ``seen`` works were read."""
        return bool(self.works) and seen < DEEPEST and (self.total is None or seen < self.total)


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

    def page(self, wanted: str, fields: str, number: int = 1, sort: str | None = None) -> WorksPage:
        """Request a page by its number, from 1.

        Args:
            wanted: the value of ``filter``. ``fields``: the value of ``select``.
            sort: such as ``publication_date:desc``; None for the order of OpenAlex.

        Raises:
            SourceError: OpenAlex did not answer as expected.
        """
        params = self._params(wanted, fields, sort) | {"page": number}
        return _to_page(self.http.get(f"{self.url}/works", params | self._secret))

    def page_after(self, wanted: str, fields: str, cursor: str, sort: str) -> WorksPage:
        """Request the page after another, however many came before. Needs a key.

        Args:
            cursor: ``*`` for the first page, then the ``next_cursor`` of the page before.

        Raises:
            SourceError: OpenAlex did not answer as expected.
        """
        params = self._params(wanted, fields, sort) | {"cursor": cursor}
        return _to_page(self.http.get(f"{self.url}/works", params | self._secret), cursor)

    def page_if_changed(
        self, wanted: str, fields: str, number: int, sort: str, pause_seconds: float = 0.0
    ) -> WorksPage | None:
        """Request a page by its number, from 1; None if it did not change since an earlier run."""
        params = self._params(wanted, fields, sort) | {"page": number}
        answer = self.http.get_if_changed(
            f"{self.url}/works", params, secrets=self._secret, pause_seconds=pause_seconds
        )
        return None if answer is None else _to_page(answer)

    def was_asked(self, wanted: str, fields: str, number: int, sort: str) -> bool:
        """Return whether an earlier run requested that page."""
        params = self._params(wanted, fields, sort) | {"page": number}
        return self.http.was_asked(f"{self.url}/works", params)

    @property
    def _secret(self) -> dict[str, str | int]:
        return {"api_key": self.key} if self.key else {}

    def _params(self, wanted: str, fields: str, sort: str | None) -> dict[str, str | int]:
        params: dict[str, str | int] = {
            "filter": wanted,
            "select": fields,
            "per-page": PAGE,
            "mailto": self.contact,
        }
        return params | {"sort": sort} if sort else params


def _to_page(answer: HttpResponse, cursor: str = "") -> WorksPage:
    found = answer.json()
    works = found.get("results") if isinstance(found, Mapping) else None
    if not isinstance(works, list):
        raise SourceError(f"{answer.asked}: the response has no list of works (results)")
    meta = found.get("meta")
    following = meta.get("next_cursor") if works and isinstance(meta, Mapping) else None
    total = meta.get("count") if isinstance(meta, Mapping) else None
    return WorksPage(
        tuple(works),
        following if isinstance(following, str) and following != cursor else "",
        total if isinstance(total, int) and not isinstance(total, bool) else None,
        answer.asked,
    )


def to_work(work: Any) -> OpenAlexWork | None:
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
        retracted=data.is_retracted or False,
    )


def _bare(pattern: re.Pattern[str], text: str | None) -> str | None:
    found = pattern.fullmatch(text) if text else None
    return found[1] if found else None


def to_paper(work: Any) -> Paper | None:
    """Read the bibliographic data of a work (:data:`PAPER_FIELDS`); None without a title, or if it cannot be read."""
    try:
        return parse_paper(work)
    except ValidationError:
        return None


def parse_paper(work: Any) -> Paper:
    """Read the bibliographic data of a work, as :func:`to_paper` does.

    Raises:
        ValidationError: it has no title, or cannot be read.
    """
    data = _PaperOfWork.model_validate(work)
    primary = data.primary_location or _Location()
    places = [primary, *data.locations]
    pages = list(dict.fromkeys(page for place in places if (page := web_link(place.landing_page_url))))
    found = next((found for text in [data.doi or "", *pages] if (found := identifiers.arxiv_id(text))), None)
    arxiv_id = found[0] if found else None
    doi = identifiers.doi(data.doi or "")
    url = paper_link(arxiv_id, doi) or web_link(primary.landing_page_url)
    authors = tidy_authors(map(_author, data.authorships))
    return Paper(
        title=from_html(data.display_name),
        abstract=from_html(_abstract(data.abstract_inverted_index or {})),
        authors=authors,
        author_count=len(authors) or None,
        arxiv_id=arxiv_id,
        doi=doi,
        other_ids=_other_ids(data, places, (arxiv_id, doi)),
        status=PaperStatus.RETRACTED if data.is_retracted else None,
        published=data.publication_date,
        venue=_venue(places),
        url=url,
        pdf_url=next((pdf for place in places if (pdf := web_link(place.pdf_url))), None) or pdf_link(arxiv_id),
        links=tuple(page for page in pages if page != url and (doi is None or identifiers.doi(page) != doi)),
        categories=tuple(dict.fromkeys(one.display_name for one in data.topics if one.display_name)),
        keywords=tuple(one.display_name for one in data.keywords if one.display_name),
    )


def _author(one: _Authorship) -> str:
    """Return the name of the author; as printed on the paper if OpenAlex has not told the author from others."""
    return (one.author.display_name if one.author else None) or one.raw_author_name or ""


def _other_ids(data: _PaperOfWork, places: Sequence[_Location], own: Sequence[str | None]) -> tuple[str, ...]:
    """Return the identifiers of the other versions of a work, such as a preprint, and its number in PubMed.

    A copy in the archive of a university or in Zenodo has a DOI too, but is no version of its own.
    """
    pmid = str((data.ids.pmid if data.ids else None) or "")
    found = [identifiers.normal_id(pmid) or identifiers.normal_id(f"pmid:{pmid}")]
    for place in places:
        one = identifiers.normal_id(place.landing_page_url or "")
        published = place.source is not None and place.source.type not in (None, "repository")
        if one is not None and (published or not one.startswith("10.") or identifiers.is_preprint_doi(one)):
            found.append(one)
    return tuple(dict.fromkeys(one for one in found if one and one not in own))


def _venue(places: Sequence[_Location]) -> str | None:
    """Return the first journal or conference; repositories such as arXiv are none."""
    named = (place.source for place in places if place.source and place.source.type != "repository")
    return next((source.display_name for source in named if source.display_name), None)


def _abstract(index: Mapping[str, Sequence[int]]) -> str:
    """Return the text of an index of its words with their positions."""
    placed = [(place, word) for word, places in index.items() for place in places]
    words = [word for _, word in sorted(placed)[:_MOST_WORDS]]
    if len(words) > 1 and _HEADING.fullmatch(words[0]) and not words[1][:1].islower():
        del words[0]
    return " ".join(words)[: 2 * MAX_CHARACTERS["abstract"]]
