"""Stored jobs of APScheduler, in a table that APScheduler creates."""

from datetime import UTC, datetime

from sqlalchemy import Connection, inspect, text

_TABLE = "scheduled_jobs"


def take_all(connection: Connection) -> dict[str, datetime]:
    """Remove the stored jobs and return when each is due (UTC), by name.

    Their pickled state is not read: it names functions and classes of the version that wrote it.
    """
    found = connection.execute(text(f"DELETE FROM {_TABLE} RETURNING id, next_run_time"))  # noqa: S608 - a constant
    return {row.id: datetime.fromtimestamp(float(row.next_run_time), UTC) for row in found if row.next_run_time}


def next_tick(connection: Connection) -> datetime | None:
    """Return when ``newsletter run`` looks for due subscribers next (UTC).

    Long past if it is not running, None if it never ran.
    """
    if not inspect(connection).has_table(_TABLE):
        return None
    query = text(f"SELECT next_run_time FROM {_TABLE} WHERE id = 'tick'")  # noqa: S608 - a constant
    found = connection.execute(query).scalar()
    return datetime.fromtimestamp(float(found), UTC) if found is not None else None
