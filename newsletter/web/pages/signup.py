"""Sign-up pages: the form, the response (the same for every address) and the confirmation."""

from collections.abc import Sequence
from functools import cache

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.audience.form_limits import LimitVerdict
from newsletter.audience.signed_links import TokenPurpose
from newsletter.audience.signup import LONGEST_INTEREST, MOST_INTERESTS, read_request
from newsletter.errors import UserError
from newsletter.services import signup_mail
from newsletter.support import time_zones
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import PAGE, Posted, SameOrigin, path_for, request_of, request_origin, text, texts
from newsletter.web.pages.preference_form import layout_choices
from newsletter.web.pages.rate import rate_path

TOPICS = (
    "large language models",
    "reasoning and planning",
    "agents that use tools",
    "image and video generation",
    "vision and language",
    "reinforcement learning",
    "robot learning",
    "speech and audio",
    "safety and alignment",
    "interpretability",
    "efficient training and inference",
    "proteins and molecules",
)
"""Topics that the form suggests; any other text is accepted too."""

_LONGEST_EMAIL = 320
_REGIONS = {"Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
_SUPPRESSED = "Mail to this address bounced or was reported as spam. Please contact us so that we can look into it."


def routes(site: WebContext) -> APIRouter:
    """Create the router of the sign-up pages."""
    router = APIRouter(include_in_schema=False)
    context = site.context

    def form_page(
        request: Request,
        status: int,
        email: str,
        interests: str,
        topics: Sequence[str],
        zone: str,
        layout: str,
        problems: Sequence[str],
        challenge: str | None = None,
    ) -> Response:
        return site.page(
            request,
            "subscribe",
            status,
            headers={"Cache-Control": "no-store"},
            email=email,
            interests=interests,
            topics=[(topic, topic in topics) for topic in TOPICS],
            zone=zone,
            zones=zones(),
            layouts=layout_choices(layout, context.config.digest.layout),
            problems=problems,
            challenge=challenge,
            longest=LONGEST_INTEREST,
            most=MOST_INTERESTS,
        )

    @router.api_route("/subscribe", methods=PAGE)
    def form(request: Request, interest: str = "") -> Response:
        return form_page(request, 200, "", interest[:LONGEST_INTEREST], (), "UTC", "", ())

    @router.post("/subscribe/begin", dependencies=[SameOrigin])
    def begin(request: Request, form: Posted) -> Response:
        # From the box on other pages. It uses POST to keep the address out of logs and browser history.
        email, interest = text(form, "email")[:_LONGEST_EMAIL], text(form, "interest")[:LONGEST_INTEREST]
        return form_page(request, 200, email, interest, (), "UTC", "", ())

    @router.post("/subscribe", dependencies=[SameOrigin])
    def ask(request: Request, form: Posted) -> Response:
        email, interests, topics = text(form, "email"), text(form, "interests"), texts(form, "topic")
        zone, layout = text(form, "timezone") or "UTC", text(form, "layout")
        try:
            wanted = read_request(email, [*topics, *interests.splitlines()], zone, layout)
        except UserError as error:
            return form_page(request, 422, email, interests, topics, zone, layout, error.lines)
        # A field that nobody sees, and programs fill in.
        if not text(form, "website"):
            verdict = signup_mail.request_signup(context, wanted, request_origin(request, form))
            if verdict is LimitVerdict.TOO_MANY:
                raise HTTPException(429)
            if verdict is LimitVerdict.CHALLENGE:
                return form_page(request, 429, email, interests, topics, zone, layout, (), site.challenge())
            site.mailer.wake()
        return RedirectResponse("/subscribe/sent", 303)

    @router.api_route("/subscribe/sent", methods=PAGE)
    def sent(request: Request) -> Response:
        return site.page(request, "subscribe_sent", headers={"X-Robots-Tag": "noindex"})

    @router.api_route("/confirm/{token}", methods=PAGE)
    def confirm(request: Request, token: str) -> Response:
        asked = request_of(site, TokenPurpose.CONFIRM, token).preferences
        interests = [interest.name for interest in asked.interests]
        return site.page(request, "confirm", headers=PRIVATE, email=asked.email, interests=interests, token=token)

    @router.post("/confirm/{token}", dependencies=[SameOrigin])
    def act(request: Request, token: str) -> Response:
        done = signup_mail.confirm(
            context, request_of(site, TokenPurpose.CONFIRM, token), request_origin(request).network
        )
        if done is None:
            raise HTTPException(409, _SUPPRESSED, headers=PRIVATE)
        asks = not (done.already or done.subscriber.preferences.interests)
        page = rate_path(site, done.subscriber) if asks else path_for(site, TokenPurpose.PREFERENCES, done.subscriber)
        return RedirectResponse(page if done.already else f"{page}?said=welcome", 303, headers=PRIVATE)

    site.mailer.wake()
    return router


@cache
def zones() -> dict[str, list[str]]:
    """List the time zones that a form offers, by region."""
    named = sorted(name for name in time_zones.names() if name.partition("/")[0] in _REGIONS)
    found: dict[str, list[str]] = {"": ["UTC"]}
    for name in named:
        found.setdefault(name.partition("/")[0], []).append(name)
    return found
