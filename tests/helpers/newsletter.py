"""A newsletter in a scratch folder, used through the command line, and what starts beside it."""

import json
import os
import random
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML
from sqlalchemy import select, update

from newsletter.cli import main
from newsletter.config.loader import load_config
from newsletter.services.demo import SAMPLE_PAPERS
from newsletter.store import open_store, schema, writing
from tests.helpers.fork_server import ForkedProcess, may_fork

if TYPE_CHECKING:
    from tests.helpers.postgresql import Databases

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
def _migrated() -> bytes:
    """An empty store with the present schema."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.db")
        open_store(f"sqlite:///{path}").dispose()
        return path.read_bytes()


def create_store(path: Path) -> str:
    """Copy an empty store of SQLite to a path, and return its URL: it takes far less time than the migrations do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(_migrated())
    return f"sqlite:///{path}"


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    """A folder that is there until the tests end."""
    return tempfile.TemporaryDirectory()


@dataclass(frozen=True)
class CommandResult:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict]:
        """What ``--json`` printed."""
        return [json.loads(line) for line in self.out.splitlines()]


class Newsletter:
    """A newsletter in a folder, worked through the command line as a person would."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []
        self._databases: Databases | None = None
        self._url: str | None = None
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        (folder / "subscribers").mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(CONFIG)
        create_store(self.store)

    @property
    def store(self) -> Path:
        """Where its store is if the configuration says nothing else."""
        return self.folder / "var" / "newsletter.db"

    def run(self, *arguments: object, code: int | None = 0, now: str = NOW) -> CommandResult:
        """Run a command in this process, at ``now``; it must end with ``code`` (None: with any)."""
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
        ran = CommandResult(ended, captured.out, captured.err)
        assert code is None or ended == code, ran
        return ran

    def start(self, *arguments: object, stdin: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        """Start a command as a process of its own, with an environment; ``stdin`` is a file that is piped in."""
        with (stdin or Path(os.devnull)).open("rb") as piped:
            given, everything = [*map(str, arguments)], {**os.environ, **environment}
            forks = may_fork(everything)
            process = (ForkedProcess if forks else subprocess.Popen)(
                given if forks else [sys.executable, "-m", "newsletter", *given],
                cwd=self.folder,
                env=everything,
                stdin=piped if stdin else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        self.processes.append(process)
        return process

    def run_on_full_disk(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command where no file may grow, which fails as on a full disk."""
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

    def store_in(self, databases: "Databases", url: str) -> None:
        """Have a new database of a server as its store."""
        self.configure(store={"url": url})
        self._databases, self._url = databases, url

    def with_sample(self) -> "Newsletter":
        """Take in the sample corpus.

        What the command makes of it in a new newsletter with usual settings is kept for the next one.
        """
        var, kept = self.folder / "var", Path(_kept().name, "sqlite" if self._databases is None else "postgresql")
        usual = self._is_usual() and self._is_new()
        if usual and kept.exists():
            shutil.copytree(kept, var, dirs_exist_ok=True)
            if self._databases is not None:
                self._databases.fill(self._url)
            return self
        self.run("import", SAMPLE_PAPERS)
        if usual:
            self._keep(kept)
        return self

    def _keep(self, kept: Path) -> None:
        """Keep its data for others."""
        shutil.copytree(self.store.parent, kept, ignore=shutil.ignore_patterns("newsletter.db*", ".lock"))
        if self._databases is not None:
            self._databases.keep(self._url)
            return
        with closing(sqlite3.connect(self.store)) as store:
            store.execute("VACUUM INTO ?", [str(kept / "newsletter.db")])
        (kept / "newsletter.db").chmod(0o600)

    def _is_usual(self) -> bool:
        """Whether its settings change nothing in what becomes of papers, nor where they are kept."""
        written = YAML().load(self.folder / "config.yaml")
        return "ranking" not in written and written.get("store") == (self._url and {"url": self._url})

    def _is_new(self) -> bool:
        """Whether nothing has used its folder for data, or its database, yet."""
        var = self.store.parent
        if var.exists() and ([*var.iterdir()] != [self.store] or self.store.read_bytes() != _migrated()):
            return False
        return self._databases is None or self._databases.is_unused(self._url)

    def damage(self, email: str, **values: object) -> None:
        """Change what the store keeps of a subscriber's preferences, past every check."""
        engine = open_store(self.config.store_url)
        of_email = schema.subscribers.c.email == email
        with writing(engine) as connection:
            present = connection.execute(select(schema.subscribers.c.preferences).where(of_email)).scalar_one()
            kept = {**present, **{key: _merged(present[key], value) for key, value in values.items()}}
            connection.execute(update(schema.subscribers).where(of_email).values(preferences=kept))
        engine.dispose()

    @property
    def config(self):
        """The configuration, as the program reads it."""
        return load_config(self.folder / "config.yaml")


def _merged(present: object, value: object) -> object:
    return {**present, **value} if isinstance(present, dict) and isinstance(value, dict) else value


def wait_until(true: Callable[[], object], process: subprocess.Popen[str] | None = None, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert process is None or process.poll() is None, process and process.communicate()
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


def free_port(host: str = "127.0.0.1") -> int:
    """A port on loopback that nothing listens on.

    The kernel gives it to no connection meanwhile, as it would one that it had chosen itself.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10_000, lowest)
        with suppress(OSError), socket.create_server((host, port)):
            return port


def faketime_environment(when: str) -> dict[str, str]:
    """The environment in which Debian's faketime would start a process. It is started without faketime in between,
    which would keep its signals from it, and fails where a former faketime left its shared memory behind.
    """
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    assert library, "faketime is missing; 'make test' installs it"
    return {"LD_PRELOAD": str(library), "FAKETIME": when, "TZ": "UTC"}
