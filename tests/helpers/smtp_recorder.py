"""A mail server in its own process, which outlives its clients and records each message before it accepts it.

``python -m tests.helpers.smtp_recorder FILE SLOWEST HOST`` prints its port, writes to the file, and ends when its
standard input does. Each line of the file is an event in JSON: a session was opened or closed,
or a message was accepted.
"""

import asyncio
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

PAPER = re.compile(r"https://torture\.example/papers/(\d+-\d+)\b")
"""What identifies a paper in a message."""

UPDATE = re.compile(r"Published in Torture (\d+-\d+)\b")
"""What identifies an event: the paper that it is about."""

Note = Callable[..., None]


@dataclass(frozen=True)
class Accepted:
    """A message that the server accepted."""

    message_id: str
    recipient: str
    papers: tuple[str, ...]
    updates: tuple[str, ...]


@dataclass
class Record:
    """The server's record so far.

    Attributes:
        port: where it listens.
        open: how many sessions are. ``broken``: how many ended without a goodbye.
    """

    path: Path
    port: int
    accepted: list[Accepted] = field(default_factory=list)
    open: int = 0
    broken: int = 0
    _read: int = 0

    def refresh(self) -> "Record":
        """Read what was recorded since."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                self._take(json.loads(line))
        return self

    def _take(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "opened":
                self.open += 1
            case "closed":
                self.open -= 1
                self.broken += event["broken"]
            case _:
                found = (tuple(event[name]) for name in ("papers", "updates"))
                self.accepted.append(Accepted(event["message_id"], event["recipient"], *found))

    @property
    def times(self) -> Counter[str]:
        """Return how many times each message was accepted, by its Message-ID."""
        return Counter(one.message_id for one in self.accepted)


@contextmanager
def recorder(path: Path, slowest: float, host: str = "127.0.0.1") -> Iterator[Record]:
    """The server in its own process.

    Args:
        path: what it writes to.
        slowest: seconds that it takes at most for each step of a message.
        host: the address that it listens on.
    """
    path.touch()
    command = [sys.executable, "-m", "tests.helpers.smtp_recorder", str(path), str(slowest), host]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield Record(path, int(server.stdout.readline()))
        server.kill()


class _Handler:
    """Waits at random before it accepts a message, before it records that, and before it answers."""

    def __init__(self, note: Note, slowest: float) -> None:
        self._note, self._slowest = note, slowest

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        await self._pause()
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await self._pause()
        message = message_from_bytes(envelope.content, EmailMessage, policy=policy.default)
        text = message.get_body(("plain",))
        assert text is not None
        content = text.get_content()
        (recipient,) = envelope.rcpt_tos
        self._note(
            event="accepted",
            message_id=str(message["Message-ID"]),
            recipient=recipient,
            papers=sorted(set(PAPER.findall(content))),
            updates=sorted(UPDATE.findall(content)),
        )
        await self._pause()
        return "250 written down"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        server.said_goodbye = True
        return "221 Bye"

    async def _pause(self) -> None:
        await asyncio.sleep(random.uniform(0, self._slowest))


class _Session(SMTP):
    """A session that is recorded."""

    def __init__(self, handler: object, note: Note) -> None:
        super().__init__(handler, hostname="localhost")
        self.said_goodbye = False
        self._note = note

    def connection_made(self, transport: Any) -> None:
        self._note(event="opened")
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._note(event="closed", broken=not self.said_goodbye)


async def _serve(path: Path, slowest: float, host: str) -> None:
    loop = asyncio.get_running_loop()
    with path.open("a", buffering=1) as file:

        def note(**event: object) -> None:
            file.write(json.dumps(event) + "\n")

        make = partial(_Session, _Handler(note, slowest), note)
        server = await loop.create_server(make, host, 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]))
