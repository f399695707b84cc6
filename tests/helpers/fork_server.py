"""Starts ``newsletter`` as a process without the second that its imports take: by fork, from a process that has them.

What is started is a process like another: with its own standard streams, environment, folder, signals and exit status.
"""

import fcntl
import gc
import importlib
import marshal
import os
import pickle
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from multiprocessing import util
from pathlib import Path
from typing import Any

from newsletter.workers.local import PRELOADED

_IMPORTED = (
    *PRELOADED,
    "apscheduler.executors.pool",
    "apscheduler.jobstores.sqlalchemy",
    "apscheduler.schedulers.asyncio",
    "fastapi",
    "feedparser",
    "newsletter.cli",
    "newsletter.config.loader",
    "newsletter.config.settings",
    "newsletter.delivery.bounces.bounce_mailbox",
    "newsletter.delivery.smtp.session",
    "newsletter.highlights.classifier",
    "newsletter.rendering.paper_card",
    "newsletter.web.server",
    "numpy",
    "psycopg",
    "scipy.sparse.linalg",
    "sklearn.base",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
    "uvicorn",
)
_READ_AT_START = ("LD_", "LANG", "LC_", "OMP_", "OPENBLAS_", "PYTHON")


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that Python and its libraries read only when they start."""
    return {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}


_AT_START = _read_at_start(os.environ)


def may_fork(environment: Mapping[str, str]) -> bool:
    """Whether a process with this environment differs from the fork server in nothing that is read only at a start."""
    return _read_at_start(environment) == _AT_START


class ForkedProcess(subprocess.Popen):
    """``python -m newsletter`` with the arguments given.

    Of the options of :class:`subprocess.Popen` it takes those for streams, folder, environment and a new session.

    Its parent is the fork server, which tells how it ended.
    """

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *more) -> None:
        """Have the fork server start the process."""
        pipes = stdin, _, _, stdout, _, stderr = more[3:9]
        folder, environment = str(cwd or Path.cwd()), dict(os.environ if env is None else env)
        request = marshal.dumps((list(args), folder, environment, None, more[14]))
        self._server = socket.socket(socket.AF_UNIX)
        with Path(os.devnull).open("rb") as nothing:
            self._server.connect(_address())
            streams = [nothing.fileno() if stdin == -1 else stdin, stdout, stderr]
            socket.send_fds(self._server, [len(request).to_bytes(4, "big")], streams)
            self._server.sendall(request)
            self.pid = int.from_bytes(_exactly(self._server, 4), "big")
        self._child_created = True
        self._close_pipe_fds(*pipes)

    def _ended(self, wait: bool) -> int | None:
        """How it ended, as :func:`os.waitpid` says; None if it runs."""
        if not wait and not select.select([self._server], [], [], 0)[0]:
            return None
        with self._server:
            return int.from_bytes(_exactly(self._server, 4), "big")

    def _internal_poll(self, *_: object, **__: object) -> int | None:
        with self._waitpid_lock:
            if self.returncode is None and (status := self._ended(wait=False)) is not None:
                self._handle_exitstatus(status)
        return self.returncode

    def _try_wait(self, flags: int) -> tuple[int, int]:
        status = self._ended(wait=not flags & os.WNOHANG)
        return (0, 0) if status is None else (self.pid, status)


# Python by way of the shell, since the line of an interpreter cannot have a path with a space.
_PROGRAM = """\
#!/bin/sh
'''exec' "{python}" -ISB "$0" "$@"
' '''
import marshal, os, signal, socket, sys

server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
os.umask(mask := os.umask(0))
request = marshal.dumps(([*{arguments!r}, *sys.argv[1:]], os.getcwd(), dict(os.environ), mask, False))
socket.send_fds(server, [len(request).to_bytes(4, "big")], [0, 1, 2])
server.sendall(request)
pid = int.from_bytes(server.recv(4, socket.MSG_WAITALL), "big")
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: os.kill(pid, number))
status = os.waitstatus_to_exitcode(int.from_bytes(server.recv(4, socket.MSG_WAITALL), "big"))
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def install(program: Path, *arguments: str) -> None:
    """Write a program that does what ``newsletter`` with these first arguments does, for shells to find.

    It has the fork server start the process, gives it its streams, folder, environment and umask, hands signals on,
    and ends as that process ends.
    """
    program.parent.mkdir(exist_ok=True)
    program.write_text(_PROGRAM.format(python=sys.executable, address=_address(), arguments=arguments))
    program.chmod(0o755)


_STARTING = threading.Lock()


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="newsletter-tests-")


def _address() -> str:
    """Return the path of the socket of this process's fork server, which the first call starts."""
    with _STARTING:
        return _started()


@cache
def _started() -> str:
    """Start the fork server of this process, and return the path of its socket; it ends with this process."""
    address = str(Path(_folder().name, "fork-server"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        command = [sys.executable, "-m", __name__, str(listener.fileno())]
        root = Path(__file__).parents[2]
        quiet = subprocess.DEVNULL
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, cwd=root, pass_fds=[listener.fileno()])
    _servers.append(server)
    return address


_servers: list[subprocess.Popen[bytes]] = []
"""Keeps open what the fork server reads, which ends with this process."""


def _serve(listener: socket.socket) -> None:
    """Start processes, and tell how each of them ended. Returns in a process that is to become the newsletter."""
    running: dict[int, socket.socket] = {}
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    while True:
        ready, _, _ = select.select([listener, wake, sys.stdin], [], [])
        if sys.stdin in ready:
            sys.exit()  # The tests have ended.
        if wake in ready:
            os.read(wake, 512)
            _tell_of_ended(running)
        if listener not in ready:
            continue
        asking, _ = listener.accept()
        length, streams, _, _ = socket.recv_fds(asking, 4, 3)
        request = marshal.loads(_exactly(asking, int.from_bytes(length, "big")))
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (*running.values(), asking, listener):
                other.close()
            for end in (wake, woken):
                os.close(end)
            _become(*request, streams)
            _fork_next_server()
            return
        for stream in streams:
            os.close(stream)
        running[pid] = asking
        asking.sendall(pid.to_bytes(4, "big"))


def _tell_of_ended(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with running.pop(pid) as asking, suppress(BrokenPipeError):  # Nobody waits for it.
            asking.sendall(status.to_bytes(4, "big"))


def _exactly(connection: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        part = connection.recv(length - len(received))
        assert part, "the other end of the fork server has ended"
        received += part
    return received


def _become(
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    mask: int | None,
    new_session: bool,
    streams: list[int],
) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    if mask is not None:
        os.umask(mask)
    if new_session:
        os.setsid()
    if not may_fork(environment):
        os.execve(sys.executable, [sys.executable, "-m", "newsletter", *arguments], environment)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv[1:] = arguments
    sys.path[0] = folder


def _fork_next_server() -> None:
    """Fork what becomes multiprocessing's fork server once this process starts one, which is to import nothing again.

    It is forked now, while this process has no threads. It does nothing until it is told, and ends with this process.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _wait_for_server_command(theirs)
        sys.exit()
    theirs.close()
    start = util.spawnv_passfds

    def start_or_tell(path: bytes, arguments: list[Any], passed: list[int]) -> int:
        command = str(arguments[-1])
        if not command.startswith("from multiprocessing.forkserver import main") or ours.fileno() == -1:
            return start(path, arguments, passed)
        with ours:
            socket.send_fds(ours, [pickle.dumps((command, passed))], passed)
        return pid

    util.spawnv_passfds = start_or_tell


def _wait_for_server_command(teller: socket.socket) -> None:
    """Run the command line of a Python that is told, with the file descriptors that it names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told, given, _, _ = socket.recv_fds(teller, 1 << 16, 2)
    teller.close()
    if not told:
        return
    command, numbers = pickle.loads(told)
    above = max(*numbers, *given) + 1
    moved = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, above) for one in given]
    for one in given:
        os.close(one)
    for one, number in zip(moved, numbers, strict=True):
        os.dup2(one, number)
        os.close(one)
    exec(command)


if __name__ == "__main__":
    for name in _IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.collect()
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("newsletter", run_name="__main__", alter_sys=True)
