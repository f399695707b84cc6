"""Shared fixtures of the web tests: the site of a newsletter, served on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from newsletter.config.settings import Web
from newsletter.services.context import open_context
from newsletter.support.clock import frozen_clock, parse_moment
from newsletter.web.app import make_app
from newsletter.web.server import listen
from newsletter.web.server import serving as serve_beside
from tests.conftest import NOW, Newsletter, free_port


@contextmanager
def serving(newsletter: Newsletter, now: str = NOW) -> Iterator[str]:
    """Serve the site of a newsletter with its current configuration, at ``now``; yield its URL without a final slash.

    It runs in a thread of this process, and ``newsletter.run`` uses the same store at the same time.
    """
    context = open_context(newsletter.config, frozen_clock(parse_moment(now)))
    web = Web(port=free_port())
    with listen(web) as listener, serve_beside(make_app(context), listener, web):
        # Connections made before it accepts wait at the socket.
        yield f"http://127.0.0.1:{web.port}"
    context.engine.dispose()


@pytest.fixture
def served(newsletter: Newsletter) -> Iterator[tuple[str, Newsletter]]:
    """Serve the site of a newsletter, at ``NOW``; yield its URL and the newsletter.

    Fixtures that change the configuration must come before: a test that needs mail lists ``mail`` first.
    """
    with serving(newsletter) as where:
        yield where, newsletter
