"""Checks of the store, the subscribers, waiting sends and the schedule."""

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
from newsletter.store import health, reading, reloads, scheduled_jobs, subscribers, writing
from newsletter.store.database import HEAD
from newsletter.store.reloads import ReloadKind

_LOOK_SECONDS = 8.0
_LATE = timedelta(hours=1)
_NAMED = 5
_RUN = "start 'newsletter run', or run 'newsletter run --once' by a timer"


def store(config: Config, engine: Engine) -> CheckResult:
    """Check that the store is intact, writable, on a local disk and private.

    Raises:
        NewsletterError: it cannot be read or written.
    """
    name, file = "store", file_of(config)
    with reading(engine) as connection:
        journal = health.journal(connection)
        try:
            damage, looked = health.damage(connection, _LOOK_SECONDS), "intact"
        except TimeoutError:
            damage, looked = None, f"too large to check fully in {_LOOK_SECONDS:g} s"
    if damage is not None:
        return bad(name, f"{file} is damaged: {damage}", "restore it from a backup")
    with writing(engine) as connection:
        health.write_nothing(connection)
    if file is None:
        return ok(name, f"{engine.dialect.name}, schema {HEAD}, writable")
    kind = machine.on_network(file)
    if kind is not None:
        text = f"{file} is on a network file system ({kind}), where SQLite fails"
        return bad(name, text, "set store.url to a file on a local disk, or to PostgreSQL")
    if journal != "wal":
        return warning(
            name, f"{file}: its journal is {journal}, not WAL", "check what else has opened it, and how it is mounted"
        )
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        return warning(name, f"{file}: readable by others (mode {mode:04o})", f"run 'chmod 600 {file}'")
    size = f"{file.stat().st_size / 1e6:.1f} MB"
    return ok(name, f"{file}, {size}, schema {HEAD}, {looked}, writable")


def file_of(config: Config) -> Path | None:
    """Return the file of the store; None if it is not SQLite."""
    url = make_url(config.store_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def people(config: Config, engine: Engine, now: datetime) -> CheckResult:
    """Check the subscribers and their files, as the next edition would read them."""
    name = "subscribers"
    with writing(engine) as connection:
        files = subscriptions.sync_files(connection, config.subscribers_folder, now)
        counts = subscribers.counts(connection)
        connection.rollback()  # A check changes nothing.
    text = ", ".join(f"{counts[state]} {state.value}" for state in SubscriberState if counts.get(state))
    new = f", {len(files.added)} of them in new files" if files.added else ""
    if files.problems:
        return _wrong_files(name, files.problems)
    if not counts.get(SubscriberState.ACTIVE):
        return warning(
            name, f"no active subscribers ({text or 'none'})", "run 'newsletter subscribe you@example.org -i TOPIC'"
        )
    return ok(name, text + new)


def _wrong_files(name: str, problems: list[str]) -> CheckResult:
    if len(problems) == 1:
        found, _, fix = problems[0].rpartition("; ")
        return bad(name, found or fix, fix if found else "fix the file")
    files = list(dict.fromkeys(Path(problem.split(":", 1)[0]).name for problem in problems))
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    found = f"{len(problems)} errors in {', '.join(files[:_NAMED])}{more}"
    return bad(name, found, "list them with 'newsletter interests check'")


def sends(engine: Engine, now: datetime) -> CheckResult:
    """Check for waiting sends and sends of unknown outcome."""
    name = "sends"
    with reading(engine) as connection:
        waiting = health.waiting(connection)
    text = ", ".join(f"{one.count} {state.value}" for state, one in waiting.items())
    if SendState.UNSURE in waiting:
        return warning(name, text, "list and resolve the unsure sends with 'newsletter sends resolve'")
    stuck = [one for state, one in waiting.items() if state is SendState.PLANNED and now - one.since > _LATE]
    if stuck:
        return warning(
            name, f"{text}; the first since {stuck[0].since:%Y-%m-%d %H:%M} UTC", "send them with 'newsletter send'"
        )
    return ok(name, text or "no sends waiting")


def schedule(engine: Engine, now: datetime) -> CheckResult:
    """Check whether 'newsletter run' is running and nobody is overdue."""
    name = "schedule"
    with reading(engine) as connection:
        overdue, tick = health.overdue(connection, now - _LATE), scheduled_jobs.next_tick(connection)
    running = tick is not None and now - tick < _LATE
    if overdue is not None:
        text = f"{overdue.count} due since {overdue.since:%Y-%m-%d %H:%M} UTC got no digest"
        last = f"; 'newsletter run' last ran at about {tick:%Y-%m-%d %H:%M} UTC" if tick and not running else ""
        return warning(name, text + last, "check the output of 'newsletter run'" if running else _RUN)
    if running:
        return ok(name, "'newsletter run' is running")
    return ok(name, "nobody is overdue; 'newsletter run' is not running")


def reload(engine: Engine) -> CheckResult:
    """Check whether the running processes have the present configuration."""
    name = "reload"
    with reading(engine) as connection:
        last = reloads.last_of_each(connection)
    failed = [one for one in last if one.problems]
    if failed:
        one = failed[0]
        found = (
            f"'newsletter {one.process}' refused the configuration at {one.at:%Y-%m-%d %H:%M} UTC: {one.problems[0]}"
        )
        return warning(name, found, "correct config.yaml and reload it")
    waiting = [one for one in last if one.needs_restart]
    if waiting:
        one = waiting[0]
        return warning(
            name,
            f"{', '.join(one.needs_restart)} changed, which 'newsletter {one.process}' reads at its start",
            f"restart 'newsletter {one.process}'",
        )
    reloaded = max((one.at for one in last if one.kind is not ReloadKind.START), default=None)
    return ok(name, f"reloaded at {reloaded:%Y-%m-%d %H:%M} UTC" if reloaded else "not reloaded since the last start")
