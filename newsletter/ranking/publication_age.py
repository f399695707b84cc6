"""Publication age: what was published long before it reached the store is not news."""

import calendar
from datetime import date, timedelta

from newsletter.model import Paper


def is_news(paper: Paper, most_days: int) -> bool:
    """Whether a paper was listed, or else published, at most ``most_days`` before the day it was first seen (UTC).

    The day it was first seen counts, not today, so that the answer stays the same. A paper without a date is news.
    """
    day = paper.listed_on or (latest_day(paper.published) if paper.published else None)
    if day is None or paper.first_seen is None:
        return True
    return paper.first_seen.date() - day <= timedelta(days=most_days)


def latest_day(published: date) -> date:
    """Return the last day that a date of publication may stand for.

    Sources that only know the year give its first day, and those that only know the month the first of the month. So
    1 January stands for its year, the first day of another month for that month, and any other day for itself.
    """
    if published.day > 1:
        return published
    month = 12 if published.month == 1 else published.month
    return date(published.year, month, calendar.monthrange(published.year, month)[1])
