"""Signed links: good for one subscriber and one purpose."""

import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.signed_links import REVOCABLE, Links, TokenHolder, TokenPurpose
from newsletter.errors import UserError

BITCOIN_ADDRESS = re.compile(r"\b[13][a-km-zA-HJ-NP-Z1-9]{25,34}\b")

LINKS = Links("https://papers.example.org", "a long enough key for a test")


@given(st.integers(1, 2**31), st.sampled_from(list(TokenPurpose)))
def test_a_link_speaks_for_its_subscriber(row: int, purpose: TokenPurpose) -> None:
    url = LINKS.url(purpose, row)
    assert url.startswith(f"https://papers.example.org/{purpose.value}/")
    token = url.rpartition("/")[2]
    assert LINKS.subscriber(purpose, token) == TokenHolder(row)
    other = next(one for one in TokenPurpose if one != purpose)
    assert LINKS.subscriber(other, token) is None
    assert Links(LINKS.site_url, "another key of some length").subscriber(purpose, token) is None


@given(st.text())
def test_what_was_not_signed_speaks_for_nobody(token: str) -> None:
    assert LINKS.subscriber(TokenPurpose.UNSUBSCRIBE, token) is None


def test_no_spam_filter_takes_a_link_for_a_bitcoin_address() -> None:
    urls = [LINKS.url(purpose, row) for purpose in TokenPurpose for row in range(1, 5_000)]
    assert [url for url in urls if BITCOIN_ADDRESS.search(url)] == []


@given(st.integers(1, 2**31), st.integers(1, 2**31), st.sampled_from(list(TokenPurpose)))
def test_a_link_names_the_version_that_it_was_made_in(row: int, version: int, purpose: TokenPurpose) -> None:
    token = LINKS.token(purpose, row, version)
    assert token == LINKS.token(purpose, row, version)
    assert LINKS.subscriber(purpose, token) == TokenHolder(row, version if purpose in REVOCABLE else 0)
    url = LINKS.feedback_url(row, 7, "more", version)
    assert LINKS.feedback(url.rpartition("/")[2]) == (TokenHolder(row, version), 7, "more")
    saves = LINKS.save_url(row, 7, version)
    assert LINKS.save(saves.rpartition("/")[2]) == (TokenHolder(row, version), 7)
    # One that saves does not judge, and does not open the list.
    assert LINKS.feedback(saves.rpartition("/")[2]) is LINKS.save(url.rpartition("/")[2]) is None
    assert LINKS.subscriber(TokenPurpose.SAVED, saves.rpartition("/")[2]) is None


def test_links_of_messages_sent_before_there_were_versions_are_of_the_first() -> None:
    # As such a message has them: made by hand, not by the code under test.
    key = hashlib.sha256(b"newsletter.preferencessignera long enough key for a test").digest()
    token = f"5.{hmac.new(key, b'5', hashlib.sha256).hexdigest()}"
    assert LINKS.subscriber(TokenPurpose.PREFERENCES, token) == TokenHolder(5, 0)
    assert LINKS.token(TokenPurpose.PREFERENCES, 5) == token


def test_without_a_site_there_are_tokens_but_no_links() -> None:
    links = Links(None, LINKS.key)
    token = links.feedback_token(1, 2, "more")
    assert links.feedback(token) == LINKS.feedback(token) == (TokenHolder(1), 2, "more")
    with pytest.raises(UserError, match=r"^site\.url: not set, so no link can lead to the site"):
        links.feedback_url(1, 2, "more")
