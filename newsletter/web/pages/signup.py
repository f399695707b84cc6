"""Sign-up pages: the form, the response (the same for every address) and the confirmation."""

from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TakesLong
from functools import cache

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.audience.form_limits import LimitVerdict
from newsletter.audience.library_interests import references
from newsletter.audience.signed_links import TokenPurpose
from newsletter.audience.signup import LONGEST_INTEREST, MOST_INTERESTS, read_request
from newsletter.errors import NewsletterError, UserError
from newsletter.services import signup_mail
from newsletter.services.first_libraries import read_first_libraries
from newsletter.sources.library_files import check_library_file
from newsletter.store.sign_ups import SignUp
from newsletter.support import time_zones
from newsletter.support.text import to_single_line
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import (
    PAGE,
    Posted,
    PostedWithFile,
    SameOrigin,
    Upload,
    path_for,
    request_of,
    request_origin,
    text,
    texts,
)
from newsletter.web.middleware.security import LARGEST_UPLOAD
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

_PATIENCE = 15.0
"""In seconds. Libraries that take longer are read in the background."""

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
        orcid: str = "",
        lost_file: str = "",
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
            orcid=orcid,
            # Browsers forget the file of a form that comes back.
            lost_file=lost_file,
            largest_upload=LARGEST_UPLOAD["/subscribe"] // 1_000_000,
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
    def ask(request: Request, posted: PostedWithFile) -> Response:
        form, file = posted
        email, interests, topics = text(form, "email"), text(form, "interests"), texts(form, "topic")
        zone, layout, orcid = text(form, "timezone") or "UTC", text(form, "layout"), text(form, "orcid")

        def again(status: int, problems: Sequence[str], challenge: str | None = None) -> Response:
            lost = file.name if file is not None else ""
            return form_page(request, status, email, interests, topics, zone, layout, problems, challenge, orcid, lost)

        try:
            wanted = read_request(email, [*topics, *interests.splitlines()], zone, layout, orcid)
            # A field that nobody sees, and programs fill in.
            if text(form, "website"):
                return RedirectResponse("/subscribe/sent", 303)
            upload = _checked(file)
        except UserError as error:
            return again(422, error.lines)
        verdict = signup_mail.request_signup(context, wanted, request_origin(request, form), upload=upload)
        if verdict is LimitVerdict.TOO_MANY:
            raise HTTPException(429)
        if verdict is LimitVerdict.CHALLENGE:
            return again(429, (), site.challenge())
        site.mailer.wake()
        return RedirectResponse("/subscribe/sent", 303)

    @router.api_route("/subscribe/sent", methods=PAGE)
    def sent(request: Request) -> Response:
        return site.page(request, "subscribe_sent", headers={"X-Robots-Tag": "noindex"})

    @router.api_route("/confirm/{token}", methods=PAGE)
    def confirm(request: Request, token: str) -> Response:
        asked = request_of(site, TokenPurpose.CONFIRM, token)
        return site.page(
            request,
            "confirm",
            headers=PRIVATE,
            email=asked.email,
            interests=[interest.name for interest in asked.preferences.interests],
            upload=asked.upload[0] if asked.upload is not None else "",
            left_out=asked.left_out or "",
            token=token,
        )

    @router.post("/confirm/{token}", dependencies=[SameOrigin])
    def act(request: Request, token: str) -> Response:
        asked = request_of(site, TokenPurpose.CONFIRM, token)
        done = signup_mail.confirm(context, asked, request_origin(request).network)
        if done is None:
            raise HTTPException(409, _SUPPRESSED, headers=PRIVATE)
        has_libraries = asked.upload is not None or any(references(done.subscriber.preferences))
        if not done.already and (has_libraries or asked.left_out is not None):
            page = f"{path_for(site, TokenPurpose.PREFERENCES, done.subscriber)}/library"
            reads = read_first_libraries(context, done.subscriber) if has_libraries else None
            said = _read_libraries(asked, reads)
            return RedirectResponse(f"{page}?said={said}", 303, headers=PRIVATE)
        asks = not (done.already or done.subscriber.preferences.interests)
        page = rate_path(site, done.subscriber) if asks else path_for(site, TokenPurpose.PREFERENCES, done.subscriber)
        return RedirectResponse(page if done.already else f"{page}?said=welcome", 303, headers=PRIVATE)

    site.mailer.wake()
    return router


def _checked(file: Upload | None) -> tuple[str, bytes] | None:
    """Check the kind of an uploaded file; it is only read once its sender has confirmed the address.

    Raises:
        UserError: it is no library (worded for the reader).
    """
    if file is None:
        return None
    try:
        check_library_file(file.content, file.name)
    except UserError as error:
        raise UserError(f"Your library: {error}.") from None
    return to_single_line(file.name), file.content


def _read_libraries(asked: SignUp, usable: Future[bool] | None) -> str:
    """Return what the page of libraries says once they are read, or take long."""
    if usable is None or asked.left_out is not None:
        return "left_out"
    try:
        return "welcome" if usable.result(_PATIENCE) else "unreadable"
    except (TakesLong, NewsletterError):
        # The scheduler reads again what could not be read.
        return "waiting" if asked.upload is not None else "welcome"


@cache
def zones() -> dict[str, list[str]]:
    """List the time zones that a form offers, by region."""
    named = sorted(name for name in time_zones.names() if name.partition("/")[0] in _REGIONS)
    found: dict[str, list[str]] = {"": ["UTC"]}
    for name in named:
        found.setdefault(name.partition("/")[0], []).append(name)
    return found
