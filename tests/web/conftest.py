"""Shared fixtures of the web tests: the site of a newsletter, served on loopback."""

from collections.abc import Iterator

import pytest

from tests.helpers.newsletter import Newsletter
from tests.helpers.web import serving


@pytest.fixture
def served(newsletter: Newsletter) -> Iterator[tuple[str, Newsletter]]:
    """Serve the site of a newsletter, at ``NOW``; yield its URL and the newsletter.

    Fixtures that change the configuration must come before: a test that needs mail lists ``mail`` first.
    """
    with serving(newsletter) as where:
        yield where, newsletter
