"""Passwords of operators, hashed by Argon2id (RFC 9106)."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from newsletter.errors import ReaderError

SHORTEST = 12
LONGEST = 200

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""What OWASP's Password Storage Cheat Sheet recommends: 19 MiB a check, so that many logins at once fit into memory."""


def hash_password(password: str, name: str) -> str:
    """Return the hash of a new password, with its parameters and salt.

    Raises:
        ReaderError: it is too short, too long, or has the name of the account in it.
    """
    if len(password) < SHORTEST:
        raise ReaderError(f"The password has {len(password)} characters; use {SHORTEST} or more.")
    if len(password) > LONGEST:
        raise ReaderError(f"The password has more than {LONGEST} characters; shorten it.")
    if name.casefold() in password.casefold() or len(set(password)) < SHORTEST // 3:
        raise ReaderError("The password is too easy to guess; use several words that do not belong together.")
    return _HASHER.hash(password)


def verify(password: str, hashed: str | None) -> bool:
    """Return whether a password is right.

    Args:
        hashed: None for an account that does not exist; checking that takes as long.
    """
    try:
        return _HASHER.verify(hashed or _nobodys(), password[:LONGEST]) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


def improved(password: str, hashed: str) -> str | None:
    """Return a new hash of a password that was just verified, if its parameters are not those of today; else None."""
    return _HASHER.hash(password) if _HASHER.check_needs_rehash(hashed) else None


@cache
def _nobodys() -> str:
    return _HASHER.hash("a password that nobody has")
