"""Command that imports subscribers and suppressed addresses."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import open_context_for, parsed_tag, print_table, say, warn
from newsletter.errors import UserError

if TYPE_CHECKING:
    from newsletter.audience import import_rows, suppression_lists
    from newsletter.audience.column_map import ColumnMap
    from newsletter.audience.imports import Forecast
    from newsletter.services.context import AppContext

_MOST_PROBLEMS = 1_000
_MOST_SHOWN = 1_000
"""Lines in the table of a dry run."""


@dataclass(slots=True)
class _Progress:
    """What the import has done so far.

    Attributes:
        forecast: what it would do, if nothing is to be changed.
        shown: rows of the table of a dry run.
    """

    context: AppContext
    forecast: Forecast | None
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    shown: list[tuple[str, ...]] = field(default_factory=list)

    def note(self, where: str, email: str, outcome: str, details: str) -> None:
        """Record what became of a line."""
        self.outcomes[outcome] += 1
        if self.forecast is not None and len(self.shown) < _MOST_SHOWN:
            self.shown.append((where, email, outcome, details))

    def note_error(self, error: UserError) -> None:
        """Record a line that is wrong."""
        where, colon, what = error.lines[0].partition(": ")
        self.note(where, "", "error", what if colon else error.lines[0])
        if self.outcomes["error"] <= _MOST_PROBLEMS:
            self.problems.extend(error.lines)


def import_subscribers(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Subscribers: .csv, .jsonl, .json, or another program's .zip."),
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="KEY=COLUMN",
            help="Column that holds one of ours, such as email=Address; join several with '+'. May be repeated.",
        ),
    ] = None,
    suppressed: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Addresses that must not get mail; read first. May be repeated."),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Tag for all who are imported; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")] = False,
    ignore_unknown: Annotated[
        bool, typer.Option("--ignore-unknown", help="Ignore unknown columns, with a warning.")
    ] = False,
) -> None:
    """Import subscribers and suppressed addresses from files, also those of other programs.

    CSV columns: email, name, state, days, time, timezone, papers, trending, layout,
    interests, never, updates, tags; separate several values with ';'.
    Exports of listmonk, Mailchimp, Ghost and Substack can be imported directly; their lists, labels and tags become
    tags. --suppressed also reads the exports of Amazon SES, SendGrid, Mailgun, Postmark and Brevo.
    Unsubscribed people stay unsubscribed; the state 'paused' pauses, 'active' ends a pause. By importing, you confirm
    that these people agreed to receive email.
    """
    from newsletter.audience.column_map import parse_column_map
    from newsletter.audience.import_export import MAPPED
    from newsletter.audience.imports import Forecast
    from newsletter.audience.other_programs import in_reading_order

    if not files and not suppressed:
        raise UserError("no file to import; name one, or a list of addresses with --suppressed")
    columns = parse_column_map(mapping or [], MAPPED)
    tags = [parsed_tag(one) for one in tag or ()]
    progress = _Progress(open_context_for(ctx), Forecast() if dry_run else None)
    for path in suppressed or ():
        _suppress(progress, path)
    for name in in_reading_order(str(path) for path in files or ()):
        _import(progress, Path(name), columns, tags, ignore_unknown)
    read = [*(suppressed or ()), *(files or ())]
    if not dry_run:
        _record(progress, read, tags)
    _report(progress, read, bool(files), bool(suppressed))


def _import(progress: _Progress, path: Path, columns: ColumnMap, tags: list[str], ignore_unknown: bool) -> None:
    from newsletter.audience.import_export import read_lines
    from newsletter.audience.import_rows import FileRemark

    for found in read_lines(path, ignore_unknown, columns):
        if isinstance(found, FileRemark):
            warn(found.text)
        elif isinstance(found, UserError):
            progress.note_error(found)
        else:
            try:
                outcome = _take_in(progress, found, path, tags)
            except UserError as error:
                progress.note_error(error)
                continue
            state = [f"state {found.state}"] if found.state is not None else []
            details = ", ".join([*state, *(f"tag {one}" for one in dict.fromkeys((*found.tags, *tags)))])
            progress.note(found.where, found.preferences.email, outcome, "" if outcome == "kept out" else details)


def _take_in(progress: _Progress, row: import_rows.ImportRow, path: Path, tags: list[str]) -> str:
    from newsletter.audience.imports import import_subscriber
    from newsletter.store import reading, writing

    context = progress.context
    if progress.forecast is not None:
        with reading(context.engine) as connection:
            return progress.forecast.of_row(connection, row)
    consent = ", ".join(part for part in (f"import {path.name}", row.consent) if part)
    with writing(context.engine) as connection:
        return import_subscriber(connection, row, consent, context.clock(), context.config.subscribers_folder, tags)


def _suppress(progress: _Progress, path: Path) -> None:
    from newsletter.audience.import_rows import FileRemark
    from newsletter.audience.suppression_lists import read_suppressed

    for found in read_suppressed(path):
        if isinstance(found, FileRemark):
            warn(found.text)
        elif isinstance(found, UserError):
            progress.note_error(found)
        else:
            progress.note(found.where, found.email, _put_on_list(progress, found), found.reason)


def _put_on_list(progress: _Progress, found: suppression_lists.SuppressedAddress) -> str:
    from newsletter.audience.imports import suppress_address
    from newsletter.store import reading, writing

    context = progress.context
    if progress.forecast is not None:
        with reading(context.engine) as connection:
            return progress.forecast.of_suppressed(connection, found)
    with writing(context.engine) as connection:
        return suppress_address(connection, found, context.clock())


def _record(progress: _Progress, read: list[Path], tags: list[str]) -> None:
    from newsletter.store import audit, writing

    counts = {outcome.replace(" ", "_"): count for outcome, count in sorted(progress.outcomes.items())}
    context = progress.context
    with writing(context.engine) as connection:
        audit.record(
            connection,
            audit.COMMAND_LINE,
            "subscribers.import",
            ", ".join(path.name for path in read),
            context.clock(),
            **counts,
            tags=tags,
        )


def _report(progress: _Progress, read: list[Path], subscribers: bool, suppressed: bool) -> None:
    outcomes, is_dry = progress.outcomes, progress.forecast is not None
    if is_dry:
        columns = (("line", "left"), ("email", "wide"), ("outcome", "left"), ("details", "wide"))
        print_table(columns, progress.shown)
        more = outcomes.total() - len(progress.shown)
        say(f"… and {more:,} more lines" if more else "")
        say("Dry run: nothing was changed. The import would result in:")
    if subscribers:
        say(
            f"{outcomes['added']} added, {outcomes['updated']} updated, {outcomes['kept out']} unchanged "
            "(unsubscribed, bounced or suppressed)"
        )
    if suppressed:
        say(f"{outcomes['suppressed']} suppressed, {outcomes['unchanged']} suppressed before")
    wrong = outcomes["error"]
    if wrong and is_dry:
        raise UserError(f"{wrong:,} {'line has an error' if wrong == 1 else 'lines have errors'}, as listed above")
    if wrong > _MOST_PROBLEMS:
        names = ", ".join(map(str, read))
        progress.problems.append(f"{names}: {wrong:,} lines have errors; the first ones are listed above")
    if progress.problems:
        raise UserError(*progress.problems)
