"""Feedback pages: ask for more or less like a paper, see the effect and undo it."""

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.audience.signed_links import TokenPurpose
from newsletter.model import Paper, Subscriber
from newsletter.rendering.paper_card import labelled_title
from newsletter.services.feedback_effect import best_interest, feedback_effect
from newsletter.store import feedback as store
from newsletter.store import papers, reading, writing
from newsletter.store.feedback import Verdict
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import PAGE, SameOrigin, holder_of, path_for, wrong_link

_NO_PAPER = "This paper is no longer available, so you cannot rate it."


def routes(site: WebContext) -> APIRouter:
    """Create the router of the feedback pages."""
    router = APIRouter(prefix="/feedback/{token}", include_in_schema=False)
    context = site.context

    @router.api_route("", methods=PAGE)
    def show(request: Request, token: str, undone: bool = False) -> Response:
        subscriber, paper, verdict = _read(site, token)
        with reading(context.engine) as connection:
            all_given = store.of(connection, [subscriber.row])[subscriber.row]
        given = next((one for one in all_given if one.paper.row == paper.row and one.verdict is verdict), None)
        words = feedback_effect(context, subscriber, given.interest, paper.row, verdict) if given is not None else []
        names = [one.name for one in subscriber.preferences.interests]
        return site.page(
            request,
            "feedback",
            headers=PRIVATE,
            token=token,
            title=labelled_title(paper),
            more=verdict is Verdict.MORE,
            noted=given is not None,
            interest=given.interest if given is not None and given.interest in names else None,
            words=words,
            undone=undone,
            preferences=path_for(site, TokenPurpose.PREFERENCES, subscriber),
            ratings=path_for(site, TokenPurpose.RATINGS, subscriber),
        )

    @router.post("", dependencies=[SameOrigin])
    def give(token: str) -> Response:
        subscriber, paper, verdict = _read(site, token)
        interest = best_interest(context, subscriber, paper)
        with writing(context.engine) as connection:
            store.give(connection, subscriber.row, paper.row, verdict, interest, context.clock())
        return RedirectResponse(f"/feedback/{token}", 303, headers=PRIVATE)

    @router.post("/undo", dependencies=[SameOrigin])
    def undo(token: str) -> Response:
        subscriber, paper, _ = _read(site, token)
        with writing(context.engine) as connection:
            store.take_back(connection, subscriber.row, paper.row)
        return RedirectResponse(f"/feedback/{token}?undone=1", 303, headers=PRIVATE)

    return router


def _read(site: WebContext, token: str) -> tuple[Subscriber, Paper, Verdict]:
    found = site.context.links.feedback(token)
    if found is None:
        raise wrong_link()
    holder, paper_row, verdict = found
    subscriber = holder_of(site, TokenPurpose.FEEDBACK, holder)
    with reading(site.context.engine) as connection:
        paper = papers.by_rows(connection, [paper_row]).get(paper_row)
    if paper is None:
        raise HTTPException(410, _NO_PAPER, headers=PRIVATE)
    return subscriber, paper, Verdict(verdict)
