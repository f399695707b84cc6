"""What the processes of one test run share: a folder, and servers that run until the run ends."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from filelock import FileLock


def watched(signal: str, *command: str) -> list[str]:
    """Return a command that sends another one a signal when its own standard input ends.

    The kernel ends that even when the tests are killed.
    """
    return ["sh", "-c", f'"$@" & server=$!; read -r line; kill -{signal} $server; wait $server', "sh", *command]


class Run:
    """The folder that all processes of a test run share.

    The process that creates it keeps a named pipe open for writing as long as it lives. Every shared server has that
    pipe as its standard input (:meth:`lifeline`), and ends with it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pipe = folder / "lifeline"
        self._writing_end: int | None = None

    @classmethod
    def create(cls) -> "Run":
        """Begin a run, in a new folder."""
        run = cls(Path(tempfile.mkdtemp(prefix="newsletter-tests-")))
        os.mkfifo(run._pipe)
        run._writing_end = os.open(run._pipe, os.O_RDWR)
        return run

    def end(self) -> None:
        """End the shared servers and remove the folder."""
        assert self._writing_end is not None, "only the process that created a run ends it"
        os.close(self._writing_end)
        end = time.monotonic() + 20
        while self._is_read() and time.monotonic() < end:
            time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_read(self) -> bool:
        try:
            os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    def lifeline(self) -> IO[bytes]:
        """Open the standard input of a server that runs until the run ends."""
        return self._pipe.open("rb")

    def once(self, name: str, make: Callable[[], str]) -> str:
        """Return what ``make`` returned in the first process of the run that asked for ``name``."""
        path = self.folder / name
        with FileLock(f"{path}.lock"):
            if not path.exists():
                path.write_text(make())
            return path.read_text()


RUN = pytest.StashKey[Run]()
"""Where the configuration of pytest has the run."""
