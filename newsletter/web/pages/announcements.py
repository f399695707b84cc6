"""Pages that end announcements: a page with one button, and the one-click request of mail clients."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.audience import subscriptions
from newsletter.audience.signed_links import TokenPurpose
from newsletter.model import Subscriber, SubscriberState
from newsletter.store import writing
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import PAGE, Posted, path_for, same_site, subscriber_of, text

_ENDED = (SubscriberState.UNSUBSCRIBED, SubscriberState.BOUNCED)


def routes(site: WebContext) -> APIRouter:
    """Create the router of the pages that end announcements."""
    router = APIRouter(include_in_schema=False)
    context = site.context

    def page(request: Request, token: str, subscriber: Subscriber, has_ended: bool) -> Response:
        return site.page(
            request,
            "announcements",
            headers=PRIVATE,
            email=subscriber.email,
            token=token,
            has_ended=has_ended,
            is_subscribed=subscriber.state not in _ENDED,
            unsubscribe=path_for(site, TokenPurpose.UNSUBSCRIBE, subscriber),
        )

    @router.api_route("/announcements/{token}", methods=PAGE)
    def ask(request: Request, token: str) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.ANNOUNCEMENTS, token)
        return page(request, token, subscriber, has_ended=not subscriber.preferences.announcements)

    @router.post("/announcements/{token}")
    def act(request: Request, token: str, form: Posted) -> Response:
        # RFC 8058, section 3.1: a mail client posts only this field, from any origin.
        one_click = text(form, "List-Unsubscribe") == "One-Click"
        if not one_click:
            same_site(request)
        subscriber = subscriber_of(site, TokenPurpose.ANNOUNCEMENTS, token)
        with writing(context.engine) as connection:
            folder = context.config.subscribers_folder
            subscriptions.stop_announcements(connection, subscriber, folder, context.clock())
        if one_click:
            return page(request, token, subscriber, has_ended=True)
        return RedirectResponse(f"/announcements/{token}", 303, headers=PRIVATE)

    return router
