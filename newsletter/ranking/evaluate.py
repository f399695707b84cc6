"""Evaluate the ranking on real readers: part of each reader's library is held out and must be found again.

The protocol: papers of fold 0 are new. Readers count if they have three or more papers in the other folds and one or
more in fold 0. Everything is fitted on the other folds alone; all papers of fold 0 are candidates for everybody.
"""

import gzip
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.errors import UserError
from newsletter.model import Paper
from newsletter.ranking.diversify import cosines, diversified
from newsletter.ranking.index import build_matrix
from newsletter.ranking.profile import library_profiles
from newsletter.ranking.scoring import deviations
from newsletter.ranking.tfidf import TfidfModel, fit, paper_text

NEW_FOLD = 0
_READERS_AT_ONCE = 256
_FIRST = 10
_VARIED_FROM = 30
_CURVE = (1, 3, 5, 10, 20, 40)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Papers and readers, split into known and new papers.

    Attributes:
        old, new: the texts of the known papers, and of the candidates.
        libraries: the known papers of each reader (by index in ``old``). ``held_back``: the new ones (in ``new``).
        phrases: whether word order is meaningful.
    """

    old: list[str]
    new: list[str]
    libraries: list[np.ndarray]
    held_back: list[np.ndarray]
    phrases: bool


def read_dataset(folder: Path, fold: int = NEW_FOLD) -> Dataset:
    """Read ``papers.jsonl.gz`` (id, fold, and title and abstract or text) and ``libraries.jsonl`` (reader, papers).

    A file whose papers have a text without a title contains bags of words: their order means nothing.

    Raises:
        UserError: a file is missing, or a line is invalid.
    """
    papers = list(_lines(folder / "papers.jsonl.gz"))
    libraries = list(_lines(folder / "libraries.jsonl"))
    try:
        is_new = np.array([paper["fold"] == fold for paper in papers], dtype=bool)
        place = dict(zip((paper["id"] for paper in papers), _places(is_new), strict=True))
        texts = [_text(paper) for paper in papers]
        split = [[place[name] for name in reader["papers"]] for reader in libraries]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder}: a line is invalid ({error}); see docs/explanation/ranking.md") from None
    readers = [
        (np.array([at for new, at in own if not new], int), np.array([at for new, at in own if new], int))
        for own in split
    ]
    counted = [(old, new) for old, new in readers if len(old) >= 3 and len(new) >= 1]
    if not counted:
        raise UserError(f"{folder}: no reader has three known papers and one held out; see docs/explanation/ranking.md")
    return Dataset(
        [text for text, new in zip(texts, is_new, strict=True) if not new],
        [text for text, new in zip(texts, is_new, strict=True) if new],
        [old for old, _ in counted],
        [new for _, new in counted],
        phrases="title" in papers[0],
    )


def _text(paper: Any) -> str:
    if "text" in paper:
        return str(paper["text"])
    return paper_text(Paper(title=str(paper["title"]), abstract=str(paper["abstract"])))


def _places(is_new: np.ndarray) -> list[tuple[bool, int]]:
    """Return for each paper whether it is new, and its index among the new or the known ones."""
    at = np.where(is_new, np.cumsum(is_new), np.cumsum(~is_new)) - 1
    return list(zip(is_new.tolist(), at.tolist(), strict=True))


def _lines(path: Path) -> Iterator[Any]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)
                except ValueError:
                    raise UserError(f"{path}:{number}: not JSON; each line is one object") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(f"{path}: {what}; pass a folder with papers.jsonl.gz and libraries.jsonl") from None


@dataclass(frozen=True, slots=True)
class EvalResult:
    """The quality of rankings: one value per reader for each measure.

    Attributes:
        ndcg: nDCG@10, with at most ten held-out papers in the ideal. ``recall``: recall@100. ``mrr``: MRR@100.
        vendi: the effective number of different papers in the top ten (Friedman and Dieng, "The Vendi score", 2023).
        digest_ndcg, digest_vendi: the same for the top ten chosen as for digests, with variety.
        seconds: time for the profiles and rankings of all readers. ``fit_seconds``: time to fit the space.
    """

    ndcg: np.ndarray
    recall: np.ndarray
    mrr: np.ndarray
    vendi: np.ndarray
    seconds: float
    fit_seconds: float
    digest_ndcg: np.ndarray | None = None
    digest_vendi: np.ndarray | None = None


def evaluate(trial: Dataset, variety: float = 1.0) -> EvalResult:
    """Rank the new papers for every reader with the code that ranks for sending.

    Args:
        variety: λ of maximal marginal relevance for digests; it affects only the digest measures.

    Raises:
        UserError: the papers contain no words.
    """
    start = time.perf_counter()
    model, old = _fitted(trial)
    fitted = time.perf_counter()
    new = model.without_named(model.vectors(trial.new))
    order, stands_out = rank_readers(model, old, new, trial.libraries)
    ranked = time.perf_counter()
    measured = measure(order, trial.held_back, new, ranked - fitted, fitted - start)
    chosen = order.copy()
    for row, (own, values) in enumerate(zip(order, stands_out, strict=True)):
        some = np.flatnonzero(values > 0)[:_VARIED_FROM]
        if len(some) >= _FIRST:
            chosen[row, :_FIRST] = own[diversified(values[some] / values[0], new[own[some]], variety, _FIRST)]
    digest = measure(chosen, trial.held_back, new, 0, 0)
    return replace(measured, digest_ndcg=digest.ndcg, digest_vendi=digest.vendi)


def learning_curve(trial: Dataset) -> list[tuple[int, int, float]]:
    """Compute the mean nDCG@10 for some numbers of liked papers, sampled at random, on readers with enough of them.

    Returns:
        For each step: the number of papers, the number of readers, and the mean.
    """
    model, old = _fitted(trial)
    new = model.without_named(model.vectors(trial.new))
    most = max(len(library) for library in trial.libraries)
    steps = [step for step in _CURVE if step <= most]
    chosen = [index for index, library in enumerate(trial.libraries) if len(library) >= steps[-1]]
    chance = np.random.default_rng(0)
    shuffled = [chance.permutation(trial.libraries[index]) for index in chosen]
    held_back = [trial.held_back[index] for index in chosen]
    curve = []
    for step in steps:
        order, _ = rank_readers(model, old, new, [library[:step] for library in shuffled])
        curve.append((step, len(chosen), float(measure(order, held_back, new, 0, 0).ndcg.mean())))
    return curve


def _fitted(trial: Dataset) -> tuple[TfidfModel, csr_matrix]:
    model = fit(trial.old, trial.phrases)
    if model is None:
        raise UserError("the known papers contain no words; see docs/explanation/ranking.md")
    return model, model.without_named(model.vectors(trial.old))


def rank_readers(
    model: TfidfModel, old: csr_matrix, new: csr_matrix, libraries: Sequence[np.ndarray], top: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best candidates of each reader (readers × top), best first, and their z-scores."""
    paper_matrix = build_matrix(model, new)
    measured_by = build_matrix(model, model.sample)
    best, values = [], []
    for start in range(0, len(libraries), _READERS_AT_ONCE):
        block = libraries[start : start + _READERS_AT_ONCE]
        example_counts = np.array([len(library) for library in block], dtype=float)
        profiles = library_profiles(old, block)
        stands_out = deviations(profiles, profiles, example_counts, paper_matrix, measured_by)
        some = np.argpartition(-stands_out, min(top, new.shape[0] - 1), axis=1)[:, :top]
        inside = np.argsort(-np.take_along_axis(stands_out, some, axis=1), axis=1, kind="stable")
        best.append(np.take_along_axis(some, inside, axis=1))
        values.append(np.take_along_axis(stands_out, best[-1], axis=1))
    return np.concatenate(best), np.concatenate(values)


def measure(
    order: np.ndarray, held_back: Sequence[np.ndarray], new: csr_matrix, seconds: float, fit_seconds: float
) -> EvalResult:
    """Measure rankings (readers × at least 100 candidates) against the held-out papers."""
    hits = np.array([np.isin(own, wanted) for own, wanted in zip(order, held_back, strict=True)])
    wanted = np.array([len(own) for own in held_back])
    gains = 1 / np.log2(np.arange(10) + 2)
    ideal = np.concatenate([[0.0], np.cumsum(gains)])[np.minimum(wanted, 10)]
    first = np.where(hits[:, :100].any(axis=1), hits[:, :100].argmax(axis=1) + 1, np.inf)
    return EvalResult(
        ndcg=hits[:, :10] @ gains / ideal,
        recall=hits[:, :100].sum(axis=1) / wanted,
        mrr=1 / first,
        vendi=np.array([vendi_score(new[own[:10]]) for own in order]),
        seconds=seconds,
        fit_seconds=fit_seconds,
    )


def vendi_score(papers: csr_matrix) -> float:
    """Return the effective number of different papers (papers × terms): the exponential of the entropy of the
    eigenvalues of their cosines, divided by their number. It is 1 for copies, and their number if they have nothing in
    common.
    """
    kernel = cosines(papers).astype(float)
    np.fill_diagonal(kernel, 1.0)
    shares = np.clip(np.linalg.eigvalsh(kernel / len(kernel)), 1e-12, None)
    return float(np.exp(-(shares * np.log(shares)).sum()))


def interval(values: np.ndarray, draws: int = 1000) -> tuple[float, float]:
    """Return a 95% bootstrap interval for the mean over readers (Efron, 1979)."""
    chance = np.random.default_rng(0)
    means = [values[chance.integers(0, len(values), len(values))].mean() for _ in range(draws)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def summary(measured: EvalResult) -> Iterable[tuple[str, float, tuple[float, float]]]:
    """Yield each measure with its mean over readers and the interval of the mean."""
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
