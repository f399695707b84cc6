"""Pages a second of the site with 50 clients, and their response times. ``make bench-web``.

A synthetic store (``benchmarks/corpus.py``) and ``newsletter serve`` as a process, on the same machine as the clients
(``benchmarks/web_clients.py``). Each page is requested repeatedly, as by a crowd; then, as ``distinct``, another page
of its kind each time, so that no cache helps. Beside the distinct pages: the peer, a plain site of the same store
(``benchmarks/web_peer.py``), which does less for each.

By default a store of 10,000 papers, in about a minute. ``--full`` is 250,000 papers of 500 days, 100,000 subscribers
and ten seconds for each page, and measures again while an edition is sent (Debian's postfix).
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

import httpx
import numpy as np
from sqlalchemy import delete, insert, update

from benchmarks import corpus, web_peer
from benchmarks.delivery import NOW, readable, reader, sink
from benchmarks.ranking_speed import OLD, TODAY, open_at
from benchmarks.web_clients import Measured, measure
from newsletter.model import Paper
from newsletter.services.index import current_index
from newsletter.store import paper_upsert, schema, writing
from newsletter.support.identifiers import title_key

FOLDER = Path("var/bench")
NEW = 1_500
DAYS = 500
CLIENTS = 50
PORT = 8765
CONFIG = """\
site: {{name: Bench, url: http://localhost:{web}, from: bench@newsletter.example, postal_address: nowhere}}
smtp: {{host: 127.0.0.1, port: {port}, security: none, sessions: 16, messages_per_session: 10000}}
web: {{port: {web}}}
ranking: {{refit_days: 36500}}
"""


def prepare(store: int, readers: int) -> Path:
    """Create a newsletter with indexed papers, a day of new ones, and subscribers. Created once, and kept."""
    folder = FOLDER / f"web-{store}-{readers}"
    if (folder / "done").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(configured(1))
    context = open_at(folder, OLD)
    found = (stored(paper) for paper, _ in corpus.papers(store))
    while block := list(islice(found, 5_000)):
        with writing(context.engine) as connection:
            connection.execute(insert(schema.papers), block)
    current_index(context)
    morning = open_at(folder, TODAY)
    with writing(morning.engine) as connection:
        paper_upsert.upsert(connection, (readable(paper) for paper, _ in corpus.papers(NEW, seed=2)), "bench", TODAY)
    current_index(morning)
    with writing(morning.engine) as connection:
        for start in range(0, readers, 1_000):
            connection.execute(
                insert(schema.subscribers), [reader(n) for n in range(start, min(start + 1_000, readers))]
            )
    (folder / "done").touch()
    return folder


def configured(port: int) -> str:
    return CONFIG.format(port=port, web=PORT)


def stored(paper: Paper) -> dict[str, object]:
    readable_paper = readable(paper)
    chance = np.random.default_rng(paper.row)
    votes = int(chance.geometric(0.05)) if chance.random() < 0.3 else None
    return {
        "row": paper.row,
        "id": paper.id,
        "title": readable_paper.title,
        "title_key": title_key(readable_paper.title),
        "abstract": readable_paper.abstract,
        "authors": list(readable_paper.authors),
        "categories": list(readable_paper.categories),
        "keywords": [],
        "sources": ["bench"],
        "url": readable_paper.url,
        "pdf_url": readable_paper.pdf_url,
        "code_url": readable_paper.code_url,
        "upvotes": votes,
        "comments": votes and votes // 5,
        "published": OLD.date() - timedelta(days=paper.row % DAYS),
        "first_seen": OLD,
    }


def unsend(folder: Path) -> None:
    """Reset the sends, as if nothing had been sent."""
    context = open_at(folder, TODAY)
    with writing(context.engine) as connection:
        for table in (
            schema.send_papers,
            schema.sends,
            schema.ranked_with,
            schema.rate_limits,
            schema.rate_limit_counts,
        ):
            connection.execute(delete(table))
        connection.execute(update(schema.subscribers).values(last_digest=None, seen_row=0, next_due=None))


def pages(store: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the pages by name, each with the paths that are requested in turn."""
    chance = np.random.default_rng(7)
    own, _ = corpus.topics()
    day, week = OLD.date(), date.isocalendar(OLD.date())
    searches = [
        "/papers?q=" + "+".join(corpus.word(int(one)) for one in chance.choice(own[chance.integers(corpus.TOPICS)], 3))
        for _ in range(20_000)
    ]
    days = [f"/papers/date/{day - timedelta(days=number % DAYS)}" for number in range(DAYS)]
    weeks = [f"/papers/week/{(day - timedelta(weeks=number)):%G-W%V}" for number in range(DAYS // 7)]
    on_days, on_weeks = (max(1, store * length // DAYS // 50) for length in (1, 7))
    paged = [f"{path}?page={number}" for number in range(1, 1 + on_days) for path in days]
    paged += [f"{path}?page={number}" for number in range(1, 1 + min(on_weeks, 20)) for path in weeks]
    ones = [f"/papers/{row}" for row in chance.permutation(store)[:20_000] + 1]
    yield "today", ["/papers"]
    yield "a day", days[:1]
    yield "a week", [f"/papers/week/{week.year}-W{week.week:02}"]
    yield "a month", [f"/papers/month/{day:%Y-%m}"]
    yield "trending", ["/papers/trending"]
    yield "a paper", ones[:1]
    yield "a search", searches[:1]
    yield "feed of new papers", ["/feeds/papers.atom"]
    yield "feed of trending", ["/feeds/trending.atom"]
    yield "100 searches", searches[:100]
    yield "distinct days", paged
    yield "distinct papers", ones
    yield "distinct searches", searches


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run the site of a newsletter in its own process."""
    command = [sys.executable, "-m", "newsletter", "--now", NOW, "serve"]
    where = f"http://127.0.0.1:{PORT}"
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                if server.poll() is not None:
                    sys.exit("newsletter serve ended")
                try:
                    httpx.get(f"{where}/papers?q=begin", timeout=60)
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield where
        finally:
            server.terminate()


@contextmanager
def sending(folder: Path) -> Iterator[None]:
    """Send an edition to a local sink for the duration of the block."""
    unsend(folder)
    with sink() as port:
        (folder / "config.yaml").write_text(configured(port))
        command = [sys.executable, "-m", "newsletter", "--now", NOW, "send"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as sender:
            try:
                time.sleep(15)  # Until the first messages are being sent.
                yield
                print(
                    "  (the edition was still being sent)"
                    if sender.poll() is None
                    else "  (it was sent before the end)"
                )
            finally:
                sender.terminate()


def table(where: str, store: int, seconds: int) -> dict[str, Measured]:
    """Measure and print each page."""
    print(f"{'page':24}{'median ms':>10}{'95th':>10}{'a second':>10}{'bad':>6}", flush=True)
    found = {}
    for name, paths in pages(store):
        if name == "distinct days":
            measure(
                where, [f"{path}?warm" for path in paths[:300]], CLIENTS, seconds, once=True
            )  # Until all have begun.
        one = found[name] = measure(where, paths, CLIENTS, seconds, once=name.startswith("distinct"))
        print(f"{name:24}{one.median:>10.1f}{one.p95:>10.1f}{one.a_second:>10.0f}{one.bad:>6}", flush=True)
    return found


def beside(folder: Path, store: int, seconds: int, ours: dict[str, Measured]) -> dict[str, Measured]:
    """Measure and print the peer's distinct pages, and ours as a multiple of them."""
    print(f"\n{'the peer':24}{'median ms':>10}{'95th':>10}{'a second':>10}{'bad':>6}{'ours is':>10}", flush=True)
    found = {}
    with web_peer.serving(folder / "var/newsletter.db", PORT + 1, os.cpu_count() or 1) as where:
        for name, paths in pages(store):
            if name.startswith("distinct"):
                one = found[name] = measure(where, paths, CLIENTS, seconds, once=True)
                ratio = ours[name].a_second / one.a_second
                print(
                    f"{name:24}{one.median:>10.1f}{one.p95:>10.1f}{one.a_second:>10.0f}{one.bad:>6}{ratio:>9.2f}×",
                    flush=True,
                )
    return found


def written(ours: dict[str, Measured], peer: dict[str, Measured], store: int, machine: str) -> None:
    """Write the figures to ``var/bench/web.json``."""
    content = {
        "pages_per_second": {name: round(one.a_second, 1) for name, one in ours.items()},
        "median_ms": {name: round(one.median, 1) for name, one in ours.items()},
        "p95_ms": {name: round(one.p95, 1) for name, one in ours.items()},
        "bad": sum(one.bad for one in ours.values()),
        "peer_pages_per_second": {name: round(one.a_second, 1) for name, one in peer.items()},
        "ratio_to_peer": {name: round(ours[name].a_second / one.a_second, 2) for name, one in peer.items()},
        "papers": store,
        "clients": CLIENTS,
        "machine": machine,
    }
    (FOLDER / "web.json").write_text(json.dumps(content, indent=2) + "\n")


def main(store: int, readers: int, seconds: int, full: bool) -> None:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}; {CLIENTS} clients")
    start = time.monotonic()
    folder = prepare(store, readers)
    print(f"{store:,} papers and {readers:,} subscribers, prepared in {time.monotonic() - start:.0f} s", flush=True)
    with serving(folder) as where:
        print("\nnothing else going on:")
        ours = table(where, store, seconds)
    written(ours, beside(folder, store, seconds, ours), store, machine)
    if full:
        with sending(folder), serving(folder) as where:
            print("\nwhile an edition is being sent:")
            table(where, store, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="250,000 papers, and while an edition is sent")
    parser.add_argument("--papers", type=int)
    parser.add_argument("--subscribers", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--prepare", action="store_true", help="only prepare the store")
    given = parser.parse_args()
    usual = (250_000, 100_000, 10) if given.full else (10_000, 100, 3)
    papers, readers, seconds = (
        number if number is not None else otherwise
        for number, otherwise in zip((given.papers, given.subscribers, given.seconds), usual, strict=True)
    )
    if given.prepare:
        prepare(papers, readers)
    else:
        main(papers, readers, seconds, given.full)
