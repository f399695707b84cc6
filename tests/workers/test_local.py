"""The engine: the work of an edition in several processes, any of which may be killed."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path

import pytest

from newsletter.errors import NewsletterError, UserError
from newsletter.model import SendState
from newsletter.services.context import AppContext, open_context
from newsletter.services.edition import run_edition
from newsletter.services.edition_run import EditionReport
from newsletter.services.planning import SubscriberBatch
from newsletter.store import reading, subscribers, worker_stats
from newsletter.support.clock import frozen_clock, parse_moment
from newsletter.workers.base import PoolSpec, ShouldStop, WorkerLost
from newsletter.workers.local import PRELOADED, process_context
from newsletter.workers.pool import worker_pool
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.sentence_model import SETTINGS
from tests.helpers.smtp import Mailbox

pytestmark = pytest.mark.system

READERS = 24


@pytest.fixture
def context(newsletter: Newsletter, mail: Mailbox) -> AppContext:
    """That of a newsletter with readers of several topics."""
    newsletter.with_sample()
    topics = ("language models", "robots that grasp", "protein folding")
    for number in range(READERS):
        newsletter.subscriber(f"r{number}", f"email: r{number}@example.org\ninterests: [{topics[number % 3]}]\n")
    newsletter.run("subscribers", "list")
    newsletter.configure(smtp={"sessions": 4})
    text = (newsletter.folder / "config.yaml").read_text()
    (newsletter.folder / "config.yaml").write_text(f"engine: processes:2\n{text}")
    return open_context(newsletter.config, frozen_clock(parse_moment(NOW)))


def send_in_small_batches(context: AppContext, size: int = 2) -> EditionReport:
    """An edition in blocks so small that there are enough of them for all processes."""
    with reading(context.engine) as connection:
        people = subscribers.page(connection, 0, READERS)
    day = context.clock().date()
    batches = (
        SubscriberBatch({one.row: day for one in people[start : start + size]}) for start in range(0, len(people), size)
    )
    return run_edition(context, batches, lambda: False, lambda state, count: None)


def test_two_processes_send_what_one_sends(newsletter: Newsletter, context: AppContext, mail: Mailbox) -> None:
    assert newsletter.config.processes == 2
    counts = send_in_small_batches(context).counts
    assert counts == {"sent": READERS}, newsletter.run("log").out
    by_two = dict(mail.accepted)
    assert len(by_two) == len(mail.accepted) == READERS
    with reading(context.engine) as connection:
        at_work = worker_stats.seen_since(connection, context.clock())
    assert sum((one.sends for one in at_work), Counter()) == {SendState.SENT: READERS}
    assert {one.host for one in at_work} == {socket.gethostname()}
    assert os.getpid() not in {int(one.process) for one in at_work}
    owners = {row["email"]: row["papers"] for row in newsletter.run("log", "--json").rows}
    (newsletter.folder / "var" / "newsletter.db").unlink()
    for beside in ("-wal", "-shm"):
        (newsletter.folder / "var" / f"newsletter.db{beside}").unlink(missing_ok=True)
    newsletter.with_sample()
    mail.accepted.clear()
    newsletter.run("send")
    assert {row["email"]: row["papers"] for row in newsletter.run("log", "--json").rows} == owners
    assert dict(mail.accepted) == by_two


def test_two_processes_rank_by_meaning_as_one_does(newsletter: Newsletter, context: AppContext, mail: Mailbox) -> None:
    newsletter.configure(ranking={"semantic": SETTINGS})
    liking = "interests: [{name: Goals, liked: [Multi-Objective GFlowNets]}]"
    newsletter.subscriber("r0", f"email: r0@example.org\n{liking}\n")
    newsletter.run("subscribers", "list")
    semantic = replace(context, config=newsletter.config)
    assert send_in_small_batches(semantic).counts == {"sent": READERS}
    by_two = {row["email"]: row["papers"] for row in newsletter.run("log", "--json").rows}
    for path in (newsletter.folder / "var").glob("newsletter.db*"):
        path.unlink()
    newsletter.with_sample()
    newsletter.run("send")
    assert {row["email"]: row["papers"] for row in newsletter.run("log", "--json").rows} == by_two


def test_what_a_killed_process_left_is_done_by_others(
    newsletter: Newsletter, context: AppContext, mail: Mailbox
) -> None:
    killed: list[int] = []

    def on_data(address: str) -> str | None:
        if len(mail.accepted) == 5:
            killed.extend(child.pid or 0 for child in multiprocessing.active_children()[:1])
            os.kill(killed[0], signal.SIGKILL)
        return None

    mail.on_data = on_data
    report = send_in_small_batches(context)
    assert killed
    arrived = Counter(mail.recipients())
    assert set(arrived.values()) == {1}
    rows = {row["email"]: row["state"] for row in newsletter.run("log", "--json").rows}
    assert len(rows) == READERS
    # Each has arrived, or is named as unsure: no more of them than the sessions that the process had.
    assert {email for email, state in rows.items() if state == "sent"} <= set(arrived)
    unsure = [email for email, state in rows.items() if state != "sent"]
    assert {rows[email] for email in unsure} <= {"unsure"}
    assert len(unsure) <= 2
    assert report.counts.get("unsure", 0) == len(unsure)


def test_an_error_of_one_process_ends_the_run_in_plain_words(context: AppContext, mail: Mailbox) -> None:
    mail.on_sender = lambda address: "550 5.7.1 you are blocked"
    with pytest.raises(NewsletterError, match="refuses the sender"):
        send_in_small_batches(context)
    assert mail.accepted == []
    mail.on_sender = lambda address: None
    assert send_in_small_batches(context).counts == {"sent": READERS}


class Waits:
    """The state of a worker that waits to be stopped."""

    def __init__(self, shared: None, which: int, of: int, should_stop: ShouldStop) -> None:
        self.should_stop = should_stop

    def owner(self) -> str:
        """The process it is in."""
        return str(os.getpid())

    def process(self, batch: None) -> bool:
        """Whether a stop was heard of in time."""
        end = time.monotonic() + 20
        while not self.should_stop() and time.monotonic() < end:
            time.sleep(0.05)
        return self.should_stop()

    def drain(self) -> bool:
        """Nothing to drain."""
        return True

    def close(self, stop: bool) -> bool:
        """Nothing to close."""
        return True


def test_a_stop_is_heard_in_the_middle_of_a_call() -> None:
    stopped = threading.Event()
    with worker_pool(PoolSpec(Waits, None, stopped.is_set), 2) as workers, ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(worker.process, None) for worker in workers]
        stopped.set()
        assert [answer.result(60) for answer in asked] == [True, True]


class Fails(Waits):
    """One that fails in its own way."""

    def process(self, batch: None) -> bool:
        """It fails."""
        raise UserError("line 3: no such day; write it like Monday")

    def drain(self) -> bool:
        """What it returns cannot be sent."""
        return lambda: True  # type: ignore[return-value]


def test_what_goes_wrong_in_a_process_is_raised_here_and_leaves_it_alive() -> None:
    with worker_pool(PoolSpec(Fails, None, lambda: False), 2) as workers:
        process = workers[0].owner()
        with pytest.raises(UserError, match="line 3: no such day"):
            workers[0].process(None)
        with pytest.raises(Exception, match="pickle"):
            workers[0].drain()
        assert workers[0].owner() == process


def test_a_process_imports_nothing_anew(tmp_path: Path) -> None:
    said = tmp_path / "said"
    code = f"import sys\nopen({str(said)!r}, 'w').write(' '.join(name for name in {PRELOADED} if name in sys.modules))"
    process = process_context().Process(target=exec, args=(code,))  # type: ignore[attr-defined]
    process.start()
    process.join()
    assert said.read_text().split() == list(PRELOADED)


def test_a_worker_that_lives_is_not_lost_with_the_fork_server() -> None:
    with worker_pool(PoolSpec(Waits, None, lambda: True), 2) as workers:
        process = workers[0].owner()
        parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
        time.sleep(0.5)
        assert workers[0].owner() == process
        os.kill(int(process), signal.SIGKILL)
        with pytest.raises(WorkerLost):
            workers[0].owner()
        another = workers[0].replacement()
        assert another is not None and another.owner() != process


def test_processes_end_after_the_one_that_began_them(
    newsletter: Newsletter, context: AppContext, mail: Mailbox
) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom newsletter.config.loader import load_config\n"
        "from newsletter.support.clock import parse_moment, frozen_clock\n"
        "from newsletter.services.context import open_context\n"
        "from tests.workers.test_local import send_in_small_batches\n"
        "if __name__ == '__main__':\n"
        "    config = load_config(Path('config.yaml'))\n"
        f"    send_in_small_batches(open_context(config, frozen_clock(parse_moment({NOW!r}))))\n"
    )
    (newsletter.folder / "begin.py").write_text(script)
    begun: list[subprocess.Popen[bytes]] = []

    def on_data(address: str) -> str | None:
        if len(mail.accepted) == 3:
            begun[0].kill()
            time.sleep(0.3)
        return None

    mail.on_data = on_data
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    begun.append(subprocess.Popen([sys.executable, "begin.py"], cwd=newsletter.folder, env=environment))
    assert begun[0].wait(60) == -signal.SIGKILL
    # They let what is on the wire come to its end, and write it down; nothing is in doubt.
    for _ in range(200):
        states = Counter(row["state"] for row in newsletter.run("log", "--json").rows)
        if not states["claimed"] and states["sent"] == len(mail.accepted):
            break
        time.sleep(0.1)
    assert set(states) <= {"sent", "planned"}
    mail.on_data = lambda address: None
    newsletter.run("send")
    assert Counter(Counter(mail.recipients()).values()) == {1: READERS}


def worker_pids() -> list[int]:
    """The processes that the fork server has started and that live.

    ``multiprocessing.active_children`` would do it too, but not from several threads.
    """
    parent, found = str(forkserver._forkserver._forkserver_pid), []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, ppid = stat.read_text().rpartition(")")[2].split()[:2]
            if ppid == parent and state != "Z":
                found.append(int(stat.parent.name))
    return found


def test_killed_processes_are_replaced_at_once_and_the_counts_stay_true(
    newsletter: Newsletter, context: AppContext, mail: Mailbox
) -> None:
    """Three kills in one edition: another process begins each time, and nothing is counted twice."""
    pids: dict[int, float] = {}
    killed: list[tuple[int, float]] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            for pid in worker_pids():
                pids.setdefault(pid, time.monotonic())

    def on_data(address: str) -> str | None:
        if len(mail.accepted) in (1, 4, 7):
            newest = max(worker_pids(), key=lambda pid: pids.get(pid, 0.0))
            os.kill(newest, signal.SIGKILL)
            killed.append((newest, time.monotonic()))
        time.sleep(0.1)
        return None

    mail.on_data = on_data
    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        report = send_in_small_batches(context, 1)
    finally:
        ended.set()
        watching.join()
    assert len(killed) == 3
    for _, at in killed:
        assert any(at < began < at + 20 for began in pids.values()), (killed, pids)
    rows = newsletter.run("log", "--json").rows
    assert Counter(row["state"] for row in rows) == report.counts
    assert set(Counter(mail.recipients()).values()) == {1}
    assert len(rows) == READERS


class Bomb(dict):
    """Editions of a block that end the process that looks at them, as too much memory would."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Bomb, (dict(self),))

    def __init__(self, editions: dict[int, object]) -> None:
        super().__init__(editions)
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_digest_that_ends_its_process_fails_alone(newsletter: Newsletter, context: AppContext, mail: Mailbox) -> None:
    with reading(context.engine) as connection:
        people = subscribers.page(connection, 0, READERS)
    day = context.clock().date()
    bad, *others = people
    batches = [SubscriberBatch(Bomb({bad.row: day})), *(SubscriberBatch({one.row: day}) for one in others)]
    report = run_edition(context, iter(batches), lambda: False, lambda state, count: None)
    # A process lost with the batch may have a message of an earlier one on the wire: that one alone is in doubt.
    states = {row["email"]: row["state"] for row in newsletter.run("log", "--json").rows}
    assert states.pop(bad.email) == "failed"
    assert set(states) == {one.email for one in others}
    assert set(states.values()) <= {"sent", "unsure"}
    assert Counter([*states.values(), "failed"]) == report.counts
    assert report.counts.get("unsure", 0) <= 4  # two processes with two sessions each
    assert any(bad.email in note and "ended, more than once" in note for note in report.notes)
    assert {email for email, state in states.items() if state == "sent"} <= set(mail.recipients()) <= set(states)
    assert set(Counter(mail.recipients()).values()) == {1}
