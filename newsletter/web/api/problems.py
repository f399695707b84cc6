"""Errors of use cases as responses of the API."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException

from newsletter.errors import UserError
from newsletter.services.subscriber_admin import Conflict, NoSubscriber


@contextmanager
def as_responses() -> Iterator[None]:
    """Turn errors into responses: 404 for a subscriber that is not there, 409 for a state that does not allow the
    change, 422 for what is wrong in the request.

    Raises:
        HTTPException: instead of a user error.
    """
    try:
        yield
    except NoSubscriber:
        raise HTTPException(404, "No subscriber has this id.") from None
    except Conflict as error:
        raise HTTPException(409, "; ".join(error.lines)) from None
    except UserError as error:
        raise HTTPException(422, "; ".join(error.lines)) from None
