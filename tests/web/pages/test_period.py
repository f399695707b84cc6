"""Days, weeks and months as addresses have them."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.web.pages.period import Kind, around, read_period

KINDS: tuple[Kind, ...] = ("date", "week", "month")


@given(st.dates(), st.sampled_from(KINDS))
def test_what_is_written_is_read_again(day: date, kind: Kind) -> None:
    period = around(kind, day)
    assert period.first <= day <= period.last
    assert read_period(kind, period.path.rpartition("/")[2]) == period
    assert str(period.last.day) in period.words or kind == "month"
    if period.last < date.max:
        assert around(kind, period.last + timedelta(days=1)).first == period.last + timedelta(days=1)


@given(st.text(max_size=12) | st.from_regex(r"\d{4}-W?\d{1,2}(-\d\d)?", fullmatch=True), st.sampled_from(KINDS))
def test_nothing_else_is_read(text: str, kind: Kind) -> None:
    period = read_period(kind, text)
    assert period is None or period.path == f"/papers/{kind}/{text}"


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("date", "2025-11-25", "Tuesday, 25 November 2025"),
        ("week", "2025-W48", "24–30 November 2025"),
        ("week", "2025-W40", "29 September – 5 October 2025"),
        ("week", "2026-W01", "29 December 2025 – 4 January 2026"),
        ("month", "2024-02", "February 2024"),
    ],
)
def test_a_period_in_words(kind: Kind, text: str, words: str) -> None:
    period = read_period(kind, text)
    assert period is not None
    assert period.words == words


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("date", "2025-02-29"),
        ("date", "0000-01-01"),
        ("date", "٢٠٢٥-١١-٢٥"),
        ("week", "2025-W53"),
        ("month", "2025-13"),
    ],
)
def test_what_there_is_not(kind: Kind, text: str) -> None:
    assert read_period(kind, text) is None
