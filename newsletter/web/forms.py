"""Forms: what a browser posts, read within limits and from our own pages alone."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.types import Message

_MOST_FIELDS = 2_000


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
    """Take what our own pages post alone: browsers say where a form stood (Fetch Metadata, Sec-Fetch-Site).

    Raises:
        HTTPException: it stood on another site.
    """
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise HTTPException(403, "That was sent by another site. Please use the page here.")


Posted = Annotated[FormData, Depends(posted)]
OwnPage = Depends(same_site)


def text(form: FormData, name: str) -> str:
    """A field's value, empty when it was not posted."""
    value = form.get(name)
    return value if isinstance(value, str) else ""
