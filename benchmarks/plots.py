"""Plots of results, as SVG that takes its colours from the page it is in. The documentation is built with them.

A page has ``<!-- plot NAME FIGURE -->`` for a figure of ``docs/benchmarks/NAME.json`` (``FIGURE`` may be a path with
full stops), and ``<!-- measured NAME -->`` for a paragraph on the machine, the sizes, and what was left out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.results import label, shown

WIDTH, ROW, BAR = 340, 34, 9
_PLOT = re.compile(r"^<!-- plot (?P<name>\S+) (?P<figure>\S+) -->$", re.MULTILINE)
_MEASURED = re.compile(r"^<!-- measured (?P<name>\S+) -->$", re.MULTILINE)


def draw_all(markdown: str, folder: Path) -> str:
    """Replace the comments of a page by what they name; without published results the page says so.

    Args:
        folder: where the results are.

    Raises:
        ValueError: a comment names a figure that the results lack.
    """

    def plotted(found: re.Match[str]) -> str:
        results = read(folder, found["name"])
        figure = found["figure"]
        return "" if results is None else plot(figure.rpartition(".")[2], figure_of(results, figure))

    def described(found: re.Match[str]) -> str:
        results = read(folder, found["name"])
        return f"No results of `{found['name']}` are published yet." if results is None else describe(results)

    return _MEASURED.sub(described, _PLOT.sub(plotted, markdown))


def read(folder: Path, name: str) -> dict[str, Any] | None:
    """Read the results of a benchmark, None if there are none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def figure_of(results: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """Return the part of some results at a path with full stops."""
    part: Any = results
    for name in path.split("."):
        part = part.get(name) if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping):
        raise ValueError(f"{results.get('benchmark')}.json has no figure {path!r}")
    return part


def plot(title: str, figure: Mapping[str, Any]) -> str:
    """Draw the numbers of a figure as bars, in one line of HTML. Ours have a colour of their own."""
    title, rows = label(title).capitalize(), list(bars(figure))
    most = max((value for _, value in rows if value is not None), default=0) or 1
    drawn = [f'<text class="title" x="0" y="14">{escape(title)}</text>']
    for number, (name, value) in enumerate(rows):
        top = 24 + number * ROW
        kind = "ours" if "ours" in name.split() or name.startswith("ours") else "peer"
        drawn.append(f'<text x="0" y="{top + 13}">{escape(name)}</text>')
        figures = "left out" if value is None else shown(value)
        drawn.append(f'<text x="{WIDTH}" y="{top + 13}" text-anchor="end">{figures}</text>')
        if value is not None:
            width = max(round(value / most * WIDTH, 1), 1)
            drawn.append(f'<rect class="{kind}" x="0" y="{top + 18}" width="{width}" height="{BAR}"/>')
    said = "; ".join(f"{name}: {'left out' if value is None else shown(value)}" for name, value in rows)
    height = 28 + len(rows) * ROW
    alternative = escape(f"Bar chart. {title}. {said}.", quote=True)
    return (
        f'<figure class="plot"><svg role="img" aria-label="{alternative}" viewBox="0 0 {WIDTH} {height}">'
        f"{''.join(drawn)}</svg></figure>"
    )


def bars(figure: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float | None]]:
    """Yield the numbers of a figure with their names; those of nested ones have all names, from the outside in."""
    for name, value in figure.items():
        whole = f"{above}, {label(name)}" if above else label(name)
        if isinstance(value, Mapping):
            yield from bars(value, whole)
        elif value is None or isinstance(value, int | float):
            yield whole, value


def describe(results: Mapping[str, Any]) -> str:
    """Say on what machine, when, and with which sizes something was measured, and what was left out."""
    machine = results["machine"]
    day = datetime.fromisoformat(results["date"]).date()
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}"
    sizes = "; ".join(f"{label(name)}: {shown(value)}" for name, value in results["sizes"].items())
    text = f"Measured on {day} with version {results['version']}, Python {machine['python']}: {where}. {sizes}."
    if not results["full"]:
        text += " These are the small sizes of `make bench`."
    for name, reason in results["left_out"].items():
        text += f" Left out: {label(name)}, since {reason}."
    return f"{text} [All figures](../benchmarks/{results['benchmark']}.json)."
