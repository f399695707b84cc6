"""Keeping the index: a space fitted on a schedule, and the vectors of the store's papers in it, beside the store.

A fetch transforms what is new; only a refit looks at all papers again. Each fit has a version of its own, which stays
while the log has digests that were ranked with it. In ``store.index`` there is a folder for each version (the space,
and parts of papers) and ``state.json``, which names the one in use.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock, Thread

import numpy as np
from filelock import FileLock
from scipy.sparse import csr_matrix, vstack
from sqlalchemy import Connection

from newsletter.errors import NewsletterError
from newsletter.model import Paper
from newsletter.ranking import index_files
from newsletter.ranking.index import Index, PaperMatrix, Segment, background_of, make_index, make_segment
from newsletter.ranking.tfidf import TfidfModel, fit, paper_text
from newsletter.services.context import AppContext
from newsletter.store import papers, reading, send_log

FITTED_ON = 60_000
"""A space is fitted on so many papers at most, drawn by chance: more would cost memory and teach nothing."""

_GROWTH = 1.1
_AT_ONCE = 5_000

OnProgress = Callable[[str, int, int], None]
"""Hears of progress: what is being done, and how many papers of how many it is done with."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """What the index in use is.

    Attributes:
        version: the name of its space. ``fitted_at``: when that was fitted (ISO, UTC), ``papers``: how many papers
            the store had then.
        held: how many papers are in the index, ``last_row`` the highest row of them, and ``last_id`` that one's name.
        text_change: the highest number of a changed text that it has.
        recent: which file has the papers that came after the fit.
    """

    version: str
    fitted_at: str
    papers: int
    held: int
    last_row: int
    last_id: str
    text_change: int
    recent: int = 0

    @property
    def fitted_on(self) -> datetime:
        """When the space was fitted (UTC)."""
        return datetime.fromisoformat(self.fitted_at)

    def next_fit(self, refit_days: float) -> datetime:
        """When the space is to be fitted again (UTC)."""
        return self.fitted_on + timedelta(days=refit_days)


def _quiet(_what: str, _done: int, _of: int) -> None: ...


def current_index(
    context: AppContext, refit: bool = False, on_progress: OnProgress = _quiet, grown: bool = True
) -> Index | None:
    """The index of all papers in the store, brought up to date; None when the store holds no word.

    The space is fitted when there is none, and again when the store has grown by a tenth.

    Args:
        refit: fit it again too when its time has come (``ranking.refit_days``).
        grown: without it the space stays as it is however much the store has grown.

    Raises:
        NewsletterError: the index cannot be written.
    """
    folder = context.config.index_folder
    try:
        state = read_state(folder)
        with reading(context.engine) as connection:
            extent = papers.extent(connection)
            same_store = state is not None and papers.id_of(connection, state.last_row) == state.last_id
        if state is None or not same_store or (grown and _is_due(context, state, extent, refit)):
            return refit_index(context, on_progress)
        index = _load(folder, state)
        if index is None:
            return refit_index(context, on_progress)
        if (state.held, state.text_change) != (extent.count, extent.text_change):
            return _bring_up_to_date(context, on_progress) or index
        return index
    except OSError as error:
        raise NewsletterError(
            f"store.index: {error.filename or folder}: {error.strerror or error}; mend the disk"
        ) from None


class LiveIndex:
    """The index for whoever asks again and again, as a site does. Who asks never waits for what came in meanwhile: a
    thread looks after that, every few seconds at most, and leaves it to others to fit the space anew.
    """

    def __init__(self, context: AppContext, seconds: float = 10.0) -> None:
        self._context, self._seconds = context, seconds
        self._index: Index | None = None
        self._looked = 0.0
        self._looking = Lock()

    def __call__(self) -> Index | None:
        """The index; None while the store holds no word.

        Raises:
            NewsletterError: it is asked for the first time, and cannot be read or written.
        """
        if self._index is None:
            with self._looking:
                if self._index is None:
                    self._look()
        elif time.monotonic() - self._looked > self._seconds and self._looking.acquire(blocking=False):
            Thread(target=self._look_again, daemon=True).start()
        return self._index

    def warm(self) -> None:
        """Load it beside whatever else is done, so that who asks first does not wait for that."""
        Thread(target=self._begin, daemon=True).start()

    def _begin(self) -> None:
        # What stands in the way of it is told to who asks.
        with suppress(NewsletterError):
            self()

    def _look_again(self) -> None:
        # What stands in the way of it is told by whoever fetches; here there is one that still serves.
        with suppress(NewsletterError):
            try:
                self._look()
            finally:
                self._looked = time.monotonic()
                self._looking.release()

    def _look(self) -> None:
        self._index = current_index(self._context, grown=False)
        self._looked = time.monotonic()


def saved_index(context: AppContext) -> Index | None:
    """The index as it is, however far behind; None where there is none that belongs to the store."""
    state = read_state(context.config.index_folder)
    if state is None:
        return None
    with reading(context.engine) as connection:
        if papers.id_of(connection, state.last_row) != state.last_id:
            return None
    return _load(context.config.index_folder, state)


def read_state(folder: Path) -> IndexState | None:
    """The state of the index in a folder; None where there is none that can be used."""
    try:
        return IndexState(**json.loads((folder / "state.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_due(context: AppContext, state: IndexState, extent: papers.Extent, refit: bool) -> bool:
    old = context.clock() >= state.next_fit(context.config.ranking.refit_days)
    return extent.count >= _GROWTH * state.papers + 1 or (refit and old)


def refit_index(context: AppContext, on_progress: OnProgress = _quiet) -> Index | None:
    """Fit the space now, and put all papers into it; None when the store holds no word."""
    folder = context.config.index_folder
    with reading(context.engine) as connection:
        extent = papers.extent(connection)
        rows = papers.rows_after(connection, 0)
    chance = np.random.default_rng(0)
    some = np.sort(chance.permutation(rows)[:FITTED_ON]).tolist()
    model = fit(_counted("fitting", (paper_text(paper) for paper in _texts(context, some)), len(some), on_progress))
    if model is None:
        return None
    segment = _segment(context, model, rows, on_progress)
    # Papers that two processes wrote at once may lie below the last one that was seen.
    version = f"{context.clock():%Y%m%d}-{_mark(model)}"
    state = IndexState(
        version,
        context.clock().isoformat(),
        extent.count,
        len(rows),
        extent.last_row,
        extent.last_id,
        extent.text_change,
    )
    with _locked(folder):
        # Also where there is one of that name: it may be damaged, or older.
        _publish(folder / version, model, segment)
        _write_state(folder, state)
        _prune(context, version)
        # Here, since another process that has fitted it too is about to put its own in this place.
        index = _load(folder, state)
    if index is None:
        raise NewsletterError(f"store.index: {folder}: what was just written cannot be read; check the disk")
    return index


def _mark(model: TfidfModel) -> str:
    digest = hashlib.sha256(model.idf.tobytes() + model.mean.tobytes() + model.directions.tobytes())
    return digest.hexdigest()[:8]


def _publish(target: Path, model: TfidfModel, segment: Segment) -> None:
    unfinished = target.with_name(f".{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    index_files.write_model(unfinished / "space", model)
    index_files.write_segment(unfinished / "base", segment)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


def _segment(context: AppContext, model: TfidfModel, rows: Sequence[int], on_progress: OnProgress) -> Segment:
    """All papers with these rows, transformed block by block."""
    blocks = [model.zeros(0)]
    texts = _counted("indexing", (paper_text(paper) for paper in _texts(context, rows)), len(rows), on_progress)
    while block := list(islice(texts, _AT_ONCE)):
        blocks.append(model.vectors(block))
    vectors = csr_matrix(vstack(blocks), dtype=np.float32)
    background = [background_of(model, vectors[start : start + _AT_ONCE]) for start in range(0, len(rows), _AT_ONCE)]
    centre, factor = (np.concatenate(segments) for segments in zip(*background, strict=True))
    return Segment(np.array(rows, dtype=np.int64), PaperMatrix(vectors, vectors.T.tocsr(), centre, factor))


def _texts(context: AppContext, rows: Sequence[int]) -> Iterator[Paper]:
    for start in range(0, len(rows), _AT_ONCE):
        with reading(context.engine) as connection:
            yield from papers.texts(connection, rows[start : start + _AT_ONCE])


def _counted(what: str, texts: Iterable[str], of: int, on_progress: OnProgress) -> Iterator[str]:
    for number, text in enumerate(texts):
        if number % 100 == 0:
            on_progress(what, number, of)
        yield text


def _bring_up_to_date(context: AppContext, on_progress: OnProgress) -> Index | None:
    """Put what came into the store since into the index; None when that is gone meanwhile."""
    folder = context.config.index_folder
    with _locked(folder):
        state = read_state(folder)
        index = _load(folder, state) if state is not None else None
        if state is None or index is None:
            return None
        with reading(context.engine) as connection:
            extent = papers.extent(connection)
            rows = _unknown(connection, index, state, extent)
        recent = index.segments[1].rows if len(index.segments) > 1 else np.array([], dtype=np.int64)
        segment = _segment(context, index.model, sorted({*recent.tolist(), *rows}), on_progress)
        new = folder / state.version / f"recent-{state.recent + 1}"
        # A process that was killed may have left one behind that no state names.
        shutil.rmtree(new, ignore_errors=True)
        index_files.write_segment(new, segment)
        old = folder / state.version / f"recent-{state.recent}"
        held = len(np.union1d(index.segments[0].rows, segment.rows))
        state = replace(
            state,
            held=held,
            last_row=extent.last_row,
            last_id=extent.last_id,
            text_change=extent.text_change,
            recent=state.recent + 1,
        )
        _write_state(folder, state)
        shutil.rmtree(old, ignore_errors=True)
    return _load(folder, state)


def _unknown(connection: Connection, index: Index, state: IndexState, extent: papers.Extent) -> list[int]:
    """The rows of papers that the index does not have, or has with an older text."""
    new = papers.rows_after(connection, state.last_row)
    if state.held + len(new) != extent.count:
        # A process that was slow to commit may have left gaps below the last row.
        known = np.concatenate([segment.rows for segment in index.segments])
        new = np.setdiff1d(papers.rows_after(connection, 0), known).tolist()
    return [*new, *papers.rows_changed(connection, state.text_change)]


def _load(folder: Path, state: IndexState) -> Index | None:
    """The index of a state; None where its files are damaged."""
    try:
        return _loaded(folder, state)
    except (OSError, ValueError, KeyError):
        return None


@lru_cache(maxsize=2)
def _loaded(folder: Path, state: IndexState) -> Index:
    model = index_files.read_model(folder / state.version / "space")
    names = ["base"] + ([f"recent-{state.recent}"] if state.recent else [])
    segments = tuple(index_files.read_segment(folder / state.version / name, len(model.terms)) for name in names)
    return make_index(model, segments, state.version)


def load_version(context: AppContext, version: str, wanted: Sequence[Paper]) -> Index | None:
    """Some papers in the space of a version, as digests were ranked with; None when that version is not kept."""
    try:
        model = index_files.read_model(context.config.index_folder / version / "space")
    except (OSError, ValueError, KeyError):
        return None
    return make_index(model, (make_segment(model, wanted),), version)


def _prune(context: AppContext, present: str) -> None:
    """Remove the versions that no digest of the log was ranked with, and the papers of all but the present one."""
    with reading(context.engine) as connection:
        kept = send_log.model_versions(connection) | {present}
    for old in context.config.index_folder.iterdir():
        if not old.is_dir() or old.name == present:
            continue
        if old.name in kept:
            for segment in (path for path in old.iterdir() if path.name != "space"):
                shutil.rmtree(segment, ignore_errors=True)
        else:
            shutil.rmtree(old, ignore_errors=True)


def _locked(folder: Path) -> FileLock:
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / ".lock")


def _write_state(folder: Path, state: IndexState) -> None:
    unfinished = folder / ".state.json"
    unfinished.write_text(json.dumps(asdict(state)) + "\n", encoding="utf-8")
    unfinished.replace(folder / "state.json")
