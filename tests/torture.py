"""The torture: two processes send, are killed at random moments and begun again, and what a mail server took is held
against the log. ``tests/delivery/sending/test_crash_recovery.py`` runs it small, ``make torture`` large.

The server is a process of its own that nobody kills. Each of the two is killed with all processes that it began; in
some rounds one of these alone before. Before each round what is unsure is settled by ``newsletter sends resolve`` as
the record has it, so that messages that go out again are killed too.
"""

import argparse
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from typer.testing import CliRunner

from newsletter.cli.app import app
from newsletter.services.demo import SAMPLE_PAPERS
from tests.helpers.fork_server import ForkedProcess
from tests.helpers.smtp_recorder import Record, recorder

CONFIG = """\
site: {{name: Torture, url: https://torture.example, from: papers@torture.example, postal_address: nowhere}}
smtp: {{host: 127.0.0.1, port: {port}, security: none, sessions: {sessions}}}
engine: {engine}
"""
FIRST_DAY = date(2025, 11, 28)
INTERESTS = ("language models", "reinforcement learning", "protein structure", "image generation", "optimization")
PAPERS = 30
"""New ones for each edition."""

IN_DOUBT = "of unknown outcome"
"""What a run says that found unsure ones: no mistake here."""

_OF_PYTHON = re.compile(
    r'^Traceback [^\n]*\n(?:  File "[^"\n]*/multiprocessing/[^\n]*\n(?: {4}[^\n]*\n)*)+\w[^\n]*\n(?: [^\n]*\n)*', re.M
)
"""What Python's own helper processes say when one that they work with was killed, and nothing of ours took part."""

PATIENCE = 120.0
"""Seconds after which a process that does nothing is taken for stuck."""


@dataclass(frozen=True)
class Trial:
    """How much torture it is to be.

    Attributes:
        sessions: of each run. ``engine``: as the configuration has it.
        slowest: seconds that the server takes at most for a step of a message.
        longest: seconds from the first message of a round to a kill, at most.
    """

    readers: int
    rounds: int
    sessions: int
    slowest: float
    longest: float
    seed: int
    engine: str = "here"


@dataclass(frozen=True)
class Round:
    """What a round came to.

    Attributes:
        killed: when each run was (seconds from the start; None: it had ended by itself). ``alone``: which of its
            processes was before, alone: that which ``began`` the others, or one of ``them``.
        sessions: how many ended without a goodbye.
        unsure: messages newly in doubt; ``had``: those of them that the server has.
        twice, lost: messages of which the server has two, or none though the log says it does, since the round before.
    """

    number: int
    killed: tuple[float | None, ...]
    alone: str
    accepted: int
    sessions: int
    unsure: int
    had: int
    twice: int
    lost: int

    HEADING = f"{'round':>5}  {'killed after (s)':>16}  alone  accepted  sessions  unsure  had  twice  lost"

    def __str__(self) -> str:
        killed = " ".join(f"{at:7.2f}" if at is not None else "      -" for at in self.killed)
        return (
            f"{self.number:5}  {killed:>16}  {self.alone:5}  {self.accepted:8}  {self.sessions:8}  {self.unsure:6}"
            f"  {self.had:3}  {self.twice:5}  {self.lost:4}"
        )


@dataclass(frozen=True)
class Line:
    """A line of the log, as the store has it."""

    message_id: str
    email: str
    edition: str
    state: str
    on_wire: bool

    @property
    def in_doubt(self) -> bool:
        """Whether it is unsure, or will be when the next run finds it."""
        return self.state == "unsure" or (self.state == "claimed" and self.on_wire)


@dataclass
class Result:
    """All rounds, and what is wrong: nothing, if the promise was kept."""

    rounds: list[Round] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    editions: int = 0
    accepted: int = 0
    """Messages, in the end."""

    def total(self, name: str) -> int:
        """Of one column."""
        return sum(getattr(one, name) for one in self.rounds)

    def __str__(self) -> str:
        kills = sum(at is not None for one in self.rounds for at in one.killed)
        kills += sum(one.alone != "" for one in self.rounds)
        return f"""\
{len(self.rounds)} rounds, {kills} kills, {self.editions} editions, {self.accepted:,} messages accepted
{self.total("unsure")} unsure with {self.total("sessions")} sessions open; the server had {self.total("had")} of them
{self.total("twice")} twice, {self.total("lost")} lost
{chr(10).join(self.complaints) or "each digest came once"}"""


class Torture:
    """A newsletter in a scratch folder, and what is done to it."""

    def __init__(self, folder: Path, trial: Trial, record: Record, told: Callable[[str], None]) -> None:
        self._folder, self._trial, self._record, self._told = folder, trial, record, told
        self._random = random.Random(trial.seed)
        self._startup = 2.0
        self.result = Result()

    def prepare(self) -> None:
        """A newsletter with readers and no papers."""
        (self._folder / "subscribers").mkdir(parents=True)
        trial, port = self._trial, self._record.port
        (self._folder / "config.yaml").write_text(
            CONFIG.format(port=port, sessions=trial.sessions, engine=trial.engine)
        )
        readers = [
            {"email": f"r{number}@torture.example", "interests": [INTERESTS[number % len(INTERESTS)]]}
            for number in range(self._trial.readers)
        ]
        self._command("subscribers", "import", self._write("readers.jsonl", readers))

    def run(self) -> Result:
        """All rounds, and what comes of them."""
        for number in range(1, self._trial.rounds + 1):
            self._resolve()
            if self._left() <= self._trial.readers // 20:
                self._complete()
                self._next_edition()
            done = self._round(number)
            self.result.rounds.append(done)
            self._told(str(done))
        self._complete()
        self._compare()
        return self.result

    def _complete(self) -> None:
        """Send what is left of an edition, undisturbed."""
        if self.result.editions:
            self._command("send")
            self._resolve()
            self._command("send")

    def _next_edition(self) -> None:
        """Take in new papers, and that those of the edition before were published, which their readers are told."""
        number = self.result.editions = self.result.editions + 1
        known = [paper | {"venue": f"Torture {paper['name']}"} for paper in self._papers(number - 1)]
        self._command("import", self._write("papers.jsonl", [*known, *self._papers(number)]))

    def _papers(self, number: int) -> list[dict[str, object]]:
        """The new papers of an edition, none for the edition 0; ``name`` identifies each."""
        if not number:
            return []
        with SAMPLE_PAPERS.open() as lines:
            sample = [json.loads(line) for line in lines]
        chosen = random.Random(number).sample(sample, PAPERS)
        for place, paper in enumerate(chosen):
            # Others than those of the day before, by their titles.
            paper |= {"title": f"{paper['title']}, part {number}", "upvotes": place, "name": f"{number}-{place}"}
            paper |= {"url": f"https://torture.example/papers/{number}-{place}", "arxiv_id": f"{number:04}.{place:05}"}
        return chosen

    def _round(self, number: int) -> Round:
        before, broken = Counter(self._record.refresh().times), self._record.broken
        doubted = {one.message_id for one in self._log() if one.in_doubt}
        mistakes = self._mistakes()
        began = time.monotonic()
        runs = [self._start() for _ in range(2)]
        alone = self._kill_one(runs, began, sum(before.values()))
        killed = self._kill_all(runs)
        # All have ended, so that the server will hear no more of them.
        self._wait(lambda: not self._record.refresh().open)
        doubts = {one.message_id for one in self._log() if one.in_doubt} - doubted
        twice, lost = (now - then for now, then in zip(self._mistakes(), mistakes, strict=True))
        had = self._record.times
        done = Round(
            number=number,
            killed=tuple(at - began if at is not None else None for at in killed),
            alone=alone,
            accepted=len(self._record.accepted) - sum(before.values()),
            sessions=self._record.broken - broken,
            unsure=len(doubts),
            had=sum(one in had for one in doubts),
            twice=twice,
            lost=lost,
        )
        if twice or lost or done.unsure > done.sessions:
            self.result.complaints.append(f"round {number} broke the promise")
        return done

    def _kill_one(self, runs: list[subprocess.Popen[str]], began: float, accepted: int) -> str:
        """Wait for the moment to kill, and in some rounds kill one process of one run alone; says which."""
        if self._random.random() < 0.25:
            self._sleep(self._startup)
        else:
            self._wait(
                lambda: len(self._record.refresh().accepted) > accepted or all(one.poll() is not None for one in runs)
            )
            self._startup = time.monotonic() - began
            self._sleep(self._trial.longest)
        run = self._random.choice(runs)
        members = _members(run)
        if self._random.random() < 0.5 or len(members) < 2:
            return ""
        victim = self._random.choice(members)
        os.kill(victim, signal.SIGKILL)
        self._sleep(self._trial.longest)
        return "began" if victim == run.pid else "them"

    def _kill_all(self, runs: list[subprocess.Popen[str]]) -> list[float | None]:
        """Kill each run, at the same moment or one after the other; says when (None: it had ended by itself)."""
        killed: list[float | None] = [None, None]
        pause = self._random.choice([0.0, self._trial.longest])
        for place in self._random.sample(range(2), 2):
            if _members(runs[place]):
                killed[place] = time.monotonic()
                os.killpg(runs[place].pid, signal.SIGKILL)
            self._sleep(pause)
        for one in runs:
            self._end(one)
        return killed

    def _compare(self) -> None:
        """Hold the server's record against the log."""
        log, has = self._log(), self._record.refresh().times
        self.result.accepted = len(self._record.accepted)
        everyone = {f"r{number}@torture.example" for number in range(self._trial.readers)}
        wanted = {
            (email, str(FIRST_DAY + timedelta(days=day))) for email in everyone for day in range(self.result.editions)
        }
        to = {one.message_id: one.recipient for one in self._record.accepted}
        self._expect("no digest planned", wanted - {(one.email, one.edition) for one in log})
        self._expect("not sent, says the log", {one.message_id for one in log if one.state != "sent"})
        self._expect("not with the server", {one.message_id for one in log} - has.keys())
        self._expect("not in the log", has.keys() - {one.message_id for one in log})
        self._expect("twice with the server", {one for one, times in has.items() if times > 1})
        self._expect("with another reader", {one.message_id for one in log if to.get(one.message_id) != one.email})
        papers = Counter((one.recipient, paper) for one in self._record.accepted for paper in set(one.papers))
        self._expect("papers twice", {one for one, times in papers.items() if times > 1})
        self._compare_updates()
        self._expect("without papers", {one.message_id for one in self._record.accepted if not one.papers})

    def _compare_updates(self) -> None:
        """Each event is told once, to those who were sent its paper in the edition before it was known."""
        accepted, day = self._record.accepted, {one.message_id: one.edition for one in self._log()}
        told = Counter((one.recipient, name) for one in accepted for name in one.updates)
        # Earlier papers fill the places of later editions too.
        new = {str(FIRST_DAY + timedelta(days=number - 1)): f"{number}-" for number in range(1, self.result.editions)}
        due = {
            (one.recipient, name)
            for one in accepted
            for name in one.papers
            if name.startswith(new.get(day.get(one.message_id, ""), "none"))
        }
        self._expect("updates twice", {one for one, times in told.items() if times > 1})
        self._expect("updates not told", due - told.keys())
        self._expect("updates of papers that were not sent", told.keys() - due)

    def _expect(self, what: str, wrong: set[object]) -> None:
        if wrong:
            self.result.complaints.append(f"{what}: {len(wrong)}, as {sorted(map(str, wrong))[0]}")

    def _resolve(self) -> None:
        """Settle what is unsure as the server's record has it."""
        unsure = [json.loads(line) for line in self._command("sends", "resolve", "--json").splitlines()]
        has = self._record.refresh().times
        for option, arrived in (("--sent", True), ("--again", False)):
            emails = [one["email"] for one in unsure if (one["message_id"] in has) is arrived]
            if emails:
                self._command("sends", "resolve", option, *emails)

    def _mistakes(self) -> tuple[int, int]:
        """How many messages the server has twice, and how many the log calls sent that it does not have."""
        has = self._record.refresh().times
        return sum(has.values()) - len(has), sum(
            one.state == "sent" and one.message_id not in has for one in self._log()
        )

    def _left(self) -> int:
        """How many digests have not come to their end."""
        settled = sum(one.state == "sent" or one.in_doubt for one in self._log())
        return self.result.editions * self._trial.readers - settled

    def _log(self) -> list[Line]:
        # Looked at past the program, whose word is what is put to the test.
        with closing(sqlite3.connect(self._folder / "var" / "newsletter.db")) as store:
            found = store.execute("SELECT message_id, email, edition, state, wire_at IS NOT NULL FROM sends")
            return [Line(*values[:4], on_wire=bool(values[4])) for values in found]

    def _write(self, name: str, rows: list[dict[str, object]]) -> str:
        path = self._folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    def _options(self) -> list[str]:
        day = FIRST_DAY + timedelta(days=max(0, self.result.editions - 1))
        return ["--config", str(self._folder / "config.yaml"), "--now", f"{day}T09:00"]

    def _command(self, *arguments: str) -> str:
        """Run a command in this process, which nobody kills; gives what it printed."""
        ran = CliRunner().invoke(app, [*self._options(), *arguments])
        if ran.exception is not None and IN_DOUBT not in str(ran.exception):
            raise ran.exception
        return ran.stdout

    def _start(self) -> subprocess.Popen[str]:
        return ForkedProcess(
            [*self._options(), "send"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _end(self, run: subprocess.Popen[str]) -> None:
        """Wait until a run has ended; what it should not have said is complained of."""
        _, err = run.communicate(timeout=PATIENCE)
        self._wait(lambda: not _members(run))
        said = _OF_PYTHON.sub("", err)
        told = [
            line for line in said.splitlines() if line.startswith(("error: ", "Traceback")) and IN_DOUBT not in line
        ]
        if told:
            self.result.complaints.append(f"a run ended with {run.returncode}: {' '.join(told)}")

    def _sleep(self, longest: float) -> None:
        time.sleep(self._random.uniform(0, longest))

    def _wait(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > end:
                raise RuntimeError("nothing has happened for two minutes")
            time.sleep(0.01)


def _members(run: subprocess.Popen[str]) -> list[int]:
    """The processes of a run that live: itself, and those that it began."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the name, in brackets: the state, the parent, the process group (proc(5)).
            state, _, group, *_ = path.read_text().rpartition(")")[2].split()
            if int(group) == run.pid and state not in "ZX":
                found.append(int(path.parent.name))
    return sorted(found)


def torture(folder: Path, trial: Trial, told: Callable[[str], None] = lambda line: None) -> Result:
    """Torture a newsletter in a new folder; ``told`` hears of each round, as a line of a table."""
    with recorder(folder / "record.jsonl", trial.slowest) as record:
        one = Torture(folder / "newsletter", trial, record, told)
        one.prepare()
        return one.run()


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill what sends, again and again, and count what arrived.")
    parser.add_argument("--readers", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--sessions", type=int, default=4, help="of each of the two runs")
    parser.add_argument("--engine", default="processes:2", help="as in the configuration")
    parser.add_argument("--slowest", type=float, default=0.2, help="seconds that the server takes for a step at most")
    parser.add_argument("--longest", type=float, default=3.0, help="seconds from a round's first message to a kill")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="of the moments of the kills")
    trial = Trial(**vars(parser.parse_args()))
    print(trial, Round.HEADING, sep="\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        result = torture(Path(folder), trial, lambda line: print(line, flush=True))
    print(result)
    sys.exit(1 if result.complaints else 0)


if __name__ == "__main__":
    main()
