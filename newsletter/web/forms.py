"""Forms: what a browser posts, read within limits and from our own pages alone, and whom a link speaks for."""

from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.types import Message

from newsletter.audience.form_limits import RequestOrigin, network_of
from newsletter.audience.signed_links import REVOCABLE, LinkExpired, TokenHolder, TokenPurpose
from newsletter.model import Subscriber
from newsletter.services.signup_mail import find_request
from newsletter.store import reading, subscribers
from newsletter.store.sign_ups import SignUp
from newsletter.web.auth import has_session
from newsletter.web.context import PRIVATE, WebContext

PAGE = ["GET", "HEAD"]
"""Methods of a page; programs that look at links ask by either, and neither changes anything."""

_MOST_FIELDS = 2_000

WRONG_LINK = "This link is not one of ours, or a part of it got lost. Please use the link in your email as it is."
GONE = "This link is good no more: there is nobody here any longer whom it speaks for."
_USED = "This link was used already, or it is more than two days old."
SIGNED_OUT = "This link was signed out, so it does not work any more. You can get a new one by email."


async def posted(request: Request) -> FormData:
    """The fields that were posted, as a form or as multipart.

    Raises:
        HTTPException: they cannot be read.
    """
    parts = _replayed(await request.body())

    async def receive() -> Message:
        return await anext(parts)

    try:
        found = await Request(request.scope, receive).form(max_files=0, max_fields=_MOST_FIELDS)
    except (MultiPartException, HTTPException, UnicodeDecodeError):
        raise HTTPException(400, "That form cannot be read.") from None
    return FormData([(key, value) for key, value in found.multi_items() if isinstance(value, str)])


async def _replayed(body: bytes) -> AsyncIterator[Message]:
    yield {"type": "http.request", "body": body, "more_body": False}


def same_site(request: Request) -> None:
    """Refuse what a page of another site posts.

    Raises:
        HTTPException: it was posted by another site.
    """
    if not _is_own(request):
        raise HTTPException(403, "That was sent by another site. Please use the page here.")


def _is_own(request: Request) -> bool:
    """Whether a request may come from one of our own pages.

    Browsers send the origin of a request in Sec-Fetch-Site (Fetch Metadata; only over TLS) and, with a POST, in Origin
    (RFC 6454, section 7). A request with neither comes from a program, or from a browser older than 2020. It may use
    the signed link or the token that it contains, but not a session: browsers add that cookie to any request.
    """
    fetched = request.headers.get("sec-fetch-site")
    if fetched not in (None, "same-origin", "none"):
        return False
    origins = request.headers.getlist("origin")
    if origins == ["null"]:
        # An extension may have hidden it. A sandboxed page of another site sends it too, but as cross-site.
        return fetched == "same-origin"
    if origins:
        reached = f"{request.url.scheme}://{request.headers.get('host', '')}"
        own = {_origin(reached), _origin(request.app.state.url)} - {None}
        return all(_origin(one) in own for one in origins)
    return fetched is not None or not has_session(request)


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    """Scheme, host and port of a URL; None if it is not a URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port)


Posted = Annotated[FormData, Depends(posted)]
SameOrigin = Depends(same_site)


def text(form: FormData, name: str) -> str:
    """A field's value, empty when it was not posted."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def texts(form: FormData, name: str) -> list[str]:
    """All values of a field."""
    return [value for value in form.getlist(name) if isinstance(value, str)]


def request_origin(request: Request, form: FormData | None = None) -> RequestOrigin:
    """Who sent a request: from which network, and the solution of a challenge that stands in its form."""
    solution = text(form, "altcha") if form is not None else ""
    return RequestOrigin(network_of(request.client.host if request.client else None), solution)


def path_for(site: WebContext, purpose: TokenPurpose, subscriber: Subscriber) -> str:
    """The path of a subscriber's own page for a purpose."""
    return f"/{purpose.value}/{site.context.links.token(purpose, subscriber.row, subscriber.link_version)}"


class LinkError(HTTPException):
    """A link that does not work; the page says so and offers a new one by email."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(status, words, headers=PRIVATE)


def subscriber_of(site: WebContext, purpose: TokenPurpose, token: str) -> Subscriber:
    """Whom a link speaks for.

    Raises:
        LinkError: it is not ours, was signed out, or that person is here no more.
    """
    return holder_of(site, purpose, site.context.links.subscriber(purpose, token))


def holder_of(site: WebContext, purpose: TokenPurpose, holder: TokenHolder | None) -> Subscriber:
    """The subscriber whom a link for a purpose speaks for; None is a link that is not ours.

    Raises:
        LinkError: as :func:`subscriber_of`.
    """
    if holder is None:
        raise wrong_link()
    found = subscriber_at(site, holder.row)
    if purpose in REVOCABLE and holder.version != found.link_version:
        raise LinkError(410, SIGNED_OUT)
    return found


def subscriber_at(site: WebContext, row: int) -> Subscriber:
    """The subscriber of a row that stood in a signed link.

    Raises:
        HTTPException: that person is here no more.
    """
    with reading(site.context.engine) as connection:
        found = subscribers.by_rows(connection, [row]).get(row)
    if found is None:
        raise HTTPException(410, GONE, headers=PRIVATE)
    return found


def request_of(site: WebContext, purpose: TokenPurpose, token: str) -> SignUp:
    """The request that the link of an email confirms.

    Raises:
        HTTPException: the link is not ours, too old, or was used.
    """
    try:
        request = find_request(site.context, purpose, token)
    except LinkExpired:
        request = None
    except ValueError:
        raise wrong_link() from None
    if request is None:
        raise used_link(purpose)
    return request


def used_link(purpose: TokenPurpose) -> HTTPException:
    """What is told of a link to confirm a request that is there no more."""
    if purpose is TokenPurpose.CONFIRM:
        return HTTPException(410, f"{_USED} Please subscribe again, if you like.", headers=PRIVATE)
    return LinkError(410, f"{_USED} You can ask again on the page of your preferences.")


def wrong_link() -> LinkError:
    """What is told of a link that was not made here, or for something else."""
    return LinkError(404, WRONG_LINK)
