"""Reloads the configuration of a running process: on SIGHUP, on request, and when another process was asked to.

The new configuration is checked first, and every part of the process prepares for it before any of them uses it, so a
wrong file changes nothing. What is under way, such as an edition or a request, ends with the configuration it began
with.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from newsletter.config.loader import load_config
from newsletter.config.settings import Config
from newsletter.errors import NewsletterError, UserError
from newsletter.services.context import AppContext, with_config
from newsletter.services.jobs import Log
from newsletter.store import audit, reading, reloads, writing
from newsletter.store.reloads import ReloadKind, StoredReload

SIGHUP = "SIGHUP"
"""The actor of a reload that a signal asked for."""

FIXED = frozenset({"store.url"})
"""Settings that a process reads once, at its start."""

FIXED_FOR_SITE = FIXED | {
    f"web.{name}"
    for name in (
        *("host", "port", "trusted_proxies", "max_connections", "max_connections_per_address", "keep_alive_seconds"),
        *("header_timeout_seconds", "body_timeout_seconds", "send_timeout_seconds"),
    )
}
"""Those of a process that serves the site: the server that answers connections reads them at its start."""

_LOOK_SECONDS = 5.0
"""How often to look whether another process was asked to reload."""

Apply = Callable[[], None]
Prepare = Callable[[AppContext], Apply]
"""Prepares a part of the process for a new configuration, and returns what makes it use that.

A UserError refuses the configuration.
"""


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What a reload did.

    Attributes:
        at: when (UTC). ``actor``: who asked for it.
        changed: the settings that differ from before, such as ``site.name``.
        needs_restart: those of them that count only after a restart.
        problems: why the previous configuration stays in use, a line each with the file and line; empty if it does not.
    """

    at: datetime
    actor: str
    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Reloader:
    """The configuration of a running process.

    Attributes:
        context: the present context; read it anew for each job or request.
        path: the configuration file.
        given: the settings given on the command line, by key, such as ``web.port``.
        needs_restart: the settings that differ in the file but count only after a restart.
    """

    def __init__(
        self,
        context: AppContext,
        path: Path | str,
        process: str,
        log: Log,
        fixed: frozenset[str] = FIXED,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin with the configuration that the process started with.

        Args:
            path: the configuration file. ``process``: the command, such as ``run --web``.
            fixed: the settings that this process reads at its start only.
            given: the settings given on the command line, by key.
        """
        self.given, self.needs_restart = dict(given or {}), tuple[str, ...]()
        self.context = context
        self.path, self._process, self._log, self._fixed = Path(path), process, log, fixed
        self._parts: list[Prepare] = []
        self._lock = threading.Lock()
        self._wake, self._asked, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._seen = self._store(StoredReload(at=context.clock(), kind=ReloadKind.START, process=process)) or 0

    def add_part(self, prepare: Prepare) -> None:
        """Add a part of the process that needs to know of a new configuration."""
        self._parts.append(prepare)

    def reload(self, actor: str) -> ReloadResult:
        """Read the configuration again, and let the other processes do so; nothing changes if it is wrong.

        Args:
            actor: who asked for it, such as the name of an operator.
        """
        return self._reload(actor, ReloadKind.REQUESTED)

    def _reload(self, actor: str, kind: ReloadKind) -> ReloadResult:
        with self._lock:
            result = self._read(actor)
            row = self._store(
                StoredReload(
                    at=result.at,
                    kind=kind,
                    process=self._process,
                    actor=actor,
                    changed=result.changed,
                    needs_restart=result.needs_restart,
                    problems=result.problems,
                )
            )
            if kind is ReloadKind.REQUESTED and row is not None:
                self._seen = row
        if result.problems:
            self._log("reload_failed", error=" | ".join(result.problems))
        else:
            restart = {"needs_restart": ",".join(result.needs_restart)} if result.needs_restart else {}
            self._log("reloaded", changed=",".join(result.changed) or "nothing", **restart)
        return result

    def _read(self, actor: str) -> ReloadResult:
        before, now = self.context, self.context.clock()
        try:
            wanted = load_config(self.path)
            changed = _differences(before.config.model_dump(), wanted.model_dump())
            fixed = tuple(key for key in changed if key in self._fixed)
            config = _with_values_of(before.config, wanted, fixed)
            after = with_config(before, config)
            applies = [prepare(after) for prepare in self._parts]
        except UserError as error:
            return ReloadResult(now, actor, problems=error.lines)
        except NewsletterError as error:
            return ReloadResult(now, actor, problems=(str(error),))
        self.context, self.needs_restart = after, fixed
        for apply in applies:
            apply()
        return ReloadResult(now, actor, changed, fixed)

    def _store(self, reload: StoredReload) -> int | None:
        """Store a reload; return its row, None if the store does not take it: the configuration counts anyway."""
        try:
            with writing(self.context.engine) as connection:
                row = reloads.add(connection, reload)
                if reload.kind is ReloadKind.REQUESTED:
                    details: dict[str, Any] = {"changed": list(reload.changed), "problems": list(reload.problems)}
                    audit.record(connection, reload.actor, "config.reload", str(self.path), reload.at, **details)
                return row
        except NewsletterError as error:
            self._log("reload_not_stored", error=str(error))
            return None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Reload on SIGHUP and when another process was asked to, meanwhile. To be used in the main thread."""
        has_terminal = _has_terminal()

        def hangup(*_: object) -> None:
            if has_terminal and not _has_terminal():  # The terminal was closed: stop, as without a handler.
                os.kill(os.getpid(), signal.SIGTERM)
                return
            self._asked.set()
            self._wake.set()

        before = signal.signal(signal.SIGHUP, hangup)
        thread = threading.Thread(target=self._watch, name="reload", daemon=True)
        thread.start()
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before)
            self._ended.set()
            self._wake.set()
            thread.join(_LOOK_SECONDS)

    def _watch(self) -> None:
        while not self._ended.is_set():
            self._wake.wait(_LOOK_SECONDS)
            self._wake.clear()
            if self._ended.is_set():
                return
            if self._asked.is_set():
                self._asked.clear()
                self.reload(SIGHUP)
            elif (request := self._request()) is not None:
                self._seen = request.row
                self._reload(request.actor, ReloadKind.FOLLOWED)

    def _request(self) -> StoredReload | None:
        with suppress(NewsletterError), reading(self.context.engine) as connection:
            return reloads.requested_after(connection, self._seen)
        return None  # The jobs report that the store does not answer.


def _has_terminal() -> bool:
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) > 0
    except (OSError, ValueError):
        return False


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> tuple[str, ...]:
    """Return the dotted keys whose values differ."""
    found: list[str] = []
    for key in dict.fromkeys((*before, *after)):
        old, new, name = before.get(key), after.get(key), f"{path}{key}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += _differences(old, new, f"{name}.")
        elif old != new:
            found.append(name)
    return tuple(found)


def _with_values_of(before: Config, after: Config, keys: tuple[str, ...]) -> Config:
    """Return ``after`` with the values that ``before`` has for some keys, such as ``web.port``."""
    for key in keys:
        section, _, name = key.partition(".")
        changed = getattr(after, section).model_copy(update={name: getattr(getattr(before, section), name)})
        after = after.model_copy(update={section: changed})
    return after
