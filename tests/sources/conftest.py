"""A real HTTP server for well-behaved responses (pytest-httpserver), and a real socket for the others."""

from collections.abc import Callable, Iterator

import pytest

from newsletter.config.sources import Network
from newsletter.sources.http import HttpClient, Validators, user_agent

AGENT = user_agent("https://papers.example.org", "papers@example.org")


LOOPBACK = ["http://127.0.0.1", "http://localhost"]
"""The name of the test servers in their configuration."""


def network(**changes: float | int) -> Network:
    """Limits so small that a failing attempt takes no time."""
    return Network.model_validate({"timeout_seconds": 2, "attempts": 3, "wait_seconds": 0.01, **changes})


@pytest.fixture
def http() -> Iterator[HttpClient]:
    with HttpClient(network(), AGENT, urls=LOOPBACK) as one:
        yield one


@pytest.fixture
def http_knowing() -> Iterator[Callable[[dict[str, Validators]], HttpClient]]:
    made: list[HttpClient] = []

    def make(validators: dict[str, Validators]) -> HttpClient:
        made.append(HttpClient(network(), AGENT, validators, LOOPBACK))
        return made[-1]

    yield make
    for one in made:
        one.close()
