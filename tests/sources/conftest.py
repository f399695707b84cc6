"""A real HTTP server for well-behaved answers (pytest-httpserver), and a real socket for the others."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from newsletter.config import Network
from newsletter.sources.http import Http, Validators, user_agent

AGENT = user_agent("https://papers.example.org", "papers@example.org")
Talk = Callable[[socket.socket], None]


def network(**changes: float | int) -> Network:
    """Limits so small that a failing try takes no time."""
    return Network.model_validate({"timeout_seconds": 2, "attempts": 3, "wait_seconds": 0.01, **changes})


@pytest.fixture
def http() -> Iterator[Http]:
    with Http(network(), AGENT) as one:
        yield one


@pytest.fixture
def http_knowing() -> Iterator[Callable[[dict[str, Validators]], Http]]:
    made: list[Http] = []

    def make(validators: dict[str, Validators]) -> Http:
        made.append(Http(network(), AGENT, validators))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def talker() -> Iterator[Callable[[Talk], str]]:
    """Give it a function that talks to each connection, as HTTP or not; it gives the URL to connect to."""
    servers: list[socket.socket] = []

    def serve(server: socket.socket, talk: Talk) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    talk(connection)
                except OSError:
                    continue

    def start(talk: Talk) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=serve, args=(server, talk), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/papers"

    yield start
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
