"""Stacked bar charts: the geometry is computed here and drawn by a template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1000.0, 100.0
"""Size of the coordinate system; the page scales it to the available width."""

_GAP = 0.2
"""Share of a bar's width that is left free."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A segment of a bar: position, series (a CSS class) and title."""

    x: float
    y: float
    width: float
    height: float
    series: str
    title: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """A stacked bar chart; each bar is a row of its table.

    Attributes:
        series: label of each series by its CSS class, the lowest first.
        rows: label of each bar, and its numbers in the order of ``series``.
        top: the number at the upper edge.
    """

    series: Mapping[str, str]
    rows: Sequence[tuple[str, Sequence[int]]]
    top: int
    pieces: Sequence[Bar]

    @property
    def empty(self) -> bool:
        """Whether the chart has no data."""
        return not self.pieces

    @property
    def labels(self) -> list[str]:
        """The labels of the first, middle and last bar."""
        names = [name for name, _ in self.rows]
        return names if len(names) < 3 else [names[0], names[len(names) // 2], names[-1]]


def stacked_chart(series: Mapping[str, str], rows: Sequence[tuple[str, Mapping[str, int]]]) -> BarChart:
    """Build a stacked bar chart.

    Args:
        series: as :class:`BarChart` has them.
        rows: label of each bar, from left to right, with its number per series.
    """
    numbers = [(name, [counts.get(one, 0) for one in series]) for name, counts in rows]
    top = _round_up(max((sum(counts) for _, counts in numbers), default=0))
    pieces: list[Bar] = []
    step = WIDTH / max(len(numbers), 1)
    for place, (name, counts) in enumerate(numbers):
        below = 0.0
        for (one, words), number in zip(series.items(), counts, strict=True):
            if number:
                # At least 1, so that a few among thousands are visible.
                height = max(number / top * HEIGHT, 1.0)
                x, y = (place + _GAP / 2) * step, HEIGHT - below - height
                title = f"{name}: {number:,} {words}"
                pieces.append(Bar(x, max(y, 0.0), (1 - _GAP) * step, height, one, title))
                below += height
    return BarChart(series, numbers, top, pieces)


def _round_up(number: int) -> int:
    """Round up to one or two significant digits."""
    if number <= 10:
        return max(number, 1)
    step = 5 * int(10 ** (len(str(number)) - 2))
    return -(-number // step) * step
