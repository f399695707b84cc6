"""Authenticate operators: by a token in a header, or by a session that was started with one."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Annotated, Literal, TypedDict

from fastapi import Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from newsletter.audience.form_limits import network_of
from newsletter.services.context import AppContext
from newsletter.store import reading, tokens, writing
from newsletter.store.tokens import Token
from newsletter.support.clock import Clock

COOKIE = "operator"
HOME = "/operator"
LASTS = timedelta(hours=12)
"""The duration of a session."""

_REFUSED = (
    "This requires a valid operator token, as 'Authorization: Bearer TOKEN'; create one with 'newsletter token create'."
)
_bearer = HTTPBearer(auto_error=False, description="A token created with `newsletter token create NAME`.")


class _Flags(TypedDict):
    path: str
    secure: bool
    httponly: bool
    samesite: Literal["strict"]


PresentedToken = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


def authenticate(context: AppContext, shown: str) -> Token | None:
    """Return the token that was presented, None if it is invalid, revoked or expired. Its use is recorded."""
    now = context.clock()
    with reading(context.engine) as connection:
        token = tokens.find(connection, shown.strip(), now)
    if token is not None and tokens.is_stale(token, now):
        with writing(context.engine) as connection:
            tokens.note_use(connection, token.row, now)
    return token


def bearer(context: AppContext) -> Callable[[HTTPAuthorizationCredentials | None], Token]:
    """Return a dependency of operator routes: the token in the request's header."""

    def check(shown: PresentedToken) -> Token:
        token = authenticate(context, shown.credentials) if shown is not None else None
        if token is None:
            # The same response for a missing, a wrong and an expired one.
            raise HTTPException(401, _REFUSED, {"WWW-Authenticate": "Bearer"})
        return token

    return check


def begin_session(context: AppContext, request: Request, answer: Response, token: Token) -> None:
    """Start a session and set its cookie. A previous session of the browser ends."""
    with writing(context.engine) as connection:
        tokens.end_session(connection, _cookie(request))
        cookie = tokens.begin_session(connection, token.row, context.clock() + LASTS)
    answer.set_cookie(cookie_name(request), cookie, max_age=int(LASTS.total_seconds()), **_flags(request))


def end_session(context: AppContext, request: Request, answer: Response) -> None:
    """End the session in the store, so that a copy of the cookie is useless, and delete the cookie."""
    with writing(context.engine) as connection:
        tokens.end_session(connection, _cookie(request))
    answer.delete_cookie(cookie_name(request), **_flags(request))


def session(context: AppContext, request: Request) -> Token | None:
    """Return the token of a browser's session; None if missing, over, or the token is no longer valid."""
    if not has_session(request):
        return None
    with reading(context.engine) as connection:
        return tokens.of_session(connection, _cookie(request), context.clock())


def has_session(request: Request) -> bool:
    """Return whether a request has a session cookie, valid or not."""
    return bool(_cookie(request))


def cookie_name(request: Request) -> str:
    """Return the name of the cookie. Over TLS its prefix makes browsers reject one that was set by another host or by a
    page without TLS (RFC 6265bis, section 4.1.3.2).
    """
    return f"__Host-{COOKIE}" if request.url.scheme == "https" else COOKIE


def _cookie(request: Request) -> str:
    return request.cookies.get(cookie_name(request), "")


def _flags(request: Request) -> _Flags:
    return {"path": "/", "secure": request.url.scheme == "https", "httponly": True, "samesite": "strict"}


@dataclass(slots=True)
class LoginThrottle:
    """Counts recent login attempts by network; those with too many must wait.

    Attributes:
        most: the maximum in ``within``. Kept in memory only: a token cannot be guessed in any number of attempts, and
            this protects the store.
    """

    most: int = 10
    within: timedelta = timedelta(minutes=15)
    _tried: dict[str, deque[float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def allow(self, host: str, clock: Clock) -> bool:
        """Return whether a network may try once more; that counts as an attempt."""
        now, network = clock().timestamp(), network_of(host)
        with self._lock:
            since = now - self.within.total_seconds()
            self._tried = {name: tries for name, tries in self._tried.items() if tries[-1] > since}
            tries = self._tried.setdefault(network, deque(maxlen=self.most))
            if len(tries) == self.most and tries[0] > since:
                return False
            tries.append(now)
            return True
