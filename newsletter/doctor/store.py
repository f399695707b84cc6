"""What the newsletter keeps: the store, the subscribers in it and in their files, what waits to be sent."""

import stat
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from newsletter.audience import subscriptions
from newsletter.config.settings import Config
from newsletter.doctor import machine
from newsletter.doctor.result import CheckResult, bad, ok, warning
from newsletter.model import SendState, SubscriberState
from newsletter.store import health, reading, scheduled_jobs, subscribers, writing
from newsletter.store.database import HEAD

_LOOK_SECONDS = 8.0
_LATE = timedelta(hours=1)
_NAMED = 5
_RUN = "start 'newsletter run', or 'newsletter run --once' by a timer"


def store(config: Config, engine: Engine) -> CheckResult:
    """The store: whole, writable, in the right place and for its owner alone.

    Raises:
        NewsletterError: it cannot be read, or not written.
    """
    name, file = "store", file_of(config)
    with reading(engine) as connection:
        journal = health.journal(connection)
        try:
            damage, looked = health.damage(connection, _LOOK_SECONDS), "whole"
        except TimeoutError:
            damage, looked = None, f"too large to be looked through in {_LOOK_SECONDS:g} s"
    if damage is not None:
        return bad(name, f"{file} is damaged: {damage}", "restore it from a backup")
    with writing(engine) as connection:
        health.write_nothing(connection)
    if file is None:
        return ok(name, f"{engine.dialect.name}, schema {HEAD}, writable")
    kind = machine.on_network(file)
    if kind is not None:
        text = f"{file} lies on a network file system ({kind}), where SQLite breaks"
        return bad(name, text, "set store.url to a file on a disk of this machine, or to PostgreSQL")
    if journal != "wal":
        return warning(
            name, f"{file}: its journal is {journal}, not WAL", "see who else has opened it, or how it is mounted"
        )
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        return warning(
            name, f"{file}: others may read the addresses in it (mode {mode:04o})", f"run 'chmod 600 {file}'"
        )
    size = f"{file.stat().st_size / 1e6:.1f} MB"
    return ok(name, f"{file}, {size}, schema {HEAD}, {looked}, writable")


def file_of(config: Config) -> Path | None:
    """The file of the store; None when it is no SQLite."""
    url = make_url(config.store_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def people(config: Config, engine: Engine, now: datetime) -> CheckResult:
    """The subscribers: how many, and which of their files are wrong, as the next edition would find it."""
    name = "subscribers"
    with writing(engine) as connection:
        files = subscriptions.sync_files(connection, config.subscribers_folder, now)
        counts = subscribers.counts(connection)
        connection.rollback()  # Looking changes nothing.
    text = ", ".join(f"{counts[state]} {state.value}" for state in SubscriberState if counts.get(state))
    new = f", {len(files.added)} of them in new files" if files.added else ""
    if files.problems:
        return _wrong_files(name, files.problems)
    if not counts.get(SubscriberState.ACTIVE):
        return warning(
            name, f"nobody gets mail yet ({text or 'none'})", "'newsletter subscribe you@example.org -i TOPIC'"
        )
    return ok(name, text + new)


def _wrong_files(name: str, problems: list[str]) -> CheckResult:
    if len(problems) == 1:
        found, _, fix = problems[0].rpartition("; ")
        return bad(name, found or fix, fix if found else "mend the file")
    files = list(dict.fromkeys(Path(problem.split(":", 1)[0]).name for problem in problems))
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    found = f"{len(problems)} mistakes in {', '.join(files[:_NAMED])}{more}"
    return bad(name, found, "'newsletter interests check' tells each")


def sends(engine: Engine, now: datetime) -> CheckResult:
    """What waits to be sent, and what nobody knows of."""
    name = "sends"
    with reading(engine) as connection:
        waiting = health.waiting(connection)
    text = ", ".join(f"{one.count} {state.value}" for state, one in waiting.items())
    if SendState.UNSURE in waiting:
        return warning(name, text, "'newsletter sends resolve' lists the unsure and settles them")
    stuck = [one for state, one in waiting.items() if state is SendState.PLANNED and now - one.since > _LATE]
    if stuck:
        return warning(
            name, f"{text}; the first since {stuck[0].since:%Y-%m-%d %H:%M} UTC", "'newsletter send' sends them"
        )
    return ok(name, text or "nothing waits")


def schedule(engine: Engine, now: datetime) -> CheckResult:
    """Whether anything sends by itself."""
    name = "schedule"
    with reading(engine) as connection:
        overdue, tick = health.overdue(connection, now - _LATE), scheduled_jobs.next_tick(connection)
    running = tick is not None and now - tick < _LATE
    if overdue is not None:
        text = f"{overdue.count} due since {overdue.since:%Y-%m-%d %H:%M} UTC got no digest"
        last = f"; 'newsletter run' was last at work about {tick:%Y-%m-%d %H:%M} UTC" if tick and not running else ""
        return warning(name, text + last, "see what 'newsletter run' says" if running else _RUN)
    if running:
        return ok(name, "'newsletter run' is at work")
    return ok(name, "nobody is overdue; 'newsletter run' is not at work")
