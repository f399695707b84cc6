"""Who is an operator: by a token in a header, or by the session that began with one."""

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Annotated

from fastapi import Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from itsdangerous import BadSignature, TimestampSigner
from starlette.exceptions import HTTPException

from newsletter.audience.limits import network_of
from newsletter.clock import Clock
from newsletter.desk import Desk
from newsletter.store import reading, tokens, writing
from newsletter.store.tokens import Token

COOKIE = "operator"
HOME = "/operator"
LASTS = timedelta(hours=12)
"""How long a session lasts."""

_REFUSED = (
    "This needs a token of an operator that still holds, as 'Authorization: Bearer TOKEN'; 'newsletter token create' "
    "makes one."
)
_bearer = HTTPBearer(auto_error=False, description="A token made by `newsletter token create NAME`.")
Shown = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


def know(desk: Desk, shown: str) -> Token | None:
    """The token that somebody shows, None when it is none, was revoked or has expired. Its use is written down."""
    now = desk.clock()
    with reading(desk.engine) as connection:
        token = tokens.find(connection, shown.strip(), now)
    if token is not None and tokens.is_stale(token, now):
        with writing(desk.engine) as connection:
            tokens.note_use(connection, token.row, now)
    return token


def bearer(desk: Desk) -> Callable[[HTTPAuthorizationCredentials | None], Token]:
    """What a route of operators depends on: the token in the request's header."""

    def check(shown: Shown) -> Token:
        token = know(desk, shown.credentials) if shown is not None else None
        if token is None:
            # One answer for none, a wrong one and one that has expired.
            raise HTTPException(401, _REFUSED, {"WWW-Authenticate": "Bearer"})
        return token

    return check


def begin_session(desk: Desk, request: Request, answer: Response, token: Token) -> None:
    """Give the browser a cookie that stands for the token, which it does not hold itself."""
    answer.set_cookie(
        COOKIE,
        _signer(desk).sign(str(token.row)).decode(),
        max_age=int(LASTS.total_seconds()),
        path=HOME,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def end_session(request: Request, answer: Response) -> None:
    """Have the browser forget the cookie."""
    secure = request.url.scheme == "https"
    answer.delete_cookie(COOKIE, path=HOME, secure=secure, httponly=True, samesite="strict")


def session(desk: Desk, request: Request) -> Token | None:
    """The token of a browser's session; None without one, when it was forged or is over, or the token holds no more."""
    try:
        row = int(_signer(desk).unsign(request.cookies.get(COOKIE, ""), max_age=int(LASTS.total_seconds())))
    except (BadSignature, ValueError):
        return None
    with reading(desk.engine) as connection:
        return tokens.by_row(connection, row, desk.clock())


class _Signer(TimestampSigner):
    """Signs with the newsletter's time."""

    clock: Clock

    def get_timestamp(self) -> int:
        return int(self.clock().timestamp())


def _signer(desk: Desk) -> _Signer:
    signer = _Signer(desk.links.key, salt="newsletter.operator", digest_method=hashlib.sha256)
    signer.clock = desk.clock
    return signer


@dataclass(slots=True)
class Attempts:
    """How often each network tried to log in of late; those that try too often wait.

    Attributes:
        most: in ``within``. Kept in this process alone: a token cannot be guessed in any number of tries, and this
            keeps who tries from the store.
    """

    most: int = 10
    within: timedelta = timedelta(minutes=15)
    _tried: dict[str, deque[float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def allow(self, host: str, clock: Clock) -> bool:
        """Whether a network may try once more; that counts as a try."""
        now, network = clock().timestamp(), network_of(host)
        with self._lock:
            since = now - self.within.total_seconds()
            self._tried = {name: tries for name, tries in self._tried.items() if tries[-1] > since}
            tries = self._tried.setdefault(network, deque(maxlen=self.most))
            if len(tries) == self.most and tries[0] > since:
                return False
            tries.append(now)
            return True
