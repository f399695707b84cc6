"""Read the first papers of a source as they would be stored, without storing anything."""

import time
from dataclasses import dataclass, replace
from datetime import timedelta

from newsletter.config.settings import Config
from newsletter.config.sources import Network
from newsletter.errors import UserError
from newsletter.model import Notice, Paper, SkippedPaper
from newsletter.sources.base import DateRange
from newsletter.sources.bounds import Bounded
from newsletter.sources.errors import SourceError
from newsletter.sources.factory import make_source
from newsletter.sources.source_reader import SourceReader, source_access

_SECONDS = 10.0
_SOURCE_SECONDS = 60.0
_ITEMS = 20
"""Papers, notices and skipped papers that are read."""

_FURTHER_BACK = (3, 10, 30)
"""Days to look for papers in if there are none today."""


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """What a source returned first.

    Attributes:
        window: the days that were asked for. ``earlier``: whether these are earlier days, since there was nothing new.
        read: what it returned, up to a few papers.
        requests: the first requests, each as method and URL without secrets.
        error: why it failed and what to do, in one line; None if it did not. ``read`` has what came before that.
        ahead: by how many seconds the clock of its server is ahead of ours; None if unknown.
    """

    window: DateRange
    read: tuple[Bounded, ...] = ()
    requests: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    earlier: bool = False
    ahead: float | None = None

    @property
    def papers(self) -> list[Paper]:
        """The papers."""
        return [one.item for one in self.read if isinstance(one.item, Paper)]

    @property
    def notices(self) -> list[Notice]:
        """The notices about papers of any source."""
        return [one.item for one in self.read if isinstance(one.item, Notice)]

    @property
    def skipped(self) -> list[SkippedPaper]:
        """What could not be parsed as a paper."""
        return [one.item for one in self.read if isinstance(one.item, SkippedPaper)]

    @property
    def unreadable(self) -> bool:
        """Whether there was something, but nothing that could be read."""
        return bool(self.read) and len(self.skipped) == len(self.read)


def check_source(config: Config, name: str, window: DateRange, seconds: float = _SOURCE_SECONDS) -> SourceCheck:
    """Read the first papers of a source, with one attempt a request and without validators.

    Validators would hide the papers that did not change since the last fetch.

    Args:
        seconds: the time after which it is given up.
    """
    began = time.monotonic()
    check = SourceCheck(window)
    try:
        source = make_source(name, config.sources[name], config.folder, config.contact)
        with SourceReader(source, window, source_access(config, name, once(config.network, seconds)), _ITEMS) as reader:
            try:
                for block in reader.blocks():
                    check = replace(check, read=(*check.read, *block))
            finally:
                check = replace(check, requests=reader.requests, ahead=reader.ahead)
    except SourceError as error:
        check = replace(check, error=error.explained)
    except UserError as error:
        check = replace(check, error=str(error))
    return replace(check, seconds=time.monotonic() - began)


def check_latest(config: Config, name: str, window: DateRange, seconds: float | None = None) -> SourceCheck:
    """Do the same for what is new now; if that is nothing, for the last days that have papers.

    Args:
        seconds: the time after which it is given up, in all; None for the usual time of each attempt.
    """
    end = time.monotonic() + seconds if seconds is not None else None
    first = check_source(config, name, window, _left(end))
    if first.error is not None or first.read:
        return first
    for days in _FURTHER_BACK:
        since = window.until - timedelta(days=days - 1)
        if _left(end) <= 0:
            return first
        check = check_source(config, name, DateRange(since, window.until), _left(end))
        if check.requests == first.requests:  # A feed or a file, whose content does not depend on the days.
            return first
        if check.error is not None or check.read:
            return replace(check, earlier=True)
    return replace(check, earlier=True)


def _left(end: float | None) -> float:
    """Return the seconds for the next attempt, when all must have ended at a time of the monotonic clock."""
    return _SOURCE_SECONDS if end is None else min(_SOURCE_SECONDS, end - time.monotonic())


def once(network: Network, seconds: float = _SOURCE_SECONDS) -> Network:
    """Return the limits for one attempt without retries, so that a check does not take long."""
    return network.model_copy(
        update={
            "attempts": 1,
            "timeout_seconds": min(network.timeout_seconds, _SECONDS),
            "source_seconds": min(network.source_seconds, seconds),
        }
    )
