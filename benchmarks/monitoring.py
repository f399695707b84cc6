"""Runs of ``newsletter send``, with the time, the memory and the processor time of all their processes."""

import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import Engine, select

from newsletter.model import SendState
from newsletter.store import reading, schema

_INTERVAL = 0.2
_OTHERS = ("smtp-sink",)


@dataclass
class Usage:
    """The peak resident memory (MB) and the processor time (seconds) of processes, by process id."""

    peak_mb: dict[int, float] = field(default_factory=dict)
    cpu_seconds: dict[int, float] = field(default_factory=dict)
    before: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note what processes had used that were running already."""
        self.look()
        self.before, self.cpu_seconds = self.cpu_seconds, {}

    def look(self) -> None:
        """Read the figures of this process's children, and their children, from the system."""
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error, OSError):
                if child.name() in _OTHERS:
                    continue
                times = child.cpu_times()
                self.cpu_seconds[child.pid] = times.user + times.system
                found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{child.pid}/status").read_text())
                if found:
                    self.peak_mb[child.pid] = int(found[1]) / 1024

    def total_cpu_seconds(self) -> float:
        """Return the processor time since the beginning."""
        return sum(used - self.before.get(pid, 0.0) for pid, used in self.cpu_seconds.items())


@dataclass(frozen=True)
class Ran:
    """What one run took: wall times and processor times (seconds), and the MB of each process, largest first."""

    seconds: float
    first_message_seconds: float | None
    cpu_seconds: float
    first_message_cpu_seconds: float
    peak_mb: Sequence[float]


def run(
    command: Sequence[str], folder: Path, store: Engine | None = None, environment: Mapping[str, str] | None = None
) -> Ran:
    """Run a module of Python in a folder until it ends.

    Args:
        command: the module and its arguments.
        store: where to look for the first message that was sent.
    """
    usage, first, first_cpu = Usage(), None, 0.0
    start = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", *command], cwd=folder, env=environment, stdout=subprocess.DEVNULL
    ) as running:
        while running.poll() is None:
            usage.look()
            if first is None and store is not None and _any_sent(store):
                first, first_cpu = time.monotonic() - start, usage.total_cpu_seconds()
            time.sleep(_INTERVAL)
    seconds = time.monotonic() - start
    if running.returncode:
        sys.exit(f"{' '.join(command)} ended with {running.returncode}")
    return Ran(seconds, first, usage.total_cpu_seconds(), first_cpu, sorted(usage.peak_mb.values(), reverse=True))


def _any_sent(store: Engine) -> bool:
    with reading(store) as connection:
        sent = select(schema.sends.c.row).where(schema.sends.c.state == SendState.SENT.value)
        return connection.execute(sent.limit(1)).first() is not None
