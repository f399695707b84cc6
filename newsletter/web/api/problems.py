"""Errors of use cases as responses of the API."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException

from newsletter.errors import Conflict, NotFound, UserError


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
