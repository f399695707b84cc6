"""The workers in the store: how much each process that sends has sent."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, case, delete, func, select

from newsletter.model import SendState
from newsletter.store.database import upsert_for
from newsletter.store.schema import worker_stats


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """A process that sends.

    Attributes:
        name: the host, the number of the process, and a mark that tells it from others of that number.
        since, last: when it settled its first send and its last (UTC). ``sends``: how many it settled, by state.
    """

    name: str
    since: datetime
    last: datetime
    sends: Counter[SendState]

    @property
    def host(self) -> str:
        """Where it is."""
        return self.name.split("/")[0]

    @property
    def process(self) -> str:
        """Its number there."""
        return self.name.split("/")[1]

    @property
    def a_second(self) -> float | None:
        """Sends settled a second; None before a second is over."""
        seconds = (self.last - self.since).total_seconds()
        return self.sends.total() / seconds if seconds >= 1 else None


def count(connection: Connection, owner: str, states: Iterable[SendState], now: datetime) -> None:
    """Count what an owner of claims has settled, in the transaction that settles it."""
    values = [
        {"name": owner, "state": state.value, "number": number, "since": now, "last": now}
        for state, number in Counter(states).items()
    ]
    if values:
        connection.execute(_add(connection.dialect.name), values)


def of_owners(connection: Connection, owners: Collection[str]) -> dict[str, Counter[SendState]]:
    """How many sends some owners of claims have settled, by state."""
    found: dict[str, Counter[SendState]] = {owner: Counter() for owner in owners}
    for row in connection.execute(select(worker_stats).where(worker_stats.c.name.in_(owners))):
        found[row.name][SendState(row.state)] += row.number
    return found


def _process(owner: str) -> str:
    # What comes behind these three tells apart what one process does for several runs.
    return "/".join(owner.split("/")[:3])


@cache
def _add(dialect: str) -> Any:
    # Made once: this runs several times a second, and to make a statement takes longer than to execute it.
    statement = upsert_for(dialect, worker_stats)
    new = statement.excluded
    latest = case((new.last > worker_stats.c.last, new.last), else_=worker_stats.c.last)
    return statement.on_conflict_do_update(
        index_elements=["name", "state"], set_={"number": worker_stats.c.number + new.number, "last": latest}
    )


def seen_since(connection: Connection, moment: datetime) -> list[WorkerStats]:
    """Those that settled something since a moment (UTC), by name; a process counts once, however many runs it had."""
    found: dict[str, WorkerStats] = {}
    for row in connection.execute(select(worker_stats).order_by(worker_stats.c.name)):
        name = _process(row.name)
        known = found.get(name) or WorkerStats(name, row.since, row.last, Counter())
        sends = known.sends + Counter({SendState(row.state): row.number})
        found[name] = WorkerStats(name, min(known.since, row.since), max(known.last, row.last), sends)
    return [one for one in found.values() if one.last >= moment]


def forget(connection: Connection, before: datetime) -> None:
    """Forget those that settled nothing since a moment (UTC)."""
    last = select(worker_stats.c.name).group_by(worker_stats.c.name).having(func.max(worker_stats.c.last) < before)
    connection.execute(delete(worker_stats).where(worker_stats.c.name.in_(last)))
