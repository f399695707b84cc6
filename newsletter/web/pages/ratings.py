"""The ratings page: past feedback, with what it still counts and an undo, and papers to rate."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.audience.feedback import weight_of
from newsletter.audience.signed_links import TokenPurpose
from newsletter.model import Paper, Subscriber
from newsletter.rendering.paper_card import byline, labelled_title, paper_path
from newsletter.services.ratings import give_ratings
from newsletter.store import feedback, libraries, papers, reading, writing
from newsletter.store.feedback import Feedback, Verdict
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import PAGE, Posted, SameOrigin, path_for, subscriber_of, text, texts
from newsletter.web.pages.papers import page_number
from newsletter.web.pages.rate import rate_path
from newsletter.web.pages.rating_search import MOST_LINES, FoundPapers, find_list, find_one, lines_of

_PER_PAGE = 50


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    router = APIRouter(prefix="/ratings/{token}", include_in_schema=False)
    context = site.context

    def found_page(request: Request, token: str, subscriber: Subscriber, typed: str, note: str = "") -> Response:
        """Render what was found for one or several lines; a list has one form for all of its papers."""
        lines = lines_of(typed)
        found = find_one(site, lines[0]) if len(lines) == 1 else find_list(site, lines)
        return site.page(
            request,
            "rating_search",
            headers=PRIVATE,
            token=token,
            typed=typed,
            listed=len(lines) > 1,
            most=MOST_LINES,
            note=note,
            papers=_found(site, subscriber, found),
            missing=found.missing,
            left_out=found.left_out,
        )

    @router.api_route("", methods=PAGE)
    def show(
        request: Request, token: str, q: str = "", page: str = "1", rated: str = "", removed: str = ""
    ) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.RATINGS, token)
        note = _rated_note(rated)
        if lines_of(q):
            return found_page(request, token, subscriber, q, note or ("Removed." if removed else ""))
        number = page_number(page)
        with reading(context.engine) as connection:
            count = feedback.count(connection, subscriber.row)
            # Those on the last page may just have been removed.
            number = min(number, max(1, -(-count // _PER_PAGE)))
            given = feedback.newest(connection, subscriber.row, _PER_PAGE, (number - 1) * _PER_PAGE)
            known = papers.by_rows(connection, (one.paper.row for one in given))
        return site.page(
            request,
            "ratings",
            headers=PRIVATE,
            token=token,
            typed="",
            note=note,
            removed=_removed(site, subscriber, request.query_params),
            ratings=[_rating(site, subscriber, one, known[one.paper.row]) for one in given],
            count=count,
            number=number,
            pages=max(1, -(-count // _PER_PAGE)),
            half_life=context.config.ranking.feedback_half_life_days,
            rate=rate_path(site, subscriber),
            preferences=path_for(site, TokenPurpose.PREFERENCES, subscriber),
        )

    @router.post("/find", dependencies=[SameOrigin])
    def find(request: Request, token: str, form: Posted) -> Response:
        # One line becomes a page with its own URL. A list may be too long for a URL, and changes nothing either.
        subscriber, lines = subscriber_of(site, TokenPurpose.RATINGS, token), lines_of(text(form, "q"))
        if len(lines) > 1:
            return found_page(request, token, subscriber, text(form, "q"))
        return _back(token, q=_line(text(form, "q")))

    @router.post("/give", dependencies=[SameOrigin])
    def give(token: str, form: Posted) -> Response:
        subscriber, verdict = subscriber_of(site, TokenPurpose.RATINGS, token), text(form, "verdict")
        with reading(context.engine) as connection:
            found = [papers.by_id(connection, one) for one in texts(form, "paper")[:MOST_LINES]]
        rows = [paper.row for paper in found if paper is not None]
        number = give_ratings(context, subscriber, dict.fromkeys(rows, Verdict(verdict))) if verdict in _WORDS else 0
        return _back(token, q=_line(text(form, "q")), rated=str(number))

    @router.post("/undo", dependencies=[SameOrigin])
    def undo(token: str, form: Posted) -> Response:
        subscriber, page = subscriber_of(site, TokenPurpose.RATINGS, token), page_number(text(form, "page") or "1")
        given = _given(site, subscriber, text(form, "paper"))
        if given is None:
            return _back(token, page=str(page))
        with writing(context.engine) as connection:
            feedback.take_back(connection, subscriber.row, given.paper.row)
        if q := _line(text(form, "q")):
            return _back(token, q=q, removed=given.paper.id)
        was = {"verdict": given.verdict.value, "interest": given.interest or "", "given": given.given_at.isoformat()}
        return _back(token, page=str(page), removed=given.paper.id, **was)

    @router.post("/restore", dependencies=[SameOrigin])
    def restore(token: str, form: Posted) -> Response:
        subscriber, page = subscriber_of(site, TokenPurpose.RATINGS, token), page_number(text(form, "page") or "1")
        was = _removed(site, subscriber, form)
        if was is not None:
            with writing(context.engine) as connection:
                named = was.interest if was.interest in _interests(subscriber) else None
                feedback.give(connection, subscriber.row, was.paper.row, was.verdict, named, was.given_at)
        return _back(token, page=str(page), rated="1" if was is not None else "")

    return router


def _line(typed: str) -> str:
    """Return the first line that was typed, short enough for a URL."""
    return next(iter(lines_of(typed)), "")


_WORDS = {Verdict.MORE: "More like this", Verdict.LESS: "Less like this"}


def _back(token: str, **shown: str) -> Response:
    values = urlencode({name: value for name, value in shown.items() if value})
    return RedirectResponse(f"/ratings/{token}{f'?{values}' if values else ''}", 303, headers=PRIVATE)


def _rated_note(rated: str) -> str:
    if not (rated.isascii() and rated.isdigit()):
        return ""
    number = int(rated[:3])
    return "Saved." if number == 1 else f"Saved: {number} papers rated." if number else "No paper was chosen."


def _interests(subscriber: Subscriber) -> set[str]:
    return {one.name for one in subscriber.preferences.interests}


def _given(site: WebContext, subscriber: Subscriber, paper_id: str) -> Feedback | None:
    with reading(site.context.engine) as connection:
        given = feedback.of(connection, [subscriber.row])[subscriber.row]
    return next((one for one in given if one.paper.id == paper_id), None)


def _removed(site: WebContext, subscriber: Subscriber, values: Mapping[str, Any]) -> Feedback | None:
    """Return the verdict that was just removed, from the values of its link or form; None if it cannot be put back."""
    try:
        verdict, given_at = Verdict(str(values["verdict"])), datetime.fromisoformat(str(values["given"]))
        given_at = given_at.astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None
    paper_id = str(values.get("removed", ""))
    with reading(site.context.engine) as connection:
        paper = papers.find_all(connection, [paper_id]).get(paper_id)
    if paper is None or _given(site, subscriber, paper.id) is not None:
        return None
    # A verdict from the future would count in full for too long.
    return Feedback(paper, verdict, str(values.get("interest", "")) or None, min(given_at, site.context.clock()))


def _rating(site: WebContext, subscriber: Subscriber, given: Feedback, paper: Paper) -> Mapping[str, Any]:
    context = site.context
    weight = weight_of(given.given_at, context.clock(), context.config.ranking.feedback_half_life_days)
    return {
        "id": given.paper.id,
        "path": paper_path(given.paper.id),
        "title": labelled_title(paper),
        "words": _WORDS[given.verdict],
        "interest": given.interest if given.interest in _interests(subscriber) else None,
        "day": given.given_at.date(),
        "counts": f"{100 * weight:.0f}%" if weight >= 0.01 else "less than 1%",
    }


def _found(site: WebContext, subscriber: Subscriber, found: FoundPapers) -> list[Mapping[str, Any]]:
    with reading(site.context.engine) as connection:
        given = {one.paper.row: one.verdict for one in feedback.of(connection, [subscriber.row])[subscriber.row]}
        held = libraries.held_papers(connection, [subscriber.row]).get(subscriber.row, set())
    return [_card(paper, given.get(paper.row), paper.row in held) for paper in found.papers]


def _card(paper: Paper, verdict: Verdict | None, held: bool) -> Mapping[str, Any]:
    return {
        "id": paper.id,
        "path": paper_path(paper.id),
        "title": labelled_title(paper),
        "byline": byline(paper),
        "rated": _WORDS[verdict] if verdict is not None else "",
        "held": held,
    }
