"""Rate ten papers: verdicts on varied recent papers, and the digest that they lead to."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from newsletter.audience.signed_links import TokenPurpose
from newsletter.audience.signup import end_waiting, waits_for_ratings
from newsletter.model import Paper, Subscriber
from newsletter.rendering.paper_card import byline, labelled_title, paper_path, sentences_of
from newsletter.services.ranking_snapshot import build_snapshot
from newsletter.services.ratings import digest_with_ratings, give_ratings
from newsletter.services.varied_papers import varied_papers
from newsletter.store import feedback, reading, writing
from newsletter.store.feedback import Verdict
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import PAGE, Posted, SameOrigin, path_for, subscriber_of, text
from newsletter.web.pages.ranked_papers import ranked_papers

PAPERS = 10
_FIELD = re.compile(r"^p(\d{1,9})$", re.ASCII)


def rate_path(site: WebContext, subscriber: Subscriber) -> str:
    """Return the path of a subscriber's page. Its link has the purpose of the ratings page, since it allows the same:
    to give feedback.
    """
    return f"/rate/{site.context.links.token(TokenPurpose.RATINGS, subscriber.row, subscriber.link_version)}"


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    router = APIRouter(prefix="/rate/{token}", include_in_schema=False)
    context = site.context

    @router.api_route("", methods=PAGE)
    def show(request: Request, token: str, said: str = "", since: str = "") -> Response:
        subscriber = subscriber_of(site, TokenPurpose.RATINGS, token)
        moment = _moment(since)
        values = _form(site, subscriber) if moment is None else _result(site, subscriber, moment)
        return site.page(
            request,
            "rate" if moment is None else "rated",
            headers=PRIVATE,
            token=token,
            welcome=said == "welcome",
            waits=waits_for_ratings(subscriber),
            preferences=path_for(site, TokenPurpose.PREFERENCES, subscriber),
            ratings=path_for(site, TokenPurpose.RATINGS, subscriber),
            **values,
        )

    @router.post("", dependencies=[SameOrigin])
    def rate(token: str, form: Posted) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.RATINGS, token)
        skipped, since = text(form, "act") == "skip", context.clock()
        if not skipped:
            give_ratings(context, subscriber, _verdicts(form))
        waited = waits_for_ratings(subscriber)
        with writing(context.engine) as connection:
            end_waiting(connection, subscriber, context.clock())
        said = {"said": "welcome"} if waited else {}
        if skipped:
            page = path_for(site, TokenPurpose.PREFERENCES, subscriber)
        else:
            page, said = f"/rate/{token}", {"since": f"{since:%Y%m%dT%H%M%S.%fZ}", **said}
        return RedirectResponse(f"{page}?{urlencode(said)}" if said else page, 303, headers=PRIVATE)

    return router


def _form(site: WebContext, subscriber: Subscriber) -> Mapping[str, Any]:
    field = build_snapshot(site.context)
    found = varied_papers(site.context, field, subscriber, PAPERS) if field is not None else []
    return {"papers": [_card(paper) for paper in found]}


def _card(paper: Paper) -> Mapping[str, Any]:
    return {
        "field": f"p{paper.row}",
        "path": paper_path(paper.id),
        "title": labelled_title(paper),
        "byline": byline(paper),
        "sentence": next(iter(sentences_of(paper)), ""),
    }


def _result(site: WebContext, subscriber: Subscriber, since: datetime) -> Mapping[str, Any]:
    found = digest_with_ratings(site.context, subscriber, since)
    with reading(site.context.engine) as connection:
        given = feedback.of(connection, [subscriber.row])[subscriber.row]
    shown = ranked_papers(found.choices[:PAPERS], found.nothing, found.new)
    more = max(0, len(found.choices) - PAPERS)
    return {**shown, "more": more, "count": sum(one.given_at >= since for one in given)}


def _verdicts(form: FormData) -> dict[int, Verdict]:
    """Return the verdicts in a posted form, by the rows of the papers; papers without an opinion are left out."""
    chosen = {int(found[1]): text(form, key) for key in form if (found := _FIELD.match(key))}
    return {row: Verdict(one) for row, one in [*chosen.items()][:PAPERS] if one in list(Verdict)}


def _moment(since: str) -> datetime | None:
    """Parse the time of the last ratings; None without a valid one."""
    try:
        return datetime.strptime(since, "%Y%m%dT%H%M%S.%f%z")
    except ValueError:
        return None
