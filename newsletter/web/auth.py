"""Authenticate operators, by a session of the admin site, and programs, by a token in a header."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Annotated, Literal, TypedDict

from fastapi import Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from newsletter.audience import passwords
from newsletter.services.context import AppContext
from newsletter.store import audit, operators, reading, tokens, writing
from newsletter.store.operators import Operator, Role
from newsletter.store.tokens import Scope, Token
from newsletter.support.clock import Clock
from newsletter.web.context import PRIVATE, WebContext

COOKIE = "operator"
HOME = "/admin"
LOGIN = f"{HOME}/login"
LASTS = timedelta(hours=12)
"""The duration of a session."""

_REFUSED = "This requires a valid token, as 'Authorization: Bearer TOKEN'; create one with 'newsletter token create'."
_NOT_ALLOWED = "Your account does not allow this. An owner of the newsletter can change its role."
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


def limited(site: WebContext, scope: Scope) -> Callable[[Response, HTTPAuthorizationCredentials | None], Token]:
    """Return a dependency of API routes: a token with a scope. Response headers say how many requests are left."""
    check = scoped(site.context, scope)

    def check_and_count(response: Response, shown: PresentedToken) -> Token:
        token = check(shown)
        response.headers.update(site.limiter.take(token.row, site.context.config.web.api_per_minute).headers)
        return token

    return check_and_count


def scoped(context: AppContext, scope: Scope) -> Callable[[HTTPAuthorizationCredentials | None], Token]:
    """Return a dependency of routes for programs: the token in the request's header, which must have a scope."""

    def check(shown: PresentedToken) -> Token:
        token = authenticate(context, shown.credentials) if shown is not None else None
        if token is None:
            # The same response for a missing, a wrong and an expired one.
            raise HTTPException(401, _REFUSED, {"WWW-Authenticate": "Bearer"})
        if scope not in token.scopes:
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'  # RFC 6750, section 3.1
            raise HTTPException(403, f"This token lacks the scope {scope}.", {"WWW-Authenticate": challenge})
        return token

    return check


def viewer(context: AppContext) -> Callable[[Request], Operator]:
    """Return a dependency of pages: the operator who is logged in."""
    return _with_role(context, Role.VIEWER)


def editor(context: AppContext) -> Callable[[Request], Operator]:
    """Return a dependency of pages: the operator, who may change subscribers and sending."""
    return _with_role(context, Role.EDITOR)


def owner(context: AppContext) -> Callable[[Request], Operator]:
    """Return a dependency of pages: the operator, who may manage accounts and tokens."""
    return _with_role(context, Role.OWNER)


def _with_role(context: AppContext, needed: Role) -> Callable[[Request], Operator]:
    def check(request: Request) -> Operator:
        operator = session(context, request)
        if operator is None:
            raise HTTPException(303, "Please log in.", {**PRIVATE, "Location": LOGIN})
        if not operator.role.allows(needed):
            raise HTTPException(403, _NOT_ALLOWED, PRIVATE)
        return operator

    return check


def log_in(context: AppContext, request: Request, answer: Response, name: str, password: str) -> bool:
    """Start a session and set its cookie, if name and password are right. A previous session of the browser ends."""
    now = context.clock()
    with reading(context.engine) as connection:
        operator = operators.find(connection, name)
        hashed = operators.password_hash(connection, operator.row) if operator is not None else None
    if not passwords.verify(password, hashed) or operator is None or hashed is None:
        return False
    better = passwords.improved(password, hashed)
    with writing(context.engine) as connection:
        operators.end_session(connection, _cookie(request))
        if better is not None:
            operators.rehash(connection, operator.row, better)
        cookie = operators.begin_session(connection, operator.row, now, now + LASTS)
        audit.record(connection, operator.name, "operator.login", operator.name, now)
    answer.set_cookie(cookie_name(request), cookie, max_age=int(LASTS.total_seconds()), **_flags(request))
    return True


def end_session(context: AppContext, request: Request, answer: Response) -> None:
    """End the session in the store, so that a copy of the cookie is useless, and delete the cookie."""
    with writing(context.engine) as connection:
        operators.end_session(connection, _cookie(request))
    answer.delete_cookie(cookie_name(request), **_flags(request))


def session(context: AppContext, request: Request) -> Operator | None:
    """Return the operator of a browser's session; None if there is none, or it is over."""
    if not has_session(request):
        return None
    with reading(context.engine) as connection:
        return operators.of_session(connection, _cookie(request), context.clock())


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
    """Counts recent login attempts, by network and by name; what has too many must wait.

    Attributes:
        most: the maximum in ``within``. Kept in memory only: long passwords are not guessed in so few attempts.
    """

    most: int = 10
    within: timedelta = timedelta(minutes=15)
    _tried: dict[str, deque[float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def allow(self, key: str, clock: Clock) -> bool:
        """Return whether a network or a name may try once more; that counts as an attempt."""
        now = clock().timestamp()
        with self._lock:
            since = now - self.within.total_seconds()
            self._tried = {name: tries for name, tries in self._tried.items() if tries[-1] > since}
            tries = self._tried.setdefault(key, deque(maxlen=self.most))
            if len(tries) == self.most and tries[0] > since:
                return False
            tries.append(now)
            return True
