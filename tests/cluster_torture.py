"""The torture of a cluster: an edition goes out from a Dask scheduler, three workers and PostgreSQL, each a process,
while they are killed, stopped and begun anew; what a mail server took is held against the log.
``make torture-cluster``.

Two workers are killed, one stands still for a minute, PostgreSQL is restarted. Whoever ends is begun anew, as a service
manager would; the command is run again until nothing is left. With ``--hosts`` each worker is on a host of its own (a
network namespace), and a firewall cuts one of them off for the rest of the run.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg

from newsletter.services.demo import SAMPLE_PAPERS
from tests.helpers.network_namespaces import ADDRESS, Hosts
from tests.helpers.postgresql import PostgreSQL
from tests.helpers.smtp_recorder import Record, recorder
from tests.torture import INTERESTS

CONFIG = """\
site: {{name: Torture, url: https://torture.example, from: papers@torture.example, postal_address: nowhere}}
smtp: {{host: {host}, port: {port}, security: none, sessions: {sessions}}}
store: {{url: "{store}"}}
engine: {engine}
"""
NOW = datetime(2025, 11, 28, 9, 0)
LATER = timedelta(minutes=40)
"""From run to run, so that the claims of hosts that cannot be reached come to their end."""
WORKERS = ("worker-1", "worker-2", "worker-3")
SESSIONS = 12
STOPPED_SECONDS = 60.0
MOST_RUNS = 8
PATIENCE = 900.0


@dataclass
class Cluster:
    """A scheduler and its workers; who ends is begun anew by :meth:`mend`."""

    folder: Path
    file: Path
    hosts: Hosts | None
    address: str
    scheduler: subprocess.Popen[bytes] | None = None
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def fix(self) -> None:
        """Begin what is not there."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            self.file.unlink(missing_ok=True)
            self.scheduler = self._dask("scheduler", "--host", self.address, "--port", "0", "--no-dashboard")
        while not self.file.exists():
            time.sleep(0.1)
        for name in WORKERS:
            if name not in self.workers or self.workers[name].poll() is not None:
                options = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0")
                self.workers[name] = self._dask("worker", *options, host=name)

    def end(self) -> None:
        """End all of it."""
        for one in (*self.workers.values(), self.scheduler):
            if one is not None:
                one.kill()
                one.wait()

    def _dask(self, what: str, *options: str, host: str | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", what, *options, "--scheduler-file", str(self.file)]
        if host is not None and self.hosts is not None:
            command = self.hosts.command(host, command)
        with (self.folder / f"{what}.log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=_environment(), stdout=log, stderr=log)


@dataclass
class Trial:
    """What is tortured."""

    folder: Path
    cluster: Cluster
    postgresql: PostgreSQL
    url: str
    record: Record
    readers: int
    now: datetime = NOW

    def plan(self) -> list[tuple[int, str, Callable[[], None]]]:
        """What is done to it, and after how many messages."""
        one, another, third = WORKERS
        steps = [("a worker is killed", partial(self._kill, one)),
                 ("a worker stands still for a minute", partial(self._stop, another)),
                 ("another worker is killed", partial(self._kill, third))]  # fmt: skip
        if (hosts := self.cluster.hosts) is not None:
            steps.append(("a worker's host is cut off", partial(hosts.cut_off, one)))
        steps.append(("PostgreSQL is restarted", self._restart))
        return [(self.readers * (1 + at) // 6, name, do) for at, (name, do) in enumerate(steps)]

    def _kill(self, name: str) -> None:
        self.cluster.workers[name].kill()
        self.cluster.workers[name].wait()
        self.cluster.fix()

    def _stop(self, name: str) -> None:
        still = self.cluster.workers[name]
        os.kill(still.pid, signal.SIGSTOP)
        time.sleep(STOPPED_SECONDS)
        os.kill(still.pid, signal.SIGCONT)

    def _restart(self) -> None:
        self.postgresql.stop()
        time.sleep(1)
        self.postgresql.start()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            _newsletter(self.now, *arguments),
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def log(self) -> Iterator[tuple[str, str, str]]:
        """Message-ID, address and state of each send, past the program, whose word is put to the test."""
        with psycopg.connect(self.url) as connection:
            yield from connection.execute("SELECT message_id, email, state FROM sends")

    def resolve(self) -> int:
        """Settle what is unsure as the server's record has it; returns how many those were."""
        unsure = [json.loads(line) for line in self.command("sends", "resolve", "--json").stdout.splitlines()]
        has = self.record.refresh().times
        for option, arrived in (("--sent", True), ("--again", False)):
            emails = [one["email"] for one in unsure if (one["message_id"] in has) is arrived]
            if emails:
                self.command("sends", "resolve", option, *emails)
        return len(unsure)

    def complaints(self) -> list[str]:
        """What is wrong in the end."""
        log, has = list(self.log()), self.record.refresh().times
        named = {message for message, _, _ in log}
        wrong = {
            "not planned": self.readers - len(log),
            "not sent": sum(state != "sent" for _, _, state in log),
            "lost": len(named - has.keys()),
            "not in the log": len(has.keys() - named),
            "twice": sum(times > 1 for times in has.values()),
        }
        return [f"{what}: {number}" for what, number in wrong.items() if number]


def _newsletter(now: datetime, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "newsletter", "--now", now.isoformat(), *arguments]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}


def torture(trial: Trial, told: Callable[[str], None]) -> list[str]:
    """Send an edition under torture; returns what is wrong with what arrived."""
    began, plan, unsure = time.monotonic(), trial.plan(), 0
    for run in range(1, MOST_RUNS + 1):
        trial.cluster.fix()
        kept = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(
            _newsletter(trial.now, "send"), cwd=trial.folder, env=_environment(), text=True, **kept
        ) as sending:
            while sending.poll() is None:
                if time.monotonic() - began > PATIENCE:
                    sending.kill()
                    return ["it came to no end"]
                if plan and len(trial.record.refresh().accepted) >= plan[0][0]:
                    _, name, do = plan.pop(0)
                    told(f"{time.monotonic() - began:6.0f} s, {len(trial.record.accepted):6,} accepted: {name}")
                    do()
                time.sleep(0.2)
            assert sending.stdout is not None
            said = sending.stdout.read().splitlines()
        at = f"{time.monotonic() - began:6.0f} s, {len(trial.record.refresh().accepted):6,} accepted"
        told(f"{at}: run {run} ended with {sending.returncode}: {' / '.join(said[-3:])}")
        unsure += (newly := trial.resolve())
        states = Counter(state for _, _, state in trial.log())
        if states.keys() == {"sent"} and not newly:
            break
        if states["claimed"]:
            told(f"        {states['claimed']} are held by who cannot be reached, and free when their lease is over")
        trial.now += LATER
    told(f"        {unsure} were unsure in all, and settled by the server's record")
    return trial.complaints() + [f"never done: {name}" for _, name, _ in plan]


def prepare(folder: Path, host: str, port: int, store: str, file: Path, readers: int) -> None:
    """A newsletter with readers and papers."""
    (folder / "subscribers").mkdir(parents=True)
    (folder / "config.yaml").write_text(
        CONFIG.format(host=host, port=port, sessions=SESSIONS, store=store, engine=f"dask:{file.name}")
    )
    rows = ({"email": f"r{n}@torture.example", "interests": [INTERESTS[n % len(INTERESTS)]]} for n in range(readers))
    (folder / "readers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for arguments in (("import", str(SAMPLE_PAPERS)), ("subscribers", "import", "readers.jsonl")):
        _run(folder, arguments)


def _run(folder: Path, arguments: Sequence[str]) -> None:
    subprocess.run(_newsletter(NOW, *arguments), cwd=folder, env=_environment(), check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description="Disturb a cluster that sends, and count what arrived.")
    parser.add_argument("--readers", type=int, default=20_000)
    parser.add_argument("--slowest", type=float, default=0.02, help="seconds that the mail server takes for a step")
    parser.add_argument("--hosts", action="store_true", help="each worker on a host of its own; wants root")
    given = parser.parse_args()
    with ExitStack() as stack:
        hosts = stack.enter_context(Hosts(WORKERS)) if given.hosts else None
        address = ADDRESS if given.hosts else "127.0.0.1"
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torture-")))
        postgresql = stack.enter_context(PostgreSQL(address))
        record = stack.enter_context(recorder(scratch / "record.jsonl", given.slowest, address))
        folder, url = scratch / "newsletter", postgresql.fresh()
        cluster = Cluster(folder, folder / "scheduler.json", hosts, address)
        stack.callback(cluster.end)
        prepare(folder, address, record.port, url, cluster.file, given.readers)
        trial = Trial(folder, cluster, postgresql, url, record, given.readers)
        wrong = torture(trial, lambda line: print(line, flush=True))
        print(f"{len(record.accepted):,} accepted. {'; '.join(wrong) or 'Each digest came once.'}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
