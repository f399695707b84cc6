"""The requests to OpenAlex of a day (UTC), counted for sources, alerts and libraries together."""

from datetime import datetime

from sqlalchemy import Connection, Engine

from newsletter.config.settings import Config
from newsletter.services.context import AppContext
from newsletter.sources.errors import NoAnswerError
from newsletter.store import rate_limit, writing

_BUDGET = "source openalex"

SPENT = (
    "OpenAlex: the requests of today are used up; they start again at midnight UTC; "
    "raise libraries.openalex_requests_per_day if OpenAlex allows more"
)


class BudgetSpentError(NoAnswerError):
    """The requests of the day are used up."""

    def __init__(self) -> None:
        super().__init__(SPENT)


class RequestCounter:
    """Counts the requests of a thread that must not use the store; :meth:`save` stores their number after it."""

    def __init__(self, context: AppContext) -> None:
        self._context, self._made = context, 0
        with writing(context.engine) as connection:
            self._left = _left(connection, context.config, context.clock())

    def __call__(self) -> None:
        """Count a request that is about to be made.

        Raises:
            BudgetSpentError: the day has none left.
        """
        if self._made >= self._left:
            raise BudgetSpentError
        self._made += 1

    def save(self) -> None:
        """Store how many requests were made."""
        count_requests(self._context.engine, self._context.clock(), self._made)


def spend(context: AppContext, now: datetime) -> None:
    """Count a request that is about to be made.

    Raises:
        BudgetSpentError: the day has none left.
    """
    with writing(context.engine) as connection:
        if _left(connection, context.config, now) <= 0:
            raise BudgetSpentError
        rate_limit.count(connection, _BUDGET, _minute(now), 1)


def requests_left(engine: Engine, config: Config, now: datetime) -> int:
    """Return how many requests the day has left."""
    with writing(engine) as connection:
        return max(0, _left(connection, config, now))


def count_requests(engine: Engine, now: datetime, made: int) -> None:
    """Store that some requests were made."""
    if made:
        with writing(engine) as connection:
            rate_limit.count(connection, _BUDGET, _minute(now), made)


def _left(connection: Connection, config: Config, now: datetime) -> int:
    minute = _minute(now)
    midnight = minute - minute % (24 * 60)
    rate_limit.forget_counts(connection, _BUDGET, midnight, minute)
    used = sum(number for _, number in rate_limit.counts(connection, _BUDGET, midnight - 1))
    return config.libraries.openalex_requests_per_day - used


def _minute(now: datetime) -> int:
    return int(now.timestamp()) // 60
