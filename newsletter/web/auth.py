"""Authenticate operators by a session on the admin site, and programs by a token in a header."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Annotated, Any, Literal, TypedDict
from urllib.parse import quote, urlencode, urlsplit

from fastapi import Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from newsletter.audience.form_limits import network_of
from newsletter.model import Role, Scope
from newsletter.services.context import AppContext
from newsletter.store import audit, operators, reading, tokens, writing
from newsletter.store.operators import Operator, name_key
from newsletter.store.tokens import Token
from newsletter.support.clock import Clock
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.rate_limit import show_rate

__all__ = [
    "HOME",
    "LOGIN",
    "LoginThrottle",
    "Operator",
    "PresentedToken",
    "Role",
    "Scope",
    "Token",
    "begin_session",
    "check_scope",
    "cookie_of",
    "editor",
    "end_session",
    "has_session",
    "limited",
    "owner",
    "page_after_login",
    "scoped",
    "session",
    "viewer",
]

COOKIE = "operator"
HOME = "/admin"
LOGIN = f"{HOME}/login"
LASTS = timedelta(hours=12)
"""The duration of a session."""

_LONGEST_PAGE = 2_000
_OF_URLS = "/?&=%+,:;@!$'()*~-._"
_REFUSED = "This requires a valid token, as 'Authorization: Bearer TOKEN'; create one with 'newsletter token create'."
_NEEDED = {Role.EDITOR: "the role editor or owner", Role.OWNER: "the role owner"}
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description=(
        "A token created with `newsletter token create NAME --scope SCOPE`, sent as `Authorization: Bearer TOKEN`. "
        f"Each operation names the scope that it needs: {', '.join(f'`{scope}`' for scope in Scope)}."
    ),
)


class _Flags(TypedDict):
    path: str
    secure: bool
    httponly: bool
    samesite: Literal["strict"]


PresentedToken = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


def viewer(site: WebContext) -> Callable[[Request], Operator]:
    """Return a dependency of admin pages: the operator who is logged in.

    The dependency redirects to the login whoever is not, and answers 403 to whoever has too low a role.
    """
    return _with_role(site, Role.VIEWER)


def editor(site: WebContext) -> Callable[[Request], Operator]:
    """Return a dependency as :func:`viewer`, for what an editor may do."""
    return _with_role(site, Role.EDITOR)


def owner(site: WebContext) -> Callable[[Request], Operator]:
    """Return a dependency as :func:`viewer`, for what only an owner may do."""
    return _with_role(site, Role.OWNER)


def _with_role(site: WebContext, needed: Role) -> Callable[[Request], Operator]:
    def check(request: Request) -> Operator:
        operator = session(site.context, request)
        if operator is None:
            raise HTTPException(303, headers={**PRIVATE, "Location": _login_for(request)})
        if not operator.role.includes(needed):
            words = f"This needs {_NEEDED[needed]}, and {operator.name} has the role {operator.role}."
            raise HTTPException(403, words, headers=PRIVATE)
        return operator

    return check


def _login_for(request: Request) -> str:
    """Return the address of the login, with the page that was asked for; a form is not posted again."""
    if request.method != "GET" or request.url.path == HOME:
        return LOGIN
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{LOGIN}?{urlencode({'next': asked})}"


def page_after_login(asked: str) -> str:
    """Return the page of the admin site to show after a login: the one that was asked for, if it is one."""
    try:
        parts = urlsplit(asked)
    except ValueError:
        return HOME
    is_own = parts.path.startswith(f"{HOME}/") and parts.path != LOGIN and not (parts.scheme or parts.netloc)
    return quote(asked, safe=_OF_URLS) if is_own and len(asked) <= _LONGEST_PAGE else HOME


def limited(site: WebContext, scope: Scope) -> Any:
    """Return a dependency as :func:`scoped`, which counts the request. Response headers say how many are left.

    The OpenAPI document names the scope.
    """
    check = scoped(site, scope)

    def check_and_count(request: Request, shown: PresentedToken) -> Token:
        token = check(shown)
        show_rate(request, site.limiter.take(token.row, site.context.config.web.api_per_minute))
        return token

    return Security(check_and_count, scopes=[scope.value])


def scoped(site: WebContext, scope: Scope) -> Callable[[HTTPAuthorizationCredentials | None], Token]:
    """Return a dependency of API routes: the token in the request's header, which has the scope.

    The dependency answers 401 without a valid token, and 403 if it lacks the scope. It records the use of the token.
    """

    def check(shown: PresentedToken) -> Token:
        token = _authenticate(site.context, shown.credentials) if shown is not None else None
        if token is None:
            # The same response for a missing, a wrong and an expired one.
            raise HTTPException(401, _REFUSED, {"WWW-Authenticate": "Bearer"})
        check_scope(token, scope)
        return token

    return check


def check_scope(token: Token, scope: Scope) -> None:
    """Check that a token has a scope.

    Raises:
        HTTPException: 403.
    """
    if scope not in token.scopes:
        # RFC 6750, section 3.1.
        said = f'Bearer error="insufficient_scope", scope="{scope}"'
        words = f"This requires a token with the scope {scope}; create one with 'newsletter token create'."
        raise HTTPException(403, words, {"WWW-Authenticate": said})


def _authenticate(context: AppContext, shown: str) -> Token | None:
    """Return the token that was presented, None if it is invalid, revoked or expired. Its use is recorded."""
    now = context.clock()
    with reading(context.engine) as connection:
        token = tokens.find(connection, shown.strip(), now)
    if token is not None and tokens.is_stale(token, now):
        with writing(context.engine) as connection:
            tokens.note_use(connection, token.row, now)
    return token


def begin_session(context: AppContext, request: Request, answer: Response, operator: Operator) -> bool:
    """Start a session and set its cookie; a previous session of the browser ends.

    Returns:
        False if the operator was removed or got another password since it was checked; then there is no session.
    """
    now = context.clock()
    with writing(context.engine) as connection:
        present = operators.by_row(connection, operator.row)
        if present is None or present.password_hash != operator.password_hash:
            return False
        operators.end_session(connection, cookie_of(request))
        cookie = operators.begin_session(connection, operator.row, now, now + LASTS)
        audit.record(connection, operator.name, "operator.login", operator.name, now)
    answer.set_cookie(cookie_name(request), cookie, max_age=int(LASTS.total_seconds()), **_flags(request))
    return True


def end_session(context: AppContext, request: Request, answer: Response) -> None:
    """End the session in the store, so that a copy of the cookie is useless, and delete the cookie."""
    with writing(context.engine) as connection:
        operators.end_session(connection, cookie_of(request))
    answer.delete_cookie(cookie_name(request), **_flags(request))


def session(context: AppContext, request: Request) -> Operator | None:
    """Return the operator of a browser's session; None if it is missing or over."""
    if not has_session(request):
        return None
    with reading(context.engine) as connection:
        return operators.of_session(connection, cookie_of(request), context.clock())


def has_session(request: Request) -> bool:
    """Return whether a request has a session cookie, valid or not."""
    return bool(cookie_of(request))


def cookie_name(request: Request) -> str:
    """Return the name of the cookie. Over TLS its prefix makes browsers reject one that was set by another host or by a
    page without TLS (RFC 6265bis, section 4.1.3.2).
    """
    return f"__Host-{COOKIE}" if request.url.scheme == "https" else COOKIE


def cookie_of(request: Request) -> str:
    """Return the value of a request's session cookie, empty without one."""
    return request.cookies.get(cookie_name(request), "")


def _flags(request: Request) -> _Flags:
    return {"path": "/", "secure": request.url.scheme == "https", "httponly": True, "samesite": "strict"}


@dataclass(slots=True)
class LoginThrottle:
    """Counts recent failed logins by network and by name; those with too many must wait.

    Attributes:
        per_network, per_name: the maximum in ``within``. Names count whether they exist or not. More are allowed by
            name, so that keeping an operator out takes several networks. The counts are kept in memory only: in
            no number of restarts are there enough attempts to guess a password of the required strength.
        at_once: the maximum of passwords that are checked at the same time, since each takes memory (19 MiB) and time.
    """

    per_network: int = 10
    per_name: int = 30
    within: timedelta = timedelta(minutes=15)
    at_once: int = 4
    _tried: dict[str, deque[float]] = field(default_factory=dict)
    _running: int = 0
    _lock: Lock = field(default_factory=Lock)

    def begin(self, host: str, name: str, clock: Clock) -> bool:
        """Return whether a login may be tried, and count it as failed; then call :meth:`end`."""
        now = clock().timestamp()
        since = now - self.within.total_seconds()
        with self._lock:
            self._tried = {key: tries for key, tries in self._tried.items() if tries and tries[-1] > since}
            limits = self._limits(host, name)
            recent = {key: sum(at > since for at in self._tried.get(key, ())) for key in limits}
            if self._running >= self.at_once or any(recent[key] >= most for key, most in limits.items()):
                return False
            for key, most in limits.items():
                self._tried.setdefault(key, deque(maxlen=most)).append(now)
            self._running += 1
            return True

    def end(self, host: str, name: str, succeeded: bool) -> None:
        """Record how a login went that was tried; one that succeeded does not count."""
        with self._lock:
            self._running -= 1
            for key in self._limits(host, name) if succeeded else ():
                if tries := self._tried.get(key):
                    tries.pop()

    def _limits(self, host: str, name: str) -> dict[str, int]:
        return {f"network {network_of(host)}": self.per_network, f"name {name_key(name)}": self.per_name}
