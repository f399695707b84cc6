"""Shared parts of the commands: global options, opening the context, printing tables and JSON lines.

Modules of commands import what is slow to import (the store, the configuration, the ranking) inside the functions that
use it: help and completion then need none of it.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import textwrap
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from newsletter.config.suggestions import nearest_value
from newsletter.errors import UserError
from newsletter.support.clock import Clock, frozen_clock, parse_moment, shifted_clock, system_clock
from newsletter.support.tags import valid_tag
from newsletter.support.text import escape_for_terminal

if TYPE_CHECKING:
    from newsletter.config.settings import Config
    from newsletter.services.context import AppContext
    from newsletter.services.jobs import Log


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

_NARROWEST_TABLE = 60

_WIDTH = 80
_NOT_FOR_TERMINALS = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that JSON allows unescaped, but a terminal may interpret; they are printed as JSON escapes."""


@dataclass(frozen=True, slots=True)
class Options:
    """The global options, as given."""

    config: Path
    now: str | None

    def clock(self, running: bool = False) -> Clock:
        """Return a clock that ``--now`` sets (frozen, or running from that time), otherwise the system clock."""
        if self.now is None:
            return system_clock
        moment = parse_moment(self.now)
        return shifted_clock(moment) if running else frozen_clock(moment)


def options(ctx: typer.Context) -> Options:
    """Return the global options of a command."""
    found: Options = ctx.obj
    return found


def load(ctx: typer.Context) -> Config:
    """Load the configuration."""
    from newsletter.config.loader import load_config

    return load_config(options(ctx).config)


def open_context_for(ctx: typer.Context, running: bool = False, files: bool = True) -> AppContext:
    """Open the context of a command, after reading the subscriber files unless ``files`` is false.

    Problems in the files are printed as warnings.
    """
    from newsletter.services.context import open_context

    context = open_context(load(ctx), options(ctx).clock(running))
    if files:
        from newsletter.services.subscriber_files import read_files

        for problem in read_files(context).problems:
            warn(problem)
    return context


def bring_index_up_to_date(context: AppContext, refit: bool = False) -> None:
    """Update the index with a progress bar; on a large store this takes minutes."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    from newsletter.services.index import current_index, refit_index

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", visible=False)

        def on_progress(what: str, done: int, of: int) -> None:
            bar.update(task, description=f"{what} papers", completed=done, total=of, visible=True)

        refit_index(context, on_progress) if refit else current_index(context, on_progress=on_progress)


def warn(text: str) -> None:
    """Print a warning to standard error."""
    err.print(Text(f"warning: {escape_for_terminal(text)}"), soft_wrap=True)


def note(text: str) -> None:
    """Print a note to standard error."""
    err.print(Text(escape_for_terminal(text)), soft_wrap=True)


def say(text: str) -> None:
    """Print a line, with control and invisible characters escaped."""
    out.print(Text(escape_for_terminal(text)), soft_wrap=True)


def say_wrapped(text: str, indent: str = "", further: str = "") -> None:
    """Print a paragraph in lines of up to 80 columns; ``indent`` is before the first, ``further`` before the others."""
    for line in textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=further):
        say(line)


def suggestion(written: str, allowed: Iterable[str], otherwise: str) -> str:
    """Return how to fix a wrong value: the nearest allowed one, else other words."""
    near = nearest_value(written, allowed)
    return f"did you mean {near!r}?" if near else otherwise


def parsed_tag(text: str) -> str:
    """Parse the name of a tag.

    Raises:
        UserError: it is not one.
    """
    try:
        return valid_tag(text)
    except ValueError as error:
        raise UserError(f"{text!r} {error}") from None


def print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object per line."""
    for row in rows:
        sys.stdout.write(json_line(row))


def json_line(row: Mapping[str, Any]) -> str:
    """Serialise a JSON object as a line."""
    return _NOT_FOR_TERMINALS.sub(_json_escape, json.dumps(row, ensure_ascii=False)) + "\n"


def _json_escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def print_table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[object]], heading: bool = True) -> None:
    """Print a table.

    Args:
        columns: heading and kind of each: ``left``, ``narrow`` (at most 18 characters), ``right`` or ``wide`` (takes
            the remaining width).
        rows: the cells; a tuple is a cell of several lines.
        heading: whether to print the headings.
    """
    if out.width < _NARROWEST_TABLE:
        _print_list([heading for heading, _ in columns], rows)
        return
    table = Table(box=None, pad_edge=False, show_header=heading, header_style="bold", padding=(0, 2, 0, 0))
    for name, kind in columns:
        table.add_column(
            name,
            justify="right" if kind == "right" else "left",
            ratio=1 if kind == "wide" else None,
            min_width=len(name),  # so that the parts of a long table line up
            max_width=18 if kind == "narrow" else None,
            overflow="fold",
            no_wrap=kind == "right",
        )
    for row in rows:
        table.add_row(*map(_cell, row))
    out.print(table)


def _print_list(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows on a narrow terminal: one cell per line, after its heading."""
    for row in rows:
        for heading, value in zip(headings, row, strict=True):
            text = _cell(value)
            if text.plain:
                out.print(Text(f"{heading}: " if heading else "").append(text), soft_wrap=True)
        say("")


def _cell(value: object) -> Text:
    lines = value if isinstance(value, tuple) else ("" if value is None else value,)
    return Text("\n".join(escape_for_terminal(str(line)) for line in lines))


def format_iso(moment: datetime | None) -> str | None:
    """Format a moment as ISO 8601 in UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None


def format_moment(moment: datetime | None) -> str:
    """Format a moment for people, to the minute, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else ""


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Set an event on Ctrl-C or SIGTERM, so that a command stops cleanly; a second signal interrupts it at once."""
    stopped = threading.Event()

    def stop(*_: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def event_log() -> Log:
    """Return a log that prints one line per event."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "event"], drop_missing=True),
        ],
        logger_factory=structlog.PrintLoggerFactory(),
    )
    logger = structlog.get_logger()
    return lambda event, **facts: logger.info(event, **facts)
