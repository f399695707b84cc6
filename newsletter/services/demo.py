"""The demo: the main job with no account and no network, in a scratch folder.

A sample corpus, two sample subscribers, and a real SMTP server on loopback that keeps what it gets in a Maildir.
"""

import asyncio
import mailbox
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP

from newsletter.support.files import PRIVATE_MODE, atomic_write_bytes

SAMPLE_PAPERS = Path(__file__).parents[1] / "data" / "sample_papers.jsonl"

LAYOUT = next(
    path
    for path in (Path(__file__).parents[1] / "layout", Path(__file__).parents[2])
    if (path / "config.yaml").exists()
)
"""Where config.yaml and the examples of subscribers are: inside an installed package, or the root of the repository."""


class LoopbackServer:
    """A real SMTP server (aiosmtpd) on loopback, in a thread of its own; used as a context manager.

    Args:
        handler: what aiosmtpd calls for each command, as ``handle_DATA``.
        options: handed on to :class:`aiosmtpd.smtp.SMTP`.

    Attributes:
        port: where it listens, once it has started.
    """

    def __init__(self, handler: object, **options: Any) -> None:
        self.port = 0
        # Without a name of its own aiosmtpd asks the network for one at each connection, and may wait long.
        self._make = lambda: SMTP(handler, hostname="localhost", **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _listen(self) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(self._make, "127.0.0.1", 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class MaildirWriter:
    """Keeps every message that a :class:`LoopbackServer` server accepts in a Maildir, which only its owner may read."""

    def __init__(self, folder: Path) -> None:
        self._box = mailbox.Maildir(folder, create=True)
        # Before the first message: each can be read by others until its own mode is set.
        folder.chmod(0o700)
        self._new = folder / "new"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        """Called by aiosmtpd for each message."""
        key = self._box.add(envelope.original_content)
        (self._new / key).chmod(PRIVATE_MODE)
        return "250 kept in the Maildir"


def create_project(folder: Path, templates: Path) -> list[Path]:
    """Make a new newsletter in a folder: config.yaml, the templates of its mail, and two examples of subscribers, which
    are not read, so that nobody is mailed by mistake.

    What is there already is left as it is.

    Returns:
        The files made.
    """
    wanted = [(LAYOUT / "config.yaml", folder / "config.yaml")]
    wanted += [(path, folder / "subscribers" / path.name) for path in _examples()]
    files = (path.relative_to(templates) for path in sorted(templates.rglob("*")) if path.is_file())
    wanted += [(templates / path, folder / "templates" / path) for path in files if path.parts[0] != "pages"]
    return _copied(wanted)


def subscribe_examples(folder: Path) -> None:
    """Make subscribers of the two examples, for a demo that sends nothing away."""
    _copied((path, folder / "subscribers" / path.stem) for path in _examples())


def _examples() -> list[Path]:
    return sorted((LAYOUT / "subscribers").glob("*.yaml.example"))


def _copied(wanted: Iterable[tuple[Path, Path]]) -> list[Path]:
    made = []
    for source, target in wanted:
        if not target.exists():
            atomic_write_bytes(target, source.read_bytes(), mode=0o666)
            made.append(target)
    return made
