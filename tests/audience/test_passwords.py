"""Passwords of operators: which are refused, and how they are kept."""

import time

import pytest

from newsletter.audience import passwords


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("elevenchars", "use 12 or more"),
        ("x" * 201, "use 200 or fewer"),
        ("qwertyuiop12", "easy to guess"),
        ("aaaaaaaaaaaaaaaaaaaa", "easy to guess"),
        ("password1234", "easy to guess"),
        ("123456789012", "easy to guess"),
        ("grace.hopper", "easy to guess"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(password: str, said: str) -> None:
    assert said in (passwords.problem(password, "grace.hopper") or "")


@pytest.mark.parametrize(
    "password", ["trombone lagoon 78", "hF7kq2mWz9xT", "Öl für fünf Brücken", "quartz " + "-".join(map(str, range(60)))]
)
def test_a_good_password_is_taken_and_kept_as_a_hash(password: str) -> None:
    assert passwords.problem(password) is None
    kept = passwords.hash_password(password)
    assert kept.startswith("$argon2id$")
    assert kept != passwords.hash_password(password)
    assert passwords.verify(kept, password)
    assert not passwords.verify(kept, password + " ")
    assert not passwords.needs_rehash(kept)


def test_a_letter_is_the_same_however_a_keyboard_makes_it() -> None:
    assert passwords.verify(passwords.hash_password("café au lait 7"), "cafe\u0301 au lait 7")


def test_without_a_hash_no_password_is_right_and_that_takes_as_long() -> None:
    kept = passwords.hash_password("trombone lagoon 78")
    for password in ("", "trombone lagoon 78"):
        assert not passwords.verify(None, password)
    assert not passwords.verify("no hash at all", "")

    def fastest(password_hash: str | None) -> float:
        return min(_seconds(password_hash) for _ in range(5))

    assert fastest(None) > fastest(kept) / 3


def _seconds(password_hash: str | None) -> float:
    begun = time.process_time()
    passwords.verify(password_hash, "guess")
    return time.process_time() - begun
