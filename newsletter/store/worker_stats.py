"""Stored worker statistics: how much each sending process has sent."""

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
        name: the host, the process id, and a mark that distinguishes it from others with the same id.
        since, last: when it settled its first and its last send (UTC). ``sends``: how many it settled, by state.
    """

    name: str
    since: datetime
    last: datetime
    sends: Counter[SendState]

    @property
    def host(self) -> str:
        """The host it runs on."""
        return self.name.split("/")[0]

    @property
    def process(self) -> str:
        """Its process id on that host."""
        return self.name.split("/")[1]

    @property
    def a_second(self) -> float | None:
        """Sends settled per second; None within the first second."""
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
    """Return how many sends some owners of claims have settled, by state."""
    found: dict[str, Counter[SendState]] = {owner: Counter() for owner in owners}
    for row in connection.execute(select(worker_stats).where(worker_stats.c.name.in_(owners))):
        found[row.name][SendState(row.state)] += row.number
    return found


def _process(owner: str) -> str:
    # What follows these three parts distinguishes several runs in one process.
    return "/".join(owner.split("/")[:3])


@cache
def _add(dialect: str) -> Any:
    # Built once: this runs several times a second, and building a statement takes longer than executing it.
    statement = upsert_for(dialect, worker_stats)
    new = statement.excluded
    latest = case((new.last > worker_stats.c.last, new.last), else_=worker_stats.c.last)
    return statement.on_conflict_do_update(
        index_elements=["name", "state"], set_={"number": worker_stats.c.number + new.number, "last": latest}
    )


def seen_since(connection: Connection, moment: datetime) -> list[WorkerStats]:
    """Return those that settled something since a given time (UTC), by name; a process counts once for all its runs."""
    found: dict[str, WorkerStats] = {}
    for row in connection.execute(select(worker_stats).order_by(worker_stats.c.name)):
        name = _process(row.name)
        known = found.get(name) or WorkerStats(name, row.since, row.last, Counter())
        sends = known.sends + Counter({SendState(row.state): row.number})
        found[name] = WorkerStats(name, min(known.since, row.since), max(known.last, row.last), sends)
    return [one for one in found.values() if one.last >= moment]


def forget(connection: Connection, before: datetime) -> None:
    """Delete those that settled nothing since a given time (UTC)."""
    last = select(worker_stats.c.name).group_by(worker_stats.c.name).having(func.max(worker_stats.c.last) < before)
    connection.execute(delete(worker_stats).where(worker_stats.c.name.in_(last)))
