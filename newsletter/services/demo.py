"""The demo: a full run with no account and no network, in a scratch folder.

It uses a sample corpus, two sample subscribers, and a real SMTP server on loopback that writes to a Maildir.
"""

import asyncio
import io
import mailbox
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP
from ruamel.yaml import YAML

from newsletter.support.files import PRIVATE_MODE, atomic_write_bytes

SAMPLE_PAPERS = Path(__file__).parents[1] / "data" / "sample_papers.jsonl"

ANY_AGE = 365_000
"""The ``ranking.max_publication_age_days`` that the sample papers need, which do not get younger."""

LAYOUT = next(
    path
    for path in (Path(__file__).parents[1] / "layout", Path(__file__).parents[2])
    if (path / "config.yaml").exists()
)
"""The folder of config.yaml and the example subscribers: in an installed package, or the root of the repository."""


class LoopbackServer:
    """A real SMTP server (aiosmtpd) on loopback, in its own thread; use it as a context manager.

    Args:
        handler: the aiosmtpd handler, with methods such as ``handle_DATA``.
        options: passed to :class:`aiosmtpd.smtp.SMTP`.

    Attributes:
        port: the port it listens on, once started.
    """

    def __init__(self, handler: object, **options: Any) -> None:
        self.port = 0
        # Without a hostname, aiosmtpd looks one up in the network for each connection, which may take long.
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

    async def _close(self) -> None:
        # A connection left in the middle is ended here: asyncio would otherwise print a traceback, at some later time.
        self._server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class MaildirWriter:
    """Stores every message that a :class:`LoopbackServer` accepts in a Maildir that only its owner can read."""

    def __init__(self, folder: Path) -> None:
        self._box = mailbox.Maildir(folder, create=True)
        # Before the first message: maildir files are readable by others until their own mode is set.
        folder.chmod(0o700)
        self._new = folder / "new"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        """Handle a message; called by aiosmtpd."""
        key = self._box.add(envelope.original_content)
        (self._new / key).chmod(PRIVATE_MODE)
        return "250 stored in the Maildir"


def create_project(folder: Path, templates: Path) -> list[Path]:
    """Create a new newsletter in a folder: config.yaml, the email templates, and two example subscribers.

    The examples are not loaded, so nobody is emailed by mistake. Existing files are left alone.

    Returns:
        The files created.
    """
    wanted = [(LAYOUT / "config.yaml", folder / "config.yaml")]
    wanted += [(path, folder / "subscribers" / path.name) for path in _examples()]
    files = (path.relative_to(templates) for path in sorted(templates.rglob("*")) if path.is_file())
    wanted += [(templates / path, folder / "templates" / path) for path in files if path.parts[0] != "pages"]
    return _copied(wanted)


def accept_old_papers(folder: Path) -> None:
    """Change the configuration of a demo, so that the sample papers count as news however long ago they appeared."""
    path, yaml = folder / "config.yaml", YAML()
    yaml.preserve_quotes = True
    yaml.width = 1_000
    document = yaml.load(path.read_bytes())
    document["ranking"].insert(1, "max_publication_age_days", ANY_AGE, "the sample papers are news, old as they are")
    out = io.BytesIO()
    yaml.dump(document, out)
    atomic_write_bytes(path, out.getvalue(), mode=0o666)


def subscribe_examples(folder: Path) -> None:
    """Turn the two examples into subscribers, for a demo that sends nothing to the outside."""
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
