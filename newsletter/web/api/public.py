"""The public JSON API: papers by day, single and similar papers, search, trending, and signing up."""

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.exceptions import HTTPException

from newsletter.audience.form_limits import LimitVerdict
from newsletter.audience.signup import LONGEST_INTEREST, MOST_INTERESTS, read_request
from newsletter.errors import UserError
from newsletter.model import Layout, Paper
from newsletter.ranking.trending import trending_reason
from newsletter.services import signup_mail
from newsletter.services.search import SearchResult, search, similar
from newsletter.store import papers, reading
from newsletter.store.papers import PaperFilter
from newsletter.web.api.problems import PUBLIC_ERRORS, errors
from newsletter.web.api.schemas import (
    Matches,
    PaperPage,
    PaperResponse,
    SignupStatus,
    matches,
    paper_responses,
)
from newsletter.web.context import WebContext
from newsletter.web.forms import SameOrigin, request_origin
from newsletter.web.pages.paper_queries import trending_hits

LONGEST_PAGE = 100
_LONGEST_WORDS = 500


def _plain(value: object) -> object:
    """Reject numbers, which pydantic would read as seconds since 1970."""
    if isinstance(value, str) and (len(value) != len("2025-11-28") or value[4] != "-"):
        raise ValueError("is not a day; write it like 2025-11-28")
    return value


Day = Annotated[date, BeforeValidator(_plain)]
Id = Annotated[str, Field(max_length=500)]
Limit = Annotated[int, Field(ge=1, le=LONGEST_PAGE)]


class Parameters(BaseModel):
    """Query parameters; unknown ones are rejected, since ignoring them would hide mistakes."""

    model_config = ConfigDict(extra="forbid")


class ListQuery(Parameters):
    """Filters and paging for papers."""

    day: Day | None = Field(None, description="Listed (else published) on this day.")
    week: str | None = Field(None, pattern=r"^[12]\d{3}-W(0[1-9]|[1-4]\d|5[0-3])$", description="Like 2025-W48 (ISO).")
    month: str | None = Field(None, pattern=r"^[12]\d{3}-(0[1-9]|1[0-2])$", description="Like 2025-11.")
    category: str | None = Field(None, max_length=100)
    source: str | None = Field(None, max_length=100)
    limit: Limit = 20
    after: Id | None = Field(None, description="The `next` of the previous page: the id of its last paper.")


class SearchQuery(Parameters):
    """A search."""

    q: str = Field(
        min_length=1,
        max_length=_LONGEST_WORDS,
        description="Words, an author, a phrase in quotation marks, an arXiv id or a DOI.",
    )
    since: Day | None = None
    until: Day | None = None
    category: str | None = Field(None, max_length=100)
    source: str | None = Field(None, max_length=100)
    limit: Limit = 20


class LimitQuery(Parameters):
    """The maximum number of results."""

    limit: Limit = 20


class SignUp(BaseModel):
    """A sign-up request."""

    model_config = ConfigDict(extra="forbid")

    email: str = Field(
        min_length=3,
        max_length=254,
        description="An email address; disposable addresses are rejected.",
        json_schema_extra={"format": "email"},
    )
    interests: list[Annotated[str, Field(max_length=LONGEST_INTEREST)]] = Field(
        default_factory=list, max_length=MOST_INTERESTS, description="Interests, in words."
    )
    timezone: str = Field("UTC", max_length=60, description="An IANA name; unknown ones count as UTC.")
    layout: Layout | None = Field(None, description="Of the digests; null for the newsletter's own.")


_SIGN_UP = errors(403, 413, 429)


def routes(site: WebContext) -> APIRouter:
    """Create the router of the public API."""
    context = site.context
    router = APIRouter(prefix="/api", tags=["papers"], responses=PUBLIC_ERRORS)

    @router.get("/papers")
    def list_papers(asked: Annotated[ListQuery, Query()]) -> PaperPage:
        """List the papers of a day, a week or a month, or all, newest day first."""
        since, until = _span(asked)
        wanted = PaperFilter(asked.source, since, until, category=asked.category)
        last = _paper(site, asked.after) if asked.after is not None else None
        with reading(context.engine) as connection:
            found = papers.page(connection, wanted, last, asked.limit + 1)
            shown = found[: asked.limit]
            more = len(found) > len(shown)
            return PaperPage(papers=paper_responses(connection, shown), next=shown[-1].id if more else None)

    @router.get("/papers/{id:path}")
    def show_paper(id: Id) -> PaperResponse:
        """Return a paper by its id, arXiv id or DOI, with what became of it."""
        paper = _paper(site, id)
        with reading(context.engine) as connection:
            return paper_responses(connection, [paper])[0]

    @router.get("/similar/{id:path}")
    def find_similar(id: Id, asked: Annotated[LimitQuery, Query()]) -> Matches:
        """List the papers most similar to a paper, best first."""
        found = similar(context, _paper(site, id), PaperFilter(), asked.limit, site.index())
        with reading(context.engine) as connection:
            return matches(connection, found)

    @router.get("/search")
    def find_papers(asked: Annotated[SearchQuery, Query()]) -> Matches:
        """Search for papers by words, author, phrase or identifier, best match first."""
        wanted = PaperFilter(asked.source, asked.since, asked.until, category=asked.category)
        found = search(context, asked.q, wanted, asked.limit, site.index())
        with reading(context.engine) as connection:
            return matches(connection, found)

    @router.get("/trending")
    def list_trending(asked: Annotated[LimitQuery, Query()]) -> Matches:
        """List the most discussed papers: upvotes and comments, fading with age. The first has the score 1."""
        hits = trending_hits(context, context.clock().date())[: asked.limit]
        with reading(context.engine) as connection:
            known = papers.by_rows(connection, [hit.row for hit in hits])
            found = [(known[hit.row], hit.score) for hit in hits if hit.row in known]
            return matches(connection, [SearchResult(paper, score, trending_reason(paper)) for paper, score in found])

    @router.post("/subscribe", status_code=202, responses=_SIGN_UP, dependencies=[SameOrigin], tags=["sign-up"])
    def subscribe(request: Request, asked: SignUp) -> SignupStatus:
        """Sign up for the newsletter. A confirmation email is sent to the address; nothing else happens before it is
        confirmed. The response is the same for every address.
        """
        try:
            wanted = read_request(asked.email, asked.interests, asked.timezone, asked.layout or "")
        except UserError as error:
            raise HTTPException(422, "; ".join(error.lines)) from None
        # Clients without a page to solve a challenge on must retry later.
        if signup_mail.request_signup(context, wanted, request_origin(request)) in (
            LimitVerdict.TOO_MANY,
            LimitVerdict.CHALLENGE,
        ):
            raise HTTPException(429)
        site.mailer.wake()
        return SignupStatus(status="a confirmation email is on its way to this address; follow the link in it")

    return router


def _paper(site: WebContext, id: str) -> Paper:
    with reading(site.context.engine) as connection:
        found = papers.by_id(connection, id)
    if found is None:
        raise HTTPException(404, "No paper has this id.")
    return found


def _span(asked: ListQuery) -> tuple[date | None, date | None]:
    """Return the range of days (inclusive) that satisfies all period parameters."""
    spans = [(asked.day, asked.day)] if asked.day is not None else []
    if asked.week is not None:
        spans.append(_week(asked.week))
    if asked.month is not None:
        first = date.fromisoformat(f"{asked.month}-01")
        spans.append((first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)))
    return max((one[0] for one in spans), default=None), min((one[1] for one in spans), default=None)


def _week(named: str) -> tuple[date, date]:
    try:
        monday = date.fromisocalendar(int(named[:4]), int(named[6:]), 1)
    except ValueError:
        raise HTTPException(404, "This year has no week 53.") from None
    return monday, monday + timedelta(days=6)
