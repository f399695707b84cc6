"""Search the whole store: by identifier, author, phrase and words, or by similarity to a paper.

Words and similarity are ranked in the spaces of terms and topics, as digests are; not in the space of meaning, since
nobody waits for a sentence model while typing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from sqlalchemy import Connection

from newsletter.model import Interest, Paper, PaperRef
from newsletter.ranking.explain import main_terms, term_parts
from newsletter.ranking.index import Index, background_of
from newsletter.ranking.phrases import read
from newsletter.ranking.profile import Profiles, WeightedInterest, make_profiles
from newsletter.ranking.scoring import FULL_MATCH, POSSIBLY_BY_AUTHOR
from newsletter.ranking.search import SearchProfile, best_first, by_paper, by_words
from newsletter.ranking.sparse import row_of
from newsletter.ranking.tokens import word_spans
from newsletter.services.context import AppContext
from newsletter.services.index import current_index
from newsletter.services.phrase_search import PhraseFilter, phrase_filter
from newsletter.services.search_query import SearchQuery, parse_query
from newsletter.store import paper_authors, papers, reading
from newsletter.store.papers import PaperFilter
from newsletter.support.person_names import NameMatch, parse_name

_LONGEST_NAME = 8
"""In words."""

_MOST_BY_NAME = 2_000
_TITLES_READ = 500
_SPARE = 10
"""More papers than asked for that are looked at first: a few may not pass."""

_BY = ((NameMatch.FULL, FULL_MATCH, "by "), (NameMatch.POSSIBLE, POSSIBLY_BY_AUTHOR, "possibly by "))


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A paper that was found, with its match (between 0 and 1) and the words with the greatest weight in it."""

    paper: Paper
    score: float
    because: str


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """The row of a paper that was found, with its match (between 0 and 1), and why, if not because of words."""

    row: int
    score: float
    because: str = ""


def search(
    context: AppContext, typed: str, wanted: PaperFilter, limit: int, index: Index | None = None
) -> list[SearchResult]:
    """Return the papers that a search finds, best first, each with the reason.

    An arXiv id or a DOI finds its paper alone. Otherwise, papers by an author of that name come first, then those
    possibly by one, newest first, and then what best matches the words. A family name alone may be a word too: its
    papers and those with the word alternate. Phrases in quotation marks must occur in the title or the abstract.

    Words that the space does not know, being rare or newer than the fit, are looked for in titles; papers that contain
    them come before others with the same words.

    Args:
        typed: the search as typed, see :func:`newsletter.services.search_query.parse_query`.
        index: a loaded index; by default it is brought up to date first.
    """
    index = index or current_index(context, meaning=False)
    if index is None:
        return []
    query = parse_query(typed)
    hits = search_rows(context, index, typed, wanted, limit)
    profiles = make_profiles(index, [WeightedInterest(Interest(name=query.words, text=query.words))])
    return _explained(context, index, profiles, hits, _unknown(index, query))


def search_rows(context: AppContext, index: Index, typed: str, wanted: PaperFilter, limit: int) -> list[ScoredRow]:
    """Do the same as :func:`search`, returning rows only, which takes a fraction of the time."""
    query = parse_query(typed)
    if query.identifier is not None:
        paper = find_identified(context, typed, wanted)
        return [ScoredRow(paper.row, 1.0, query.identifier)] if paper is not None else []
    accepted = _Conditions(wanted, phrase_filter(index, query.phrases) if query.phrases else None)
    profile = by_words(index, query.words)
    with reading(context.engine) as connection:
        titled = _with_unknown(connection, _unknown(index, query), accepted, limit)
        by_author, by_family = _by_name(connection, query.name, accepted, limit)
        of_words = _hits(connection, index, profile, accepted, limit, titled)
    rest = [hit for pair in zip_longest(of_words, by_family) for hit in pair if hit is not None]
    found: dict[int, ScoredRow] = {}
    for hit in (*by_author, *rest):
        found.setdefault(hit.row, hit)
    return list(found.values())[:limit]


def find_identified(context: AppContext, typed: str, wanted: PaperFilter) -> Paper | None:
    """Return the paper whose arXiv id or DOI was typed; None if it was something else, or no such paper passes."""
    query = parse_query(typed)
    if query.identifier is None:
        return None
    with reading(context.engine) as connection:
        paper = papers.by_id(connection, query.identifier)
        return paper if paper is not None and papers.passing(connection, [paper.row], wanted) else None


def similar(
    context: AppContext, paper: Paper, wanted: PaperFilter, limit: int, index: Index | None = None
) -> list[SearchResult]:
    """Return the papers most similar to a given one, best first, without it, each with what they share.

    ``index`` is as for :func:`search`.
    """
    index = index or current_index(context, meaning=False)
    if index is None:
        return []
    liked = ((PaperRef(paper.row, paper.id, paper.title), 1.0),)
    profiles = make_profiles(index, [WeightedInterest(Interest(name=paper.title, liked=(paper.id,)), liked)])
    return _explained(context, index, profiles, similar_rows(context, index, paper, wanted, limit), [])


def similar_rows(context: AppContext, index: Index, paper: Paper, wanted: PaperFilter, limit: int) -> list[ScoredRow]:
    """Do the same as :func:`similar`, returning rows only."""
    profile = by_paper(index, paper.row)
    with reading(context.engine) as connection:
        found = _hits(connection, index, profile, _Conditions(wanted), limit + 1, [])
    return [hit for hit in found if hit.row != paper.row][:limit]


@dataclass(frozen=True, slots=True)
class _Conditions:
    """What papers must meet to be found, whatever finds them."""

    wanted: PaperFilter
    phrases: PhraseFilter | None = None

    def passing(self, connection: Connection, rows: Iterable[int], limit: int) -> list[int]:
        """Return which of some rows meet the conditions, in the order given; with phrases, the first ``limit``."""
        if self.phrases is None:
            return papers.passing(connection, [*rows], self.wanted)
        passed = papers.passing(connection, self.phrases.likely(rows), self.wanted)
        return self.phrases.passing(connection, passed, limit)

    @property
    def exhausted(self) -> bool:
        """Whether no further paper can pass."""
        return self.phrases is not None and not self.phrases.left


def _unknown(index: Index, query: SearchQuery) -> list[str]:
    """Return the words that the space does not know, and phrases of common words alone."""
    words = query.words
    known = index.model.known
    unknown = [words[start:end] for start, end, terms in word_spans(words) if not known.keys() >= terms]
    return unknown + [phrase for phrase in query.phrases if not word_spans(phrase)]


def _with_unknown(connection: Connection, unknown: Sequence[str], accepted: _Conditions, limit: int) -> list[int]:
    """Return the rows of papers with an unknown word in the title: once for each such word."""
    most = limit if accepted.phrases is None else max(limit, _TITLES_READ)
    titled = [row for word in unknown for row in papers.with_title(connection, word, accepted.wanted, most)]
    kept = {*accepted.passing(connection, dict.fromkeys(titled), len(titled))}
    return [row for row in titled if row in kept]


def _by_name(
    connection: Connection, name: str, accepted: _Conditions, limit: int
) -> tuple[list[ScoredRow], list[ScoredRow]]:
    """Return the papers by authors of a name, and possibly of that name, and those by authors of that family name."""
    if not name or len(name.split()) > _LONGEST_NAME:
        return [], []
    known = paper_authors.find(connection, [name])[name]
    found: list[ScoredRow] = []
    for agrees, score, by in _BY:
        own = paper_authors.papers_by(connection, [one.name for one in known if one.agrees is agrees], _MOST_BY_NAME)
        rows = accepted.passing(connection, own, limit)
        found += [ScoredRow(row, score, f"{by}{own[row]}") for row in rows]
    if parse_name(name).given:
        return found, []
    family = paper_authors.papers_of_family_name(connection, name, _MOST_BY_NAME)
    rows = accepted.passing(connection, family, limit)
    return found, [ScoredRow(row, POSSIBLY_BY_AUTHOR, f"by {family[row]}") for row in rows]


def _hits(
    connection: Connection,
    index: Index,
    profile: SearchProfile,
    accepted: _Conditions,
    limit: int,
    titled: Sequence[int],
) -> list[ScoredRow]:
    blocks = best_first(index, profile, limit + len(set(titled)) + _SPARE)
    found = _passing(connection, blocks, accepted, limit, set(titled))
    best = sorted(set(titled), key=lambda row: (-titled.count(row), -found.get(row, 0.0), -row))
    best = (best + [row for row in found if row not in titled])[:limit]
    return [ScoredRow(row, found.get(row, 0.0)) for row in best]


def _explained(
    context: AppContext, index: Index, profiles: Profiles, hits: Sequence[ScoredRow], unknown: Sequence[str]
) -> list[SearchResult]:
    with reading(context.engine) as connection:
        known = papers.by_rows(connection, [hit.row for hit in hits])
    return [
        SearchResult(known[hit.row], hit.score, _reason(index, profiles, known[hit.row], hit.because, unknown))
        for hit in hits
        if hit.row in known
    ]


def _passing(
    connection: Connection, blocks: Iterator[dict[int, float]], accepted: _Conditions, limit: int, kept: set[int]
) -> dict[int, float]:
    """Return the first papers that pass the filter, and those of ``kept`` that are met, with their matches."""
    passed: dict[int, float] = {}
    for block in blocks:
        rows = {*accepted.passing(connection, block, limit + len(kept) - len(passed)), *kept}
        passed |= {row: value for row, value in block.items() if row in rows}
        if len(passed) >= limit + len(kept) or accepted.exhausted:
            break
    return passed


def _reason(index: Index, profiles: Profiles, paper: Paper, because: str, unknown: Sequence[str]) -> str:
    named = [word for word in unknown if word.casefold() in paper.title.casefold()]
    vectors = index.vectors(np.array([paper.row])).sorted_indices()
    _, (factor,), _ = background_of(index.model, vectors)
    vector = row_of(vectors, 0)
    terms = main_terms(term_parts(index.model, profiles, 0, vector, factor), read(index.model, paper, vector))
    return "; ".join(part for part in (because, ", ".join([*named, *terms])) if part)
