"""The content of the live preview: a subscriber's message as it would be sent now, and its ranking."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from newsletter.audience import subscriptions
from newsletter.config.settings import Config
from newsletter.model import Layout, Subscriber
from newsletter.rendering.folding import candidates_in_full
from newsletter.rendering.template import BUNDLED
from newsletter.services.context import AppContext, open_context
from newsletter.services.messages import new_message_id, render_message, with_layout
from newsletter.services.recommend import Preview, preview_digest
from newsletter.services.sample_data import context_with_papers
from newsletter.services.subscriber_files import read_files
from newsletter.services.thumbnails import fetch_missing_thumbnails
from newsletter.store import reading
from newsletter.support.clock import Clock


@dataclass(frozen=True, slots=True)
class MessageParts:
    """A parsed message.

    Attributes:
        content: the whole message, as sent.
        headers: name and decoded value of each. ``raw_headers``: undecoded.
        html, text: its parts, with plain line ends.
        images: the attached images as ``data:`` URLs, by the URL (``cid:``) that the HTML has.
    """

    content: bytes
    headers: tuple[tuple[str, str], ...]
    raw_headers: str
    html: str
    text: str
    images: Mapping[str, str]

    @property
    def shown_html(self) -> str:
        """The HTML with the attached images in it, as a browser can show it."""
        html = self.html
        for url, content in self.images.items():
            html = html.replace(url, content)
        return html


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A subscriber's current message.

    Attributes:
        message: None if nothing would be sent.
        sample: whether it shows the sample papers.
        problems: errors in subscriber files, one line each; the last valid version of a file is used.
    """

    subscriber: Subscriber
    preview: Preview
    message: MessageParts | None
    sample: bool
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WatchedFiles:
    """The source files of a message: single files, and folders with their content."""

    files: tuple[Path, ...]
    folders: tuple[Path, ...]

    def mark(self) -> str:
        """Return a hash that changes with any of them."""
        digest = hashlib.sha256()
        for path in (*self.files, *self._inside()):
            try:
                facts = path.stat()
            except OSError:  # missing
                digest.update(f"{path}\n".encode(errors="surrogateescape"))
            else:
                digest.update(f"{path} {facts.st_mtime_ns} {facts.st_size}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()[:16]

    def _inside(self) -> Iterator[Path]:
        for folder in self.folders:
            yield from sorted(folder.rglob("*"))


def watched_files(path: Path, config: Config, subscriber: Subscriber) -> WatchedFiles:
    """Return the source files of a subscriber's message; ``path`` is the configuration's."""
    people = config.subscribers_folder
    # For the folder, only added and removed files: with many subscribers, their own file is enough.
    own = (people / subscriber.file,) if subscriber.file else ()
    logo = (config.logo_file,) if config.logo_file is not None else ()
    return WatchedFiles((path, people, *own, *logo), (config.folder / config.templates, BUNDLED))


def make_snapshot(config: Config, clock: Clock, email: str, scratch: Path, layout: Layout | None = None) -> Snapshot:
    """Render a subscriber's message like an edition, without planning or sending it.

    Args:
        scratch: folder for sample papers, if the store is empty.
        layout: of the message; None for the subscriber's own.

    Raises:
        NewsletterError: a template has an error, the store is not available, or ``email`` is not a subscriber.
    """
    context = open_context(config, clock)
    try:
        problems = read_files(context).problems
        with reading(context.engine) as connection:
            subscriber = subscriptions.get_subscriber(connection, email)
        with context_with_papers(context, scratch) as (filled, sample):
            preview = preview_digest(filled, subscriber)
            reader = with_layout(subscriber, layout) if layout else subscriber
            return Snapshot(subscriber, preview, _message_parts(filled, reader, preview), sample, tuple(problems))
    finally:
        context.engine.dispose()


def _message_parts(context: AppContext, subscriber: Subscriber, preview: Preview) -> MessageParts | None:
    digest = preview.digest
    if digest is None or not preview.is_sent:
        return None
    fetch_missing_thumbnails(context, [choice.paper for choice in candidates_in_full(digest.choices)])
    content = render_message(
        context, {}, subscriber, digest, new_message_id(context, subscriber, digest.edition)
    ).content
    read = message_from_bytes(content, policy=policy.default)
    assert isinstance(read, EmailMessage)  # noqa: S101 - by that policy
    return MessageParts(
        content=content,
        headers=tuple((name, str(value)) for name, value in read.items()),
        raw_headers=content.partition(b"\r\n\r\n")[0].decode(errors="replace").replace("\r\n", "\n"),
        # Without the line end that the message adds.
        html=_part(read, ["html"]).removesuffix("\n"),
        text=_part(read, ["plain"]),
        images=_images(read),
    )


def _images(message: EmailMessage) -> dict[str, str]:
    images = {}
    for part in message.walk():
        if part["Content-ID"] is not None and isinstance(content := part.get_payload(decode=True), bytes):
            identity = str(part["Content-ID"]).strip("<>")
            images[f"cid:{identity}"] = f"data:{part.get_content_type()};base64,{b64encode(content).decode()}"
    return images


def _part(message: EmailMessage, kinds: Sequence[str]) -> str:
    part = message.get_body(kinds)
    assert part is not None  # noqa: S101 - every message has both
    return str(part.get_content()).replace("\r\n", "\n")
