"""Gathering: each source asked in turn, its papers stored; one that fails stops no other."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine

from newsletter.clock import Clock
from newsletter.config import Config
from newsletter.errors import UserError
from newsletter.model import BadPaper, Paper
from newsletter.sources import make_source
from newsletter.sources.base import SourceError, Stopped, Window
from newsletter.sources.files import read_file
from newsletter.sources.http import Http, user_agent
from newsletter.store import fetches, papers, reading, writing

_BLOCK = 200

Told = Callable[[int], None]
"""Hears how many papers of a source have been read so far."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one source, or one file, gave.

    Attributes:
        papers: how many it named. ``new``: how many of them the store did not know. ``changed``: how many it did, but
            with less or older news of them.
        bad: those that could not be read as papers.
        error: why the source failed, in one line; None when it did not. What it gave before that is kept.
    """

    source: str
    papers: int = 0
    new: int = 0
    changed: int = 0
    bad: tuple[BadPaper, ...] = field(default=())
    error: str | None = None


def gather(
    engine: Engine,
    config: Config,
    clock: Clock,
    names: Iterable[str],
    window: Window,
    told: Callable[[str], Told],
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Gathered]:
    """Ask the sources for the papers of a window and store them.

    Args:
        names: which sources; none named means all.
        told: given a source's name, returns what hears of its progress.
        stopping: asked all the time; when it says so, no source is waited for any longer. What they gave is kept.

    Raises:
        UserError: a name is no source of the configuration.
    """
    wanted = list(names) or list(config.sources)
    for name in wanted:
        if name not in config.sources:
            known = ", ".join(config.sources) or "none; add one under 'sources' in config.yaml"
            raise UserError(f"{name!r} is no source; known: {known}")
    for name in wanted:
        if stopping():
            return
        try:
            yield _gather_one(engine, config, clock, name, window, told(name), stopping)
        except Stopped:
            return


def _gather_one(
    engine: Engine,
    config: Config,
    clock: Clock,
    name: str,
    window: Window,
    told: Told,
    stopping: Callable[[], bool],
) -> Gathered:
    source = make_source(name, config.sources[name], config.folder)
    with reading(engine) as connection:
        known = fetches.known_validators(connection)
    gathered = Gathered(name)
    with Http(config.network, user_agent(config.site.url, config.contact), known, stopping) as http:
        try:
            for step in _store(engine, clock, name, source.fetch(window, http), name):
                gathered = step
                told(step.papers)
        except (SourceError, UserError) as error:
            gathered = replace(gathered, error=str(error))
            with writing(engine) as connection:
                fetches.record_failure(connection, name, clock(), str(error))
            return gathered
        with writing(engine) as connection:
            fetches.keep_validators(connection, http.validators_seen)
            fetches.record_success(
                connection,
                name,
                clock(),
                {"papers": gathered.papers, "new_papers": gathered.new, "bad_papers": len(gathered.bad)},
            )
    return gathered


def import_file(engine: Engine, clock: Clock, path: Path, as_of: date, told: Told = lambda count: None) -> Gathered:
    """Store the papers of a file.

    Args:
        as_of: the day from which a saved page's date without a year is counted back.
        told: hears of the progress.

    Raises:
        UserError: the file cannot be read, or is of no known kind.
    """
    name = f"file:{path.name}"
    steps = _store(engine, clock, name, read_file(path, str(path), as_of), name)
    gathered = Gathered(name)
    for step in steps:
        gathered = step
        told(step.papers)
    return gathered


def _store(
    engine: Engine, clock: Clock, source: str, found: Iterator[Paper | BadPaper], shown: str
) -> Iterator[Gathered]:
    """Store papers block by block; gives the counts so far, first those of nothing."""
    so_far = Gathered(shown)
    yield so_far
    error: SourceError | None = None
    while error is None:
        block: list[Paper | BadPaper] = []
        try:
            block.extend(islice(found, _BLOCK))
        except SourceError as failed:
            # What came before the failure in this block is kept below, then the failure goes on.
            error = failed
        if not block:
            break
        with writing(engine) as connection:
            kept = papers.keep(connection, (item for item in block if isinstance(item, Paper)), source, clock())
        so_far = replace(
            so_far,
            papers=so_far.papers + kept.papers,
            new=so_far.new + kept.new,
            changed=so_far.changed + kept.changed,
            bad=so_far.bad + tuple(item for item in block if isinstance(item, BadPaper)),
        )
        yield so_far
    if error is not None:
        raise error
