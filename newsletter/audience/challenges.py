"""Challenges: proof of work that a browser does before a form is accepted, once many requests arrive.

The ALTCHA library creates and verifies them. Each is signed, expires, and is good for one request.
"""

import base64
import hashlib
import hmac
import json
import secrets
from datetime import datetime, timedelta
from typing import Any

import altcha
from sqlalchemy import Connection

from newsletter.store import solved_challenges as store

VALID_FOR = timedelta(minutes=20)
LONGEST_SOLUTION = 2_000

_ALGORITHM = "SHA-256"


def create_challenge(key: str, tries: int, now: datetime) -> dict[str, Any]:
    """A challenge, as the page's script takes it.

    Args:
        key: the site's signing key. ``tries``: how many a browser needs at most; half as many on average.
    """
    made = altcha.create_challenge(
        _ALGORITHM,
        cost=1,
        counter=secrets.randbelow(tries),
        hmac_secret=_secret(key),
        # Not the library's own expiry, which ignores our clock (--now).
        data={"expires": int((now + VALID_FOR).timestamp())},
    )
    return dict(made.to_dict())


def redeem_solution(connection: Connection, key: str, solution: str, now: datetime) -> bool:
    """Use a solution; returns whether it is correct, not expired and unused, across all processes."""
    expires = _expiry(key, solution)
    if expires is None or expires < now.timestamp():
        return False
    signature = json.loads(base64.b64decode(solution))["challenge"]["signature"]
    digest = hashlib.sha256(str(signature).lower().encode()).hexdigest()
    return store.add(connection, digest, now + VALID_FOR)


def forget(connection: Connection, now: datetime) -> None:
    """Delete the challenges that have expired."""
    store.forget(connection, now)


def _expiry(key: str, solution: str) -> float | None:
    """Return when a solution expires (seconds since 1970); None if it is wrong."""
    if not solution or len(solution) > LONGEST_SOLUTION:
        return None
    try:
        found = altcha.verify_solution(solution, _secret(key))
        if not found.verified:
            return None
        # The verified content was signed here.
        return float(json.loads(base64.b64decode(solution))["challenge"]["parameters"]["data"]["expires"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # Not from here.


def _secret(key: str) -> str:
    return hmac.new(key.encode(), b"newsletter.challenge", hashlib.sha256).hexdigest()
