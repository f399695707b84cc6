"""Reads a library from where it is, within a time limit. It changes nothing in the store."""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from newsletter.config.libraries import openalex_key
from newsletter.errors import Stopped
from newsletter.model import LibraryKind, LibraryRef
from newsletter.services.context import AppContext
from newsletter.services.openalex_budget import RequestCounter
from newsletter.sources.errors import NoAnswerError
from newsletter.sources.http import HttpClient, user_agent
from newsletter.sources.library_files import MAX_LIBRARY_BYTES, read_library_file
from newsletter.sources.library_items import LibraryChanges
from newsletter.sources.openalex_author import read_author
from newsletter.sources.zotero import RefusedError, ZoteroLibrary
from newsletter.support.files import read_bytes
from newsletter.support.threads import run_in_thread

_ZOTERO = (LibraryKind.ZOTERO_USER, LibraryKind.ZOTERO_GROUP)
_OPENALEX = (LibraryKind.ORCID, LibraryKind.OPENALEX)
_POLL_SECONDS = 0.1

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        changes: since the last version; None if there are none.
        can_write: whether the key allows adding papers.
        skipped: how many entries of a file are no papers.
        left_out: how many entries come after the most that are read of a file.
    """

    changes: LibraryChanges | None
    can_write: bool = False
    skipped: int = 0
    left_out: int = 0


def read_library(
    context: AppContext,
    ref: LibraryRef,
    key: str | None,
    since: str | None,
    patterns: Sequence[str],
    should_stop: Callable[[], bool] = lambda: False,
) -> Reading:
    """Read what changed in a library since a version, or all of it if that is None.

    Args:
        patterns: of the collections of a Zotero library whose items are wanted; empty for all.
        should_stop: polled continuously.

    Raises:
        UserError: a file cannot be read.
        RefusedError: the library's reader has to do something first.
        SourceError: the source failed, or took longer than ``network.source_seconds``.
        Stopped: the newsletter is stopping.
    """

    def read(stopped: Callable[[], bool]) -> Reading:
        return _read(context, ref, key, since, patterns, stopped, requests)

    requests = RequestCounter(context) if ref.kind in _OPENALEX else None
    try:
        return run_within(context.config.network.source_seconds, read, f"{ref.address}: not read", should_stop)
    finally:
        if requests is not None:
            requests.save()


def run_within(
    seconds: float,
    work: Callable[[Callable[[], bool]], Result],
    what: str,
    should_stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Run a function within a time limit, and return its result.

    It runs in a thread of its own, which is left alone after that: a look-up of a name may hang for minutes. So it must
    not use the store.

    Args:
        work: gets a function that says whether its result is no longer wanted.
        what: what did not happen in time, for the error.
        should_stop: polled continuously.

    Raises:
        NoAnswerError: the time is over.
        Stopped: the newsletter is stopping.
    """
    left = threading.Event()
    end = time.monotonic() + seconds
    running = run_in_thread(lambda: work(left.is_set))
    try:
        while not wait([running], _POLL_SECONDS).done:
            if should_stop():
                raise Stopped
            if time.monotonic() > end:
                raise NoAnswerError(f"{what} within {seconds:g} s; it is tried again later")
        return running.result()
    finally:
        left.set()


def _read(
    context: AppContext,
    ref: LibraryRef,
    key: str | None,
    since: str | None,
    patterns: Sequence[str],
    should_stop: Callable[[], bool],
    requests: RequestCounter | None,
) -> Reading:
    config = context.config
    if ref.kind is LibraryKind.UPLOAD:
        return Reading(None)
    if ref.kind is LibraryKind.FILE:
        return _read_file(config.folder / ref.id, ref, since)
    if ref.kind in _ZOTERO:
        with http_client(context, config.libraries.zotero_url) as http:
            library = ZoteroLibrary(http, config.libraries.zotero_url, ref, key, should_stop)
            return _read_zotero(library, since, patterns)
    with http_client(context, config.libraries.openalex_url) as http:
        url = config.libraries.openalex_url
        contact, key = config.contact, openalex_key()
        return Reading(read_author(http, url, ref, since, requests, contact=contact, key=key, should_stop=should_stop))


def http_client(context: AppContext, url: str, seconds: float | None = None) -> HttpClient:
    """Create the client for an API; with ``seconds`` it tries each request once, for at most so long."""
    config, network = context.config, context.config.network
    if seconds is not None:
        network = network.model_copy(update={"attempts": 1, "timeout_seconds": min(seconds, network.timeout_seconds)})
    return HttpClient(network, user_agent(config.site.url, config.contact), urls=(url,), max_seconds=seconds)


def _read_zotero(library: ZoteroLibrary, since: str | None, patterns: Sequence[str]) -> Reading:
    can_write = False
    if library.key is not None:
        access = library.access()
        if not access.read:
            raise RefusedError(
                f"{library.ref.address}: the key gives no access to this library; allow it at "
                "https://www.zotero.org/settings/keys, or check the number of the library"
            )
        can_write = access.write
    return Reading(library.changes(since, patterns), can_write)


def _read_file(path: Path, ref: LibraryRef, since: str | None) -> Reading:
    content = read_bytes(path, str(path), MAX_LIBRARY_BYTES)
    version = hashlib.sha256(content).hexdigest()
    return Reading(None) if version == since else read_content(content, ref.id)


def read_content(content: bytes, name: str) -> Reading:
    """Read the content of a file; ``name`` is that of the file.

    Raises:
        UserError: it is no library.
    """
    file = read_library_file(content, name)
    version = hashlib.sha256(content).hexdigest()
    changes = LibraryChanges(version=version, items=file.items)
    return Reading(changes, skipped=len(file.skipped), left_out=file.left_out)
