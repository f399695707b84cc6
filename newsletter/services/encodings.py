"""Keep the encodings of the stored papers up to date, next to the index.

A paper is encoded once, and again only when its text changes: refits of the TF-IDF model do not touch encodings. They
are in ``store.index``, in a folder for each sentence model (``meaning/FINGERPRINT``): ``state.json`` names the parts,
of which a later one has the newer text. Parts are written once and memory-mapped. What is encoded is saved every few
hundred papers, so that little is lost if the program is stopped.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock
from sqlalchemy import Connection, Engine

from newsletter.config.settings import Config
from newsletter.ranking.encoder import Encoder
from newsletter.ranking.index_files import read_array
from newsletter.ranking.meaning import Encodings, MeaningSpace, encodings_of, fit_meaning, to_bytes
from newsletter.ranking.tfidf import paper_text, title_once
from newsletter.services.context import AppContext
from newsletter.store import papers, reading

FOLDER = "meaning"
"""The name of the folder in ``store.index``."""

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, the number of papers done, and the total."""

_AT_ONCE = 512
_REPORTED = 8
_MOST_PARTS = 8


@dataclass(frozen=True, slots=True)
class EncodingState:
    """Which encodings there are.

    Attributes:
        parts: the numbers of the parts, oldest first.
        held: the number of papers. ``last_row``: the highest of their rows. ``last_id``: that paper's id.
        text_change: the highest text change number that they include.
    """

    parts: tuple[int, ...] = ()
    held: int = 0
    last_row: int = 0
    last_id: str = ""
    text_change: int = 0


def saved_meaning(context: AppContext, encoder: Encoder, version: str) -> MeaningSpace | None:
    """Return the space of meaning of a version of the index with the encodings as they are; None if it has none.

    Raises:
        OSError: the files cannot be read.
    """
    folder = _folder(context.config, encoder)
    return _read_space(context, encoder, version, read_parts(folder, read_state(folder)))


def current_meaning(context: AppContext, encoder: Encoder, version: str, on_progress: OnProgress) -> MeaningSpace:
    """Encode the papers that are new or have a new text, and return the space of meaning of a version of the index.

    Raises:
        OSError: the files cannot be written.
    """
    folder = _folder(context.config, encoder)
    folder.mkdir(parents=True, exist_ok=True)
    state = read_state(folder)
    with reading(context.engine) as connection:
        extent = papers.extent(connection)
        same_store = papers.id_of(connection, state.last_row) == state.last_id
    if not same_store or (state.held, state.text_change) != (extent.count, extent.text_change):
        # Whoever comes second waits: to encode a paper twice takes longer.
        with FileLock(folder / ".lock"):
            state = _bring_up_to_date(context, encoder, folder, on_progress)
    parts = read_parts(folder, state)
    space = _read_space(context, encoder, version, parts)
    if space is None:
        space = fit_meaning(encoder, parts)
        _write_space(_space_file(context, encoder, version), space)
    return space


def count_missing(config: Config, engine: Engine, encoder: Encoder) -> tuple[int, int]:
    """Return how many papers have no encoding of their present text, and how many papers there are.

    Raises:
        OSError: the files cannot be read.
    """
    folder = _folder(config, encoder)
    with reading(engine) as connection:
        state = _usable_state(connection, folder)
        return len(_missing(connection, read_parts(folder, state), state)), papers.extent(connection).count


def _folder(config: Config, encoder: Encoder) -> Path:
    return config.index_folder / FOLDER / encoder.fingerprint


def _bring_up_to_date(context: AppContext, encoder: Encoder, folder: Path, on_progress: OnProgress) -> EncodingState:
    with reading(context.engine) as connection:
        extent = papers.extent(connection)
        state = _usable_state(connection, folder)
        parts = read_parts(folder, state)
        rows = _missing(connection, parts, state)
    done = 0
    for start in range(0, len(rows), _AT_ONCE):
        with reading(context.engine) as connection:
            found = [*papers.texts(connection, rows[start : start + _AT_ONCE])]
        vectors = []
        for paper in found:
            if done % _REPORTED == 0:
                on_progress("encoding", done, len(rows))
            vectors.append(encoder.encode([title_once(paper_text(paper))])[0])
            done += 1
        part = Encodings(np.array([paper.row for paper in found], dtype=np.int64), to_bytes(np.array(vectors)))
        parts = (*parts, part)
        last = max((found[-1].row, found[-1].id), (state.last_row, state.last_id))
        state = _save_part(folder, replace(state, held=_count(parts), last_row=last[0], last_id=last[1]), part)
    if len(parts) > _MOST_PARTS:
        state = _merge(folder, state, parts, encoder.width)
    state = replace(state, last_row=extent.last_row, last_id=extent.last_id, text_change=extent.text_change)
    _write_state(folder, state)
    _remove_other_parts(folder, state)
    return state


def _usable_state(connection: Connection, folder: Path) -> EncodingState:
    """Return the saved state; an empty one if it is that of another store, or a part is damaged."""
    state = read_state(folder)
    if papers.id_of(connection, state.last_row) != state.last_id or len(read_parts(folder, state)) < len(state.parts):
        return EncodingState()
    return state


def _missing(connection: Connection, parts: Sequence[Encodings], state: EncodingState) -> list[int]:
    """Return the rows of the papers without encodings, and of those whose text has changed."""
    known = np.concatenate([np.array([], dtype=np.int64), *(part.rows for part in parts)])
    new = np.setdiff1d(papers.rows_after(connection, 0), known)
    changed = papers.rows_changed(connection, state.text_change)
    return [int(row) for row in np.union1d(new, np.array(changed, dtype=np.int64))]


def _count(parts: Sequence[Encodings]) -> int:
    return len(np.unique(np.concatenate([part.rows for part in parts])))


def _save_part(folder: Path, state: EncodingState, part: Encodings) -> EncodingState:
    # Never an existing file: another process may have mapped it.
    number = max((_number(path) for path in folder.glob("rows-*.npy")), default=0) + 1
    np.save(folder / f"rows-{number}.npy", part.rows)
    np.save(folder / f"vectors-{number}.npy", part.vectors)
    state = replace(state, parts=(*state.parts, number))
    _write_state(folder, state)
    return state


def _merge(folder: Path, state: EncodingState, parts: Sequence[Encodings], width: int) -> EncodingState:
    """Replace all parts by one."""
    rows = np.unique(np.concatenate([part.rows for part in parts]))
    whole = Encodings(rows, encodings_of(parts, rows, width))
    merged = _save_part(folder, state, whole)
    return replace(merged, parts=merged.parts[-1:])


def _remove_other_parts(folder: Path, state: EncodingState) -> None:
    """Remove the files that a state does not name: those of parts that were merged, or of another store."""
    for path in (*folder.glob("rows-*.npy"), *folder.glob("vectors-*.npy")):
        if _number(path) not in state.parts:
            path.unlink(missing_ok=True)


def _number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def read_parts(folder: Path, state: EncodingState) -> tuple[Encodings, ...]:
    """Return the parts of a state, memory-mapped, up to the first one that is missing or damaged."""
    parts = []
    for number in state.parts:
        try:
            part = Encodings(*(read_array(folder / f"{name}-{number}.npy") for name in ("rows", "vectors")))
        except (OSError, ValueError):
            break
        if len(part.rows) != len(part.vectors):
            break
        parts.append(part)
    return tuple(parts)


def read_state(folder: Path) -> EncodingState:
    """Return the state of a folder of encodings; an empty one if there is no usable one."""
    try:
        found = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return EncodingState(**{**found, "parts": tuple(found["parts"])})
    except (OSError, ValueError, TypeError, KeyError):
        return EncodingState()


def _write_state(folder: Path, state: EncodingState) -> None:
    unfinished = folder / ".state.json"
    unfinished.write_text(json.dumps(asdict(state)) + "\n", encoding="utf-8")
    unfinished.replace(folder / "state.json")


def _space_file(context: AppContext, encoder: Encoder, version: str) -> Path:
    return context.config.index_folder / version / "space" / f"meaning-{encoder.fingerprint}.npz"


def _read_space(
    context: AppContext, encoder: Encoder, version: str, parts: tuple[Encodings, ...]
) -> MeaningSpace | None:
    """Return the space of meaning that belongs to a version of the index; None if there is none, or it is damaged."""
    try:
        with np.load(_space_file(context, encoder, version)) as found:
            return MeaningSpace(encoder, found["usual"], found["sample"], parts)
    except (OSError, ValueError, KeyError, BadZipFile):
        return None


def _write_space(path: Path, space: MeaningSpace) -> None:
    unfinished = path.with_name(f".{os.getpid()}-{path.name}")
    with unfinished.open("wb") as file:
        np.savez(file, usual=space.usual, sample=space.sample)
    unfinished.replace(path)
