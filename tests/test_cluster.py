"""The engine on a real Dask cluster: a scheduler and workers in processes of their own, any of which may be killed."""

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from newsletter.clock import parse_moment, stopped_at
from newsletter.cluster import Client
from newsletter.desk import Desk, open_desk
from newsletter.edition import EditionReport, run_edition
from newsletter.errors import NewsletterError, UserError
from newsletter.road import Block
from newsletter.store import reading, subscribers
from tests.conftest import NOW, Newsletter
from tests.smtp import Mailbox

READERS = 40
WORKERS = 3


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self._log = (folder / "log").open("wb")
        self.scheduler = self._start("scheduler", "--port", "0", "--no-dashboard")
        self.workers: dict[int, subprocess.Popen[bytes]] = {}

    def _start(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", kind, "--scheduler-file", str(self.file), *options]
        path = os.pathsep.join(["", *sys.path])
        return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=self._log, stderr=self._log)

    def with_workers(self) -> "Cluster":
        """Have as many workers as there are to be, each known by its process."""
        self.workers = {number: one for number, one in self.workers.items() if one.poll() is None}
        while len(self.workers) < WORKERS:
            begun = self._start("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard")
            self.workers[begun.pid] = begun
        with Client(scheduler_file=str(self.file), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(WORKERS, timeout=60)
        return self

    def end(self) -> None:
        """Kill them all."""
        for process in (*self.workers.values(), self.scheduler):
            process.kill()
            process.wait()
        self._log.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def desk(newsletter: Newsletter, mail: Mailbox, cluster: Cluster) -> Desk:
    """That of a newsletter whose work is done by the cluster."""
    newsletter.with_sample()
    topics = ("language models", "robots that grasp", "protein folding")
    for number in range(READERS):
        liked = "\n    liked: [2511.14582]" if number % 4 == 0 else ""
        newsletter.subscriber(
            f"r{number}",
            f"email: r{number}@example.org\ninterests:\n  - name: {topics[number % 3]}{liked}\n",
        )
    newsletter.run("subscribers", "list")
    newsletter.configure(smtp={"sessions": 6})
    cluster.with_workers()
    return desk_with(newsletter, f"dask:{cluster.file}")


def desk_with(newsletter: Newsletter, engine: str, store: str = "newsletter") -> Desk:
    """That of the newsletter with an engine, and a store of its own, which is like the first one was."""
    newsletter.configure(store={"url": f"sqlite:///var/{store}.db"})
    path = newsletter.folder / "config.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("engine:")]
    path.write_text("\n".join([f"engine: {engine}", *lines, ""]))
    return open_desk(newsletter.config, stopped_at(parse_moment(NOW)))


def send(desk: Desk, size: int = 4, stopping: Callable[[], bool] = lambda: False) -> EditionReport:
    """An edition in blocks so small that there are some for each worker."""
    with reading(desk.engine) as connection:
        people = subscribers.page(connection, 0, READERS)
    day = desk.clock().date()
    starts = range(0, READERS, size)
    blocks = (Block(people[at : at + size], {one.row: day for one in people[at : at + size]}) for at in starts)
    return run_edition(desk, blocks, stopping, lambda state, count: None)


def states(newsletter: Newsletter) -> dict[str, str]:
    return {row["email"]: row["state"] for row in newsletter.run("log", "--json").rows}


def test_every_engine_sends_the_same_to_the_last_byte(newsletter: Newsletter, desk: Desk, mail: Mailbox) -> None:
    first = newsletter.folder / "var" / "newsletter.db"
    arrived = {}
    for number, engine in enumerate(("here", "processes:2", newsletter.config.engine)):
        with (
            closing(sqlite3.connect(first)) as kept,
            closing(sqlite3.connect(first.with_name(f"s{number}.db"))) as copy,
        ):
            kept.backup(copy)
        mail.accepted.clear()
        report = send(desk_with(newsletter, engine, f"s{number}"))
        assert report.counts == {"sent": READERS}
        assert len(mail.accepted) == READERS
        assert sum(report.by_hand.values(), Counter()) == report.counts
        arrived[engine] = dict(mail.accepted)
    here, *others = arrived.values()
    assert others == [here, here]
    assert len(report.by_hand) == WORKERS and all(name.startswith("tcp://") for name in report.by_hand)
