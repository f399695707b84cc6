"""What to do when a server says that too many requests were made."""

from collections.abc import Iterator
from contextlib import contextmanager

from newsletter.sources.errors import SourceError

TOO_MANY_REQUESTS = 429
"""The HTTP status (RFC 6585, section 4)."""


@contextmanager
def quota_hint(hint: str) -> Iterator[None]:
    """Add to the error of a refused request which limit there is and what to set.

    Raises:
        SourceError: the error, of the same class.
    """
    try:
        yield
    except SourceError as error:
        if error.status != TOO_MANY_REQUESTS:
            raise
        raise type(error)(f"{error}; {hint}", error.status) from error
