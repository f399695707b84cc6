"""Stored reloads of the configuration: how each process asks the others for one, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, func, insert, select

from newsletter.store.schema import config_reloads

_MOST_KEPT = 200


class ReloadKind(StrEnum):
    """Why a process read the configuration: it started, was asked to, or followed a process that was asked to."""

    START = "start"
    REQUESTED = "requested"
    FOLLOWED = "followed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReload:
    """One reading of the configuration by a process.

    Attributes:
        process: the command, such as ``run --web``.
        actor: who asked for it: the name of an operator, or ``SIGHUP``.
        changed: the settings that differ from before, such as ``site.name``.
        needs_restart: those of them that count only after a restart.
        problems: why the process keeps the previous configuration, a line each; empty if it does not.
        row: the number of the line, 0 before it is stored.
    """

    at: datetime
    kind: ReloadKind
    process: str
    actor: str = ""
    changed: Sequence[str] = ()
    needs_restart: Sequence[str] = ()
    problems: Sequence[str] = ()
    row: int = 0


_COLUMNS = tuple(config_reloads.c[name] for name in StoredReload.__dataclass_fields__)


def add(connection: Connection, reload: StoredReload) -> int:
    """Add a reload, and delete the oldest ones; return its row."""
    values = {name: getattr(reload, name) for name in ("at", "process", "actor")}
    lists = {name: list(getattr(reload, name)) for name in ("changed", "needs_restart", "problems")}
    added = connection.execute(insert(config_reloads).values(kind=reload.kind.value, **values, **lists))
    assert added.inserted_primary_key is not None  # noqa: S101 - inserted a line above
    row = int(added.inserted_primary_key[0])
    connection.execute(delete(config_reloads).where(config_reloads.c.row <= row - _MOST_KEPT))
    return row


def requested_after(connection: Connection, row: int) -> StoredReload | None:
    """Return the last reload that somebody asked for after a given row, None if there is none."""
    asked = (config_reloads.c.row > row, config_reloads.c.kind == ReloadKind.REQUESTED.value)
    query = select(*_COLUMNS).where(*asked).order_by(config_reloads.c.row.desc()).limit(1)
    found = connection.execute(query).mappings().first()
    return None if found is None else _reload(dict(found))


def last_of_each(connection: Connection) -> list[StoredReload]:
    """Return the last reading of the configuration by each process, by its command."""
    last = select(func.max(config_reloads.c.row)).group_by(config_reloads.c.process)
    query = select(*_COLUMNS).where(config_reloads.c.row.in_(last)).order_by(config_reloads.c.process)
    return [_reload(dict(row)) for row in connection.execute(query).mappings()]


def _reload(row: dict[str, object]) -> StoredReload:
    return StoredReload(**{**row, "kind": ReloadKind(str(row["kind"]))})  # type: ignore[arg-type]
