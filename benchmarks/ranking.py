"""Ranking quality and time on real readers: ours and four peers, in one process. ``make bench-judged DATA=FOLDER``.

The peers get TF-IDF with 20,000 words, as is usual with scikit-learn (sublinear, English stop words, words in at least
two papers), and the same split, readers and measures as ours.

With ``--semantic MODEL`` (in ``ARGS``), there are two more rows for papers that have real text: ours by meaning too,
and zotero-arxiv-daily's own way, which compares the vectors of a sentence model, here the same one. The time to encode
the papers is given separately.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from benchmarks.results import Results, fail, parser, rounded
from newsletter.config.settings import Ranking
from newsletter.evaluation.collections import Collection, read_collection
from newsletter.evaluation.evaluate import EvalResult, evaluate, measure
from newsletter.evaluation.measures import interval
from newsletter.ranking.encoder import Encoder, encoder_at

Libraries = Sequence[np.ndarray]
Peer = Callable[[csr_matrix, Libraries, csr_matrix], np.ndarray]
BACKGROUND = 5_000


def centroid(papers: csr_matrix, libraries: Libraries, candidates: csr_matrix) -> np.ndarray:
    """Rank by the mean of the library."""
    return weighted_mean(papers, libraries, candidates, [np.ones(len(own)) for own in libraries])


def zotero_arxiv_daily(papers: csr_matrix, libraries: Libraries, candidates: csr_matrix) -> np.ndarray:
    """Rank by the mean weighted by 1 / (1 + log10 of the rank), newest first; the order of a library stands for its
    dates.
    """
    return weighted_mean(papers, libraries, candidates, newest_first(libraries))


def newest_first(libraries: Libraries) -> list[np.ndarray]:
    return [1 / (1 + np.log10(np.arange(len(own), 0, -1))) for own in libraries]


def weighted_mean(
    papers: csr_matrix, libraries: Libraries, candidates: csr_matrix, weights: Sequence[np.ndarray]
) -> np.ndarray:
    return np.asarray((members(libraries, weights, papers.shape[0]) @ papers @ candidates.T).toarray())


def members(libraries: Libraries, weights: Sequence[np.ndarray], papers: int) -> csr_matrix:
    """Return the weight of each paper in each library (libraries × papers); those of a library add up to 1."""
    rows = np.repeat(np.arange(len(libraries)), [len(own) for own in libraries])
    values = np.concatenate([own / own.sum() for own in weights])
    return csr_matrix((values, (rows, np.concatenate(libraries))), (len(libraries), papers))


def arxiv_sanity_lite(papers: csr_matrix, libraries: Libraries, candidates: csr_matrix) -> np.ndarray:
    """Rank with a linear SVM per reader, C = 0.01, balanced, against a background of other papers."""
    return one_solver_run_a_reader(
        lambda: LinearSVC(class_weight="balanced", max_iter=10_000, tol=1e-6, C=0.01), papers, libraries, candidates
    )


def logistic_regression(papers: csr_matrix, libraries: Libraries, candidates: csr_matrix) -> np.ndarray:
    """Rank with a logistic regression per reader, C = 10, against a background of other papers."""
    return one_solver_run_a_reader(lambda: LogisticRegression(C=10, solver="liblinear"), papers, libraries, candidates)


def one_solver_run_a_reader(
    make: Callable[[], LinearSVC | LogisticRegression], papers: csr_matrix, libraries: Libraries, candidates: csr_matrix
) -> np.ndarray:
    others = np.random.default_rng(0).permutation(papers.shape[0])[:BACKGROUND]
    scores = np.empty((len(libraries), candidates.shape[0]))
    for row, own in enumerate(libraries):
        rest = others[~np.isin(others, own)]
        liked = np.concatenate([np.ones(len(own)), np.zeros(len(rest))])
        scores[row] = make().fit(papers[np.concatenate([own, rest])], liked).decision_function(candidates)
    return scores


PEERS: dict[str, Peer] = {
    "centroid": centroid,
    "zotero-arxiv-daily's weighting": zotero_arxiv_daily,
    "arxiv-sanity-lite's SVM": arxiv_sanity_lite,
    "logistic regression, C = 10": logistic_regression,
}


def run_peer(peer: Peer, trial: Collection, papers: csr_matrix, candidates: csr_matrix) -> EvalResult:
    start = time.perf_counter()
    scores = peer(papers, [one.liked for one in trial.questions], candidates)
    return measured_since(start, scores, trial, candidates)


def measured_since(start: float, scores: np.ndarray, trial: Collection, candidates: csr_matrix) -> EvalResult:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :100]
    seconds = time.perf_counter() - start
    return replace(measure(order, [one.relevant for one in trial.questions], candidates), seconds=seconds)


Shown = dict[str, EvalResult]


def compare(folder: Path, liked: int | None, encoder: Encoder | None) -> Shown:
    """Print, and return, how good ours and the peers are on one collection."""
    trial = read_collection(folder, liked=liked)
    examples = f"{liked} liked" if liked else "all liked papers"
    print(f"\n{folder.name}, {examples}: {len(trial.questions)} readers, {len(trial.candidates)} candidates")
    ours = evaluate(trial, Ranking().min_score)
    vectorizer = TfidfVectorizer(max_features=20_000, sublinear_tf=True, stop_words="english", min_df=2)
    papers, candidates = (
        csr_matrix(vectorizer.fit_transform(trial.store)),
        csr_matrix(vectorizer.transform(trial.candidates)),
    )
    shown = {"ours": ours}
    show("ours", ours, ours)
    for name, peer in PEERS.items():
        shown[name] = run_peer(peer, trial, papers, candidates)
        show(name, shown[name], ours)
    if encoder is not None and trial.phrases:
        shown |= compare_by_meaning(trial, encoder, candidates, ours)
    return shown


def compare_by_meaning(trial: Collection, encoder: Encoder, candidates: csr_matrix, ours: EvalResult) -> Shown:
    """Show ours by meaning too, and zotero-arxiv-daily's mean of cosines, weighted as above.

    Args:
        candidates: their TF-IDF, by which the variety of what is found is measured for all.
    """
    start = time.perf_counter()
    papers, new = encoder.encode(trial.store), encoder.encode(trial.candidates)
    print(
        f"(+ {time.perf_counter() - start:.1f} s to encode {len(papers) + len(new)} papers with {encoder.model.name})"
    )
    meant = evaluate(trial, Ranking().min_score, encoder=encoder)
    show("ours, by meaning too", meant, ours)
    start = time.perf_counter()
    libraries = [one.liked for one in trial.questions]
    scores = members(libraries, newest_first(libraries), len(papers)) @ papers @ new.T
    cosines = measured_since(start, scores, trial, candidates)
    show("zotero-arxiv-daily's own way", cosines, ours)
    return {"ours, by meaning too": meant, "zotero-arxiv-daily's own way": cosines}


def show(name: str, measured: EvalResult, ours: EvalResult) -> None:
    means = [measured.ndcg.mean(), measured.recall.mean(), measured.mrr.mean()]
    low, high = interval(ours.ndcg - measured.ndcg)
    gain = f"ours - it {low:+.4f} to {high:+.4f}" if measured is not ours else f"(+ {ours.fit_seconds:.1f} s to fit)"
    ratio = f"{measured.seconds / ours.seconds:8.1f} x"
    print(
        f"{name:32}" + "".join(f"{mean:8.4f}" for mean in means) + f"{measured.seconds:9.2f} s{ratio}  {gain}",
        flush=True,
    )


def figures_of(shown: Shown) -> dict[str, dict[str, float]]:
    """Return the figures of one collection, each by method."""
    means = {
        "ndcg_at_10": lambda one: one.ndcg.mean(),
        "recall_at_100": lambda one: one.recall.mean(),
        "mrr_at_100": lambda one: one.mrr.mean(),
        "seconds": lambda one: one.seconds,
    }
    return {figure: {name: rounded(mean(one)) for name, one in shown.items()} for figure, mean in means.items()}


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("folders", nargs="*", type=Path, help="folders of readers' libraries or judged interests")
    asked.add_argument("--semantic", type=Path, metavar="MODEL", help="a sentence model: its ONNX file or folder")
    asked.add_argument("--tokenizer", type=Path, metavar="FILE", help="its tokenizer.json, if not next to it")
    given = asked.parse_args()
    if not given.folders:
        fail('No collection is given; name folders: make bench-judged DATA="FOLDER ..." (docs/explanation/ranking.md)')
    encoder = None
    if given.semantic is not None:
        encoder = encoder_at(given.semantic, "--semantic", given.tokenizer)
    examples: tuple[int | None, ...] = (None, 1, 3, 5) if given.full else (None, 3)
    results = Results("judged", given.full, {"collections": [one.name for one in given.folders]})
    for folder in given.folders:
        results.figures[folder.name] = {
            f"{liked}_liked" if liked else "all_liked": figures_of(compare(folder, liked, encoder))
            for liked in examples
        }
    results.write()


if __name__ == "__main__":
    main()
