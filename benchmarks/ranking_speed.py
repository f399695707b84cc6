"""Time and memory of ranking many subscribers: ours, and the same scores by public libraries. ``make bench-ranking``.

A synthetic corpus (``benchmarks/corpus.py``): a store of 250,000 papers, 1,500 new ones, and subscribers with one to
three interests, each of a text or of one to forty liked papers of one topic. Ours uses the code that ranks for sending,
from the subscribers' interests to their ten best papers. Each size runs in a separate process, so that its memory can
be measured.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

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
BEST = 10
THREADS = 2


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
    """Return the ten best new papers of each subscriber (subscribers × 10), for any interest."""
    profiles = make_profiles(index, [one for own in block for one in own])
    matrix = matches(index, profiles, candidates)
    starts = np.cumsum([0, *(len(own) for own in block)])[:-1]
    best = np.maximum.reduceat(matrix, starts, axis=0)
    return best_of(best)


def best_of(scores: np.ndarray) -> np.ndarray:
    some = np.argpartition(-scores, BEST, axis=1)[:, :BEST]
    inside = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, inside, axis=1)


def ours(store: int, count: int) -> dict[str, float]:
    """Rank for ``count`` subscribers, on two threads."""
    index, candidates, topics = load(store)
    blocks = list(subscribers(count, topics))
    before, start, cpu = peak_mb(), time.perf_counter(), time.process_time()
    with threadpool_limits(1), ThreadPoolExecutor(THREADS) as pool:
        ranked = sum(len(best) for best in pool.map(partial(rank_block, index, candidates), blocks))
    assert ranked == count
    return {
        "subscribers": count,
        "interests": sum(len(own) for block in blocks for own in block),
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "peak_mb": peak_mb(),
        "before_mb": before,
    }


def peers(store: int, count: int) -> Iterator[tuple[str, float, float]]:
    """Find the ten best papers of each interest by their terms; yield seconds, and the share of papers equal to those
    of our scores in the space of terms. Ours besides computes topics, coverage and matches.

    A score is a dot product if the background is an additional column of the vectors, with one scale for each number of
    examples; so each peer gets the matrices it needs, grouped by that number, and the grouping is not timed.
    """
    index, candidates, topics = load(store)
    blocks = list(subscribers(count, topics))
    made = [make_profiles(index, [one for own in block for one in own]) for block in blocks]
    with threadpool_limits(1), ThreadPoolExecutor(THREADS) as pool:
        start = time.perf_counter()
        list(pool.map(lambda one: best_of(matches(index, one, candidates)), made))
        yield "ours, up to the match", time.perf_counter() - start, 1.0
        start = time.perf_counter()
        mine = list(pool.map(lambda one: best_of(by_terms(one, candidates)), made))
        yield "ours, terms alone", time.perf_counter() - start, 1.0
    profiles = csr_matrix(vstack([one.vectors for one in made]), dtype=np.float32)
    example_counts = np.concatenate([one.example_counts for one in made])
    best = np.concatenate(mine)
    groups = [np.flatnonzero(example_counts == number) for number in np.unique(example_counts)]
    sides = [sides_of(profiles[group], candidates, float(example_counts[group[0]])) for group in groups]
    for name, peer in (("scikit-learn, argpartition", by_sklearn), ("sparse-dot-topn", by_topn)):
        start = time.perf_counter()
        found = [peer(*both) for both in sides]
        seconds = time.perf_counter() - start
        same = [agreement(best[group], own) for group, own in zip(groups, found, strict=True)]
        yield name, seconds, float(np.average(same, weights=[len(group) for group in groups]))
    yield from by_bm25s(index, candidates, profiles, best)


def by_terms(profiles: Profiles, candidates: Candidates) -> np.ndarray:
    return raw_scores(profiles.vectors, profiles.example_counts, candidates.paper_matrix)[0]


def agreement(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the share of a peer's papers that are among ours."""
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
    scored = (linear_kernel(profiles[at : at + BLOCK], candidates) for at in steps)
    return np.concatenate([above_nothing(scores, best_of(scores)) for scores in scored])


def above_nothing(scores: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return the best papers, with -1 for scores of 0 or less, which sparse-dot-topn leaves out."""
    return np.where(np.take_along_axis(scores, best, axis=1) > 0, best, -1)


def by_topn(profiles: csr_matrix, candidates: csr_matrix) -> np.ndarray:
    found = sp_matmul_topn(profiles, candidates.T.tocsr(), top_n=BEST, sort=True, threshold=None, n_threads=THREADS)
    # It leaves out scores of 0 or less.
    best = np.full((profiles.shape[0], BEST), -1)
    sizes = np.diff(found.indptr)
    places = np.arange(found.nnz) - np.repeat(found.indptr[:-1], sizes)
    best[np.repeat(np.arange(len(best)), sizes), places] = found.indices
    return best


def by_bm25s(
    index: Index, candidates: Candidates, profiles: csr_matrix, best: np.ndarray
) -> Iterator[tuple[str, float, float]]:
    """Rank with BM25, which takes a query's terms without weights, so its results differ."""
    terms = index.model.terms
    texts = [[str(terms[term]) for term in candidates.paper_matrix.vectors[row].indices] for row in range(NEW)]
    queries = [[str(terms[term]) for term in profiles[row].indices] for row in range(profiles.shape[0])]
    retriever = bm25s.BM25()
    retriever.index(texts, show_progress=False)
    known = [[term for term in query if term in retriever.vocab_dict] or [""] for query in queries]
    start = time.perf_counter()
    found, _ = retriever.retrieve(known, k=BEST, show_progress=False, n_threads=THREADS)
    seconds = time.perf_counter() - start
    yield "bm25s", seconds, agreement(best, found)


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
    yield "search, three words", [timed(partial(search, context, text, everything, BEST)) for text in words]
    yield "search, a filter nothing passes", [timed(partial(search, context, text, narrow, BEST)) for text in words]
    yield "similar papers", [timed(partial(similar, context, paper, everything, BEST)) for paper in some]


def timed(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def in_a_process(*arguments: object) -> str:
    command = [sys.executable, "-m", "benchmarks.ranking_speed", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(store: int, sizes: list[int], compared: int) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {THREADS} threads")
    print(in_a_process("--prepare", store), end="", flush=True)
    print(
        f"\n{'subscribers':>11} {'interests':>9} {'seconds':>8} {'us each':>8} {'peak MB':>8}   against {NEW:,} papers"
    )
    for size in sizes:
        one = json.loads(in_a_process("--ours", store, size))
        print(
            f"{size:>11,} {one['interests']:>9,} {one['seconds']:>8.1f} {one['seconds'] / size * 1e6:>8.0f}"
            f" {one['peak_mb']:>8.0f}",
            flush=True,
        )
    print(f"\nthe ten best for each interest of {compared:,} subscribers, profiles given:")
    print(in_a_process("--peers", store, compared), end="", flush=True)
    print(f"\nthe whole store of {store:,} papers:")
    print(in_a_process("--searches", store), end="", flush=True)


def show_peers(store: int, count: int) -> None:
    first = 0.0
    for name, seconds, same in peers(store, count):
        first = first or seconds
        print(f"  {name:32}{seconds:>8.2f} s{seconds / first:>7.1f} x   {same:.1%} the same papers", flush=True)


def show_searches(store: int) -> None:
    for name, seconds in searches(store):
        ms = np.array(seconds) * 1000
        print(f"  {name:32}{np.median(ms):>6.0f} ms median, {np.percentile(ms, 95):.0f} ms at the 95th percentile")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=int, default=250_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--compared", type=int, default=10_000)
    for step in ("--prepare", "--searches"):
        parser.add_argument(step, type=int, help=argparse.SUPPRESS)
    for step in ("--ours", "--peers"):
        parser.add_argument(step, type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.prepare:
        prepare(given.prepare)
    elif given.ours:
        print(json.dumps(ours(*given.ours)))
    elif given.peers:
        show_peers(*given.peers)
    elif given.searches:
        show_searches(given.searches)
    else:
        main(given.store, given.sizes, given.compared)
