"""Errors of the API: which there are, and how errors of use cases become responses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.exceptions import HTTPException

from newsletter.errors import Conflict, NotFound, UserError
from newsletter.web.api.schemas import ErrorResponse

_DESCRIPTIONS = {
    400: "The request is malformed.",
    401: "The token is missing, invalid or expired.",
    403: "The token lacks the scope.",
    404: "Not found.",
    409: "The state of what is to be changed does not allow it.",
    413: "The request is too large.",
    422: "Something in the request is missing, wrong or unknown.",
    429: "Too many requests; `Retry-After` says when to go on.",
    503: "The service is temporarily unavailable.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says about the errors of an operation, by status."""
    return {status: {"model": ErrorResponse, "description": _DESCRIPTIONS[status]} for status in statuses}


PUBLIC_ERRORS = errors(400, 404, 422, 503)
READ_ERRORS = errors(400, 401, 403, 404, 413, 422, 429, 503)
WRITE_ERRORS = errors(400, 401, 403, 404, 409, 413, 422, 429, 503)


@contextmanager
def as_responses() -> Iterator[None]:
    """Turn errors into responses: 404 for what does not exist, 409 for a state that does not allow the change, 422 for
    what is wrong in the request.

    Raises:
        HTTPException: instead of a user error.
    """
    try:
        yield
    except NotFound as error:
        raise HTTPException(404, _sentence(error)) from None
    except Conflict as error:
        raise HTTPException(409, _sentence(error)) from None
    except UserError as error:
        raise HTTPException(422, _sentence(error)) from None


def _sentence(error: UserError) -> str:
    return "; ".join(error.lines)
