"""An edition for a million: ranked, composed, rendered, logged and sent, by each engine. ``make bench-scale``.

A synthetic store of 250,000 papers with 1,500 new ones and many subscribers with three interests each. First without
the wire (sessions that accept everything); then part of the readers goes to Postfix's smtp-sink. Each engine runs the
same edition, in processes whose memory is monitored. With ``--postgresql`` the store is in PostgreSQL, the server of
the tests.
"""

import argparse
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine, func, insert, select

from benchmarks import corpus, web
from benchmarks.delivery import NOW, TOPICS, largest, reader, sink
from benchmarks.ranking_speed import TODAY, open_at
from newsletter.cli import main as run_newsletter
from newsletter.delivery.sending import account_pool
from newsletter.delivery.smtp.transport import Outcome, Transport
from newsletter.model import Interest, Message, Preferences, SendState
from newsletter.services import edition
from newsletter.services.edition_worker import EditionWorker, create_edition_worker
from newsletter.store import copying, open_store, reading, schema, writing
from newsletter.store.preferences import to_json
from tests.helpers.postgresql import PostgreSQL

STORE = 250_000
READERS, SENT = 1_000_000, 100_000
ENGINES = ("here", "processes:2", "dask")
SESSIONS = 16
CONFIG = """\
site: {{name: Bench, url: http://localhost:8000, from: bench@newsletter.example, postal_address: nowhere}}
smtp: {{host: 127.0.0.1, port: {port}, security: none, sessions: {sessions}, messages_per_session: 10000}}
ranking: {{refit_days: 36500}}
engine: {engine}
store: {{url: "{store}"}}
"""
SQLITE = "sqlite:///var/newsletter.db"


class NoWire(Transport):
    """A session that accepts everything."""

    def open(self) -> None:
        """Do nothing."""

    def send(self, message: Message) -> Outcome:
        """Taken."""
        return Outcome(SendState.SENT, "250 2.0.0 discarded")


def create_worker_without_wire(*arguments: Any) -> EditionWorker:
    """Create an edition worker, anywhere, whose sessions discard all messages."""
    account_pool.Transport = NoWire  # type: ignore[misc]
    return create_edition_worker(*arguments)


def send_without_wire() -> None:
    """Run ``newsletter send`` with sessions that discard all messages."""
    account_pool.Transport = NoWire  # type: ignore[misc]
    edition.create_edition_worker = create_worker_without_wire  # type: ignore[attr-defined]
    sys.argv = ["newsletter", "--now", NOW, "send"]
    run_newsletter()


def prepare(readers: int) -> Path:
    """Create a newsletter with the given number of subscribers and nothing sent; its papers are created once."""
    papers = web.prepare(STORE, 100_000)
    folder = web.FOLDER / f"scale-{readers}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(papers, folder)
    (folder / "config.yaml").write_text(CONFIG.format(port=1, sessions=SESSIONS, engine="here", store=SQLITE))
    web.unsend(folder)
    with closing(sqlite3.connect(folder / "var" / "newsletter.db")) as store, store:
        store.execute("DELETE FROM subscribers")  # Without foreign key checks, which would take minutes.
    context = open_at(folder, TODAY)
    with writing(context.engine) as connection:
        for start in range(0, readers, 1_000):
            rows = [with_three(number) for number in range(start, min(start + 1_000, readers))]
            connection.execute(insert(schema.subscribers), rows)
    context.engine.dispose()
    return folder


def with_three(number: int) -> dict[str, object]:
    """Return a row of a subscriber with three interests, each of some words of a topic."""
    own, _ = TOPICS
    interests = tuple(
        Interest(name=f"Topic {topic}", text=" ".join(corpus.word(one) for one in own[topic][:12]))
        for topic in ((number * 7 + step * 13) % corpus.TOPICS for step in range(3))
    )
    row = reader(number)
    preferences = Preferences(email=str(row["email"]), name=f"Reader {number}", interests=interests)
    return {**row, "preferences": to_json(preferences)}


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """Run a Dask scheduler with single-threaded workers on this machine; yield its name for ``engine``."""
    file = folder.resolve() / "scheduler.json"
    file.unlink(missing_ok=True)
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment()}
    dask = [sys.executable, "-m", "dask"]
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = [*dask, "worker", "--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--no-dashboard"]
    with ExitStack() as processes:
        for command in (scheduler, *[worker] * workers):
            process = processes.enter_context(
                subprocess.Popen([*command, "--scheduler-file", str(file)], cwd=folder, **quiet)
            )
            processes.callback(process.terminate)
            while not file.exists():
                time.sleep(0.1)
        yield f"dask:{file.name}"


def environment() -> dict[str, str]:
    # Otherwise Dask would record a profile of each second.
    without = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false"}
    return {**os.environ, **without, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}


def measure(name: str, folder: Path, store: Engine, command: Sequence[str], readers: int) -> float:
    """Run an edition; print its rate, the time of the first message, and the memory of the largest processes.

    Returns:
        Messages per second.
    """
    start, first, size = time.monotonic(), 0.0, store_bytes(store)
    peaks: dict[int, float] = {}
    with subprocess.Popen(
        [sys.executable, "-m", *command], cwd=folder, env=environment(), stdout=subprocess.DEVNULL
    ) as sending:
        while sending.poll() is None:
            peaks |= dict(largest(psutil.Process()))
            first = first or (time.monotonic() - start if any_taken(store) else 0.0)
            time.sleep(0.5)
    seconds = time.monotonic() - start
    if sending.returncode:
        sys.exit(f"the edition ended with {sending.returncode}")
    del peaks[os.getpid()]
    shown = ", ".join(f"{peak:.0f}" for peak in sorted(peaks.values(), reverse=True) if peak > 100)
    times = f"{first:>6.1f} s to the first{seconds:>8.1f} s in total"
    grown = (store_bytes(store) - size) / readers
    print(f"{name:20}{readers / seconds:>7.0f} a second{times}{grown:>7.0f} B a message  MB: {shown}", flush=True)
    return readers / seconds


def store_bytes(store: Engine) -> int:
    """Return the size of the store's contents, without free space in SQLite's file."""
    with reading(store) as connection:
        if store.dialect.name == "postgresql":
            return int(connection.execute(select(func.pg_database_size(func.current_database()))).scalar_one())
        pages, free, size = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def any_taken(store: Engine) -> bool:
    """Return whether a message was sent."""
    with reading(store) as connection:
        sent = select(schema.sends.c.row).where(schema.sends.c.state == SendState.SENT.value)
        return connection.execute(sent.limit(1)).first() is not None


def compare(
    readers: int, engines: Sequence[str], what: str, command: Sequence[str], server: PostgreSQL | None = None
) -> None:
    """Run an edition with each engine, one after the other, from the same initial state."""
    print(f"{readers:,} readers, {what}")
    speed: dict[str, float] = {}
    for engine in engines:
        folder = prepare(readers)
        with ExitStack() as stack:
            port = stack.enter_context(sink())
            named = stack.enter_context(cluster(folder, 2)) if engine == "dask" else engine
            url = f"sqlite:///{folder.resolve()}/var/newsletter.db"
            if server is not None:
                url = copied(url, server)
            configured = CONFIG.format(port=port, sessions=SESSIONS, engine=named, store=url)
            (folder / "config.yaml").write_text(configured)
            store = open_store(url)
            stack.callback(store.dispose)
            speed[engine] = measure(f"engine {engine}", folder, store, command, readers)
        shutil.rmtree(folder)
    for engine in engines:
        if engine != "here" and "here" in speed:
            print(f"  {engine} is {speed[engine] / speed['here']:.2f} times as fast as one process")


def copied(url: str, server: PostgreSQL) -> str:
    """Copy a store to a database of a server."""
    there = server.fresh()
    origin, target = open_store(url), open_store(there)
    copying.copy(origin, target, lambda *_: None)
    origin.dispose()
    target.dispose()
    return there


def main() -> None:
    if sys.argv[1:] == ["without-wire"]:
        send_without_wire()
        return
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--readers", type=int, default=READERS)
    asked.add_argument("--sent", type=int, default=SENT, help="how many of them go to smtp-sink")
    asked.add_argument("--engines", nargs="+", default=ENGINES, choices=ENGINES)
    asked.add_argument("--postgresql", action="store_true", help="keep the store in PostgreSQL")
    given = asked.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {STORE:,} papers")
    with ExitStack() as stack:
        server = stack.enter_context(PostgreSQL(carefree=False)) if given.postgresql else None
        if given.readers:
            without = ["benchmarks.scale", "without-wire"]
            compare(given.readers, given.engines, "without the wire", without, server)
        if given.sent:
            compare(given.sent, given.engines, "to smtp-sink", ["newsletter", "--now", NOW, "send"], server)


if __name__ == "__main__":
    main()
