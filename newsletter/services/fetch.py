"""Fetch papers: read the sources concurrently and store their papers; one that fails or hangs stops no other."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from sqlalchemy import Engine

from newsletter.config.settings import Config
from newsletter.config.sources import OpenAlexSource
from newsletter.errors import NewsletterError, Stopped, UserError
from newsletter.model import SkippedPaper
from newsletter.services import openalex_budget
from newsletter.services.context import AppContext
from newsletter.services.openalex_facts import FactsResult, update_facts
from newsletter.sources.base import DateRange
from newsletter.sources.bounds import MAX_FILE_PAPERS, Bounded, all_within_bounds, brief
from newsletter.sources.errors import SourceError, none_readable
from newsletter.sources.factory import make_source
from newsletter.sources.files import read_file
from newsletter.sources.source_reader import Quota, SourceReader, in_blocks, source_access
from newsletter.store import openalex, paper_upsert, reading, source_status, writing
from newsletter.support.clock import Clock

_AT_ONCE = 4
"""Number of sources read concurrently, so that a slow one does not keep the others waiting."""

_GIVE_WAY_SECONDS = 0.02
"""Pause between two blocks of papers, so that other writers, such as a run that sends, get access to the store."""

OnProgress = Callable[[int], None]
"""Called with the number of papers of a source read so far."""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """The result of fetching one source, or importing one file.

    Attributes:
        papers: the number of papers it listed. ``new``: how many of them were not in the store. ``changed``: how many
            were, but with missing or older data. ``events``: what became of stored papers, such as a retraction.
        bad: those that could not be parsed as papers.
        cut: parts of papers that were truncated or left out because of the limits, one line each.
        error: why the source failed and what to do, in one line; None if it did not. What it returned before that is
            kept.
    """

    source: str
    papers: int = 0
    new: int = 0
    changed: int = 0
    events: int = 0
    bad: tuple[SkippedPaper, ...] = field(default=())
    cut: tuple[str, ...] = field(default=())
    error: str | None = None


def fetch_all(
    engine: Engine,
    config: Config,
    clock: Clock,
    names: Iterable[str],
    window: DateRange,
    on_progress: Callable[[str], OnProgress],
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[FetchResult]:
    """Fetch and store the papers of a window from the sources; yield the result of each source as it finishes.

    Args:
        names: the sources to fetch; empty means all.
        on_progress: given a source's name, returns its progress callback.
        should_stop: polled continuously; once true, no source is waited for any longer. What they returned is kept.

    Raises:
        UserError: a name is not a source in the configuration.
    """
    wanted = list(names) or list(config.sources)
    for name in wanted:
        if name not in config.sources:
            known = ", ".join(config.sources) or "none; add one with 'newsletter sources add'"
            raise UserError(f"{name!r} is not a source; known sources: {known}")
    left = threading.Event()
    pool = ThreadPoolExecutor(_AT_ONCE, "source")
    try:
        futures = [
            pool.submit(
                _gather_one,
                engine,
                config,
                clock,
                name,
                window,
                on_progress(name),
                lambda: left.is_set() or should_stop(),
            )
            for name in wanted
        ]
        for future in as_completed(futures):
            gathered = future.result()
            if gathered is not None:
                yield gathered
    finally:
        left.set()
        pool.shutdown(cancel_futures=True)


def _gather_one(
    engine: Engine,
    config: Config,
    clock: Clock,
    name: str,
    window: DateRange,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
) -> FetchResult | None:
    """Fetch one source; None if the newsletter stopped before it finished."""
    if should_stop():
        return None
    gathered = FetchResult(name)
    try:
        source = make_source(name, config.sources[name], config.folder, config.contact)
        with reading(engine) as connection:
            known = source_status.known_validators(connection)
        access = source_access(config, name, validators=known, quota=_quota(engine, config, clock, name))
        with SourceReader(source, window, access, should_stop=should_stop) as reader:
            try:
                for gathered in _store(engine, clock, name, reader.blocks()):
                    on_progress(gathered.papers)
                    time.sleep(_GIVE_WAY_SECONDS)
            finally:
                openalex_budget.count_requests(engine, clock(), reader.requests_made)
    except Stopped:
        return None
    except SourceError as error:
        return _failed(engine, clock, gathered, error.explained)
    except UserError as error:
        return _failed(engine, clock, gathered, str(error))
    except NewsletterError:
        raise  # The store is at fault, which affects all of them.
    except Exception as error:  # Any other failure concerns this source alone.
        return _failed(engine, clock, gathered, f"cannot be stored: {type(error).__name__}: {brief(str(error))}")
    if not gathered.papers and len(gathered.bad) > 1:
        # Without validators, so that they are read again once the newsletter can.
        return _failed(engine, clock, gathered, none_readable(gathered.bad))
    counts = {"papers": gathered.papers, "new_papers": gathered.new, "bad_papers": len(gathered.bad)}
    with writing(engine) as connection:
        source_status.keep_validators(connection, reader.validators)
        source_status.record_success(connection, name, clock(), counts)
    return gathered


def _quota(engine: Engine, config: Config, clock: Clock, name: str) -> Quota | None:
    """Return the requests of the day that a source of OpenAlex has left; other sources have no quota."""
    if not isinstance(config.sources[name], OpenAlexSource):
        return None
    return Quota(openalex_budget.requests_left(engine, config, clock()), openalex_budget.SPENT)


def _failed(engine: Engine, clock: Clock, gathered: FetchResult, error: str) -> FetchResult:
    with writing(engine) as connection:
        source_status.record_failure(connection, gathered.source, clock(), error)
    return replace(gathered, error=error)


def import_file(
    engine: Engine, clock: Clock, path: Path, as_of: date, on_progress: OnProgress = lambda count: None
) -> FetchResult:
    """Store the papers of a file.

    Args:
        as_of: the day from which a date without a year on a saved page is counted back.
        on_progress: the progress callback.

    Raises:
        UserError: the file cannot be read, or its format is unknown.
    """
    name = f"file:{path.name}"
    gathered = FetchResult(name)
    found = all_within_bounds(read_file(path, str(path), as_of), MAX_FILE_PAPERS, "split the file")
    try:
        for gathered in _store(engine, clock, name, in_blocks(found)):
            on_progress(gathered.papers)
    except SourceError as error:
        return replace(gathered, error=str(error))
    return gathered


def _store(engine: Engine, clock: Clock, source: str, blocks: Iterable[list[Bounded]]) -> Iterator[FetchResult]:
    """Store papers block by block; yield the counts so far."""
    so_far = FetchResult(source)
    for block in blocks:
        found = [bounded.item for bounded in block if not isinstance(bounded.item, SkippedPaper)]
        with writing(engine) as connection:
            kept = paper_upsert.upsert(connection, found, source, clock())
        so_far = replace(
            so_far,
            papers=so_far.papers + kept.papers,
            new=so_far.new + kept.new,
            changed=so_far.changed + kept.changed,
            events=so_far.events + kept.events,
            bad=so_far.bad + tuple(bounded.item for bounded in block if isinstance(bounded.item, SkippedPaper)),
            cut=so_far.cut + tuple(line for bounded in block for line in bounded.cut),
        )
        yield so_far


def fetch_papers(
    context: AppContext,
    names: Sequence[str],
    window: DateRange | None = None,
    on_progress: Callable[[str], OnProgress] = lambda name: lambda count: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[FetchResult]:
    """Fetch and store new papers, or those of a range of days, from the named sources (all if none is named).

    After new papers of all sources, OpenAlex is asked for what alerts need, with a result like that of a source: the
    papers looked up, as changed those that it has, and as new those found by whom they cite.
    """
    window = window or DateRange(since=None, until=context.clock().date())
    yield from fetch_all(context.engine, context.config, context.clock, names, window, on_progress, should_stop)
    if not names and window.since is None:
        with suppress(Stopped):
            facts = update_facts(context, should_stop)
            if facts is not None:
                yield _of_facts(facts)


def _of_facts(facts: FactsResult) -> FetchResult:
    left = ("the requests of the day are used up; the rest goes on tomorrow",) if facts.left else ()
    return FetchResult(
        openalex.SOURCE, papers=facts.looked_up, new=facts.new, changed=facts.known, cut=left, error=facts.error
    )
