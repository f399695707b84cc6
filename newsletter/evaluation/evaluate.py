"""Evaluate the ranking on collections of readers' libraries or judged interests, with the code that ranks for sending.

For libraries, papers of one fold are new. Readers count if they have three or more papers in the other folds and one or
more in it. Everything is fitted on the other folds alone, and all new papers are candidates for everybody. For judged
interests, all papers are in the store and all are candidates, except for the liked ones.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.errors import UserError
from newsletter.evaluation.collections import SEE, Collection, Question
from newsletter.evaluation.measures import Bin, calibration_error, interval, ndcg, reliability, vendi_score
from newsletter.model import PaperRef
from newsletter.ranking.diversify import diversified
from newsletter.ranking.encoder import Encoder
from newsletter.ranking.index import Index, PaperMatrix, Segment, build_matrix, make_index
from newsletter.ranking.meaning import Encodings, fit_meaning, to_bytes
from newsletter.ranking.profile import WeightedInterest, make_profiles
from newsletter.ranking.scoring import content_matches
from newsletter.ranking.tfidf import fit, title_once

OTHERS = 300
"""The number of papers of another field in a quiet day."""

_AT_ONCE = 256
_FIRST = 10
_DEEP = 100
_VARIED_FROM = 30
_ENCODINGS_KEPT = 200_000
_CURVE = (1, 3, 5, 10, 20, 40)


@dataclass(frozen=True, slots=True)
class EvalResult:
    """The quality of rankings: one value per question for each measure, or one number.

    Attributes:
        ndcg: nDCG@10, with at most ten relevant papers in the ideal. ``recall``: recall@100. ``mrr``: MRR@100.
        vendi: the effective number of different papers in the top ten.
        digest_ndcg, digest_vendi: the same for the top ten chosen as for digests, with variety.
        precision: the share of shown papers that are relevant. Shown are those of the top ten that reach the minimum
            match. ``found``: how many of the relevant papers in the top ten are shown, as a share.
        bins: the reliability of the match over the top ten.
        seconds: time for the profiles and rankings of all questions. ``fit_seconds``: time to fit the space.
    """

    ndcg: np.ndarray
    recall: np.ndarray
    mrr: np.ndarray
    vendi: np.ndarray
    digest_ndcg: np.ndarray | None = None
    digest_vendi: np.ndarray | None = None
    precision: float = 0.0
    found: float = 0.0
    bins: list[Bin] = field(default_factory=list)
    seconds: float = 0.0
    fit_seconds: float = 0.0


def evaluate(
    collection: Collection, min_score: float, variety: float = 1.0, encoder: Encoder | None = None
) -> EvalResult:
    """Rank the candidates for every question.

    Args:
        min_score: the minimum match of papers that are shown.
        variety: λ of maximal marginal relevance for digests; it affects only the digest measures.
        encoder: ranks by meaning too.

    Raises:
        UserError: the papers contain no words.
    """
    start = time.perf_counter()
    index = make_index_of(collection.store, collection.phrases, encoder)
    fitted = time.perf_counter()
    papers = matrix_of(index, collection)
    order, matches = rank(index, papers, collection.questions)
    ranked = time.perf_counter()
    relevant = [one.relevant for one in collection.questions]
    varied = order.copy()
    for row, (own, values) in enumerate(zip(order, matches, strict=True)):
        some = np.flatnonzero(values > 0)[:_VARIED_FROM]
        if len(some) >= _FIRST:
            chosen = diversified(values[some], papers.vectors[own[some]], variety, _FIRST)
            varied[row, :_FIRST] = own[chosen]
    digest = measure(varied, relevant, papers.vectors)
    hits, first = _hits(order, relevant)[:, :_FIRST], matches[:, :_FIRST]
    shown = first >= max(min_score, np.finfo(float).tiny)
    bins = reliability(first[first > 0], hits[first > 0])
    return replace(
        measure(order, relevant, papers.vectors),
        digest_ndcg=digest.ndcg,
        digest_vendi=digest.vendi,
        precision=float((hits & shown).sum() / max(1, shown.sum())),
        found=float((hits & shown).sum() / max(1, hits.sum())),
        bins=bins,
        seconds=ranked - fitted,
        fit_seconds=fitted - start,
    )


def shown_of_others(
    collection: Collection, others: Sequence[str], min_score: float, encoder: Encoder | None = None
) -> np.ndarray:
    """Return how many papers of another field a digest of ten would show for each question.

    Args:
        others: the texts of the other field's papers. ``OTHERS`` of them, drawn with a fixed seed, are the candidates;
            all are in the store, together with the collection's own.
        encoder: ranks by meaning too.

    Raises:
        UserError: the papers contain no words.
    """
    index = make_index_of([*collection.store, *others], collection.phrases, encoder)
    drawn = np.random.default_rng(0).permutation(len(others))[:OTHERS]
    papers = index.matrix(len(collection.store) + drawn)
    questions = [replace(one, among=None) for one in collection.questions]
    _, matches = rank(index, papers, questions)
    return np.asarray((matches[:, :_FIRST] >= max(min_score, np.finfo(float).tiny)).sum(axis=1))


def learning_curve(collection: Collection, encoder: Encoder | None = None) -> list[tuple[int, int, float]]:
    """Compute the mean nDCG@10 for some numbers of liked papers, sampled at random, on readers with enough of them.

    ``encoder`` is as for :func:`evaluate`.

    Returns:
        For each step: the number of papers, the number of readers, and the mean.
    """
    index = make_index_of(collection.store, collection.phrases, encoder)
    papers = matrix_of(index, collection)
    most = max(len(one.liked) for one in collection.questions)
    steps = [step for step in _CURVE if step <= most]
    if not steps:
        raise UserError(f"--learning-curve needs readers' libraries; {SEE}")
    chance = np.random.default_rng(0)
    chosen = [
        replace(one, liked=chance.permutation(one.liked)) for one in collection.questions if len(one.liked) >= steps[-1]
    ]
    curve = []
    for step in steps:
        order, _ = rank(index, papers, [replace(one, liked=one.liked[:step]) for one in chosen])
        found = measure(order, [one.relevant for one in chosen], papers.vectors)
        curve.append((step, len(chosen), float(found.ndcg.mean())))
    return curve


def make_index_of(texts: list[str], phrases: bool, encoder: Encoder | None = None) -> Index:
    """Return the index of a store with these texts; their rows are their positions.

    ``encoder`` adds a space of meaning.
    """
    model = fit(texts, phrases)
    if model is None:
        raise UserError(f"the papers contain no words; {SEE}")
    rows, encoded = np.arange(len(texts)), encodings_of_texts(encoder, texts)
    index = make_index(model, (Segment(rows, build_matrix(model, model.vectors(texts), encoded)),))
    if encoder is None or encoded is None:
        return index
    return replace(index, meaning=fit_meaning(encoder, [Encodings(rows, encoded)]))


def encodings_of_texts(encoder: Encoder | None, texts: Sequence[str]) -> np.ndarray | None:
    """Return the encodings of papers' texts (texts × width, int8), each computed once; None without an encoder."""
    if encoder is None:
        return None
    return to_bytes(np.array([_encoding(encoder, title_once(text)) for text in texts]).reshape(len(texts), -1))


@lru_cache(maxsize=_ENCODINGS_KEPT)
def _encoding(encoder: Encoder, text: str) -> np.ndarray:
    return np.asarray(encoder.encode([text])[0])


def matrix_of(index: Index, collection: Collection) -> PaperMatrix:
    """Return the candidates of a collection, prepared for ranking in the index of its store."""
    if collection.candidates is collection.store:
        return index.segments[0].paper_matrix
    encoder = index.meaning.encoder if index.meaning is not None else None
    encoded = encodings_of_texts(encoder, collection.candidates)
    return build_matrix(index.model, index.model.vectors(collection.candidates), encoded)


def rank(index: Index, papers: PaperMatrix, questions: Sequence[Question]) -> tuple[np.ndarray, np.ndarray]:
    """Return the best candidates of each question (questions × 100 or all), best first, and their matches."""
    top = min(_DEEP, papers.vectors.shape[0])
    best, values = [], []
    for start in range(0, len(questions), _AT_ONCE):
        block = questions[start : start + _AT_ONCE]
        matches = content_matches(index, make_profiles(index, [_weighted(one) for one in block]), papers, least=-np.inf)
        for row, one in enumerate(block):
            if one.among is not None:
                left_out = np.setdiff1d(np.arange(matches.shape[1]), one.among, assume_unique=True)
                matches[row, left_out] = -1
        some = np.argpartition(-matches, top - 1, axis=1)[:, :top]
        inside = np.argsort(-np.take_along_axis(matches, some, axis=1), axis=1, kind="stable")
        best.append(np.take_along_axis(some, inside, axis=1))
        values.append(np.take_along_axis(matches, best[-1], axis=1))
    return np.concatenate(best), np.concatenate(values)


def _weighted(question: Question) -> WeightedInterest:
    return WeightedInterest(question.interest, tuple((PaperRef(int(row), "", ""), 1.0) for row in question.liked))


def _hits(order: np.ndarray, relevant: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([np.isin(own, wanted) for own, wanted in zip(order, relevant, strict=True)])


def measure(order: np.ndarray, relevant: Sequence[np.ndarray], papers: csr_matrix) -> EvalResult:
    """Measure rankings (questions × at least 10 candidates) against the relevant papers.

    Args:
        papers: the candidates (papers × terms).
    """
    hits = _hits(order, relevant)[:, :_DEEP]
    wanted = np.array([len(own) for own in relevant])
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, np.inf)
    return EvalResult(
        ndcg=ndcg(hits, wanted),
        recall=hits.sum(axis=1) / np.maximum(wanted, 1),
        mrr=1 / first,
        vendi=np.array([vendi_score(papers[own[:_FIRST]]) for own in order]),
    )


def summary(measured: EvalResult) -> Iterator[tuple[str, float, tuple[float, float]]]:
    """Yield each measure that has a value per question with its mean and the interval of the mean."""
    named = (
        ("nDCG@10", measured.ndcg),
        ("recall@100", measured.recall),
        ("MRR@100", measured.mrr),
        ("Vendi@10", measured.vendi),
        ("digest nDCG@10", measured.digest_ndcg),
        ("digest Vendi@10", measured.digest_vendi),
    )
    for name, values in named:
        if values is not None:
            yield name, float(values.mean()), interval(values)


def match_measures(measured: EvalResult) -> dict[str, float]:
    """Return the measures of the match, by name."""
    return {
        "precision": measured.precision,
        "found": measured.found,
        "calibration_error": calibration_error(measured.bins),
    }
