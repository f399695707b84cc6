"""The time to copy a newsletter between SQLite and PostgreSQL: 100,000 subscribers with a year of sends.

    python -m benchmarks.copying FOLDER [SENDS_EACH]

PostgreSQL is the server of the tests. FOLDER needs some GB.
"""

import json
import random
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from newsletter.model import Interest, Preferences
from newsletter.store import copying, open_store
from newsletter.store.preferences import to_json
from tests.helpers.postgresql import PostgreSQL

SUBSCRIBERS, PAPERS, PAPERS_EACH = 100_000, 20_000, 3
FIRST = datetime(2025, 1, 6, 7, tzinfo=UTC)
_KEPT = "%Y-%m-%d %H:%M:%S.%f"


def fill(path: Path, sends_each: int) -> None:
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
            for one in range(1, SUBSCRIBERS + 1)
        ),
    )

    def sends() -> Iterator[tuple[Any, ...]]:
        row = 0
        for week in range(sends_each):
            moment = FIRST + timedelta(days=7 * week)
            at, day = moment.strftime(_KEPT), moment.date().isoformat()
            for one in range(1, SUBSCRIBERS + 1):
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
            (send, rank, (send - 1) % SUBSCRIBERS + 1, (send // SUBSCRIBERS) * 11 + rank, chance.random(), "A", "word")
            for send in range(1, sends_each * SUBSCRIBERS + 1)
            for rank in range(1, PAPERS_EACH + 1)
        ),
    )
    engine.dispose()


def timed(what: str, first: str, second: str) -> dict[str, copying.TableChecksum]:
    """Copy a store, and print how long it took."""
    one, other = open_store(first), open_store(second)
    began = time.monotonic()
    sums = copying.copy(one, other, lambda *_: None)
    took, rows = time.monotonic() - began, sum(table.rows for table in sums.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what}: {took:,.0f} s, {rows:,} rows, {rows / took:,.0f} rows/s, peak {peak:,.0f} MB", flush=True)
    one.dispose()
    other.dispose()
    return sums


def main() -> None:
    """Create a store, and copy it there and back."""
    folder, sends_each = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 52
    folder.mkdir(parents=True, exist_ok=True)
    here, back = folder / "here.db", folder / "back.db"
    began = time.monotonic()
    if not here.exists():
        fill(here, sends_each)
    print(f"created in {time.monotonic() - began:,.0f} s, {here.stat().st_size / 1e9:.1f} GB", flush=True)
    with PostgreSQL() as server:
        url = server.fresh()
        there = timed("SQLite to PostgreSQL", f"sqlite:///{here}", url)
        again = timed("PostgreSQL to SQLite", url, f"sqlite:///{back}")
    assert there == again
    print("all checksums are equal", flush=True)


if __name__ == "__main__":
    main()
