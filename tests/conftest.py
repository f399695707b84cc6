"""Shared fixtures: newsletters in scratch folders, used through the command line, and real mail servers."""

import json
import os
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from ruamel.yaml import YAML
from sqlalchemy import select, update

from newsletter.cli import main
from newsletter.config.loader import load_config
from newsletter.services.demo import SAMPLE_PAPERS, LoopbackServer
from newsletter.store import open_store, schema, writing
from tests.postgresql import PostgreSQL
from tests.smtp import Mailbox

# In the background of a shell Ctrl-C is ignored, also by the processes that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The time of one example says more about the machine than about the code.
settings.register_profile("newsletter", deadline=None)
settings.load_profile("newsletter")

CONFIG = """\
site:
  name: Test Papers
  url: https://papers.example.org
  from: Papers <papers@example.org>
  postal_address: 1 Test Street
smtp:
  host: 127.0.0.1
  port: 1
  security: none
network:
  attempts: 2
  wait_seconds: 0.01
"""

NOW = "2025-11-28T09:00"


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    """A folder that exists until the tests end."""
    return tempfile.TemporaryDirectory()


@dataclass(frozen=True)
class Ran:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict]:
        """Return the rows printed by ``--json``."""
        return [json.loads(line) for line in self.out.splitlines()]


class Newsletter:
    """A newsletter in a folder, used through the command line as a person would."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        (folder / "subscribers").mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(CONFIG)

    def run(self, *arguments: object, code: int | None = 0, now: str = NOW) -> Ran:
        """Run a command in this process, at ``now``; it must exit with ``code`` (None: any)."""
        self._capsys.readouterr()
        self._monkeypatch.chdir(self.folder)
        self._monkeypatch.setattr(sys, "argv", ["newsletter", "--now", now, *map(str, arguments)])
        ended = 0
        try:
            main()
        except SystemExit as exit_:
            ended = exit_.code if isinstance(exit_.code, int) else 1 if exit_.code else 0
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err
        ran = Ran(ended, captured.out, captured.err)
        assert code is None or ended == code, ran
        return ran

    def start(self, *arguments: object, stdin: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        """Start a command in its own process, with an environment; ``stdin`` is a file to pipe in."""
        with (stdin or Path(os.devnull)).open("rb") as piped:
            process = subprocess.Popen(
                [sys.executable, "-m", "newsletter", *map(str, arguments)],
                cwd=self.folder,
                env={**os.environ, **environment},
                stdin=piped if stdin else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        self.processes.append(process)
        return process

    def run_on_full_disk(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command with a file size limit of zero, which fails as on a full disk."""
        command = f"ulimit -f 0; exec {shlex.join([sys.executable, '-m', 'newsletter', *arguments])}"
        return subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True, text=True, timeout=60)

    def configure(self, **sections: dict) -> None:
        """Change sections of the configuration."""
        yaml = YAML()
        path = self.folder / "config.yaml"
        document = yaml.load(path.read_text())
        for name, values in sections.items():
            document.setdefault(name, {}).update(values)
        with path.open("w") as file:
            yaml.dump(document, file)

    def subscriber(self, name: str, text: str) -> Path:
        """Write a subscriber's file."""
        path = self.folder / "subscribers" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def with_sample(self) -> "Newsletter":
        """Import the sample corpus.

        What the command makes of it in a new newsletter with usual settings is kept for the next one.
        """
        var, kept = self.folder / "var", Path(_kept().name, "var")
        usual = not var.exists() and not {"ranking", "store"} & YAML().load(self.folder / "config.yaml").keys()
        if usual and kept.exists():
            shutil.copytree(kept, var)
            return self
        self.run("import", SAMPLE_PAPERS)
        if usual:
            shutil.copytree(var, kept, ignore=shutil.ignore_patterns("newsletter.db*", ".lock"))
            with closing(sqlite3.connect(var / "newsletter.db")) as store:
                store.execute("VACUUM INTO ?", [str(kept / "newsletter.db")])
            (kept / "newsletter.db").chmod(0o600)
        return self

    def damage(self, email: str, **values: object) -> None:
        """Change a subscriber's stored preferences, bypassing all checks."""
        engine = open_store(self.config.store_url)
        of_email = schema.subscribers.c.email == email
        with writing(engine) as connection:
            present = connection.execute(select(schema.subscribers.c.preferences).where(of_email)).scalar_one()
            kept = {**present, **{key: _merged(present[key], value) for key, value in values.items()}}
            connection.execute(update(schema.subscribers).where(of_email).values(preferences=kept))
        engine.dispose()

    @property
    def config(self):
        """Return the configuration, as the program reads it."""
        return load_config(self.folder / "config.yaml")


def _merged(present: object, value: object) -> object:
    return {**present, **value} if isinstance(present, dict) and isinstance(value, dict) else value


def wait_until(true: Callable[[], object], process: subprocess.Popen[str], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


def free_port() -> int:
    """Return a port on loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def faked(when: str) -> dict[str, str]:
    """Return the environment in which Debian's faketime would start a process.

    The process is started directly, since faketime would not pass signals on to it.
    """
    assert shutil.which("faketime"), "faketime is missing; 'make test' installs it"
    printed = subprocess.run(["faketime", "-f", when, "env"], capture_output=True, text=True, check=True).stdout
    variables = dict(line.partition("=")[::2] for line in printed.splitlines())
    return {"LD_PRELOAD": variables["LD_PRELOAD"], "FAKETIME": when, "TZ": "UTC"}


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


Talk = Callable[[socket.socket], None]


@pytest.fixture
def talker() -> Iterator[Callable[[Talk], str]]:
    """Return a function that serves each connection with a given one, HTTP or not, and returns the URL."""
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
