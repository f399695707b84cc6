"""Thumbnails of papers: fetched once, before the digests that show them are stored, and kept as files.

A thumbnail that cannot be fetched is not shown, and not tried again for a day.
"""

import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue

from newsletter.config.settings import Config
from newsletter.errors import NewsletterError
from newsletter.model import Paper
from newsletter.services.context import AppContext
from newsletter.sources.errors import SourceError
from newsletter.sources.http import user_agent
from newsletter.sources.thumbnails import fetch_thumbnail
from newsletter.support.files import atomic_write_bytes

_AT_ONCE = 4
_PATIENCE_SECONDS = 20.0
"""How long the digests of a batch wait for thumbnails. The rest is fetched for a later one."""

_RETRY_AFTER = timedelta(days=1)
_POLL_SECONDS = 0.1
_THUMBNAIL, _FAILURE = ".jpg", ".failed"
_OWN = re.compile(r"[0-9a-f]{32}\.(?:jpg|failed)")
"""The names of the files here; others in the folder are somebody else's."""

_log = logging.getLogger(__name__)


def read_thumbnail(config: Config, paper: str) -> bytes | None:
    """Return the thumbnail of a paper, by its id; None if there is none, or if thumbnails are off."""
    if config.digest.thumbnails == "off":
        return None
    try:
        return _file(config, paper, _THUMBNAIL).read_bytes()
    except OSError:
        return None


def fetch_missing_thumbnails(
    context: AppContext, papers: Iterable[Paper], should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Fetch the thumbnails of some papers that are not here yet, several at the same time and for a limited time.

    Args:
        should_stop: polled while fetching.
    """
    config, now = context.config, context.clock()
    if config.digest.thumbnails == "off":
        return
    urls = {paper.id: paper.thumbnail_url for paper in papers if paper.id and paper.thumbnail_url}
    queue: SimpleQueue[tuple[str, str]] = SimpleQueue()
    for paper, url in urls.items():
        if not _is_known(config, paper, now):
            queue.put((paper, url))
    end = time.monotonic() + _PATIENCE_SECONDS

    def is_over() -> bool:
        return time.monotonic() >= end or should_stop()

    # Daemon threads, since a name look-up may take longer than anybody waits.
    threads = [
        threading.Thread(target=_fetch_queued, args=(config, queue, now, is_over), name="thumbnails", daemon=True)
        for _ in range(min(_AT_ONCE, queue.qsize()))
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not is_over():
        for thread in threads:
            thread.join(_POLL_SECONDS / len(threads))
    if time.monotonic() >= end:
        # Those that were not reached: the next batch of digests shall not wait for them again.
        with suppress(Empty):
            while True:
                _remember_failure(config, queue.get_nowait()[0], now)


def _remember_failure(config: Config, paper: str, now: datetime) -> None:
    with suppress(NewsletterError, OSError):
        _write(config, paper, _FAILURE, b"", now)


def _fetch_queued(
    config: Config, queue: SimpleQueue[tuple[str, str]], now: datetime, is_over: Callable[[], bool]
) -> None:
    with suppress(Empty):
        while not is_over():
            _fetch_one(config, *queue.get_nowait(), now)


def _fetch_one(config: Config, paper: str, url: str, now: datetime) -> None:
    """Fetch a thumbnail, or record that it cannot be fetched. Nothing that goes wrong stops a digest."""
    try:
        try:
            content = fetch_thumbnail(url, config.network, user_agent(config.site.url, config.contact))
        except SourceError as error:
            _log.info("the thumbnail of %s is left out: %s", paper, error)
            _write(config, paper, _FAILURE, b"", now)
        else:
            _write(config, paper, _THUMBNAIL, content, now)
    except NewsletterError as error:
        _log.warning("the thumbnail of %s is left out: %s", paper, error)
    except Exception:
        _log.exception("the thumbnail of %s is left out", paper)


def _write(config: Config, paper: str, ending: str, content: bytes, now: datetime) -> None:
    path = _file(config, paper, ending)
    atomic_write_bytes(path, content, 0o644)
    with suppress(OSError):
        os.utime(path, (now.timestamp(), now.timestamp()))


def _is_known(config: Config, paper: str, now: datetime) -> bool:
    """Return whether a thumbnail is here, or could not be fetched in the last day."""
    if _file(config, paper, _THUMBNAIL).exists():
        return True
    try:
        failed = _file(config, paper, _FAILURE).stat().st_mtime
    except OSError:
        return False
    return abs(now.timestamp() - failed) < _RETRY_AFTER.total_seconds()


def _file(config: Config, paper: str, ending: str) -> Path:
    # An id may contain slashes; its hash is a file name on every system.
    return config.thumbnails_folder / (hashlib.sha256(paper.encode(errors="replace")).hexdigest()[:32] + ending)


def forget_thumbnails(context: AppContext) -> int:
    """Delete the thumbnails of papers of which the log has no digests left, all of them if thumbnails are off.

    Returns:
        How many files were deleted.
    """
    config, now = context.config, context.clock().timestamp()
    # A paper may be sent for max_age_days, and the log has the digest for keep_days after that.
    longest = timedelta(days=config.ranking.max_age_days + config.keep_days).total_seconds()
    forgotten = 0
    try:
        files = [path for path in config.thumbnails_folder.iterdir() if _OWN.fullmatch(path.name) and path.is_file()]
    except OSError:  # there are none
        return 0
    for path in files:
        kept = longest if path.suffix == _THUMBNAIL else _RETRY_AFTER.total_seconds()
        with suppress(OSError):
            if config.digest.thumbnails == "off" or now - path.stat().st_mtime > kept:
                path.unlink()
                forgotten += 1
    return forgotten
