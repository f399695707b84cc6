"""Searching: the whole store by words, or by likeness to a paper, ranked in the space that digests are ranked in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from newsletter.desk import Desk
from newsletter.indexing import current_index
from newsletter.model import Interest, Paper, PaperName
from newsletter.ranking.calibration import match
from newsletter.ranking.explain import main_terms
from newsletter.ranking.index import Index
from newsletter.ranking.profile import Followed, Profiles, make_profiles
from newsletter.ranking.search import standing_out
from newsletter.ranking.space import tokens_of
from newsletter.store import papers, reading
from newsletter.store.papers import PaperFilter

_FIRST_LOOK = 500


@dataclass(frozen=True, slots=True)
class Found:
    """A paper that was found, with its match (between 0 and 1) and the words that weighed most in it."""

    paper: Paper
    score: float
    because: str


def search(desk: Desk, words: str, wanted: PaperFilter, limit: int) -> list[Found]:
    """The papers of the store that a line of words describes, best first.

    A word that the space does not know, being rare or newer than the fit, is looked for in titles; papers that have it
    come before the others.
    """
    index = current_index(desk)
    if index is None:
        return []
    profiles = make_profiles(index, [Followed(Interest(name=words, text=words))])
    unknown = [words[token.start : token.end] for token in tokens_of(words) if token.word not in index.space.known]
    return _found(desk, index, profiles, wanted, limit, unknown)


def similar(desk: Desk, paper: Paper, wanted: PaperFilter, limit: int) -> list[Found]:
    """The papers of the store most like one of them, best first, without itself."""
    index = current_index(desk)
    if index is None:
        return []
    liked = ((PaperName(paper.row, paper.id, paper.title), 1.0),)
    profiles = make_profiles(index, [Followed(Interest(name=paper.title, liked=(paper.id,)), liked)])
    found = _found(desk, index, profiles, wanted, limit + 1, [])
    return [one for one in found if one.paper.row != paper.row][:limit]


def _found(
    desk: Desk, index: Index, profiles: Profiles, wanted: PaperFilter, limit: int, unknown: Sequence[str]
) -> list[Found]:
    rows, stands_out = standing_out(index, profiles)
    with reading(desk.engine) as connection:
        titled = [row for word in unknown for row in papers.with_title(connection, word, wanted, limit)]
        best = sorted(set(titled), key=lambda row: (-titled.count(row), -_value(rows, stands_out, row), -row))
        best = (best + _passing(connection, rows, wanted, limit, set(best)))[:limit]
        known = papers.by_rows(connection, best)
    scores = match(np.array([_value(rows, stands_out, row) for row in best]))
    return [
        Found(known[row], float(score), _because(index, profiles, known[row], unknown))
        for row, score in zip(best, scores, strict=True)
    ]


def _value(rows: np.ndarray, stands_out: np.ndarray, row: int) -> float:
    at = np.flatnonzero(rows == row)
    return float(stands_out[at[0]]) if len(at) else -np.inf


def _passing(connection: Connection, rows: np.ndarray, wanted: PaperFilter, limit: int, taken: set[int]) -> list[int]:
    """The first rows that pass the filter, asked in growing steps: few pass a narrow one."""
    passed: list[int] = []
    start, step = 0, _FIRST_LOOK
    while start < len(rows) and len(passed) < limit:
        block = [row for row in rows[start : start + step].tolist() if row not in taken]
        passed += papers.passing(connection, block, wanted)
        start, step = start + step, 4 * step
    return passed[:limit]


def _because(index: Index, profiles: Profiles, paper: Paper, unknown: Sequence[str]) -> str:
    named = [word for word in unknown if word.casefold() in paper.title.casefold()]
    terms = main_terms(index.space, profiles.vectors[0], paper, index.vectors(np.array([paper.row])))
    return ", ".join([*named, *terms])
