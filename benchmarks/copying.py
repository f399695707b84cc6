"""The time to copy a newsletter between SQLite and PostgreSQL, with its checksums. ``make bench-copying``.

With ``--full``, 100,000 subscribers with a year of weekly sends, which takes some GB. PostgreSQL is the server of the
tests. The peer is SQLite's own ``VACUUM INTO``, which copies rows that it neither converts nor compares.
"""

import json
import random
import resource
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.results import FOLDER, Results, parser, rounded, show
from newsletter.model import Interest, Preferences
from newsletter.store import copying, open_store
from newsletter.store.preferences import to_json
from tests.helpers.postgresql import PostgreSQL

PAPERS, PAPERS_EACH = 20_000, 3
SUBSCRIBERS, SENDS_EACH = 5_000, 10
FULL_SUBSCRIBERS, FULL_SENDS_EACH = 100_000, 52
FIRST = datetime(2025, 1, 6, 7, tzinfo=UTC)
_KEPT = "%Y-%m-%d %H:%M:%S.%f"


def fill(path: Path, subscribers: int, sends_each: int) -> None:
    """Create a store with readers and what they were sent."""
    engine = open_store(f"sqlite:///{path}")
    words = [f"word{number}" for number in range(5_000)]
    chance = random.Random(1)
    abstract = [" ".join(chance.choices(words, k=180)) for _ in range(50)]
    interests = tuple(Interest(name=f"topic {one}", text=" ".join(words[one : one + 9])) for one in range(3))
    kept = json.dumps(to_json(Preferences(email="r@example.org", interests=interests)))

    def into(table: str, columns: str, rows: Iterator[tuple[Any, ...]]) -> None:
        raw = engine.raw_connection()
        raw.driver_connection.execute("PRAGMA foreign_keys=OFF")
        raw.driver_connection.execute("BEGIN IMMEDIATE")
        marks = ", ".join("?" * len(columns.split(",")))
        raw.driver_connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        raw.driver_connection.execute("COMMIT")
        raw.close()

    now = FIRST.strftime(_KEPT)
    into(
        "papers",
        "row, id, title, title_key, abstract, authors, categories, keywords, sources, first_seen, day",
        (
            (one, f"p{one}", f"Paper {one}", f"paper {one}", abstract[one % 50], "[]", "[]", "[]", "[]", now, now[:10])
            for one in range(1, PAPERS + 1)
        ),
    )
    into(
        "subscribers",
        "row, email, email_key, state, consent, preferences, seen_row, created_at, state_since",
        (
            (one, f"r{one}@example.org", f"r{one}@example.org", "active", "bench", kept, 0, now, now)
            for one in range(1, subscribers + 1)
        ),
    )

    def sends() -> Iterator[tuple[Any, ...]]:
        row = 0
        for week in range(sends_each):
            moment = FIRST + timedelta(days=7 * week)
            at, day = moment.strftime(_KEPT), moment.date().isoformat()
            for one in range(1, subscribers + 1):
                row += 1
                mail = f"<{week}.{chance.getrandbits(64):x}@papers.example.org>"
                reply = "250 2.0.0 Ok: queued as 4F1A2B3C4D"
                yield row, day, one, f"r{one}@example.org", "example.org", "sent", mail, 60, week, at, at, 1, reply

    into(
        "sends",
        "row, edition, subscriber, email, domain, state, message_id, considered, seen_row, planned_at, settled_at, "
        "attempts, smtp_reply",
        sends(),
    )
    into(
        "send_papers",
        "send, rank, subscriber, paper, score, section, because",
        (
            (send, rank, (send - 1) % subscribers + 1, (send // subscribers) * 11 + rank, chance.random(), "A", "word")
            for send in range(1, sends_each * subscribers + 1)
            for rank in range(1, PAPERS_EACH + 1)
        ),
    )
    engine.dispose()


def copied(first: str, second: str) -> tuple[float, dict[str, copying.TableChecksum]]:
    """Copy a store; return the seconds, and the checksums of its tables."""
    one, other = open_store(first), open_store(second)
    began = time.monotonic()
    sums = copying.copy(one, other, lambda *_: None)
    took = time.monotonic() - began
    one.dispose()
    other.dispose()
    return took, sums


def vacuumed(path: Path, target: Path) -> float:
    """Copy a SQLite store with SQLite itself; return the seconds."""
    began = time.monotonic()
    with closing(sqlite3.connect(path)) as store:
        store.execute("VACUUM INTO ?", [str(target)])
    return time.monotonic() - began


def main() -> None:
    """Create a store, and copy it there and back."""
    full = parser(__doc__).parse_args().full
    subscribers, sends_each = (FULL_SUBSCRIBERS, FULL_SENDS_EACH) if full else (SUBSCRIBERS, SENDS_EACH)
    results = Results("copying", full, {"subscribers": subscribers, "sends_each": sends_each, "papers": PAPERS})
    folder = FOLDER / "copying"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    here, back = folder / "here.db", folder / "back.db"
    fill(here, subscribers, sends_each)
    with PostgreSQL() as server:
        url = server.fresh()
        there, sums = copied(f"sqlite:///{here}", url)
        again, same = copied(url, f"sqlite:///{back}")
    if sums != same:
        raise SystemExit("the checksums of the copy differ")
    seconds = {
        "sqlite_to_postgresql": there,
        "postgresql_to_sqlite": again,
        "vacuum_into": vacuumed(here, folder / "vacuumed.db"),
    }
    rows = sum(table.rows for table in sums.values())
    rates: dict[str, float | None] = {name: rounded(rows / each) for name, each in seconds.items()}
    results.figures = {
        "rows": rows,
        "megabytes": round(here.stat().st_size / 1e6),
        "rows_per_second": rates,
        "sqlite_to_postgresql_times_as_fast_as": show("rows per second", rates, "sqlite_to_postgresql"),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(f"  all checksums are equal; peak {results.figures['peak_mb']} MB")
    shutil.rmtree(folder)
    results.write()


if __name__ == "__main__":
    main()
