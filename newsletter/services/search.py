"""Search the whole store, by words or by similarity to a paper, in the space that digests are ranked in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from newsletter.model import Interest, Paper, PaperRef
from newsletter.ranking.explain import adding_terms, main_terms
from newsletter.ranking.index import Index, background_of
from newsletter.ranking.phrases import read
from newsletter.ranking.profile import Profiles, WeightedInterest, make_profiles
from newsletter.ranking.search import SearchProfile, best_first, by_paper, by_words
from newsletter.ranking.sparse import row_of
from newsletter.ranking.tokens import word_spans
from newsletter.services.context import AppContext
from newsletter.services.index import current_index
from newsletter.store import papers, reading
from newsletter.store.papers import PaperFilter


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A paper that was found, with its match (between 0 and 1) and the words with the greatest weight in it."""

    paper: Paper
    score: float
    because: str


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """The row of a paper that was found, with its match (between 0 and 1)."""

    row: int
    score: float


def search(
    context: AppContext, words: str, wanted: PaperFilter, limit: int, index: Index | None = None
) -> list[SearchResult]:
    """Return the papers that best match some words, best first, each with the words with the greatest weight in it.

    Words that the space does not know, being rare or newer than the fit, are looked for in titles; papers that contain
    them come before the others.

    Args:
        index: a loaded index; by default it is brought up to date first.
    """
    index = index or current_index(context)
    if index is None:
        return []
    hits = search_rows(context, index, words, wanted, limit)
    profiles = make_profiles(index, [WeightedInterest(Interest(name=words, text=words))])
    return _explained(context, index, profiles, hits, _unknown(index, words))


def search_rows(context: AppContext, index: Index, words: str, wanted: PaperFilter, limit: int) -> list[ScoredRow]:
    """Do the same as :func:`search`, returning rows only, which takes a fraction of the time."""
    return _hits(context, index, by_words(index, words), wanted, limit, _unknown(index, words))


def similar(
    context: AppContext, paper: Paper, wanted: PaperFilter, limit: int, index: Index | None = None
) -> list[SearchResult]:
    """Return the papers most similar to a given one, best first, without it, each with what they share.

    ``index`` is as for :func:`search`.
    """
    index = index or current_index(context)
    if index is None:
        return []
    liked = ((PaperRef(paper.row, paper.id, paper.title), 1.0),)
    profiles = make_profiles(index, [WeightedInterest(Interest(name=paper.title, liked=(paper.id,)), liked)])
    return _explained(context, index, profiles, similar_rows(context, index, paper, wanted, limit), [])


def similar_rows(context: AppContext, index: Index, paper: Paper, wanted: PaperFilter, limit: int) -> list[ScoredRow]:
    """Do the same as :func:`similar`, returning rows only."""
    found = _hits(context, index, by_paper(index, paper.row), wanted, limit + 1, [])
    return [hit for hit in found if hit.row != paper.row][:limit]


def _unknown(index: Index, words: str) -> list[str]:
    """Return the words that the space does not know; what is written without spaces counts as one word."""
    known = index.model.known
    return [words[start:end] for start, end, terms in word_spans(words) if not known.keys() >= terms]


def _hits(
    context: AppContext, index: Index, profile: SearchProfile, wanted: PaperFilter, limit: int, unknown: Sequence[str]
) -> list[ScoredRow]:
    blocks = best_first(index, profile)
    with reading(context.engine) as connection:
        titled = [row for word in unknown for row in papers.with_title(connection, word, wanted, limit)]
        found = _passing(connection, blocks, wanted, limit, set(titled))
    best = sorted(set(titled), key=lambda row: (-titled.count(row), -found.get(row, 0.0), -row))
    best = (best + [row for row in found if row not in titled])[:limit]
    return [ScoredRow(row, found.get(row, 0.0)) for row in best]


def _explained(
    context: AppContext, index: Index, profiles: Profiles, hits: Sequence[ScoredRow], unknown: Sequence[str]
) -> list[SearchResult]:
    with reading(context.engine) as connection:
        known = papers.by_rows(connection, [hit.row for hit in hits])
    return [
        SearchResult(known[hit.row], hit.score, _reason(index, profiles, known[hit.row], unknown))
        for hit in hits
        if hit.row in known
    ]


def _passing(
    connection: Connection, blocks: Iterator[dict[int, float]], wanted: PaperFilter, limit: int, kept: set[int]
) -> dict[int, float]:
    """Return the first papers that pass the filter, and those of ``kept`` that are met, with their matches."""
    passed: dict[int, float] = {}
    for block in blocks:
        rows = {*papers.passing(connection, [*block], wanted), *kept}
        passed |= {row: value for row, value in block.items() if row in rows}
        if len(passed) >= limit + len(kept):
            break
    return passed


def _reason(index: Index, profiles: Profiles, paper: Paper, unknown: Sequence[str]) -> str:
    named = [word for word in unknown if word.casefold() in paper.title.casefold()]
    vectors = index.vectors(np.array([paper.row])).sorted_indices()
    _, (factor,), _ = background_of(index.model, vectors)
    vector = row_of(vectors, 0)
    terms = main_terms(adding_terms(index.model, profiles, 0, vector, factor), read(index.model, paper, vector))
    return ", ".join([*named, *terms])
