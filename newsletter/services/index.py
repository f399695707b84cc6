"""Maintain the index: a TF-IDF space fitted on a schedule, and the vectors of the stored papers in it, next to the
store.

A fetch transforms only what is new; only a refit reads all papers again. Each fit has its own version, which is kept
while the log has digests that were ranked with it. ``store.index`` contains a folder for each version (the space, and
segments of papers) and ``state.json``, which names the current version.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
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

from newsletter.errors import NewsletterError, UserError
from newsletter.model import Paper
from newsletter.ranking import index_files
from newsletter.ranking.index import Index, PaperMatrix, Segment, background_of, make_index, make_segment, no_meaning
from newsletter.ranking.meaning import MeaningSpace
from newsletter.ranking.tfidf import TfidfModel, fit, paper_text
from newsletter.services import encodings
from newsletter.services.context import AppContext
from newsletter.services.encodings import OnProgress
from newsletter.services.sentence_model import configured_encoder
from newsletter.store import papers, reading, send_log

FITTED_ON = 60_000
"""Maximum number of papers a space is fitted on, sampled at random: more would cost memory and add nothing."""

_TERMS = 2
"""The number of the rules by which texts become terms; a space fitted by other rules is fitted again."""

_GROWTH = 1.1
_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class IndexState:
    """The current index.

    Attributes:
        version: the name of its space. ``fitted_at``: when that was fitted (ISO, UTC). ``papers``: how many papers the
            store had then.
        held: the number of papers in the index. ``last_row``: the highest of their rows. ``last_id``: that paper's id.
        text_change: the highest text change number it includes.
        recent: the number of the file with the papers added after the fit.
        terms: the rules by which the texts became terms; 1 in a state that does not say.
    """

    version: str
    fitted_at: str
    papers: int
    held: int
    last_row: int
    last_id: str
    text_change: int
    recent: int = 0
    terms: int = 1

    @property
    def fitted_on(self) -> datetime:
        """Return when the space was fitted (UTC)."""
        return datetime.fromisoformat(self.fitted_at)

    def next_fit(self, refit_days: float) -> datetime:
        """Return when the space is due to be fitted again (UTC)."""
        return self.fitted_on + timedelta(days=refit_days)


def _quiet(_what: str, _done: int, _of: int) -> None: ...


def current_index(
    context: AppContext,
    refit: bool = False,
    on_progress: OnProgress = _quiet,
    grown: bool = True,
    meaning: bool = True,
) -> Index | None:
    """Return the index of all stored papers, brought up to date; None if the store contains no words.

    The space is fitted if it is missing, and again once the store has grown by a tenth or the rules for terms have
    changed.

    Args:
        refit: also refit it when that is due (``ranking.refit_days``).
        grown: if false, the space is kept however much the store has grown, and whatever its rules for terms.
        meaning: whether to add the space of meaning, if the configuration has a sentence model.

    Raises:
        NewsletterError: the index cannot be written, or the sentence model cannot be used.
    """
    index = _current_terms(context, refit, on_progress, grown)
    return _with_meaning(context, index, on_progress) if meaning and index is not None else index


def _with_meaning(context: AppContext, index: Index, on_progress: OnProgress) -> Index:
    encoder = configured_encoder(context.config)
    if encoder is None:
        return index
    with _disk_errors(context.config.index_folder):
        return replace(index, meaning=encodings.current_meaning(context, encoder, index.version, on_progress))


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NewsletterError(
            f"store.index: {error.filename or folder}: {error.strerror or error}; check the disk"
        ) from None


def _current_terms(context: AppContext, refit: bool, on_progress: OnProgress, grown: bool) -> Index | None:
    """Return the index without the space of meaning; see :func:`current_index`."""
    folder = context.config.index_folder
    with _disk_errors(folder):
        state = read_state(folder)
        with reading(context.engine) as connection:
            extent = papers.extent(connection)
            same_store = state is not None and papers.id_of(connection, state.last_row) == state.last_id
        if state is None or not same_store or (grown and _is_due(context, state, extent, refit)):
            return _refit(context, on_progress)
        index = _load(folder, state)
        if index is None:
            return _refit(context, on_progress)
        if (state.held, state.text_change) != (extent.count, extent.text_change):
            return _bring_up_to_date(context, on_progress) or index
        return index


class LiveIndex:
    """The index for frequent callers such as a site. Calls never wait for papers that arrived meanwhile.

    A background thread adds those, at most every few seconds, and leaves refits to others.
    """

    def __init__(self, context: AppContext, seconds: float = 10.0) -> None:
        self._context, self._seconds = context, seconds
        self._index: Index | None = None
        self._looked = 0.0
        self._looking = Lock()

    def __call__(self) -> Index | None:
        """Return the index; None while the store contains no words.

        Raises:
            NewsletterError: this is the first call, and the index cannot be read or written.
        """
        if self._index is None:
            with self._looking:
                if self._index is None:
                    self._look()
        elif time.monotonic() - self._looked > self._seconds and self._looking.acquire(blocking=False):
            Thread(target=self._look_again, daemon=True).start()
        return self._index

    def warm(self) -> None:
        """Load the index in the background, so that the first caller need not wait."""
        Thread(target=self._begin, daemon=True).start()

    def _begin(self) -> None:
        # Callers get the error from their own call.
        with suppress(NewsletterError):
            self()

    def _look_again(self) -> None:
        # A fetch reports the error; meanwhile the loaded index remains in use.
        with suppress(NewsletterError):
            try:
                self._look()
            finally:
                self._looked = time.monotonic()
                self._looking.release()

    def _look(self) -> None:
        self._index = current_index(self._context, grown=False, meaning=False)
        self._looked = time.monotonic()


def saved_index(context: AppContext) -> Index | None:
    """Return the index as it is, however outdated; None if the store has none."""
    state = read_state(context.config.index_folder)
    if state is None:
        return None
    with reading(context.engine) as connection:
        if papers.id_of(connection, state.last_row) != state.last_id:
            return None
    index = _load(context.config.index_folder, state)
    encoder = configured_encoder(context.config)
    if index is None or encoder is None:
        return index
    return replace(index, meaning=encodings.saved_meaning(context, encoder, index.version))


def read_state(folder: Path) -> IndexState | None:
    """Return the state of the index in a folder; None if there is no usable one."""
    try:
        return IndexState(**json.loads((folder / "state.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_due(context: AppContext, state: IndexState, extent: papers.Extent, refit: bool) -> bool:
    old = context.clock() >= state.next_fit(context.config.ranking.refit_days)
    grown = extent.count > state.papers and extent.count >= _GROWTH * state.papers
    return state.terms != _TERMS or grown or (refit and old)


def refit_index(context: AppContext, on_progress: OnProgress = _quiet) -> Index | None:
    """Fit the space now and put all papers into it; None if the store contains no words.

    Raises:
        NewsletterError: as for :func:`current_index`.
    """
    index = _refit(context, on_progress)
    return _with_meaning(context, index, on_progress) if index is not None else None


def _refit(context: AppContext, on_progress: OnProgress) -> Index | None:
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
    # Papers that two processes wrote concurrently may have rows below the last one seen.
    version = f"{context.clock():%Y%m%d}-{_mark(model)}"
    state = IndexState(
        version,
        context.clock().isoformat(),
        extent.count,
        len(rows),
        extent.last_row,
        extent.last_id,
        extent.text_change,
        terms=_TERMS,
    )
    with _locked(folder):
        # Even if a version of that name exists: it may be damaged, or older.
        _publish(folder / version, model, segment)
        _write_state(folder, state)
        _prune(context, version)
        # Prune here, since another process that refitted too is about to publish its own version.
        index = _load(folder, state)
    if index is None:
        raise NewsletterError(f"store.index: {folder}: the index just written cannot be read; check the disk")
    return index


def _mark(model: TfidfModel) -> str:
    digest = hashlib.sha256(model.idf.tobytes() + model.mean.tobytes() + model.topics.tobytes())
    return digest.hexdigest()[:8]


def _publish(target: Path, model: TfidfModel, segment: Segment) -> None:
    unfinished = target.with_name(f".{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    index_files.write_model(unfinished / "space", model)
    index_files.write_segment(unfinished / "base", segment)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


def _segment(context: AppContext, model: TfidfModel, rows: Sequence[int], on_progress: OnProgress) -> Segment:
    """Transform all papers with these rows, block by block."""
    blocks = [model.zeros(0)]
    texts = _counted("indexing", (paper_text(paper) for paper in _texts(context, rows)), len(rows), on_progress)
    while block := list(islice(texts, _AT_ONCE)):
        blocks.append(model.vectors(block))
    vectors = csr_matrix(vstack(blocks), dtype=np.float32)
    background = [background_of(model, vectors[start : start + _AT_ONCE]) for start in range(0, len(rows), _AT_ONCE)]
    centre, factor, topics = (np.concatenate(segments) for segments in zip(*background, strict=True))
    matrix = PaperMatrix(vectors, vectors.T.tocsr(), centre, factor, topics, no_meaning(len(rows)))
    return Segment(np.array(rows, dtype=np.int64), matrix)


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
    """Add papers that were stored since to the index; None if the index was removed meanwhile."""
    folder = context.config.index_folder
    with _locked(folder):
        state = read_state(folder)
        index = _load(folder, state) if state is not None else None
        if state is None or index is None:
            return None
        with reading(context.engine) as connection:
            extent = papers.extent(connection)
            if (state.held, state.text_change) == (extent.count, extent.text_change):
                return index  # Another process did it, while this one waited.
            rows = _unknown(connection, index, state, extent)
        recent = index.segments[1].rows if len(index.segments) > 1 else np.array([], dtype=np.int64)
        segment = _segment(context, index.model, sorted({*recent.tolist(), *rows}), on_progress)
        new = folder / state.version / f"recent-{state.recent + 1}"
        # A process that was killed may have left a file that no state names.
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
    """Return the rows of papers that are missing from the index, or are in it with an older text."""
    new = papers.rows_after(connection, state.last_row)
    if state.held + len(new) != extent.count:
        # A process that was slow to commit may have left gaps below the last row.
        known = np.concatenate([segment.rows for segment in index.segments])
        new = np.setdiff1d(papers.rows_after(connection, 0), known).tolist()
    return [*new, *papers.rows_changed(connection, state.text_change)]


def _load(folder: Path, state: IndexState) -> Index | None:
    """Load the index of a state; None if its files are damaged."""
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


def load_version(context: AppContext, version: str, wanted: Sequence[Paper], meaning: str | None) -> Index | None:
    """Load some papers in the space of a version, as digests were ranked with; None if that version is gone.

    Args:
        meaning: the fingerprint of the sentence model that was used; None if none was.

    Raises:
        UserError: the configuration has another sentence model, or the version's space of meaning is gone.
    """
    try:
        model = index_files.read_model(context.config.index_folder / version / "space")
    except (OSError, ValueError, KeyError):
        return None
    index = make_index(model, (make_segment(model, wanted),), version)
    return index if meaning is None else replace(index, meaning=_meaning_of_version(context, version, meaning))


def _meaning_of_version(context: AppContext, version: str, fingerprint: str) -> MeaningSpace:
    encoder = configured_encoder(context.config)
    space = None
    if encoder is not None and encoder.fingerprint == fingerprint:
        space = encodings.saved_meaning(context, encoder, version)
    if space is None:
        raise UserError(
            f"--edition: this digest was ranked with another sentence model ({fingerprint}); "
            "set ranking.semantic as it was then"
        )
    return space


def _prune(context: AppContext, present: str) -> None:
    """Remove the versions that no digest in the log was ranked with, and the papers of all but the current one."""
    with reading(context.engine) as connection:
        kept = send_log.model_versions(connection) | {present}
    for old in context.config.index_folder.iterdir():
        if not old.is_dir() or old.name in (present, encodings.FOLDER):
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
