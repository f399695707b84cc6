"""What is published long ago is not news, whatever is known of its date."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.model import Paper
from newsletter.ranking.publication_age import is_news, latest_day

DAYS = st.dates(date(1990, 1, 1), date(2100, 1, 1))


def paper(seen: date, published: date | None = None, listed: date | None = None) -> Paper:
    return Paper(
        title="Looms", published=published, listed_on=listed, first_seen=datetime.combine(seen, time(9), tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("published", "latest"),
    [
        (date(2025, 1, 1), date(2025, 12, 31)),
        (date(2024, 2, 1), date(2024, 2, 29)),
        (date(2025, 12, 1), date(2025, 12, 31)),
        (date(2025, 1, 2), date(2025, 1, 2)),
        (date(2025, 7, 31), date(2025, 7, 31)),
    ],
)
def test_a_date_stands_for_the_year_or_month_that_it_begins(published: date, latest: date) -> None:
    assert latest_day(published) == latest


@given(DAYS)
def test_the_latest_day_is_in_the_same_year_and_not_before(published: date) -> None:
    assert published <= latest_day(published)
    assert latest_day(published).year == published.year


@given(DAYS, DAYS, st.integers(0, 3000))
def test_the_age_when_first_seen_decides(seen: date, published: date, most: int) -> None:
    assert is_news(paper(seen, published), most) == (latest_day(published) >= seen - timedelta(days=most))
    # A listing counts before the publication, to the day.
    assert is_news(paper(seen, date(1900, 5, 5), listed=published), most) == (published >= seen - timedelta(days=most))
    assert is_news(paper(seen), most)
