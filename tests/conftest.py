"""Shared fixtures: newsletters in scratch folders, used through the command line, and real mail servers."""

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from playwright.sync_api import Browser

from newsletter.services.demo import LoopbackServer
from tests.helpers.browser import shared_browser
from tests.helpers.hostile_servers import RawHandler
from tests.helpers.newsletter import Newsletter, create_store
from tests.helpers.postgresql import Databases, PostgreSQL, shared_port
from tests.helpers.run import RUN, Run
from tests.helpers.smtp import Mailbox

# In the background of a shell Ctrl-C is ignored, also by the processes that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes says more of the machine than of the code. CI tries more examples than a local run, as many
# as fit into 15 minutes for the whole suite on two cores.
settings.register_profile("local", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=50)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests marked ``both_stores`` on SQLite, then on PostgreSQL."""
    if metafunc.definition.get_closest_marker("both_stores") and "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", ["sqlite", "postgresql"], indirect=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist which run it belongs to."""
    node.workerinput["newsletter_run"] = str(node.config.stash[RUN].folder)


def pytest_configure(config: pytest.Config) -> None:
    """Begin the run, or join the one that another process began."""
    if worker := getattr(config, "workerinput", None):
        config.stash[RUN] = Run(Path(worker["newsletter_run"]))
    else:
        config.stash[RUN] = Run.create()
        config.add_cleanup(config.stash[RUN].end)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that take long first, so that none of them runs alone at the end."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("system")
    items.sort(key=lambda item: item.get_closest_marker("system") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute the tests in our own way, whatever ``--dist`` says."""
    from tests.helpers.distribution import Distribution  # pytest-xdist may be missing

    return Distribution(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start more processes than there are processors: many tests wait for other processes."""
    return 2 * len(os.sched_getaffinity(0))


def pytest_collection_finish() -> None:
    """Exempt what is loaded by now from garbage collection: it stays until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgresql(request: pytest.FixtureRequest, worker_id: str) -> Databases:
    """The PostgreSQL server of this run."""
    return Databases("127.0.0.1", shared_port(request.config.stash[RUN]), f"store_{worker_id}_")


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server that a test may stop."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """The browser of this run."""
    with shared_browser(request.config.stash[RUN]) as connected:
        yield connected


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database of a test's store."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def store_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a new store."""
    if backend == "sqlite":
        yield create_store(tmp_path / "store.db")
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
        made.store_in(request.getfixturevalue("postgresql"), request.getfixturevalue("store_url"))
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
