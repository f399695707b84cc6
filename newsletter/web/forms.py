"""Forms: posted fields, read within limits and from our own pages only, and the subscribers of signed links."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from starlette.datastructures import FormData, UploadFile
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
"""Methods of a page; link scanners use both, and neither changes anything."""

_MOST_FIELDS = 5_000

WRONG_LINK = "This link is invalid or incomplete. Please use the full link from your email."
GONE = "This link is no longer valid: the subscription was deleted."
_USED = "This link was already used or has expired after two days."
SIGNED_OUT = "This link was disabled and no longer works. You can get a new one by email."


@dataclass(frozen=True, slots=True)
class Upload:
    """A posted file: its name, as the browser says it, and its content."""

    name: str
    content: bytes


async def posted(request: Request) -> FormData:
    """Read the posted fields, URL-encoded or multipart.

    Raises:
        HTTPException: they cannot be read, or there is a file.
    """
    return _fields(await _form(request, files=0))


async def posted_with_file(request: Request) -> tuple[FormData, Upload | None]:
    """Read the posted fields, and the file among them; None if none was chosen.

    Raises:
        HTTPException: they cannot be read, or there are several files.
    """
    found = await _form(request, files=1)
    for _, value in found.multi_items():
        if isinstance(value, UploadFile) and value.filename:
            return _fields(found), Upload(value.filename, await value.read())
    return _fields(found), None


async def _form(request: Request, files: int) -> FormData:
    parts = _replayed(await request.body())

    async def receive() -> Message:
        return await anext(parts)

    try:
        return await Request(request.scope, receive).form(max_files=files, max_fields=_MOST_FIELDS)
    except (MultiPartException, HTTPException, UnicodeDecodeError):
        raise HTTPException(400, "The form could not be read.") from None


def _fields(form: FormData) -> FormData:
    # No text of ours contains NUL, and PostgreSQL rejects it.
    return FormData([(key, value.replace("\0", "")) for key, value in form.multi_items() if isinstance(value, str)])


async def _replayed(body: bytes) -> AsyncIterator[Message]:
    yield {"type": "http.request", "body": body, "more_body": False}


def same_site(request: Request) -> None:
    """Reject requests from pages of other sites.

    Raises:
        HTTPException: it was posted by another site.
    """
    if not _is_own(request):
        raise HTTPException(403, "This request came from another site. Please use the form on this page.")


def _is_own(request: Request) -> bool:
    """Return whether a request may come from one of our own pages.

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
    """Return scheme, host and port of a URL; None if it is not a URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port)


Posted = Annotated[FormData, Depends(posted)]
PostedWithFile = Annotated[tuple[FormData, Upload | None], Depends(posted_with_file)]
SameOrigin = Depends(same_site)


def text(form: FormData, name: str) -> str:
    """Return a field's value; empty if it was not posted."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def texts(form: FormData, name: str) -> list[str]:
    """Return all values of a field."""
    return [value for value in form.getlist(name) if isinstance(value, str)]


def request_origin(request: Request, form: FormData | None = None) -> RequestOrigin:
    """Return the network of a request and the challenge solution in its form."""
    solution = text(form, "altcha") if form is not None else ""
    return RequestOrigin(network_of(request.client.host if request.client else None), solution)


def path_for(site: WebContext, purpose: TokenPurpose, subscriber: Subscriber) -> str:
    """Return the path of a subscriber's page for a purpose."""
    return f"/{purpose.value}/{site.context.links.token(purpose, subscriber.row, subscriber.link_version)}"


class LinkError(HTTPException):
    """A link that does not work; the page says so and offers a new one by email."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(status, words, headers=PRIVATE)


def subscriber_of(site: WebContext, purpose: TokenPurpose, token: str) -> Subscriber:
    """Return the subscriber of a signed link.

    Raises:
        LinkError: the link is invalid or was disabled, or the subscription was deleted.
    """
    return holder_of(site, purpose, site.context.links.subscriber(purpose, token))


def holder_of(site: WebContext, purpose: TokenPurpose, holder: TokenHolder | None) -> Subscriber:
    """Return the subscriber of a link for a purpose; ``holder`` is None for an invalid link.

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
    """Return the subscriber of a row in a signed link.

    Raises:
        HTTPException: the subscription was deleted.
    """
    with reading(site.context.engine) as connection:
        found = subscribers.by_rows(connection, [row]).get(row)
    if found is None:
        raise HTTPException(410, GONE, headers=PRIVATE)
    return found


def request_of(site: WebContext, purpose: TokenPurpose, token: str) -> SignUp:
    """Return the request that an email link confirms.

    Raises:
        HTTPException: the link is invalid, expired or already used.
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
    """Create the error for a confirmation link that was used or has expired."""
    if purpose is TokenPurpose.CONFIRM:
        return HTTPException(410, f"{_USED} You can subscribe again.", headers=PRIVATE)
    return LinkError(410, f"{_USED} You can request a new one on your preferences page.")


def wrong_link() -> LinkError:
    """Create the error for an invalid link."""
    return LinkError(404, WRONG_LINK)
