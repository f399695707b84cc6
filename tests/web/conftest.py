"""What the tests of the site share: the site of a newsletter, answering on loopback."""

from collections.abc import Iterator

import pytest

from tests.helpers.newsletter import Newsletter
from tests.helpers.web import serving


@pytest.fixture
def served(newsletter: Newsletter) -> Iterator[tuple[str, Newsletter]]:
    """The site of a newsletter, at ``NOW``: its address, and the newsletter. What is to stand in the configuration
    stands there before: a test that wants mail names ``mail`` first.
    """
    with serving(newsletter) as where:
        yield where, newsletter
