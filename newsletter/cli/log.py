"""Commands that show and archive the send log, and resolve sends of unknown outcome."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.common import (
    Json,
    format_iso,
    format_moment,
    json_line,
    open_context_for,
    print_json,
    print_table,
    say,
    suggestion,
)
from newsletter.errors import UserError
from newsletter.model import SendState
from newsletter.support.clock import parse_day
from newsletter.support.files import atomic_write_private

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from newsletter.audience.timeline import Timeline
    from newsletter.services.context import AppContext
    from newsletter.store.send_log import LogFilter, LogLine


_FORMATS = ("csv", "jsonl")
_ROWS = 200


def log(
    ctx: typer.Context,
    email: Annotated[
        str | None, typer.Argument(metavar="EMAIL", help="Only this subscriber.", show_default=False)
    ] = None,
    edition: Annotated[str | None, typer.Option(metavar="DAY", help="Only this edition.")] = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="Editions on this day or later.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Editions on this day or earlier.")] = None,
    paper: Annotated[
        str | None, typer.Option(metavar="PAPER", help="Only digests with this paper: id, DOI, URL or title.")
    ] = None,
    announcement: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="Only this announcement.", show_default=False)
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option(metavar="STATE", help="Only sends in this state; may be repeated.")
    ] = None,
    why_: Annotated[
        str | None,
        typer.Option("--why", metavar="EMAIL", help="Explain one subscriber's last 14 days."),
    ] = None,
    json: Json = False,
    format: Annotated[str | None, typer.Option(metavar="csv|jsonl", help="Output format.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None,
) -> None:
    """Show what was sent to each subscriber and when, or why nothing was sent.

    States: planned, claimed, sent, deferred, failed, skipped, unsure.
    """
    from newsletter.audience import log_export as logged
    from newsletter.store import reading
    from newsletter.store.send_log import LogFilter

    if why_ is not None:
        if any((email, edition, since, until, paper, announcement, state, format, output)):
            raise UserError("--why can only be combined with --json; remove the other options")
        _tell_why(open_context_for(ctx, files=False), why_, json)
        return
    kind = _kind(json, format, output)
    days = _days(edition, since, until)
    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        wanted = replace(_wanted(connection, email, days, paper, state or []), mailing=announcement)
    lines = logged.lines(context.engine, wanted)
    if output is not None:
        _write(output, kind, lines)
    elif kind is not None:
        for text in _texts(kind, lines):
            sys.stdout.write(text)
    else:
        _print_log(lines, everything=wanted == LogFilter())


def _kind(json: bool, format: str | None, output: Path | None) -> str | None:
    """Return the output format of the log; None for a table."""
    if format is not None and format not in _FORMATS:
        raise UserError(f"--format: {format!r} is not a format; {suggestion(format, _FORMATS, 'use csv or jsonl')}")
    if json and format == "csv":
        raise UserError("--json and --format csv are mutually exclusive; pass one of them")
    kind = "jsonl" if json else format
    if kind is None and output is not None:
        kind = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}.get(output.suffix.lower())
        if kind is None:
            raise UserError(f"--output: {output}: unknown file type; name it .csv or .jsonl, or add --format")
    return kind


def _days(edition: str | None, since: str | None, until: str | None) -> tuple[date | None, date | None]:
    if edition is not None:
        if since is not None or until is not None:
            raise UserError("--edition cannot be combined with --since or --until; remove one of them")
        day = parse_day(edition, "--edition")
        return day, day
    first = parse_day(since, "--since") if since is not None else None
    last = parse_day(until, "--until") if until is not None else None
    if first and last and first > last:
        raise UserError(f"--since {first} is after --until {last}; swap them")
    return first, last


def _wanted(
    connection: Connection,
    email: str | None,
    days: tuple[date | None, date | None],
    paper: str | None,
    states: Iterable[str],
) -> LogFilter:
    from newsletter.audience import subscriptions
    from newsletter.store import papers
    from newsletter.store.send_log import LogFilter

    found = papers.find(connection, paper) if paper is not None else None
    if paper is not None and found is None:
        raise UserError(f"--paper: no paper matches {paper!r}; search with 'newsletter papers list --title WORD'")
    return LogFilter(
        subscriber=subscriptions.get_subscriber(connection, email).row if email is not None else None,
        paper=found.row if found is not None else None,
        since=days[0],
        until=days[1],
        states=tuple(dict.fromkeys(map(_state, states))),
    )


def _state(named: str) -> SendState:
    try:
        return SendState(named)
    except ValueError:
        fix = suggestion(named, [str(state) for state in SendState], f"choose from {', '.join(SendState)}")
        raise UserError(f"--state: {named!r} is not a send state; {fix}") from None


def _texts(kind: str, lines: Iterable[LogLine]) -> Iterator[str]:
    from newsletter.audience import log_export as logged

    return logged.csv_lines(lines) if kind == "csv" else (json_line(logged.to_object(line)) for line in lines)


def _write(path: Path, kind: str | None, lines: Iterable[LogLine]) -> None:
    number = 0

    def counted() -> Iterator[LogLine]:
        nonlocal number
        for number, line in enumerate(lines, 1):  # noqa: B007 - printed below
            yield line

    with atomic_write_private(path) as file:
        for text in _texts(kind or "", counted()):
            file.write(text.encode())
    say(f"{number:,} line{'' if number == 1 else 's'} written to {path}.")


def _print_log(lines: Iterator[LogLine], everything: bool) -> None:
    columns = (("edition", "left"), ("state", "left"), ("at (UTC)", "left"), ("papers", "right"))
    wide = ("subscriber; server reply or reason", "wide")
    first = True
    # One table per chunk: rich lays out a whole table at once.
    while chunk := [_log_row(line) for line in islice(lines, _ROWS)]:
        print_table((*columns, wide), chunk, heading=first)
        first = False
    if first:
        say("Nothing was sent yet." if everything else "No matching log entries.")


def _log_row(line: LogLine) -> tuple[object, ...]:
    send = line.send
    said = [send.reason if send.state is not SendState.SENT else None, send.no_papers, send.smtp_reply]
    again = f"next try {format_moment(send.not_before)}" if send.not_before else None
    if send.state is SendState.PLANNED and again:
        again = f"planned for {format_moment(send.not_before)}"
    subject = f"{line.kind} “{line.subject}”" if line.kind else None
    words = "; ".join(part for part in (subject, *said, again) if part)
    at: tuple[str, ...] = ()
    if send.settled_at is not None:
        # The day is shown only if it differs from the edition.
        other = send.settled_at.date() != send.edition
        at = (f"{send.settled_at:%H:%M:%S}", *([f"{send.settled_at:%d %b}"] if other else []))
    who = (send.email, f"  {words}") if words else send.email
    return send.edition, send.state, at, len(line.papers) or "", who


def _tell_why(context: AppContext, email: str, json: bool) -> None:
    from newsletter.audience import subscriptions, timeline
    from newsletter.audience.timeline import describe_day
    from newsletter.store import reading

    with reading(context.engine) as connection:
        subscriber = subscriptions.get_subscriber(connection, email)
        story = timeline.build_timeline(connection, subscriber, context.clock(), context.config.log.keep_skipped_days)
    if json:
        print_json([_why_json(story)])
        return
    say(subscriber.email)
    rows: list[tuple[object, ...]] = [("now", story.now)]
    for first, last, words in timeline.spans(story.days):
        days = describe_day(first) if first == last else f"{describe_day(first)} to {describe_day(last)}"
        rows.append((days, words))
    print_table((("", "left"), ("", "wide")), [*rows, ("next", story.next)], heading=False)


def _why_json(story: Timeline) -> dict[str, Any]:
    subscriber = story.subscriber
    return {
        "email": subscriber.email,
        "state": subscriber.state.value,
        "state_since": format_iso(subscriber.state_since),
        "next_due": format_iso(subscriber.next_due),
        "next": story.next,
        "days": [
            {
                "day": one.day.isoformat(),
                "state": one.line.send.state.value if one.line else None,
                "papers": len(one.line.papers) if one.line else 0,
                "words": list(one.words),
            }
            for one in story.days
        ],
    }


def resolve(
    ctx: typer.Context,
    emails: Annotated[
        list[str] | None, typer.Argument(metavar="EMAIL", help="Only these subscribers.", show_default=False)
    ] = None,
    sent: Annotated[bool, typer.Option("--sent", help="Mark them as sent: they arrived.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Send them again: they did not arrive.")] = False,
    everyone: Annotated[bool, typer.Option("--all", help="Resolve the sends of all subscribers.")] = False,
    edition: Annotated[str | None, typer.Option(metavar="DAY", help="Only this edition.")] = None,
    json: Json = False,
) -> None:
    """List sends of unknown outcome, or resolve them.

    To find out whether they arrived, look up their Message-IDs in the mail server's log, or ask the subscribers.
    """
    from newsletter.audience import subscriptions
    from newsletter.store import sends, writing

    if sent and again:
        raise UserError("--sent and --again are mutually exclusive; pass one of them")
    if (sent or again) and not (emails or everyone):
        raise UserError("no subscriber given; pass an EMAIL, or --all")
    context = open_context_for(ctx, files=False)
    day = parse_day(edition, "--edition") if edition is not None else None
    with writing(context.engine) as connection:
        who = {subscriptions.get_subscriber(connection, email).row for email in emails or []}
        unsure = [
            send
            for send in sends.unsure(connection)
            if (not who or send.subscriber in who) and day in (None, send.edition)
        ]
        if sent or again:
            sends.resolve(connection, [send.row for send in unsure], arrived=sent, now=context.clock())
    if json:
        print_json(
            {
                "edition": send.edition.isoformat(),
                "email": send.email,
                "message_id": send.message_id,
                "reason": send.reason,
            }
            for send in unsure
        )
    elif not unsure:
        say("No sends of unknown outcome.")
    elif sent or again:
        number = f"{len(unsure)} send{'' if len(unsure) == 1 else 's'}"
        say(f"{number} marked as sent." if sent else f"{number} planned again; the next run sends them.")
    else:
        rows = [(send.edition, (send.email, f"  {send.message_id}", f"  {send.reason}")) for send in unsure]
        print_table((("edition", "left"), ("subscriber, Message-ID and reason", "wide")), rows)


def archive(
    ctx: typer.Context,
    before: Annotated[str, typer.Option(metavar="MONTH", help="Archive editions before this month, like 2025-01.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder for the files.")] = Path("var/archive"),
) -> None:
    """Move old log entries from the store into compressed files, one per month.

    The entries have the format of 'newsletter log --json'. Sends that wait or are unsure stay in the store. The files
    contain email addresses, which 'newsletter subscribers forget' does not remove.
    """
    from newsletter.services import log_archive

    day = parse_day(f"{before}-01", "--before")
    written = log_archive.archive_log(open_context_for(ctx, files=False), day, folder, lambda: False)
    for path, number in sorted(written.items()):
        say(f"{number:,} line{'' if number == 1 else 's'} moved to {path}.")
    if not written:
        say(f"Nothing to archive before {before}.")
