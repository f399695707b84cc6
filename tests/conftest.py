"""Shared fixtures: newsletters in scratch folders, used through the command line, and real mail servers."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from newsletter.services.demo import LoopbackServer
from tests.helpers.hostile_servers import RawHandler
from tests.helpers.newsletter import Newsletter
from tests.helpers.postgresql import PostgreSQL
from tests.helpers.smtp import Mailbox

# In the background of a shell Ctrl-C is ignored, also by the processes that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The time of one example says more about the machine than about the code.
settings.register_profile("newsletter", deadline=None)
settings.load_profile("newsletter")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests marked ``both_stores`` on SQLite, then on PostgreSQL."""
    if metafunc.definition.get_closest_marker("both_stores") and "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server; each test process that needs one has its own."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database of a test's store."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def store_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a new store."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    server = request.getfixturevalue("postgresql")
    url = server.fresh()
    yield url
    server.drop(url)


@pytest.fixture
def newsletter(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    backend: str,
    request: pytest.FixtureRequest,
) -> Iterator[Newsletter]:
    """A newsletter with no papers and no subscribers."""
    monkeypatch.delenv("NEWSLETTER_SMTP_PASSWORD", raising=False)
    monkeypatch.delenv("NEWSLETTER_SECRET_KEY", raising=False)
    made = Newsletter(tmp_path / "newsletter", monkeypatch, capsys)
    if backend != "sqlite":
        made.configure(store={"url": request.getfixturevalue("store_url")})
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


@pytest.fixture
def mail(newsletter: Newsletter) -> Iterator[Mailbox]:
    """A real mail server that the newsletter sends to; it accepts everything unless configured otherwise."""
    box = Mailbox()
    with LoopbackServer(box, enable_SMTPUTF8=True) as server:
        newsletter.configure(smtp={"port": server.port})
        yield box


@pytest.fixture
def reader(newsletter: Newsletter) -> str:
    """Add a subscriber with one interest in words; return the address."""
    newsletter.subscriber(
        "ada",
        """\
        email: ada@example.org
        name: Ada
        interests:
          - name: Several goals
            text: multi-objective reinforcement learning and Pareto fronts
        """,
    )
    return "ada@example.org"


@pytest.fixture
def raw_server() -> Iterator[Callable[[RawHandler], str]]:
    """Give it a function that talks to each connection, as HTTP or not; it gives the URL to connect to."""
    servers: list[socket.socket] = []

    def serve(server: socket.socket, talk: RawHandler) -> None:
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

    def start(talk: RawHandler) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=serve, args=(server, talk), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/papers"

    yield start
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
