"""Requests that programs may repeat: with the header ``Idempotency-Key`` each is executed once
(draft-ietf-httpapi-idempotency-key-header-07).
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import Connection
from starlette.exceptions import HTTPException

from newsletter.errors import NewsletterError
from newsletter.services.context import AppContext
from newsletter.store import idempotency, writing
from newsletter.store.idempotency import Attempt
from newsletter.store.tokens import Token

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotent-Replayed": "true"}
"""The header of an answer that was given before."""

_DESCRIPTION = (
    "A text that names this request, such as a UUID. The same request with the same key is executed once within 24 "
    "hours: its answer is sent again, with `Idempotent-Replayed: true`. Keys belong to a token."
)
_HEADER: Any = Header(
    alias=HEADER,
    min_length=1,
    max_length=255,
    pattern=r"^[!-~]+$",
    description=_DESCRIPTION,
    examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
)

Key = Annotated[str, _HEADER]
OptionalKey = Annotated[str | None, _HEADER]

Finish = Callable[[Connection, BaseModel, int | None], None]
"""Stores an answer about a subscriber (by row, or None), in the transaction in which the request is executed."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a program.

    Attributes:
        operation: what is asked for, since a key is for one request. ``body``: the body as it was read.
    """

    context: AppContext
    token: Token
    operation: str
    body: BaseModel
    key: str | None


def answer_once(asked: Request, status: int, execute: Callable[[Finish], BaseModel]) -> JSONResponse:
    """Execute a request that succeeds with a status, or repeat the answer that its key had.

    Args:
        execute: executes it, calls the given function in the transaction of what it does, and returns the same answer.

    Raises:
        HTTPException: 409 while a request with the key is executed, 422 if the key was for another request.
    """
    if asked.key is None:
        return _response(execute(_nothing), status)
    begun = _begin(asked, asked.key)
    if not isinstance(begun, Attempt):
        return begun
    try:
        return _response(execute(_finish(begun, status)), status)
    except BaseException:
        # What failed has changed nothing, and may be corrected and tried again. If the store fails as well, the attempt
        # ends by itself.
        with suppress(NewsletterError), writing(asked.context.engine) as connection:
            idempotency.abandon(connection, begun)
        raise


def _begin(asked: Request, key: str) -> Attempt | JSONResponse:
    # A key is a string of RFC 8941, in quotation marks; most programs leave them out.
    key = key[1:-1] if len(key) > 2 and key[0] == key[-1] == '"' else key
    content, now = _digest(asked), asked.context.clock()
    with writing(asked.context.engine) as connection:
        begun = idempotency.begin(connection, asked.token.row, key, content, now)
    if isinstance(begun, Attempt):
        return begun
    if begun.request_digest != content:
        raise HTTPException(422, f"{HEADER}: was used for another request; choose a new key for each request.")
    if begun.status is None:
        raise HTTPException(
            409, f"{HEADER}: the request with this key is in progress; try again.", {"Retry-After": "1"}
        )
    return JSONResponse(begun.response, begun.status, REPLAYED)


def _digest(asked: Request) -> str:
    content = asked.body.model_dump(mode="json", exclude_unset=True)
    return hashlib.sha256(json.dumps([asked.operation, content], sort_keys=True).encode()).hexdigest()


def _finish(attempt: Attempt, status: int) -> Finish:
    def finish(connection: Connection, answer: BaseModel, subscriber: int | None) -> None:
        if not idempotency.finish(connection, attempt, status, answer.model_dump(mode="json"), subscriber):
            raise HTTPException(409, f"{HEADER}: another request with this key was first; try again.")

    return finish


def _nothing(connection: Connection, answer: BaseModel, subscriber: int | None) -> None:
    """Store nothing: the request has no key."""


def _response(answer: BaseModel, status: int) -> JSONResponse:
    return JSONResponse(answer.model_dump(mode="json"), status)
