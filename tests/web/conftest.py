"""What the tests of the site share: the site of a newsletter, answering on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from newsletter.config.web import Web
from newsletter.services.context import open_context
from newsletter.support.clock import frozen_clock, parse_moment
from newsletter.web.app import make_app
from newsletter.web.server import listen
from newsletter.web.server import serving as serve_beside
from tests.conftest import NOW, Newsletter, free_port


@contextmanager
def serving(newsletter: Newsletter, now: str = NOW) -> Iterator[str]:
    """The site of a newsletter as its configuration stands, at ``now``; gives its address, without a slash at the end.

    It runs in a thread of this process: ``newsletter.run`` works at the same store beside it.
    """
    context = open_context(newsletter.config, frozen_clock(parse_moment(now)))
    web = Web(port=free_port())
    with listen(web) as listener, serve_beside(make_app(context), listener, web):
        # What connects before it answers waits at the socket.
        yield f"http://127.0.0.1:{web.port}"
    context.engine.dispose()


@pytest.fixture
def served(newsletter: Newsletter) -> Iterator[tuple[str, Newsletter]]:
    """The site of a newsletter, at ``NOW``: its address, and the newsletter. What is to stand in the configuration
    stands there before: a test that wants mail names ``mail`` first.
    """
    with serving(newsletter) as where:
        yield where, newsletter
