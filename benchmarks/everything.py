"""All benchmarks, one after the other, at small sizes. ``make bench``.

Each runs in a process of its own; one that fails, or takes too long, does not stop the others. At the end there is a
table of all, which also goes to ``var/bench/summary.json``; the exit code is 1 if one failed. What needs data that is
not given is skipped, and the table says so.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.results import FOLDER, machine, parser
from newsletter.support.files import atomic_write_bytes

LIMIT_SECONDS = 600
"""After this a benchmark of small sizes counts as failed."""


@dataclass(frozen=True)
class Benchmark:
    """A module of this package.

    Attributes:
        small: its arguments for small sizes, where these are not its defaults.
        full: its arguments for the sizes of the documentation.
        needs_data: whether it measures on folders that have to be given.
    """

    module: str
    small: Sequence[str] = ()
    full: Sequence[str] = ("--full",)
    needs_data: bool = False


BENCHMARKS = (
    Benchmark("alerts"),
    Benchmark("rendering"),
    Benchmark("delivery"),
    Benchmark("ranking_speed"),
    Benchmark("web"),
    Benchmark("admin", ("--subscribers", "10000"), ()),
    Benchmark("flood"),
    Benchmark("copying"),
    Benchmark("scale"),
    Benchmark("ranking", needs_data=True),
    Benchmark("calibration", needs_data=True),
)


@dataclass(frozen=True)
class Outcome:
    """How a benchmark ended.

    Attributes:
        result: ``done``, ``failed`` or ``skipped``.
        reason: Why it failed or was skipped, or what was left out.
    """

    name: str
    result: str
    seconds: float
    reason: str = ""


def run(benchmark: Benchmark, arguments: Sequence[str], limit: float | None) -> Outcome:
    """Run a benchmark in a process of its own, and stop it with all its children after a number of seconds."""
    start, name = time.monotonic(), benchmark.module
    print(f"\n== {name} ==", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            code = process.wait(limit)
            reason = f"exit code {code}" if code else ""
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            reason = f"took longer than {limit:.0f} seconds"
    seconds = round(time.monotonic() - start, 1)
    return Outcome(name, "failed", seconds, reason) if reason else Outcome(name, "done", seconds, left_out(name))


def left_out(name: str) -> str:
    """Return what a benchmark left out, by its results, with the reasons."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return ""
    reasons = json.loads(path.read_text()).get("left_out", {})
    return "; ".join(f"without {peer}: {reason}" for peer, reason in reasons.items())


def run_all(benchmarks: Sequence[Benchmark], full: bool, data: Sequence[str]) -> Iterator[Outcome]:
    """Run benchmarks, and yield how each ended."""
    for benchmark in benchmarks:
        if benchmark.needs_data and not data:
            yield Outcome(benchmark.module, "skipped", 0.0, 'no folders are given (make bench DATA="FOLDER ...")')
        else:
            arguments = [*(benchmark.full if full else benchmark.small), *(data if benchmark.needs_data else ())]
            yield run(benchmark, arguments, None if full else LIMIT_SECONDS)


def main() -> None:
    names = [one.module for one in BENCHMARKS]
    asked = parser(__doc__)
    asked.add_argument("data", nargs="*", help="folders of readers' libraries or judged interests, for the ranking")
    asked.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    given = asked.parse_args()
    data = [str(Path(one).resolve()) for one in given.data]
    outcomes = list(run_all([one for one in BENCHMARKS if one.module in given.only], given.full, data))
    print(f"\n{'benchmark':16}{'result':10}{'seconds':>8}")
    for one in outcomes:
        print(f"{one.name:16}{one.result:10}{one.seconds:>8.0f}  {one.reason}")
    total = sum(one.seconds for one in outcomes)
    print(f"{'':26}{total:>8.0f}")
    summary = {"machine": machine(), "full": given.full, "seconds": round(total, 1)}
    text = json.dumps({**summary, "benchmarks": [asdict(one) for one in outcomes]}, indent=2)
    atomic_write_bytes(FOLDER / "summary.json", f"{text}\n".encode(), 0o644)
    sys.exit(int(any(one.result == "failed" for one in outcomes)))


if __name__ == "__main__":
    main()
