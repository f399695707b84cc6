"""Fit the calibration of the match. ``make bench-calibration DATA="FOLDER ..."``.

``--semantic MODEL`` fits the coefficients for ranking by meaning too, with the sentence model in a file or folder.

The folders are those of ``newsletter evaluate``, with judged interests or with readers' libraries. What is fitted is
printed, to be put into ``newsletter/ranking/calibration.py``, with the reliability on each kind of trial.

The trials: the judged interests as they are, shortened to three words, and as keywords; with some of the relevant
papers as liked ones; each in the whole collection, in stores with few papers on other subjects (a laboratory's own),
and among papers of another field, none of which is relevant. Libraries count too, but a reader's library lacks most of
the papers that they would find relevant: it has one with a probability that is fitted as well, one for each folder and
kind (Elkan and Noto, "Learning classifiers from only positive and unlabeled data", 2008).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from benchmarks.results import Results, fail, parser, rounded
from newsletter.evaluation.collections import Collection, Question, Words, read_collection, read_texts
from newsletter.evaluation.evaluate import OTHERS, make_index_of, matrix_of
from newsletter.evaluation.measures import calibration_error, reliability
from newsletter.model import Interest, PaperRef
from newsletter.ranking import calibration
from newsletter.ranking.calibration import (
    Evidence,
    coverage_features,
    liked_features,
    match,
    meaning_features,
    odds_of_words,
    said_features,
    taken,
)
from newsletter.ranking.coverage import Coverage
from newsletter.ranking.encoder import Encoder, encoder_at
from newsletter.ranking.index import Index, PaperMatrix
from newsletter.ranking.profile import WeightedInterest, make_profiles
from newsletter.ranking.scoring import gather
from newsletter.ranking.tokens import words_of

INTERESTS, LIBRARIES = "interests.jsonl", "libraries.jsonl"

TOP = 60
"""Only the best papers of each interest count: all others are easily told apart."""

DENSE = 0.25
"""The share of relevant papers in a store with few papers on other subjects."""

_LIKED = (1, 3, 5, 10, 30)
_ROUNDS = 2
_RIDGE = 1e-4
TOPICS = 1
"""The number of the weight of the topics, or of words and meaning together, which is not to be negative."""


@dataclass(frozen=True)
class Trial:
    """Interests of one kind, and the papers that they are tried on.

    Attributes:
        library: the folder and kind of libraries whose share of the relevant papers is fitted; empty if all relevant
            papers are labelled.
        weight: that of the whole trial.
        pairs: finds the evidence anew, since it depends on what was fitted before, with the labels and the number of
            the interest of each pair.
    """

    name: str
    library: str
    weight: float
    pairs: Callable[[], tuple[Evidence, np.ndarray, np.ndarray]]


def weighted(question: Question) -> WeightedInterest:
    return WeightedInterest(question.interest, tuple((PaperRef(int(row), "", ""), 1.0) for row in question.liked))


def find_pairs(
    index: Index, papers: PaperMatrix, questions: Sequence[Question]
) -> tuple[Evidence, np.ndarray, np.ndarray]:
    """Return the best papers of each question as evidence, whether each is relevant, and the number of its question."""
    profiles = make_profiles(index, [weighted(one) for one in questions])
    rows, places, evidence = gather(index, profiles, papers, least=0.0)
    kept = []
    for number, question in enumerate(questions):
        own = np.flatnonzero(rows == number)
        if question.among is not None:
            own = own[np.isin(places[own], question.among)]
        kept.append(own[np.argsort(-match(taken(evidence, own)), kind="stable")[:TOP]])
    chosen = np.concatenate(kept)
    labels = [np.isin(places[own], question.relevant) for own, question in zip(kept, questions, strict=True)]
    return taken(evidence, chosen), np.concatenate(labels).astype(float), rows[chosen]


def joined(evidence: Sequence[Evidence]) -> Evidence:
    columns = [[getattr(one, name) for one in evidence] for name in ("topics", "total", "examples", "said")]
    parts = [np.concatenate(part) for part in zip(*(one.coverage for one in evidence), strict=True)]
    optional = [[getattr(one, name) for one in evidence] for name in ("meaning", "usual_closeness")]
    meanings = [np.concatenate(column) for column in optional if column[0] is not None]
    return Evidence(*(np.concatenate(column) for column in columns), Coverage(*parts), *meanings)


@dataclass
class Options:
    """What all trials are done with. ``encoder``: ranks by meaning too."""

    encoder: Encoder | None = None


OPTIONS = Options()


@lru_cache(maxsize=4)
def index_of(texts: tuple[str, ...], phrases: bool) -> Index:
    return make_index_of(list(texts), phrases, OPTIONS.encoder)


def in_collection(name: str, collection: Collection, weight: float, labelled: str = "") -> Trial:
    index = index_of(tuple(collection.store), collection.phrases)
    papers = matrix_of(index, collection)
    return Trial(name, labelled, weight, lambda: find_pairs(index, papers, collection.questions))


def in_dense_stores(name: str, collection: Collection, weight: float) -> Trial:
    """Each question in a store of its own, with few papers that are not relevant to it."""
    stores = []
    for number, question in list(enumerate(collection.questions))[::2]:
        wanted = np.concatenate([question.relevant, question.liked])
        others = np.setdiff1d(
            question.among if question.among is not None else np.arange(len(collection.store)), wanted
        )
        count = int(len(wanted) * (1 - DENSE) / DENSE)
        if not len(question.relevant) >= 10 or count > len(others):
            continue
        kept = np.sort(np.concatenate([wanted, np.random.default_rng(number).permutation(others)[:count]]))
        index = make_index_of([collection.store[one] for one in kept], collection.phrases, OPTIONS.encoder)
        place = {int(one): at for at, one in enumerate(kept)}
        moved = replace(
            question,
            liked=np.array([place[int(one)] for one in question.liked], dtype=int),
            relevant=np.array([place[int(one)] for one in question.relevant], dtype=int),
            among=np.setdiff1d(np.arange(len(kept)), [place[int(one)] for one in question.liked]),
        )
        stores.append((number, index, moved))

    def pairs() -> tuple[Evidence, np.ndarray, np.ndarray]:
        found = [find_pairs(index, index.segments[0].paper_matrix, [question]) for _, index, question in stores]
        numbers = [np.full(len(labels), number) for (number, _, _), (_, labels, _) in zip(stores, found, strict=True)]
        return (
            joined([one for one, _, _ in found]),
            np.concatenate([one for _, one, _ in found]),
            np.concatenate(numbers),
        )

    return Trial(name, "", weight, pairs)


def on_a_quiet_day(name: str, collection: Collection, others: Sequence[str], weight: float) -> Trial:
    """The questions among papers of another field."""
    index = index_of((*collection.store, *others), collection.phrases)
    drawn = np.random.default_rng(1).permutation(len(others))[:OTHERS]
    papers = index.matrix(len(collection.store) + drawn)
    none = np.array([], dtype=int)
    questions = [replace(one, among=None, relevant=none) for one in collection.questions]
    return Trial(name, "", weight, lambda: find_pairs(index, papers, questions))


def reworded(collection: Collection, reword: Callable[[str], Interest]) -> Collection:
    questions = [replace(one, interest=reword(one.interest.text)) for one in collection.questions]
    return replace(collection, questions=questions)


def rarest(texts: Sequence[str], number: int) -> Callable[[str], list[str]]:
    """Return a function that finds the rarest words of a question, in order."""
    seen: dict[str, int] = {}
    for text in texts:
        for word in set(words_of(text)):
            seen[word] = seen.get(word, 0) + 1

    def find(text: str) -> list[str]:
        words = list(dict.fromkeys(re.findall(r"[A-Za-z][\w-]+", text)))
        known = [
            (min(seen[one] for one in words_of(word) if one in seen), word)
            for word in words
            if seen.keys() & words_of(word)
        ]
        kept = {word for _, word in sorted(known)[:number]}
        return [word for word in words if word in kept]

    return find


def pairs_in(text: str, find: Callable[[str], list[str]]) -> list[str]:
    """Return up to three pairs of neighbouring words with a rare word."""
    rare = set(find(text))
    found = [one for one in re.findall(r"(?=\b([A-Za-z][\w-]+ [A-Za-z][\w-]+))", text) if rare & set(one.split())]
    return [one for one in found if len(words_of(one)) == 2][:3] or list(rare)


def judged_trials(folder: Path, others: Sequence[Path]) -> Iterator[Trial]:
    name = folder.name
    collection = read_collection(folder)
    texts = {path: read_texts(path) for path in others}
    # What two judges say of many interests says more than what one says of two.
    whole = min(3.0, len(collection.questions) / 10)
    find = rarest(collection.store, 3)
    kinds = {
        "": collection,
        " three words": reworded(collection, lambda text: Interest(name="", text=" ".join(find(text)))),
        " three keywords": reworded(
            collection, lambda text: Interest(name="", keywords=dict.fromkeys(find(text), 1.0))
        ),
        " phrases": reworded(
            collection, lambda text: Interest(name="", keywords=dict.fromkeys(pairs_in(text, find), 1.0))
        ),
    }
    for kind, some in kinds.items():
        weight = whole if not kind else whole / 6
        yield in_collection(f"{name}{kind}", some, weight)
        if len(collection.questions) > 10:
            yield in_dense_stores(f"{name}{kind}, dense", some, weight / 30)
        for path in others:
            yield on_a_quiet_day(f"{name}{kind} | {path.name}", some, texts[path], weight / 2)
    for number in _LIKED:
        some = read_collection(folder, liked=number)
        some = replace(some, questions=some.questions[:: max(1, len(some.questions) // 150)])
        yield in_collection(f"{name} {number} liked", some, 0.5)
        dense = replace(some, questions=some.questions[:: max(1, len(some.questions) // 20)])
        yield in_dense_stores(f"{name} {number} liked, dense", dense, 0.1)
        for path in others:
            yield on_a_quiet_day(f"{name} {number} liked | {path.name}", some, texts[path], 0.25)


def library_trials(folder: Path, others: Sequence[Path]) -> Iterator[Trial]:
    name = folder.name
    for fold in (1, 3):
        for liked, words in ((None, None), (1, None), (5, None), (None, Words.TITLE)):
            try:
                some = read_collection(folder, fold, liked, words)
            except Exception:
                continue
            some = replace(some, questions=some.questions[:: max(1, len(some.questions) // 400)])
            kind = words or (f"{liked} liked" if liked else "all liked")
            yield in_collection(f"{name} {kind} fold {fold}", some, 0.25 if words is None else 0.05, f"{name} {words}")
            if some.phrases and fold == 1 and liked is None:
                for path in others:
                    yield on_a_quiet_day(f"{name} {kind} | {path.name}", some, read_texts(path), 0.5)


@dataclass
class Fitted:
    """The coefficients, by the name of their constant, and the share of labelled papers of each kind of library."""

    constants: dict[str, np.ndarray]
    shares: dict[str, float]


@dataclass(frozen=True)
class Gathered:
    """The evidence of a trial, with the label and the number of the question of each pair."""

    trial: Trial
    evidence: Evidence
    labels: np.ndarray
    numbers: np.ndarray

    def only(self, kept: np.ndarray) -> "Gathered":
        return Gathered(self.trial, taken(self.evidence, kept), self.labels[kept], self.numbers[kept])

    def best(self, matches: np.ndarray) -> np.ndarray:
        """Return the indices of the ten best pairs of each question."""
        own = [np.flatnonzero(self.numbers == one) for one in np.unique(self.numbers)]
        return np.concatenate([some[np.argsort(-matches[some], kind="stable")[:10]] for some in own])


def gathered(trials: Sequence[Trial]) -> list[Gathered]:
    found = [Gathered(trial, *trial.pairs()) for trial in trials]
    return [one for one in found if len(one.labels)]


def features_of(evidence: Evidence) -> dict[str, np.ndarray]:
    """Return what the regression looks at, by the name of the constant with its coefficients.

    With a space of meaning, what was fitted without it for words stays as it is.
    """
    said, liked = evidence.said[:, None], 1 - evidence.said[:, None]
    if evidence.meaning is None:
        return {
            "_SAID": said_features(evidence) * said,
            "_COVERAGE": coverage_features(evidence.coverage) * said,
            "_LIKED": liked_features(evidence) * liked,
        }
    return {
        "_SAID_WITH_MEANING": meaning_features(odds_of_words(evidence), evidence.meaning) * said,
        "_LIKED_WITH_MEANING": liked_features(evidence) * liked,
    }


def fit(trials: Sequence[Gathered]) -> Fitted:
    """Fit by maximum likelihood, with the share of labelled papers of each kind of library as one more unknown.

    A paper that is nearer in the topics must not match less.
    """
    kinds = sorted({one.trial.library for one in trials if one.trial.library})
    data = []
    for one in trials:
        trial, labels, numbers = one.trial, one.labels, one.numbers
        features = features_of(one.evidence)
        # Each question weighs the same.
        weight = trial.weight / len(np.unique(numbers)) / np.bincount(numbers)[numbers]
        kind = kinds.index(trial.library) if trial.library else -1
        data.append((np.hstack([*features.values()]), labels, weight, kind))
    width = data[0][0].shape[1]

    def loss(unknown: np.ndarray) -> tuple[float, np.ndarray]:
        slope = np.zeros_like(unknown)
        whole = _RIDGE * float(unknown[:width] @ unknown[:width])
        slope[:width] = 2 * _RIDGE * unknown[:width]
        for features, labels, weight, kind in data:
            relevant = 1 / (1 + np.exp(-np.clip(features @ unknown[:width], -30, 30)))
            share = 1 / (1 + np.exp(-unknown[width + kind])) if kind >= 0 else 1.0
            likely = np.clip(share * relevant, 1e-9, 1 - 1e-9)
            whole -= float(weight @ (labels * np.log(likely) + (1 - labels) * np.log(1 - likely)))
            change = -weight * (labels / likely - (1 - labels) / (1 - likely))
            slope[:width] += features.T @ (change * share * relevant * (1 - relevant))
            if kind >= 0:
                slope[width + kind] += float(change @ relevant) * share * (1 - share)
        return whole, slope

    start = np.zeros(width + len(kinds))
    bounds = [(0.0 if number == TOPICS else None, None) for number in range(len(start))]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 5_000}).x
    shares = {kind: float(1 / (1 + np.exp(-found[width + number]))) for number, kind in enumerate(kinds)}
    ends = np.cumsum([one.shape[1] for one in features.values()])
    return Fitted(dict(zip(features, np.split(found[:width], ends[:-1]), strict=True)), shares)


def install(fitted: Fitted) -> None:
    """Use what was fitted from now on, in this process."""
    for name, values in fitted.constants.items():
        setattr(calibration, name, values)


def report(trials: Sequence[Gathered], fitted: Fitted) -> dict[str, float]:
    """Print what was fitted, and the reliability of each trial; return their calibration errors."""
    errors = {}
    for name, values in fitted.constants.items():
        print(name, "=", values.round(3).tolist())
    print("share of relevant papers in a library:", {kind: round(share, 3) for kind, share in fitted.shares.items()})
    print(f"{'trial':44}{'match':>7}{'relevant':>9}{'error':>7}{'highest':>8}{'>= .15':>7}{'>= .2':>7}{'found':>7}")
    for one in trials:
        matches = match(one.evidence)
        first = one.best(matches)
        share = fitted.shares.get(one.trial.library, 1.0)
        bins = reliability(matches[first] * share, one.labels[first])
        count = len(np.unique(one.numbers))
        shown = [float((matches[first] >= least).sum() / count) for least in (0.15, 0.2)]
        errors[one.trial.name] = rounded(calibration_error(bins))
        found = float((one.labels[first] * (matches[first] >= 0.2)).sum() / max(1, one.labels[first].sum()))
        print(
            f"{one.trial.name:44}{matches[first].mean() * share:7.2f}{one.labels[first].mean():9.2f}"
            f"{errors[one.trial.name]:7.3f}{matches.max():8.2f}{shown[0]:7.2f}{shown[1]:7.2f}{found:7.2f}"
        )
    return errors


def cross_validated(trials: Sequence[Gathered], folder: str, parts: int = 4) -> float:
    """Return the calibration error over one collection's questions, each in the part that was not fitted on."""
    named = next(one for one in trials if one.trial.name == folder)
    matches, labels = [], []
    for part in range(parts):
        rest = [
            one.only(np.flatnonzero(one.numbers % parts != part)) if one.trial.name.startswith(folder) else one
            for one in trials
        ]
        install(fit(rest))
        held_out = named.only(np.flatnonzero(named.numbers % parts == part))
        values = match(held_out.evidence)
        first = held_out.best(values)
        matches.append(values[first])
        labels.append(held_out.labels[first])
    return calibration_error(reliability(np.concatenate(matches), np.concatenate(labels)))


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("folders", nargs="*", type=Path, help="of judged interests and of readers' libraries")
    asked.add_argument("--semantic", metavar="MODEL", type=Path)
    given = asked.parse_args()
    judged, libraries = ([one for one in given.folders if (one / name).exists()] for name in (INTERESTS, LIBRARIES))
    if not judged:
        fail(
            'No judged collection is given; name folders: make bench-calibration DATA="FOLDER ..."'
            " (docs/explanation/ranking.md)"
        )
    if given.semantic is not None:
        OPTIONS.encoder = encoder_at(given.semantic, "--semantic")
    results = Results("calibration", given.full, {"collections": [one.name for one in given.folders]})
    trials = [trial for folder in judged for trial in judged_trials(folder, [one for one in judged if one != folder])]
    trials += [trial for folder in libraries for trial in library_trials(folder, judged)]
    # What is decided for papers that have all that was asked for is not part of the fit.
    calibration._ASKED_FOR = 0.0
    for _ in range(_ROUNDS):
        found = gathered(trials)
        fitted = fit(found)
        install(fitted)
    results.figures["calibration_error"] = report(found, fitted)
    results.figures["constants"] = {name: values.round(3) for name, values in fitted.constants.items()}
    results.figures["cross_validated_calibration_error"] = crossed = {}
    for folder in judged:
        if len(read_collection(folder).questions) > 10:
            crossed[folder.name] = rounded(cross_validated(found, folder.name))
            print(f"{folder.name}: calibration error, cross-validated by interest: {crossed[folder.name]:.3f}")
    results.write()


if __name__ == "__main__":
    main()
