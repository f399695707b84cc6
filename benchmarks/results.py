"""Results of a benchmark: printed with ratios, and written to ``var/bench/NAME.json`` with the machine and the sizes.

The file has ``benchmark``, ``date`` (UTC), ``version``, ``commit``, ``machine``, ``full`` (whether the sizes are the
documented ones), ``seconds`` (of the whole run), ``sizes``, ``left_out`` (peers that could not run, by name, with the
reason), and the figures, whose names have the unit.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NoReturn

from newsletter import __version__
from newsletter.support.files import atomic_write_bytes

FOLDER = Path("var/bench")
Rates = dict[str, float | None]


class LeftOut(Exception):
    """The reason why a peer cannot run here."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option that all benchmarks have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--full", action="store_true", help="use the sizes of the documentation, which takes longer")
    return made


def fail(message: str) -> NoReturn:
    """Exit with code 2: something is missing that the user can provide."""
    print(message, file=sys.stderr)
    sys.exit(2)


@dataclass
class Results:
    """What one run of a benchmark measured."""

    name: str
    full: bool
    sizes: Mapping[str, object]
    figures: dict[str, object] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    machine: Mapping[str, object] = field(default_factory=lambda: machine())

    def __post_init__(self) -> None:
        """Print what is going to be measured, and where."""
        here = self.machine
        print(f"{here['cpu']}, {here['cores']} cores, {here['memory_gb']} GB, Python {here['python']}")
        print("; ".join(f"{label(name)}: {shown(value)}" for name, value in self.sizes.items()), flush=True)

    def leave_out(self, name: str, reason: str) -> None:
        """Record, and print, that a peer cannot run."""
        self.left_out[name] = reason
        print(f"  {label(name)}: left out, {reason}", flush=True)

    def interleave(self, runs: Mapping[str, Callable[[], float]], rounds: int) -> Rates:
        """Run each in turn, in several rounds, so that a slow minute hits all of them; return the medians.

        A run that raises ``LeftOut`` is recorded, and its figure is None.
        """
        found: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                if name not in self.left_out:
                    try:
                        found[name].append(run())
                    except LeftOut as error:
                        self.leave_out(name, str(error))
        return {name: rounded(median(values)) if values else None for name, values in found.items()}

    def write(self) -> Path:
        """Write the file, and print its path."""
        path = FOLDER / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {
            "benchmark": self.name,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "commit": commit(),
            "machine": self.machine,
            "full": self.full,
            "seconds": round(time.monotonic() - self.began, 1),
            "sizes": dict(self.sizes),
        }
        if clash := facts.keys() & self.figures.keys():
            raise ValueError(f"{', '.join(clash)}: no names for figures, since all results have them")
        content = {**facts, **self.figures, "left_out": self.left_out}
        text = json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n"
        atomic_write_bytes(path, text.encode(), 0o644)
        print(f"{facts['seconds']:.0f} s; written: {path}", flush=True)
        return path


def show(title: str, rates: Mapping[str, float | None], ours: str) -> dict[str, float | None]:
    """Print rates, with how many times as fast ours is; return these ratios."""
    print(f"\n{title}")
    ratios: dict[str, float | None] = {}
    mine = rates[ours]
    for name, rate in rates.items():
        line = f"  {label(name):40}{shown(rate):>12}"
        if name != ours:
            ratios[name] = rounded(mine / rate) if mine and rate else None
            line += f"   {label(ours)}: {ratios[name]:g} times as fast" if ratios[name] else ""
        print(line, flush=True)
    return ratios


def label(name: str) -> str:
    """Write the name of a figure in words."""
    return name.replace("_", " ")


def shown(value: object) -> str:
    """Write a figure: numbers with commas and at most four digits after them, None as a dash."""
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    if value is None or isinstance(value, bool | str):
        return "-" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if isinstance(value, float) and value >= 1000 else f"{value:.4g}"


def rounded(value: float, digits: int = 4) -> float:
    """Round to significant digits."""
    return float(f"{value:.{digits}g}")


def _plain(value: object) -> object:
    """Convert a NumPy number or array, which ``json`` cannot write."""
    return value.tolist()  # type: ignore[attr-defined]


def machine() -> dict[str, object]:
    """Describe the machine: the processor, its cores that this process may use, memory (GB), system and Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    system = platform.platform(terse=True)
    with suppress(OSError):
        system = f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.system()} {platform.release()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _processor(),
        "cores": cores,
        "memory_gb": round(memory / 1e9),
        "system": system,
        "python": platform.python_version(),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """Return what Git calls the checked-out version, None outside of a clone."""
    command = ["git", "describe", "--always", "--tags", "--dirty"]
    with suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(
            command, cwd=Path(__file__).parent, check=True, capture_output=True, text=True
        ).stdout.strip()
    return None
