"""The engine on a real Dask cluster: a scheduler and workers in processes of their own, any of which may be killed."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

from newsletter.errors import NewsletterError, UserError
from newsletter.services.context import AppContext, open_context
from newsletter.services.edition import run_edition
from newsletter.services.edition_run import EditionReport
from newsletter.services.planning import SubscriberBatch
from newsletter.store import reading, subscribers
from newsletter.support.clock import frozen_clock, parse_moment
from newsletter.workers.base import DaskAddress as Place
from newsletter.workers.base import PoolSpec, WorkerLost
from newsletter.workers.dask import Client
from newsletter.workers.pool import worker_pool
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.sentence_model import SETTINGS
from tests.helpers.smtp import Mailbox
from tests.workers.test_local import Waits

pytestmark = pytest.mark.system

READERS = 24
WORKERS = 3


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self._log = (folder / "log").open("wb")
        self.scheduler = self._start("scheduler", "--port", "0", "--no-dashboard")
        self.workers: dict[int, subprocess.Popen[bytes]] = {}

    def _start(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "dask",
            kind,
            "--scheduler-file",
            str(self.file),
            "--host",
            "127.0.0.1",
            *options,
        ]
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
            client.run(import_module, "newsletter.__main__")
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
def context(newsletter: Newsletter, mail: Mailbox, cluster: Cluster) -> AppContext:
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
    # A session that says goodbye to the server of a test that has ended does not wait long.
    newsletter.configure(smtp={"sessions": 6, "timeout_seconds": 5})
    cluster.with_workers()
    return desk_with(newsletter, f"dask:{cluster.file}")


def desk_with(newsletter: Newsletter, engine: str, store: str = "newsletter") -> AppContext:
    """That of the newsletter with an engine, and a store of its own, which is like the first one was."""
    newsletter.configure(store={"url": f"sqlite:///var/{store}.db"})
    path = newsletter.folder / "config.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("engine:")]
    path.write_text("\n".join([f"engine: {engine}", *lines, ""]))
    return open_context(newsletter.config, frozen_clock(parse_moment(NOW)))


def send(context: AppContext, size: int = 2, should_stop: Callable[[], bool] = lambda: False) -> EditionReport:
    """An edition in blocks so small that there are some for each worker."""
    with reading(context.engine) as connection:
        people = subscribers.page(connection, 0, READERS)
    day = context.clock().date()
    starts = range(0, READERS, size)
    batches = (SubscriberBatch({one.row: day for one in people[at : at + size]}) for at in starts)
    return run_edition(context, batches, should_stop, lambda state, count: None)


def states(newsletter: Newsletter) -> dict[str, str]:
    return {row["email"]: row["state"] for row in newsletter.run("log", "--json").rows}


@pytest.mark.parametrize("ranking", [{}, {"semantic": SETTINGS}], ids=["by words", "by meaning"])
def test_every_engine_sends_the_same_to_the_last_byte(
    newsletter: Newsletter, context: AppContext, mail: Mailbox, ranking: dict
) -> None:
    newsletter.configure(ranking=ranking)
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
        assert sum(report.by_worker.values(), Counter()) == report.counts
        arrived[engine] = dict(mail.accepted)
    here, *others = arrived.values()
    assert others == [here, here]
    # A worker that is slow to start may find nothing left to do.
    assert 0 < len(report.by_worker) <= WORKERS and all(name.startswith("tcp://") for name in report.by_worker)


def test_what_a_killed_worker_left_is_done_by_others(
    newsletter: Newsletter, cluster: Cluster, context: AppContext, mail: Mailbox
) -> None:
    killed: list[subprocess.Popen[bytes]] = []

    def on_data(address: str) -> str | None:
        if len(mail.accepted) == 5:
            killed.append(next(iter(cluster.workers.values())))
            killed[0].kill()
        return None

    mail.on_data = on_data
    report = send(context)
    assert killed[0].wait() == -signal.SIGKILL
    arrived = Counter(mail.recipients())
    assert set(arrived.values()) == {1}
    rows = states(newsletter)
    assert len(rows) == READERS
    # Each has arrived, or is named as unsure: no more of them than the sessions that the worker had.
    assert {email for email, state in rows.items() if state == "sent"} <= set(arrived)
    unsure = [email for email, state in rows.items() if state != "sent"]
    assert {rows[email] for email in unsure} <= {"unsure"}
    assert len(unsure) <= 2
    assert report.counts.get("unsure", 0) == len(unsure)


def test_another_worker_comes_in_for_one_that_is_gone(cluster: Cluster) -> None:
    cluster.with_workers()
    with worker_pool(PoolSpec(Waits, None, lambda: True), 2, Place(file=cluster.file)) as (one, other):
        assert one.process(None) is other.process(None) is True
        cluster.workers[int(one.owner())].kill()
        with pytest.raises(WorkerLost):
            one.process(None)
        third = one.replacement()
        assert third is not None and third.name not in (one.name, other.name)
        assert third.process(None) is True
        assert other.replacement() is None


def test_a_worker_that_stood_still_goes_on(cluster: Cluster, context: AppContext, mail: Mailbox) -> None:
    still: list[int] = []

    def on_data(address: str) -> str | None:
        if len(mail.accepted) == 4 and not still:
            still.extend(cluster.workers)
            os.kill(still[0], signal.SIGSTOP)
            threading.Timer(3, os.kill, (still[0], signal.SIGCONT)).start()
        return None

    mail.on_data = on_data
    assert send(context).counts == {"sent": READERS}
    assert still
    assert Counter(Counter(mail.recipients()).values()) == {1: READERS}


def test_an_error_of_one_worker_ends_the_run_in_plain_words(context: AppContext, mail: Mailbox) -> None:
    mail.on_sender = lambda address: "550 5.7.1 you are blocked"
    with pytest.raises(NewsletterError, match=r"refuses the sender.*\(the worker tcp://127\.0\.0\.1:\d+\)"):
        send(context)
    assert mail.accepted == []
    mail.on_sender = lambda address: None
    assert send(context).counts == {"sent": READERS}


def test_a_worker_with_another_key_sends_nothing(
    newsletter: Newsletter, context: AppContext, mail: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY", "the key of the one who leads")
    with pytest.raises(UserError, match=r"engine: on the host \S+ the signing key differs from that of"):
        send(desk_with(newsletter, newsletter.config.engine))
    assert mail.accepted == []


def test_a_stop_is_heard_in_the_middle_of_a_call(cluster: Cluster) -> None:
    cluster.with_workers()
    stopped = threading.Event()
    threading.Timer(1, stopped.set).start()
    with worker_pool(PoolSpec(Waits, None, stopped.is_set), 2, Place(file=cluster.file)) as workers:
        assert len(workers) == 2
        assert workers[0].process(None) is True


def test_a_run_that_is_stopped_leaves_the_rest_to_the_next(
    newsletter: Newsletter, context: AppContext, mail: Mailbox
) -> None:
    report = send(context, should_stop=lambda: len(mail.accepted) > 4)
    assert report.stopped
    counted = Counter(states(newsletter).values())
    assert set(counted) <= {"sent", "planned"} and counted["sent"] == len(mail.accepted) == report.counts["sent"]
    assert len(mail.accepted) < READERS
    newsletter.run("send")
    assert Counter(Counter(mail.recipients()).values()) == {1: READERS}


def test_workers_let_go_after_the_command_was_killed(
    newsletter: Newsletter, cluster: Cluster, context: AppContext, mail: Mailbox
) -> None:
    (newsletter.folder / "begin.py").write_text(BEGIN)
    begun: list[subprocess.Popen[bytes]] = []

    def on_data(address: str) -> str | None:
        if len(mail.accepted) == 3:
            begun[0].kill()
            time.sleep(0.3)
        return None

    mail.on_data = on_data
    path = os.pathsep.join(["", *sys.path])
    command = [sys.executable, "begin.py"]
    begun.append(subprocess.Popen(command, cwd=newsletter.folder, env={**os.environ, "PYTHONPATH": path}))
    assert begun[0].wait(60) == -signal.SIGKILL
    for _ in range(300):
        counted = Counter(states(newsletter).values())
        if not counted["claimed"] and counted["sent"] == len(mail.accepted):
            break
        time.sleep(0.1)
    assert set(counted) <= {"sent", "planned"}
    assert [one.poll() for one in cluster.workers.values()] == [None] * WORKERS
    mail.on_data = lambda address: None
    newsletter.run("send")
    assert Counter(Counter(mail.recipients()).values()) == {1: READERS}


BEGIN = f"""
from pathlib import Path
from newsletter.support.clock import parse_moment, frozen_clock
from newsletter.config.loader import load_config
from newsletter.services.context import open_context
from tests.workers.test_dask import send
if __name__ == "__main__":
    send(open_context(load_config(Path("config.yaml")), frozen_clock(parse_moment({NOW!r}))))
"""


def test_without_its_scheduler_a_run_ends_in_one_line_and_the_next_goes_on(
    newsletter: Newsletter, cluster: Cluster, context: AppContext, mail: Mailbox
) -> None:
    def on_data(address: str) -> str | None:
        if len(mail.accepted) == 5:
            cluster.scheduler.kill()
        return None

    mail.on_data = on_data
    with pytest.raises(
        NewsletterError, match=r"^engine: the Dask scheduler at \S+ is gone; run the command again once it is back$"
    ):
        send(context)
    # Each of its workers ends, after the messages on the wire.
    for process in cluster.workers.values():
        process.wait(60)
    assert set(states(newsletter).values()) <= {"sent", "planned"}
    newsletter.run("send")
    assert Counter(Counter(mail.recipients()).values()) == {1: READERS}
