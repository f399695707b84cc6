"""Searching: the whole store by words, or by likeness to a paper, ranked in the space that digests are ranked in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from newsletter.desk import Desk
from newsletter.indexing import current_index
from newsletter.model import Interest, Paper, PaperName
from newsletter.ranking.calibration import match
from newsletter.ranking.explain import main_terms, taste_of
from newsletter.ranking.index import Index
from newsletter.ranking.profile import Followed, Profiles, make_profiles
from newsletter.ranking.search import best_first
from newsletter.ranking.space import tokens_of
from newsletter.ranking.sparse import row_of
from newsletter.ranking.trending import trending_reason, trending_scores
from newsletter.ranking.wording import read
from newsletter.store import papers, reading
from newsletter.store.papers import PaperFilter

_TALKED = 2_000
"""How many papers are compared: the newest that are talked about at all."""


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


def trending(desk: Desk, limit: int) -> list[Found]:
    """The papers that the community talks about now, most first, with the score that digests have."""
    today, half_life = desk.clock().date(), desk.config.digest.trending_half_life_days
    with reading(desk.engine) as connection:
        talked = papers.talked_of(connection, PaperFilter(until=today), _TALKED)
    scores = trending_scores(talked, today, half_life)
    best = np.argsort(-scores, kind="stable")[:limit]
    return [Found(talked[place], float(scores[place]), trending_reason(talked[place])) for place in best]


def _found(
    desk: Desk, index: Index, profiles: Profiles, wanted: PaperFilter, limit: int, unknown: Sequence[str]
) -> list[Found]:
    blocks = best_first(index, profiles)
    with reading(desk.engine) as connection:
        titled = [row for word in unknown for row in papers.with_title(connection, word, wanted, limit)]
        found = _passing(connection, blocks, wanted, limit, set(titled))
        best = sorted(set(titled), key=lambda row: (-titled.count(row), -found.get(row, -np.inf), -row))
        best = (best + [row for row in found if row not in titled])[:limit]
        known = papers.by_rows(connection, best)
    scores = match(np.array([found.get(row, -np.inf) for row in best]))
    return [
        Found(known[row], float(score), _because(index, profiles, known[row], unknown))
        for row, score in zip(best, scores, strict=True)
    ]


def _passing(
    connection: Connection, blocks: Iterator[dict[int, float]], wanted: PaperFilter, limit: int, kept: set[int]
) -> dict[int, float]:
    """The first papers that pass the filter, and of ``kept`` those that are met, with how far they stand out."""
    passed: dict[int, float] = {}
    for block in blocks:
        rows = {*papers.passing(connection, [*block], wanted), *kept}
        passed |= {row: value for row, value in block.items() if row in rows}
        if len(passed) >= limit + len(kept):
            break
    return passed


def _because(index: Index, profiles: Profiles, paper: Paper, unknown: Sequence[str]) -> str:
    named = [word for word in unknown if word.casefold() in paper.title.casefold()]
    vector = row_of(index.vectors(np.array([paper.row])).sorted_indices(), 0)
    terms = main_terms(taste_of(index.space, profiles, 0).terms, read(index.space, paper, vector))
    return ", ".join([*named, *terms])
