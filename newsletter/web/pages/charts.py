"""Plots as figures: bars that stand on one another, measured here and drawn by a template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1000.0, 100.0
"""The measures that bars are given in; a page stretches them to what room it has."""

_GAP = 0.2
"""Of the room of a bar, what is left free beside it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a bar: where it stands, which series it is of (a class of the style sheet), and what it says."""

    x: float
    y: float
    width: float
    height: float
    series: str
    title: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """A plot of bars, one a row of its table.

    Attributes:
        series: what each part of a bar is called, by its name in the style sheet; the lowest first.
        rows: what each bar stands for, and its numbers in the order of ``series``.
        top: the number at the upper edge.
    """

    series: Mapping[str, str]
    rows: Sequence[tuple[str, Sequence[int]]]
    top: int
    pieces: Sequence[Bar]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.pieces

    @property
    def labels(self) -> list[str]:
        """What stands below it: the first bar, one in the middle and the last."""
        names = [name for name, _ in self.rows]
        return names if len(names) < 3 else [names[0], names[len(names) // 2], names[-1]]


def stacked_chart(series: Mapping[str, str], rows: Sequence[tuple[str, Mapping[str, int]]]) -> BarChart:
    """A plot of stacked bars.

    Args:
        series: as :class:`BarChart` has them.
        rows: what each bar stands for, from left to right, with its number of each series.
    """
    numbers = [(name, [counts.get(one, 0) for one in series]) for name, counts in rows]
    top = _round_up(max((sum(counts) for _, counts in numbers), default=0))
    pieces: list[Bar] = []
    step = WIDTH / max(len(numbers), 1)
    for place, (name, counts) in enumerate(numbers):
        below = 0.0
        for (one, words), number in zip(series.items(), counts, strict=True):
            if number:
                # At least a hair, so that a few among thousands can be seen.
                height = max(number / top * HEIGHT, 1.0)
                x, y = (place + _GAP / 2) * step, HEIGHT - below - height
                title = f"{name}: {number:,} {words}"
                pieces.append(Bar(x, max(y, 0.0), (1 - _GAP) * step, height, one, title))
                below += height
    return BarChart(series, numbers, top, pieces)


def _round_up(number: int) -> int:
    """A number with one or two digits that count, not below another."""
    if number <= 10:
        return max(number, 1)
    step = 5 * int(10 ** (len(str(number)) - 2))
    return -(-number // step) * step
