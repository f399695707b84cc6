"""Signed links: good for one subscriber and one purpose."""

import re

from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.links import Links, Purpose

BITCOIN_ADDRESS = re.compile(r"\b[13][a-km-zA-HJ-NP-Z1-9]{25,34}\b")

LINKS = Links("https://papers.example.org", "a long enough key for a test")


@given(st.integers(1, 2**31), st.sampled_from(list(Purpose)))
def test_a_link_speaks_for_its_subscriber(row: int, purpose: Purpose) -> None:
    url = LINKS.url(purpose, row)
    assert url.startswith(f"https://papers.example.org/{purpose.value}/")
    token = url.rpartition("/")[2]
    assert LINKS.subscriber(purpose, token) == row
    other = next(one for one in Purpose if one != purpose)
    assert LINKS.subscriber(other, token) is None
    assert Links(LINKS.site_url, "another key of some length").subscriber(purpose, token) is None


@given(st.text())
def test_what_was_not_signed_speaks_for_nobody(token: str) -> None:
    assert LINKS.subscriber(Purpose.UNSUBSCRIBE, token) is None


def test_no_spam_filter_takes_a_link_for_a_bitcoin_address() -> None:
    urls = [LINKS.url(purpose, row) for purpose in Purpose for row in range(1, 5_000)]
    assert [url for url in urls if BITCOIN_ADDRESS.search(url)] == []
