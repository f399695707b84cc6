"""Passwords of operators: hashed with Argon2id (RFC 9106), and refused if they are easy to guess."""

import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

SHORTEST = 12
"""In characters. Longer than the 8 of NIST SP 800-63B-4 (section 3.1.1.2), since there is no second factor."""

LONGEST = 200
"""In characters, so that nobody can make hashing slow."""

_JUDGED = 72
"""The number of characters that zxcvbn looks at; its time grows faster than the length."""

_GOOD_ENOUGH = 3
"""The score of zxcvbn from which a password withstands guessing at a slow hash: 10^8 guesses or more."""

# The least that the OWASP Password Storage Cheat Sheet asks of Argon2id, which suits small machines: 19 MiB, 2 passes.
_hasher = PasswordHasher(memory_cost=19_456, time_cost=2, parallelism=1)


def problem(password: str, *known: str) -> str | None:
    """Return what is wrong with a new password and how to fix it, None if it is good.

    Args:
        known: words that an attacker would try first, such as the operator's name.
    """
    if len(password) < SHORTEST:
        return f"it has {len(password)} characters; use {SHORTEST} or more"
    if len(password) > LONGEST:
        return f"it has {len(password)} characters; use {LONGEST} or fewer"
    judged = zxcvbn(password[:_JUDGED], user_inputs=[*known, "newsletter"], max_length=_JUDGED)
    if judged["score"] < _GOOD_ENOUGH:
        return "it is easy to guess; use several unrelated words, or let a password manager make one"
    return None


def hash_password(password: str) -> str:
    """Return the hash of a password, with its salt and the parameters it was made with."""
    return _hasher.hash(_as_bytes(password))


def verify(password_hash: str | None, password: str) -> bool:
    """Return whether a password is right. Without a hash, which is so for an unknown name, that takes as long."""
    nobody = _hash_of_nobody()
    try:
        _hasher.verify(password_hash or nobody, _as_bytes(password[: LONGEST + 1]))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Return whether a hash was made with other parameters than those of today."""
    return _hasher.check_needs_rehash(password_hash)


@cache
def _hash_of_nobody() -> str:
    return _hasher.hash("")


def _as_bytes(password: str) -> bytes:
    # In one form, however a keyboard makes a letter with an accent (NIST SP 800-63B-4, section 3.1.1.2).
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
