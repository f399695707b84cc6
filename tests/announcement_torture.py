"""An announcement by local time under torture: ``newsletter run`` is killed at random while it plans and sends.

What a mail server took is held against what each reader should get. ``make torture-announcement`` runs it.

The clock is that of libfaketime: each round begins a moment before nine o'clock in one of the time zones. A message
that arrives in a round thus was sent at that time. The server is a process of its own that nobody kills.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.helpers.newsletter import faketime_environment
from tests.helpers.smtp_recorder import Record, recorder

CONFIG = """\
site: {{name: Torture, url: https://torture.example, from: papers@torture.example, postal_address: nowhere}}
smtp: {{host: 127.0.0.1, port: {port}, security: none, sessions: 4}}
schedule: {{tick_seconds: 1}}
"""
ZONES = (
    *("Pacific/Kiritimati", "Pacific/Auckland", "Australia/Sydney", "Asia/Tokyo", "Asia/Shanghai", "Asia/Kathmandu"),
    *("Asia/Kolkata", "Asia/Dubai", "Europe/Moscow", "Africa/Cairo", "Europe/Berlin", "UTC", "Atlantic/Azores"),
    *("America/Sao_Paulo", "America/St_Johns", "America/New_York", "America/Chicago", "America/Denver"),
    *("America/Los_Angeles", "Pacific/Honolulu"),
)
AT = datetime(2025, 12, 3, 9)
CREATED = datetime(2025, 12, 1, 12)
PLANNED = datetime(2025, 12, 2, 12)
EARLY = timedelta(seconds=2)
PATIENCE = 300.0
"""Seconds after which a run that does nothing is taken for stuck."""


@dataclass
class Result:
    """What came of it: the number of kills and of messages, and what is wrong (nothing, if the promise was kept)."""

    readers: int
    kills: int = 0
    accepted: int = 0
    unsure: int = 0
    had: int = 0
    complaints: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.readers:,} readers in {len(ZONES)} time zones, {self.kills} kills, {self.accepted:,} messages "
            f"accepted, {self.unsure} unsure (the server has {self.had} of them)\n"
            + ("\n".join(self.complaints) or "each reader got it once, at nine by their own clock, or is unsure")
        )


class Torture:
    """A newsletter in a scratch folder, and what is done to it."""

    def __init__(self, folder: Path, readers: int, kills: int, seed: int, record: Record) -> None:
        self._folder, self._record, self._random = folder, record, random.Random(seed)
        self._zone = {f"r{number}@torture.example": ZONES[number % len(ZONES)] for number in range(readers)}
        self._kills = kills
        self.result = Result(readers)

    def prepare(self) -> None:
        """Create a newsletter with readers, whose digests are on another day, and schedule the announcement."""
        (self._folder / "subscribers").mkdir(parents=True)
        (self._folder / "config.yaml").write_text(CONFIG.format(port=self._record.port))
        lines = (
            json.dumps({"email": email, "schedule": {"days": ["sun"], "timezone": zone}})
            for email, zone in self._zone.items()
        )
        (self._folder / "readers.jsonl").write_text("\n".join(lines))
        (self._folder / "news.md").write_text("# News\n\n{{ greeting }}\n")
        self._command("subscribers", "import", "readers.jsonl")
        self._command("announce", "news.md", "--at", AT.isoformat(), "--local-time", "--yes")

    def run(self) -> Result:
        """Plan, then send in each time zone, killed at random; then compare."""
        moments = sorted({self._moment(zone) for zone in ZONES})
        killed = Counter(self._random.choices([PLANNED, *moments], k=self._kills))
        self._round(PLANNED, killed[PLANNED], self._is_planned, self._planned)
        for moment in moments:
            before = len(self._record.refresh().accepted)
            self._round(moment - EARLY, killed[moment], lambda at=moment: not self._waiting(at), self._accepted)
            for one in self._record.refresh().accepted[before:]:
                if self._moment(self._zone[one.recipient]) != moment:
                    self.result.complaints.append(f"{one.recipient} got it at {moment} UTC")
        self._compare()
        return self.result

    def _moment(self, zone: str) -> datetime:
        return AT.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)

    def _round(self, at: datetime, kills: int, is_done: Callable[[], bool], progress: Callable[[], int]) -> None:
        """Run from a moment on until everything is done, killed some times after it has made progress."""
        for number in range(kills + 1):
            began, process = progress(), self._start(at + number * EARLY)
            if number < kills:
                self._wait(process, lambda began=began: progress() > began or is_done())
                time.sleep(self._random.uniform(0, 0.5))
                os.killpg(process.pid, signal.SIGKILL)
                self.result.kills += 1
            else:
                self._wait(process, is_done)
                process.send_signal(signal.SIGTERM)
            process.wait()

    def _start(self, at: datetime) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, **faketime_environment(f"@{at:%Y-%m-%d %H:%M:%S}"), "PYTHONPATH": str(_ROOT)}
        with (self._folder / "run.log").open("ab") as log:
            command = [sys.executable, "-m", "newsletter", "run"]
            return subprocess.Popen(
                command, cwd=self._folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def _wait(self, process: "subprocess.Popen[bytes]", is_done: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not is_done():
            if process.poll() is not None or time.monotonic() > end:
                how = "is stuck" if process.poll() is None else f"ended with {process.returncode}"
                raise SystemExit(f"the run {how}:\n{(self._folder / 'run.log').read_text()[-4000:]}")
            time.sleep(0.02)

    def _is_planned(self) -> bool:
        return bool(self._query("SELECT 1 FROM mailings WHERE planned_at IS NOT NULL"))

    def _planned(self) -> int:
        return int(self._query("SELECT count(*) FROM sends")[0][0])

    def _waiting(self, moment: datetime) -> int:
        states = "('planned', 'claimed', 'deferred')"
        zones = [zone for zone in ZONES if self._moment(zone) <= moment]
        found = self._query(f"SELECT email FROM sends WHERE state IN {states}")
        return sum(self._zone[email] in zones for (email,) in found)

    def _accepted(self) -> int:
        return len(self._record.refresh().accepted)

    def _compare(self) -> None:
        accepted = self._record.refresh().accepted
        self.result.accepted = len(accepted)
        got = Counter(one.recipient for one in accepted)
        log = dict(self._query("SELECT email, state FROM sends"))
        unsure = {email for email, state in log.items() if state == "unsure"}
        self.result.unsure, self.result.had = len(unsure), sum(email in got for email in unsure)
        self._expect("without a line in the log", self._zone.keys() - log.keys())
        self._expect("in the log twice", {self._planned()} - {len(self._zone)})
        self._expect("got it twice", {email for email, number in got.items() if number > 1})
        self._expect("did not get it", self._zone.keys() - got.keys() - unsure)
        self._expect("got it unsaid", {email for email in got if log.get(email) not in ("sent", "unsure")})

    def _expect(self, what: str, wrong: set[object]) -> None:
        if wrong:
            self.result.complaints.append(f"{what}: {len(wrong)}, as {sorted(map(str, wrong))[0]}")

    def _query(self, sql: str) -> list[tuple[object, ...]]:
        # Looked at past the program, whose word is what is put to the test.
        with closing(sqlite3.connect(self._folder / "var" / "newsletter.db", timeout=30)) as store:
            return store.execute(sql).fetchall()

    def _command(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "newsletter", "--now", CREATED.isoformat(), *arguments]
        subprocess.run(command, cwd=self._folder, env={**os.environ, "PYTHONPATH": str(_ROOT)}, check=True)


_ROOT = Path(__file__).parents[1]


def main() -> None:
    """Torture an announcement and print what came of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--readers", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, recorder(Path(folder, "server.jsonl"), 0.02) as record:
        torture = Torture(Path(folder, "newsletter"), given.readers, given.kills, given.seed, record)
        torture.prepare()
        result = torture.run()
    print(result)
    if result.complaints:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
