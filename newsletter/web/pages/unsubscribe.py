"""Unsubscribe pages: a page with one button, the one-click request of mail clients, and an hour to undo it."""

from datetime import datetime

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.audience import subscriber_states
from newsletter.audience.signed_links import VALID_FOR, LinkExpired, TokenPurpose
from newsletter.model import Subscriber, SubscriberState
from newsletter.store import writing
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import (
    PAGE,
    Posted,
    SameOrigin,
    path_for,
    same_site,
    subscriber_at,
    subscriber_of,
    text,
    wrong_link,
)

_TOO_LATE = "You can undo this only within an hour, and only if nothing else has changed since."


def routes(site: WebContext) -> APIRouter:
    """Create the router of the unsubscribe pages."""
    router = APIRouter(include_in_schema=False)
    context = site.context

    @router.api_route("/unsubscribe/{token}", methods=PAGE)
    def ask(request: Request, token: str, back: bool = False) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.UNSUBSCRIBE, token)
        ended = subscriber.state in (SubscriberState.UNSUBSCRIBED, SubscriberState.BOUNCED)
        undo = _undo_token(site, subscriber, context.clock())
        return site.page(
            request,
            "unsubscribe",
            headers=PRIVATE,
            email=subscriber.email,
            token=token,
            ended=ended,
            undo=undo,
            back=back,
        )

    @router.post("/unsubscribe/{token}")
    def act(request: Request, token: str, form: Posted) -> Response:
        # RFC 8058, section 3.1: a mail client posts only this field, from any origin.
        one_click = text(form, "List-Unsubscribe") == "One-Click"
        if not one_click:
            same_site(request)
        subscriber = subscriber_of(site, TokenPurpose.UNSUBSCRIBE, token)
        with writing(context.engine) as connection:
            subscriber_states.unsubscribe(connection, subscriber.email, context.clock())
        if one_click:
            return site.page(
                request, "unsubscribe", headers=PRIVATE, email=subscriber.email, token=token, ended=True, undo=None
            )
        return RedirectResponse(f"/unsubscribe/{token}", 303, headers=PRIVATE)

    @router.post("/undo/{token}", dependencies=[SameOrigin])
    def undo(request: Request, token: str) -> Response:
        try:
            found = context.links.timed(TokenPurpose.UNDO, token, context.clock())
        except LinkExpired:
            raise HTTPException(410, _TOO_LATE, headers=PRIVATE) from None
        if found is None:
            raise wrong_link()
        row, since = found
        with writing(context.engine) as connection:
            done = subscriber_states.undo_unsubscribe(connection, row, since, context.clock())
        if not done:
            raise HTTPException(410, _TOO_LATE, headers=PRIVATE)
        back = subscriber_at(site, row)
        return RedirectResponse(f"{path_for(site, TokenPurpose.UNSUBSCRIBE, back)}?back=1", 303, headers=PRIVATE)

    return router


def _undo_token(site: WebContext, subscriber: Subscriber, now: datetime) -> str | None:
    since = subscriber.state_since
    if (
        subscriber.state is not SubscriberState.UNSUBSCRIBED
        or since is None
        or now - since > VALID_FOR[TokenPurpose.UNDO]
    ):
        return None
    return site.context.links.timed_token(TokenPurpose.UNDO, subscriber.row, since)
