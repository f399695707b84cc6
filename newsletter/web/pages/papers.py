"""Paper pages: by day, week and month, trending, search results and single papers."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from newsletter.model import EventKind, Paper, PaperEvent
from newsletter.rendering.event_words import event_line, event_name
from newsletter.rendering.paper_card import (
    display_title,
    labelled_sentences,
    paper_links,
    paper_path,
    summary_label,
)
from newsletter.rendering.plain_text import latex_to_text, readable
from newsletter.services.search import find_identified
from newsletter.store import paper_events, reading
from newsletter.store.papers import PaperFilter, by_id
from newsletter.web.context import WebContext
from newsletter.web.middleware.cache import PUBLIC
from newsletter.web.pages import paper_queries
from newsletter.web.pages.citation_tags import citation_tags
from newsletter.web.pages.paper_card import short_authors
from newsletter.web.pages.paper_places import other_places
from newsletter.web.pages.period import Kind, Period, around, read_period

_LONGEST_SEARCH = 300
_LONGEST_INTEREST = 120
_MOST_PAGES = 100_000
_DATES = {
    "date": "This is not a valid day. Write it like 2025-11-25.",
    "week": "This is not a valid week. Write it like 2025-W48.",
    "month": "This is not a valid month. Write it like 2025-11.",
}
_GET = ["GET", "HEAD"]
_SENTENCES = 10
_WARNINGS = {
    EventKind.RETRACTED: "Its results should not be relied on.",
    EventKind.WITHDRAWN: "Its authors or its publisher have withdrawn it.",
    EventKind.CONCERN: "The publisher has raised doubts about this paper.",
}


def routes(site: WebContext) -> APIRouter:
    """Create the router of the paper pages."""
    router = APIRouter(include_in_schema=False)
    alike = paper_queries.SimilarPapers(site.context, site.index)

    @router.api_route("/", methods=_GET)
    def home() -> Response:
        return RedirectResponse("/papers", 307)

    @router.api_route("/papers", methods=_GET)
    def papers(request: Request, q: str = "", page: str = "1") -> Response:
        words = " ".join(q.split())[:_LONGEST_SEARCH]
        return found(request, words, page_number(page)) if words else today(request)

    def listing(
        request: Request, title: str, shown: paper_queries.PaperPage | None = None, base: str = "", **more: Any
    ) -> Response:
        values = {**_LISTING, "title": title, "heading": title, "paper_page": shown, "base": base, **more}
        return site.page(request, "papers", headers=PUBLIC, **values)

    def today(request: Request) -> Response:
        now = site.context.clock().date()
        day = paper_queries.latest_day(site.context, now)
        if day is None:
            return listing(request, "Papers", nothing="No papers yet.")
        missed = "" if day == now else f"No papers for today, {around('date', now).words}, yet."
        return days(request, around("date", day), 1, missed)

    def found(request: Request, words: str, number: int) -> Response:
        paper = find_identified(site.context, words, PaperFilter())
        if paper is not None:
            return RedirectResponse(paper_path(paper.id), 302)
        shown = paper_queries.search_page(site.context, site.index, words, number)
        _check(shown)
        return listing(
            request,
            f"Papers on “{words}”",
            shown,
            f"/papers?{urlencode({'q': words})}&",
            words=words,
            interest=words[:_LONGEST_INTEREST],
            nothing="" if shown.papers else "No matching papers. Try other or fewer words.",
        )

    def days(request: Request, period: Period, number: int, missed: str = "") -> Response:
        held = paper_queries.period_page(site.context, period, number)
        _check(held.paper_page)
        return listing(
            request,
            f"Papers {period.preposition} {period.words}",
            held.paper_page,
            f"{period.path}?",
            heading=period.words[:1].upper() + period.words[1:],
            missed=missed,
            nothing="" if held.paper_page.papers else f"No papers {period.preposition} {period.words}.",
            period=period,
            kinds=[(word, around(kind, _middle(period, site.context.clock().date()))) for word, kind in _KINDS],
            before=held.before and around(period.kind, held.before),
            after=held.after and around(period.kind, held.after),
        )

    def of(kind: Kind, request: Request, text: str, page: str) -> Response:
        period = read_period(kind, text)
        if period is None:
            raise HTTPException(404, _DATES[kind])
        return days(request, period, page_number(page))

    @router.api_route("/papers/date/{day}", methods=_GET)
    def of_day(request: Request, day: str, page: str = "1") -> Response:
        return of("date", request, day, page)

    @router.api_route("/papers/week/{week}", methods=_GET)
    def of_week(request: Request, week: str, page: str = "1") -> Response:
        return of("week", request, week, page)

    @router.api_route("/papers/month/{month}", methods=_GET)
    def of_month(request: Request, month: str, page: str = "1") -> Response:
        return of("month", request, month, page)

    @router.api_route("/papers/trending", methods=_GET)
    def trending(request: Request, page: str = "1") -> Response:
        shown = paper_queries.trending_page(site.context, site.context.clock().date(), page_number(page))
        _check(shown)
        return listing(
            request,
            "Trending papers",
            shown,
            "/papers/trending?",
            heading="Trending",
            about="Ranked by upvotes and comments (a comment counts as two votes); their weight fades over the days.",
            nothing="" if shown.papers else "No trending papers right now.",
        )

    @router.api_route("/papers/{name:path}", methods=_GET)
    def one(request: Request, name: str) -> Response:
        with reading(site.context.engine) as connection:
            paper = by_id(connection, name)
            events = paper_events.history(connection, paper.row) if paper is not None else []
        if paper is None:
            raise HTTPException(404, "This paper is not here. Try searching for its title.")
        if paper.id != name:
            return RedirectResponse(paper_path(paper.id), 301)
        cited = [*citation_tags(paper, site.url)]
        return site.page(
            request, "paper", headers=PUBLIC, **_paper(paper, events), citation=cited, alike=alike.to(paper)
        )

    return router


_KINDS: tuple[tuple[str, Kind], ...] = (("Day", "date"), ("Week", "week"), ("Month", "month"))


_LISTING: dict[str, Any] = {
    "about": "",
    "words": "",
    "interest": "",
    "missed": "",
    "nothing": "",
    "period": None,
    "kinds": (),
    "before": None,
    "after": None,
}
"""Default values of the list template."""


def _paper(paper: Paper, events: Sequence[PaperEvent]) -> dict[str, Any]:
    """Build the values of the paper template."""
    abstract = " ".join(readable(paper.abstract).split())
    lines, day = labelled_sentences(paper), paper.listed_on or paper.published
    return {
        "paper": paper,
        "title": display_title(paper),
        "warning": _warning(paper, events),
        "history": [_event(one) for one in reversed(events)],
        "places": other_places(paper),
        "authors": short_authors(paper),
        "abstract": abstract,
        # Not for a short abstract, which they would repeat.
        "lines": lines if 2 * sum(len(line.text) for line in lines) < len(abstract) else (),
        "summary_label": summary_label(paper),
        "summary": " ".join(readable(paper.summary or "").split()),
        "links": paper_links(paper),
        "keywords": [(word, f"/papers?{urlencode({'q': word})}") for word in map(latex_to_text, paper.keywords[:12])],
        "day": around("date", day) if day else None,
        "interest": display_title(paper)[:_LONGEST_INTEREST],
        "words": "",
    }


def _warning(paper: Paper, events: Sequence[PaperEvent]) -> dict[str, str | None] | None:
    """Build the warning above a paper with a status or an expression of concern; None for other papers."""
    kind = EventKind(paper.status.value) if paper.status is not None else EventKind.CONCERN
    about = [one for one in events if one.kind is kind]
    if paper.status is None and not about:
        return None
    url = event_line(about[-1]).url if about else None
    return {"label": event_name(kind), "text": _WARNINGS[kind], "url": url}


def _event(event: PaperEvent) -> dict[str, Any]:
    """Build the values of a line of the history."""
    line = event_line(event, _SENTENCES)
    return {"line": line, "seen": None if event.day else event.seen_at.date()}


def _middle(period: Period, today: date) -> date:
    """Choose the day whose week and month the links lead to: today, if it is in the period."""
    return min(max(period.first, today), period.last)


def page_number(page: str) -> int:
    """Parse a page number, from 1.

    Raises:
        HTTPException: it is not one.
    """
    if not (page.isascii() and page.isdigit() and 1 <= int(page[:9]) <= _MOST_PAGES):
        raise HTTPException(404, "This is not a valid page number.")
    return int(page)


def _check(shown: paper_queries.PaperPage) -> None:
    if shown.number > shown.pages:
        raise HTTPException(404, f"Page {shown.number} does not exist; the last page is {shown.pages}.")
