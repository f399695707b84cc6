"""Profiles: the TF-IDF vectors of subscribers' interests, built for many interests in one go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy.sparse import csr_matrix, diags

from newsletter.model import Interest, PaperRef
from newsletter.ranking.index import Index
from newsletter.ranking.sparse import Row, row_of
from newsletter.ranking.tfidf import TfidfModel, damp
from newsletter.ranking.wanted import WantedRow, keyword_row, stacked, text_row

_DISLIKED_WEIGHT = 0.5

RatedPapers = tuple[tuple[PaperRef, float], ...]
"""Papers, each with the weight of its verdict: 1 for those named in a file, less for feedback that has faded."""


Verdicts = tuple[tuple[PaperRef, datetime | None], ...]
"""Papers, each with the time of its verdict (UTC); None for those named in the interest, which do not fade."""


@dataclass(frozen=True, slots=True)
class InterestFeedback:
    """An interest with the papers that the subscriber rated for it."""

    interest: Interest
    liked: Verdicts
    disliked: Verdicts


@dataclass(frozen=True, slots=True)
class WeightedInterest:
    """An interest with its rated papers at their current weights."""

    interest: Interest
    liked: RatedPapers = ()
    disliked: RatedPapers = ()


@dataclass(frozen=True, slots=True)
class Profiles:
    """Some interests as vectors, in one order.

    Attributes:
        vectors: interests × terms, ascending in each row; zeros for an interest without known terms.
        wanted: the same before the disliked papers were subtracted.
        standard: what scores are standardised by: as ``wanted``, with keywords of several words as if they were text.
            So neither a subtraction nor the low weight of a phrase's single words raises a paper's z-score.
        whole: the same before damping, also ascending.
        example_counts: the number of papers each was built from; a text counts as one, a faded verdict as less.
        contributions: the weight of each liked paper in ``whole`` (interests × liked). ``liked``: their vectors (liked
            × terms).
    """

    followed: tuple[WeightedInterest, ...]
    vectors: csr_matrix
    wanted: csr_matrix
    standard: csr_matrix
    whole: csr_matrix
    example_counts: np.ndarray
    contributions: csr_matrix
    liked: csr_matrix

    def liked_by(self, row: int) -> tuple[Row, np.ndarray]:
        """Return the contributions of an interest's liked papers to ``whole``: their terms, one paper after the other,
        with the weight of each, and the paper of each (by index in ``followed[row].liked``).
        """
        which, shares = row_of(self.contributions, row)
        rows = [row_of(self.liked, one) for one in which]
        sizes = [len(one.terms) for one in rows]
        terms = np.concatenate([self.liked.indices[:0], *(one.terms for one in rows)])
        values = np.concatenate([self.liked.data[:0], *(one.values for one in rows)])
        return Row(terms, values * np.repeat(shares, sizes)), np.repeat(np.arange(len(rows)), sizes)


def make_profiles(index: Index, followed: Sequence[WeightedInterest]) -> Profiles:
    """Build the profile of each interest: the mean of its liked papers, text and keywords, damped, minus half of the
    same for its disliked papers (Rocchio, "Relevance feedback in information retrieval", 1971).

    Text and keywords each count as one liked paper and are scaled to a usual paper's sum of weights, since they are
    shorter than an abstract. A faded verdict counts as less than one paper. An interest with nothing else is
    represented by its name.
    """
    liked, contributions = _judged(index, [one.liked for one in followed])
    texts = _as_papers(index.model, *stacked(index.model, _texts(index.model, [one.interest for one in followed])))
    phrases, plain = (
        _as_papers(index.model, *_keywords(index.model, [one.interest for one in followed], as_row))
        for as_row in (keyword_row, text_row)
    )
    said = sum((np.diff(segment.indptr) > 0).astype(float) for segment in (texts, phrases))
    example_counts = np.asarray(contributions.sum(axis=1)).ravel() + said
    share = 1 / np.where(example_counts > 0, example_counts, 1)
    contributions.data *= np.repeat(share, np.diff(contributions.indptr)).astype(np.float32)
    rest = contributions @ liked + diags(share) @ texts
    whole = csr_matrix(rest + diags(share) @ phrases, dtype=np.float32)
    vectors = wanted = damp(whole)
    standard = damp(csr_matrix(rest + diags(share) @ plain, dtype=np.float32))
    disliked, against = _judged(index, [one.disliked for one in followed])
    if disliked.shape[0]:
        total = np.asarray(against.sum(axis=1)).ravel()
        mean = damp(diags(1 / np.where(total > 0, total, 1)) @ against @ disliked)
        most = np.asarray(against.max(axis=1).todense()).ravel()
        vectors = csr_matrix(wanted - diags(_DISLIKED_WEIGHT * most) @ mean, dtype=np.float32)
    for matrix in (vectors, whole):
        matrix.sort_indices()
    return Profiles(tuple(followed), vectors, wanted, standard, whole, example_counts, contributions, liked)


def _text(interest: Interest) -> str:
    says_more = interest.keywords or interest.liked or interest.authors or interest.categories
    return interest.text or ("" if says_more else interest.name)


def _texts(model: TfidfModel, interests: Sequence[Interest]) -> list[WantedRow]:
    texts = [_text(interest) for interest in interests]
    rows = {text: text_row(model, text) for text in set(texts)}
    return [rows[text] for text in texts]


def _keywords(
    model: TfidfModel, interests: Sequence[Interest], as_row: Callable[[TfidfModel, str], WantedRow]
) -> tuple[csr_matrix, np.ndarray]:
    words = sorted({word for interest in interests for word in interest.keywords})
    place = {word: number for number, word in enumerate(words)}
    weights = [list(interest.keywords.values()) for interest in interests]
    places = [[place[word] for word in interest.keywords] for interest in interests]
    vectors, unknown = stacked(model, [as_row(model, word) for word in words])
    shares = _rows(weights, places, len(words))
    return csr_matrix(shares @ vectors), np.asarray(shares @ unknown)


def _judged(index: Index, judged: Sequence[RatedPapers]) -> tuple[csr_matrix, csr_matrix]:
    """Return the vectors of all rated papers, and the weight of each for each interest (interests × papers)."""
    if not any(judged):
        return index.model.zeros(0), csr_matrix((len(judged), 0), dtype=np.float32)
    rows = np.unique([name.row for own in judged for name, _ in own]).astype(np.int64)
    place = {int(row): number for number, row in enumerate(rows)}
    weights = [[weight for _, weight in own] for own in judged]
    vectors = index.model.without_named(index.vectors(rows))
    return vectors, _rows(weights, [[place[name.row] for name, _ in own] for own in judged], len(rows))


def _rows(values: Sequence[Sequence[float]], places: Sequence[Sequence[int]], width: int) -> csr_matrix:
    """Build sparse rows from values and columns (rows × width), each row in the order given."""
    ends = np.cumsum([0, *map(len, values)])
    flat = [number for own in values for number in own]
    at = [number for own in places for number in own]
    return csr_matrix((np.array(flat, np.float32), np.array(at, np.int32), ends), shape=(len(values), width))


def _as_papers(model: TfidfModel, vectors: csr_matrix, unknown: np.ndarray) -> csr_matrix:
    """Scale vectors to a usual paper's sum of weights, of which what the space does not know keeps its share."""
    if not vectors.nnz:
        return vectors
    usual = float(model.sample.sum(axis=1).mean())
    totals = np.asarray(vectors.sum(axis=1)).ravel() + unknown
    return csr_matrix(diags(np.where(totals > 0, usual / np.where(totals > 0, totals, 1), 1)) @ vectors)


def library_profiles(papers: csr_matrix, libraries: Sequence[np.ndarray]) -> csr_matrix:
    """Build profiles (profiles × terms) from liked papers alone, all with the same weight.

    Args:
        papers: papers × terms. ``libraries``: the liked papers of each profile, by row of ``papers``.
    """
    sizes = [len(library) for library in libraries]
    weights = np.repeat(1 / np.maximum(sizes, 1), sizes).astype(np.float32)
    places = (np.repeat(np.arange(len(libraries)), sizes), np.concatenate(libraries))
    return damp(csr_matrix((weights, places), shape=(len(libraries), papers.shape[0])) @ papers)
