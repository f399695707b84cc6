"""Time and memory of ranking many subscribers: ours, and the bare product by public libraries. ``make bench-ranking``.

A synthetic corpus (``benchmarks/corpus.py``): a store of papers, 1,500 new ones, and subscribers with one to three
interests, each of a text or of one to forty liked papers of one topic. By default the store and the number of
subscribers are small, so that all takes a minute; ``--full`` has 250,000 papers and 100,000 subscribers.

The interests' profiles are given. Ours is then what ranks for sending: the scores in the space of terms and in that of
topics, standardised and calibrated to matches, and the ten best papers of each interest. The libraries compute the dot
products in the space of terms alone and the ten highest of each interest. Ours and theirs take turns at the same
profiles; each row has the sum of the shortest times, on two threads. ``var/bench/ranking_speed.json`` has the result.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
from scipy.sparse import csr_matrix, diags, hstack, vstack
from sklearn.metrics.pairwise import linear_kernel
from sparse_dot_topn import sp_matmul_topn
from sqlalchemy import insert
from threadpoolctl import threadpool_limits

from benchmarks import corpus
from newsletter.config.loader import load_config
from newsletter.model import Interest, Paper, PaperRef
from newsletter.ranking.index import Index
from newsletter.ranking.profile import Profiles, WeightedInterest, make_profiles
from newsletter.ranking.scoring import Candidates, matches
from newsletter.ranking.zscores import raw_scores, scale
from newsletter.services.context import AppContext, open_context
from newsletter.services.index import current_index
from newsletter.services.ranking_snapshot import build_snapshot
from newsletter.services.search import search, similar
from newsletter.store import paper_upsert, papers, reading, schema, writing
from newsletter.store.papers import PaperFilter
from newsletter.support.clock import frozen_clock
from newsletter.support.identifiers import title_key

FOLDER = Path("var/bench")
NEW = 1_500
BLOCK = 500
AT_ONCE = 5_000
BEST = 10
GROUP = 32
THREADS = 2
ROUNDS = 3
METHODS = {
    "ours": "newsletter, all spaces",
    "ours_terms_alone": "newsletter, terms alone",
    "sparse_dot_topn": "sparse-dot-topn, bare product",
    "scikit_learn": "scikit-learn, bare product",
}

CONFIG = """\
site: {name: Bench, url: http://localhost:8000, from: bench@newsletter.example, postal_address: nowhere}
ranking: {refit_days: 36500}
"""
OLD = datetime(2025, 11, 1, tzinfo=UTC)
TODAY = datetime(2025, 11, 28, 6, tzinfo=UTC)


def prepare(store: int) -> Path:
    """Create a newsletter with indexed papers in its store; then add a day of new ones. Created once, and kept."""
    folder = FOLDER / f"{store}-papers"
    if (folder / "topics.npy").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG)
    context = open_at(folder, OLD)
    topics, made_up = [], corpus.papers(store)
    while block := list(islice(made_up, 5_000)):
        topics += [topic for _, topic in block]
        with writing(context.engine) as connection:
            connection.execute(insert(schema.papers), [stored(paper) for paper, _ in block])
    report(f"a store of {store:,} papers", partial(current_index, context))
    morning = open_at(folder, TODAY)
    with writing(context.engine) as connection:
        paper_upsert.upsert(connection, (paper for paper, _ in corpus.papers(NEW, seed=2)), "bench", TODAY)
    report(f"{NEW:,} more papers the next day", partial(current_index, morning))
    np.save(folder / "topics.npy", topics)
    return folder


def open_at(folder: Path, now: datetime) -> AppContext:
    return open_context(load_config(folder / "config.yaml"), frozen_clock(now))


def stored(paper: Paper) -> dict[str, object]:
    lists = {name: [] for name in ("authors", "categories", "keywords", "sources")}
    words = {"title": paper.title, "title_key": title_key(paper.title), "abstract": paper.abstract}
    return {"row": paper.row, "id": paper.id, **words, **lists, "first_seen": OLD, "published": OLD.date()}


def report(what: str, job: Callable[[], object]) -> None:
    start = time.perf_counter()
    job()
    print(f"{what}: indexed in {time.perf_counter() - start:.1f} s, peak {peak_mb():.0f} MB", flush=True)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def load(store: int) -> tuple[Index, Candidates, np.ndarray]:
    """Load the index, the new papers, and the topics of the old ones."""
    folder = FOLDER / f"{store}-papers"
    field = build_snapshot(open_at(folder, TODAY))
    assert field is not None
    assert len(field.candidates.papers) == NEW
    return field.index, field.candidates, np.load(folder / "topics.npy")


def subscribers(count: int, topics: np.ndarray) -> Iterator[list[list[WeightedInterest]]]:
    """Yield the interests of ``count`` subscribers, in batches."""
    chance = np.random.default_rng(3)
    order = np.argsort(topics, kind="stable")
    ends = np.searchsorted(topics[order], np.arange(corpus.TOPICS + 1))
    own, _ = corpus.topics()

    def interest() -> WeightedInterest:
        topic = int(chance.integers(corpus.TOPICS))
        if chance.random() < 0.3:
            words = " ".join(corpus.word(int(number)) for number in chance.choice(own[topic], 6))
            return WeightedInterest(Interest(name=f"topic {topic}", text=words))
        size = min(40, int(chance.geometric(0.12)))
        rows = order[ends[topic] + chance.integers(0, ends[topic + 1] - ends[topic], size)] + 1
        liked = tuple((PaperRef(int(row), str(row), ""), 1.0) for row in np.unique(rows))
        return WeightedInterest(Interest(name=f"topic {topic}", liked=tuple(name.id for name, _ in liked)), liked)

    for start in range(0, count, BLOCK):
        sizes = chance.choice([1, 2, 3], size=min(BLOCK, count - start), p=[0.5, 0.3, 0.2])
        yield [[interest() for _ in range(size)] for size in sizes]


def rank_block(index: Index, candidates: Candidates, block: list[list[WeightedInterest]]) -> np.ndarray:
    """Return the ten best new papers of each interest of some subscribers (interests × 10), from what they follow."""
    return best_matches(index, candidates, profiles_of(index, block))


def profiles_of(index: Index, block: list[list[WeightedInterest]]) -> Profiles:
    return make_profiles(index, [one for own in block for one in own])


def best_matches(index: Index, candidates: Candidates, profiles: Profiles) -> np.ndarray:
    return best_positive(matches(index, profiles, candidates))


def best_positive(scores: np.ndarray) -> np.ndarray:
    """Return the places of the ten highest scores of each row, highest first; -1 instead of any that is not above 0.

    Of the highest scores of groups of columns, the tenth highest is no higher than the tenth highest score; most
    scores are below it. A row, a score and a place make a whole number each, and these are sorted. Equal scores are in
    the order of places.
    """
    width = scores.shape[1]
    highest = np.maximum.reduceat(scores, np.arange(0, width, GROUP), axis=1)
    least = np.maximum(np.partition(highest, -BEST, axis=1)[:, -BEST, None], np.finfo(np.float32).tiny)
    found = np.flatnonzero(scores >= least)
    rows, places = np.divmod(found, width)
    falling = np.int64(2**31 - 1) - scores.ravel()[found].view(np.int32)
    keys = np.sort(rows << 48 | falling << 16 | places)
    ends = np.cumsum([0, *np.bincount(rows, minlength=len(scores))])
    at = ends[:-1, None] + np.arange(BEST)
    some = at < ends[1:, None]
    best = np.full(at.shape, -1)
    best[some] = keys[at[some]] & 0xFFFF
    return best


def best_of(scores: np.ndarray) -> np.ndarray:
    some = np.argpartition(-scores, BEST, axis=1)[:, :BEST]
    inside = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, inside, axis=1)


def ours(store: int, count: int) -> dict[str, float]:
    """Rank for ``count`` subscribers, on two threads, from what they follow."""
    index, candidates, topics = load(store)
    blocks = list(subscribers(count, topics))
    before = peak_mb()
    with on_threads() as each:
        ranked, seconds, cpu = timed(lambda: each(partial(rank_block, index, candidates), blocks))
    interests = sum(len(own) for block in blocks for own in block)
    assert sum(map(len, ranked)) == interests
    times = {"seconds": seconds, "cpu": cpu}
    return {"subscribers": count, "interests": interests, **times, "peak_mb": peak_mb(), "before_mb": before}


@contextmanager
def on_threads() -> Iterator[Callable[..., list[Any]]]:
    """Yield a function that maps a function over values on two threads."""
    with threadpool_limits(1), ThreadPoolExecutor(THREADS) as pool:
        yield lambda job, values: list(pool.map(job, values))


def timed(job: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the result of a job, its seconds, and its seconds of CPU time."""
    start, cpu = time.perf_counter(), time.process_time()
    result = job()
    return result, time.perf_counter() - start, time.process_time() - cpu


def compared(store: int, count: int, names: Sequence[str]) -> dict[str, Any]:
    """Return the seconds of some methods, in wall and in CPU time, for the interests of ``count`` subscribers."""
    index, candidates, topics = load(store)
    seconds, cpu = (dict.fromkeys(names, 0.0) for _ in range(2))
    same: dict[str, float] = {}
    with on_threads() as each:
        for group in grouped(subscribers(count, topics), AT_ONCE // BLOCK):
            made = each(partial(profiles_of, index), group)
            jobs = jobs_of(index, candidates, made, each)
            taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
            for name in [*names] * ROUNDS:
                taken[name].append(timed(jobs[name])[1:])
            for name, rounds in taken.items():
                seconds[name] += min(wall for wall, _ in rounds)
                cpu[name] += min(own for _, own in rounds)
            same = same or same_papers(candidates, made)
    return {"seconds": seconds, "cpu_seconds": cpu, "same_papers": same, "peak_mb": peak_mb()}


def grouped(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(values)
    while group := list(islice(rest, size)):
        yield group


def jobs_of(
    index: Index, candidates: Candidates, made: list[Profiles], each: Callable[..., list[Any]]
) -> dict[str, Callable[[], Any]]:
    """Return what is measured: each finds the ten best papers of some profiles."""
    profiles, turned = all_vectors(made), candidates.paper_matrix.turned
    return {
        "ours": lambda: each(partial(best_matches, index, candidates), made),
        "ours_terms_alone": lambda: each(lambda one: best_of(by_terms(one, candidates)), made),
        "sparse_dot_topn": lambda: topn(profiles, turned),
        "scikit_learn": lambda: by_sklearn(profiles, candidates.paper_matrix.vectors),
    }


def all_vectors(made: list[Profiles]) -> csr_matrix:
    return csr_matrix(vstack([one.vectors for one in made]), dtype=np.float32)


def same_papers(candidates: Candidates, made: list[Profiles]) -> dict[str, float]:
    """Return which share of the ten best papers a library finds that scores in the space of terms alone find too.

    A score is a dot product if the background is an additional column of the vectors, with one scale for each number of
    examples; so the library gets the matrices it needs, grouped by that number. This is not timed.
    """
    profiles, best = all_vectors(made), np.concatenate([best_of(by_terms(one, candidates)) for one in made])
    example_counts = np.concatenate([one.example_counts for one in made])
    groups = [np.flatnonzero(example_counts == number) for number in np.unique(example_counts)]
    sides = [sides_of(profiles[group], candidates, float(example_counts[group[0]])) for group in groups]
    found = [by_topn(*both) for both in sides]
    same = [agreement(best[group], own) for group, own in zip(groups, found, strict=True)]
    return {"sparse_dot_topn": float(np.average(same, weights=[len(group) for group in groups]))}


def by_terms(profiles: Profiles, candidates: Candidates) -> np.ndarray:
    return raw_scores(profiles.vectors, profiles.example_counts, candidates.paper_matrix)[0]


def agreement(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the share of a library's papers that are among ours."""
    pairs = [({*own.tolist()}, {*other.tolist()} - {-1}) for own, other in zip(ours, theirs, strict=True)]
    return sum(len(own & other) for own, other in pairs) / max(1, sum(len(other) for _, other in pairs))


def sides_of(profiles: csr_matrix, candidates: Candidates, example_counts: float) -> tuple[csr_matrix, csr_matrix]:
    factor = scale(candidates.paper_matrix.factor, np.array(example_counts))
    ones = csr_matrix(np.ones((profiles.shape[0], 1), np.float32))
    papers_side = hstack([candidates.paper_matrix.vectors, csr_matrix(-candidates.paper_matrix.centre[:, None])])
    return csr_matrix(hstack([profiles, ones])), csr_matrix(diags(factor) @ papers_side, dtype=np.float32)


def by_sklearn(profiles: csr_matrix, candidates: csr_matrix) -> np.ndarray:
    """Do what cosine_similarity does after scaling its rows, which must not be scaled here."""
    steps = range(0, profiles.shape[0], BLOCK)
    return np.concatenate([best_of(linear_kernel(profiles[at : at + BLOCK], candidates)) for at in steps])


def topn(profiles: csr_matrix, turned: csr_matrix) -> csr_matrix:
    return sp_matmul_topn(profiles, turned, top_n=BEST, sort=True, threshold=None, n_threads=THREADS)


def by_topn(profiles: csr_matrix, candidates: csr_matrix) -> np.ndarray:
    found = topn(profiles, candidates.T.tocsr())
    # It leaves out scores of 0 or less.
    best = np.full((profiles.shape[0], BEST), -1)
    sizes = np.diff(found.indptr)
    places = np.arange(found.nnz) - np.repeat(found.indptr[:-1], sizes)
    best[np.repeat(np.arange(len(best)), sizes), places] = found.indices
    return best


def bm25(store: int, count: int) -> tuple[float, float]:
    """Rank with BM25, which takes a query's terms without weights, so its results differ.

    Returns:
        Its seconds, and the share of its papers that scores in the space of terms alone find too.
    """
    index, candidates, topics = load(store)
    made = [profiles_of(index, block) for block in subscribers(count, topics)]
    profiles, best = all_vectors(made), np.concatenate([best_of(by_terms(one, candidates)) for one in made])
    terms = index.model.terms
    texts = [[str(terms[term]) for term in candidates.paper_matrix.vectors[row].indices] for row in range(NEW)]
    queries = [[str(terms[term]) for term in profiles[row].indices] for row in range(profiles.shape[0])]
    retriever = bm25s.BM25()
    retriever.index(texts, show_progress=False)
    known = [[term for term in query if term in retriever.vocab_dict] or [""] for query in queries]
    retrieve = partial(retriever.retrieve, known, k=BEST, show_progress=False, n_threads=THREADS)
    (found, _), seconds, _ = timed(retrieve)
    return seconds, agreement(best, found)


def searches(store: int) -> Iterator[tuple[str, list[float]]]:
    """Yield the seconds of searches of the whole store, with the index loaded."""
    folder = FOLDER / f"{store}-papers"
    context = open_at(folder, TODAY)
    chance = np.random.default_rng(5)
    own, _ = corpus.topics()
    words = [" ".join(corpus.word(int(one)) for one in chance.choice(own[topic], 3)) for topic in range(50)]
    everything, narrow = PaperFilter(), PaperFilter(since=TODAY.date(), category="cs.LG")
    with reading(context.engine) as connection:
        some = list(papers.by_rows(connection, chance.integers(1, store, 50).tolist()).values())
    search(context, words[0], everything, BEST)
    yield "search, three words", [timed(partial(search, context, text, everything, BEST))[1] for text in words]
    yield "search, a filter nothing passes", [timed(partial(search, context, text, narrow, BEST))[1] for text in words]
    yield "similar papers", [timed(partial(similar, context, paper, everything, BEST))[1] for paper in some]


def in_a_process(*arguments: object) -> str:
    command = [sys.executable, "-m", "benchmarks.ranking_speed", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(store: int, count: int, full: bool) -> None:
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    print(f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}; {THREADS} threads")
    print(in_a_process("--prepare", store), end="", flush=True)
    print(f"\nfrom interests to the ten best of {NEW:,} papers:", flush=True)
    print(f"{'subscribers':>11} {'interests':>9} {'seconds':>8} {'us each':>8} {'peak MB':>8}")
    for size in [10_000, 30_000, count] if full else [count]:
        whole = json.loads(in_a_process("--ours", store, size))
        each = whole["seconds"] / size * 1e6
        print(
            f"{size:>11,} {whole['interests']:>9,} {whole['seconds']:>8.1f} {each:>8.0f} {whole['peak_mb']:>8.0f}",
            flush=True,
        )
    found = json.loads(in_a_process("--compared", store, count, ",".join(METHODS)))
    peaks = {
        name: json.loads(in_a_process("--compared", store, BLOCK, name))["peak_mb"]
        for name in ("ours", "sparse_dot_topn")
    }
    sizes = {"store": store, "papers": NEW, "subscribers": count, "interests": whole["interests"]}
    result = {**sizes, **summary(found, whole, peaks), "machine": machine}
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "ranking_speed.json").write_text(json.dumps(result, indent=1) + "\n")
    show(result)
    if full:
        seconds, same = json.loads(in_a_process("--bm25", store, BLOCK))
        print(f"\nbm25s, for {BLOCK} subscribers: {seconds:.2f} s, {same:.1%} the same papers")
        print(f"\nthe whole store of {store:,} papers:")
        print(in_a_process("--searches", store), end="", flush=True)


def summary(found: dict[str, Any], whole: dict[str, float], peaks: dict[str, float]) -> dict[str, Any]:
    """Return the figures of the JSON file."""
    seconds, cpu = found["seconds"], found["cpu_seconds"]
    return {
        "seconds": {**seconds, "ours_from_interests": whole["seconds"]},
        "cpu_seconds": {**cpu, "ours_from_interests": whole["cpu"]},
        "ratio": seconds["ours"] / seconds["sparse_dot_topn"],
        "cpu_ratio": cpu["ours"] / cpu["sparse_dot_topn"],
        "same_papers": found["same_papers"],
        "peak_mb": {**peaks, "ours_from_interests": whole["peak_mb"]},
    }


def show(result: dict[str, Any]) -> None:
    print(f"\nthe ten best for each of {result['interests']:,} interests, profiles given:")
    print(f"  {'':30}{'seconds':>9}{'relative':>9}{'CPU s':>8}{'relative':>9}")
    for name, title in METHODS.items():
        both = [(result[kind][name], result[kind]["sparse_dot_topn"]) for kind in ("seconds", "cpu_seconds")]
        print(
            f"  {title:30}" + "".join(f"{own:>{9 - at}.2f}{own / bare:>8.2f}x" for at, (own, bare) in enumerate(both))
        )
    print(f"  the same papers in the space of terms alone: {result['same_papers']['sparse_dot_topn']:.1%}")
    print(f"  peak memory with {BLOCK} subscribers: {result['peak_mb']}")


def show_searches(store: int) -> None:
    for name, seconds in searches(store):
        ms = np.array(seconds) * 1000
        print(f"  {name:32}{np.median(ms):>6.0f} ms median, {np.percentile(ms, 95):.0f} ms at the 95th percentile")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=int, help="papers in the store")
    parser.add_argument("--subscribers", type=int)
    parser.add_argument("--full", action="store_true", help="250,000 papers, 100,000 subscribers, searches and BM25")
    for step in ("--prepare", "--searches"):
        parser.add_argument(step, type=int, help=argparse.SUPPRESS)
    for step, arguments in (("--ours", 2), ("--bm25", 2), ("--compared", 3)):
        parser.add_argument(step, nargs=arguments, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.prepare:
        prepare(given.prepare)
    elif given.ours:
        print(json.dumps(ours(*map(int, given.ours))))
    elif given.compared:
        print(json.dumps(compared(*map(int, given.compared[:2]), given.compared[2].split(","))))
    elif given.bm25:
        print(json.dumps(bm25(*map(int, given.bm25))))
    elif given.searches:
        show_searches(given.searches)
    else:
        store, count = (250_000, 100_000) if given.full else (10_000, 10_000)
        main(given.store or store, given.subscribers or count, given.full)
