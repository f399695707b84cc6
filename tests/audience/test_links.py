"""Signed links: good for one subscriber and one purpose."""

from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.links import Links, Purpose

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
