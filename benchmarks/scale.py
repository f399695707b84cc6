"""An edition for many readers: ranked, composed, rendered, logged and sent, by each engine. ``make bench-scale``.

A synthetic store of papers with 1,500 new ones and many subscribers with three interests each. First without the wire
(sessions that accept everything); then part of the readers goes to Postfix's smtp-sink. Each engine runs the same
edition, one after the other, in processes whose memory and processor time are monitored. With ``--full``, a million
readers and 250,000 papers, which takes hours. With ``--postgresql`` the store is in the PostgreSQL of the tests.

Figures for a million readers are extrapolated from the run: a fixed part, until the first message, and a part that is
proportional to the number of readers.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from benchmarks import corpus, monitoring
from benchmarks.delivery import NEW, NOW, SEND, TOPICS, prepare, reader, sink
from benchmarks.results import Rates, Results, label, parser, rounded, show
from newsletter.cli import main as run_newsletter
from newsletter.delivery.sending import account_pool
from newsletter.delivery.smtp.transport import Outcome, Transport
from newsletter.model import Interest, Message, Preferences, SendState
from newsletter.services import edition
from newsletter.services.edition_worker import EditionWorker, create_edition_worker
from newsletter.store import copying, open_store, reading
from newsletter.store.preferences import to_json
from tests.helpers.postgresql import PostgreSQL

MILLION = 1_000_000
STORE, READERS, SENT = 5_000, 4_000, 2_000
FULL_STORE, FULL_READERS, FULL_SENT = 250_000, MILLION, 100_000
ENGINES = {"ours_one_process": "here", "ours_two_processes": "processes:2", "ours_dask_two_workers": "dask"}
SESSIONS = 16
CLOUD = {
    "machine": "AWS EC2 m7g.large, on demand, us-east-1",
    "cores": 2,
    "dollars_per_hour": 0.0816,
    "price_of": "June 2026",
}
"""A machine to calculate the cost with. Its price changes, and its cores are not those of the measurement."""
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


def compare(
    papers: int, readers: int, engines: Sequence[str], command: Sequence[str], server: PostgreSQL | None
) -> dict[str, Rates]:
    """Run an edition with each engine, one after the other, from the same initial state; return the figures."""
    figures: dict[str, Rates] = {}
    for name in engines:
        ran, grown = run_engine(ENGINES[name], prepare(papers, readers, with_three), command, server)
        for figure, value in figures_of(ran, grown, readers).items():
            figures.setdefault(figure, {})[name] = value
    return figures


def run_engine(
    engine: str, folder: Path, command: Sequence[str], server: PostgreSQL | None
) -> tuple[monitoring.Ran, int]:
    """Run an edition, and delete the newsletter; return what it took, and by how many bytes the store has grown."""
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        port = stack.enter_context(sink())
        named = stack.enter_context(cluster(folder, 2)) if engine == "dask" else engine
        url = f"sqlite:///{folder.resolve()}/var/newsletter.db"
        if server is not None:
            url = copied(url, server)
        (folder / "config.yaml").write_text(CONFIG.format(port=port, sessions=SESSIONS, engine=named, store=url))
        store = open_store(url)
        stack.callback(store.dispose)
        before = store_bytes(store)
        ran = monitoring.run(command, folder, store, environment())
        return ran, store_bytes(store) - before


def figures_of(ran: monitoring.Ran, grown: int, readers: int) -> dict[str, float]:
    """Return the figures of one run by name, with what they come to for a million readers."""
    first = ran.first_message_seconds or ran.seconds
    wall = first + (ran.seconds - first) * MILLION / readers
    cpu_hours = (
        ran.first_message_cpu_seconds + (ran.cpu_seconds - ran.first_message_cpu_seconds) * MILLION / readers
    ) / 3600
    dollars = cpu_hours / float(str(CLOUD["cores"])) * float(str(CLOUD["dollars_per_hour"]))
    return {
        "messages_per_second": rounded(readers / ran.seconds),
        "wall_seconds": rounded(ran.seconds),
        "first_message_seconds": rounded(first),
        "cpu_seconds": rounded(ran.cpu_seconds),
        "peak_mb_of_largest_process": round(ran.peak_mb[0]),
        "peak_mb_of_all_processes": round(sum(ran.peak_mb)),
        "store_bytes_per_message": round(grown / readers),
        "extrapolated_wall_hours_per_million": rounded(wall / 3600, 3),
        "extrapolated_cpu_hours_per_million": rounded(cpu_hours, 3),
        "extrapolated_cloud_dollars_per_million": rounded(dollars, 3),
    }


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
    asked = parser(__doc__)
    asked.add_argument("--papers", type=int, help=f"in the store (default: {STORE:,})")
    asked.add_argument("--readers", type=int, help=f"of the edition without the wire (default: {READERS:,}; 0: none)")
    asked.add_argument("--sent", type=int, help=f"readers of the edition to smtp-sink (default: {SENT:,}; 0: none)")
    asked.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    asked.add_argument("--postgresql", action="store_true", help="keep the store in PostgreSQL")
    given = asked.parse_args()
    defaults = (FULL_STORE, FULL_READERS, FULL_SENT) if given.full else (STORE, READERS, SENT)
    named = zip((given.papers, given.readers, given.sent), defaults, strict=True)
    papers, readers, sent = (default if value is None else value for value, default in named)
    sizes = {"papers": papers, "new_papers": NEW, "readers": readers, "sent": sent, "papers_per_message": 10}
    results = Results("scale", given.full, {**sizes, "store": "PostgreSQL" if given.postgresql else "SQLite"})
    results.figures["cloud"] = CLOUD
    with ExitStack() as stack:
        server = stack.enter_context(PostgreSQL(carefree=False)) if given.postgresql else None
        without = ("benchmarks.scale", "without-wire")
        for kind, count, command in (("without_wire", readers, without), ("to_smtp_sink", sent, SEND)):
            if count:
                figures = compare(papers, count, given.engines, command, server)
                results.figures[kind] = figures
                print_figures(kind, count, figures, given.engines[0])
    results.write()


def print_figures(kind: str, readers: int, figures: dict[str, Rates], first: str) -> None:
    print(f"\n{readers:,} readers, {label(kind)}; for a million, extrapolated")
    figures[f"{first}_times_as_fast_as"] = show("messages per second", figures["messages_per_second"], first)
    for name, values in figures.items():
        if name != "messages_per_second" and not name.endswith("_times_as_fast_as"):
            print(f"  {label(name):40}" + ", ".join(f"{value:g}" for value in values.values() if value is not None))


if __name__ == "__main__":
    main()
