"""Commands that tell what was sent, and settle what nobody knows."""

import difflib
import sys
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from newsletter.audience import log_export as logged
from newsletter.audience import subscriptions, timeline
from newsletter.audience.timeline import Timeline, describe_day
from newsletter.cli.common import (
    Json,
    format_iso,
    format_moment,
    json_line,
    open_context_for,
    print_json,
    print_table,
    say,
)
from newsletter.errors import UserError
from newsletter.model import SendState
from newsletter.services import log_archive
from newsletter.services.context import AppContext
from newsletter.store import papers, reading, sends, writing
from newsletter.store.send_log import LogFilter, LogLine
from newsletter.support.clock import parse_day
from newsletter.support.files import atomic_write_private

_FORMATS = ("csv", "jsonl")
_ROWS = 200


def log(
    ctx: typer.Context,
    email: Annotated[str | None, typer.Argument(help="Only this subscriber's.", show_default=False)] = None,
    edition: Annotated[str | None, typer.Option(metavar="DAY", help="Only this edition's.")] = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="Editions from this day on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Editions up to this day.")] = None,
    paper: Annotated[str | None, typer.Option(help="Digests with this paper: an id, URL or title.")] = None,
    state: Annotated[
        list[str] | None, typer.Option(metavar="STATE", help="Sends in this state; may be given often.")
    ] = None,
    why_: Annotated[
        str | None,
        typer.Option("--why", metavar="EMAIL", help="Tell the last 14 days of one subscriber in words."),
    ] = None,
    json: Json = False,
    format: Annotated[str | None, typer.Option(metavar="csv|jsonl", help="Write it as a file of this kind.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write there, not to the screen.")] = None,
) -> None:
    """Show what each subscriber was sent, when, and why not.

    States: planned, claimed, sent, deferred, failed, skipped, unsure.
    """
    if why_ is not None:
        if any((email, edition, since, until, paper, state, format, output)):
            raise UserError("--why stands alone, or with --json; leave out the rest")
        _tell_why(open_context_for(ctx, files=False), why_, json)
        return
    kind = _kind(json, format, output)
    days = _days(edition, since, until)
    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        wanted = _wanted(connection, email, days, paper, state or [])
    lines = logged.lines(context.engine, wanted)
    if output is not None:
        _write(output, kind, lines)
    elif kind is not None:
        for text in _texts(kind, lines):
            sys.stdout.write(text)
    else:
        _print_log(lines, everything=wanted == LogFilter())


def _kind(json: bool, format: str | None, output: Path | None) -> str | None:
    """What the log is written as; None for a table."""
    if format is not None and format not in _FORMATS:
        raise UserError(f"--format: {format!r} is neither csv nor jsonl")
    if json and format == "csv":
        raise UserError("--json and --format csv: say one of them")
    kind = "jsonl" if json else format
    if kind is None and output is not None:
        kind = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}.get(output.suffix.lower())
        if kind is None:
            raise UserError(f"--output: {output}: of no known kind; name it .csv or .jsonl, or add --format")
    return kind


def _days(edition: str | None, since: str | None, until: str | None) -> tuple[date | None, date | None]:
    if edition is not None:
        if since is not None or until is not None:
            raise UserError("--edition is one day; leave out --since and --until")
        day = parse_day(edition, "--edition")
        return day, day
    first = parse_day(since, "--since") if since is not None else None
    last = parse_day(until, "--until") if until is not None else None
    if first and last and first > last:
        raise UserError(f"--since {first} lies after --until {last}; swap them")
    return first, last


def _wanted(
    connection: Connection,
    email: str | None,
    days: tuple[date | None, date | None],
    paper: str | None,
    states: Iterable[str],
) -> LogFilter:
    found = papers.find(connection, paper) if paper is not None else None
    if paper is not None and found is None:
        raise UserError(
            f"--paper: {paper!r} is no paper in the store; 'newsletter papers list --title WORD' looks for one"
        )
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
        near = difflib.get_close_matches(named, SendState, n=1)
        fix = f"did you mean {str(near[0])!r}?" if near else f"one of {', '.join(SendState)}"
        raise UserError(f"--state: {named!r} is no state of a send; {fix}") from None


def _texts(kind: str, lines: Iterable[LogLine]) -> Iterator[str]:
    return logged.csv_lines(lines) if kind == "csv" else (json_line(logged.to_object(line)) for line in lines)


def _write(path: Path, kind: str | None, lines: Iterable[LogLine]) -> None:
    number = 0

    def counted() -> Iterator[LogLine]:
        nonlocal number
        for number, line in enumerate(lines, 1):  # noqa: B007 - told below
            yield line

    with atomic_write_private(path) as file:
        for text in _texts(kind or "", counted()):
            file.write(text.encode())
    say(f"{number:,} line{'' if number == 1 else 's'} written to {path}.")


def _print_log(lines: Iterator[LogLine], everything: bool) -> None:
    columns = (("edition", "left"), ("state", "left"), ("at (UTC)", "left"), ("papers", "right"))
    wide = ("to whom; what was said, or why not", "wide")
    first = True
    # A table at a time, since one is laid out as a whole.
    while block := [_log_row(line) for line in islice(lines, _ROWS)]:
        print_table((*columns, wide), block, heading=first)
        first = False
    if first:
        say("Nothing was sent yet." if everything else "No line of the log fits.")


def _log_row(line: LogLine) -> tuple[object, ...]:
    send = line.send
    said = [send.reason if send.state is not SendState.SENT else None, send.smtp_reply]
    again = f"next try {format_moment(send.not_before)}" if send.not_before else None
    words = "; ".join(part for part in (*said, again) if part)
    at: tuple[str, ...] = ()
    if send.settled_at is not None:
        # Without the day where that is the edition's.
        other = send.settled_at.date() != send.edition
        at = (f"{send.settled_at:%H:%M:%S}", *([f"{send.settled_at:%d %b}"] if other else []))
    who = (send.email, f"  {words}") if words else send.email
    return send.edition, send.state, at, len(line.papers) or "", who


def _tell_why(context: AppContext, email: str, json: bool) -> None:
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
    emails: Annotated[list[str] | None, typer.Argument(help="Of these subscribers.", show_default=False)] = None,
    sent: Annotated[bool, typer.Option("--sent", help="They arrived.")] = False,
    again: Annotated[bool, typer.Option("--again", help="They did not: send them again.")] = False,
    everyone: Annotated[bool, typer.Option("--all", help="Of everyone.")] = False,
    edition: Annotated[str | None, typer.Option(metavar="DAY", help="Only this edition's.")] = None,
    json: Json = False,
) -> None:
    """List the sends of which nobody knows whether they arrived, or settle them as you say.

    Look for their Message-IDs in the log of the mail server, or ask their readers.
    """
    if sent and again:
        raise UserError("--sent and --again: say one of them")
    if (sent or again) and not (emails or everyone):
        raise UserError("name subscribers, or say --all")
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
        say("Nothing is unsure.")
    elif sent or again:
        number = f"{len(unsure)} send{'' if len(unsure) == 1 else 's'}"
        say(f"{number} noted as sent." if sent else f"{number} planned again; the next run sends them.")
    else:
        rows = [(send.edition, (send.email, f"  {send.message_id}", f"  {send.reason}")) for send in unsure]
        print_table((("edition", "left"), ("to whom, Message-ID, and why nobody knows", "wide")), rows)


def archive(
    ctx: typer.Context,
    before: Annotated[str, typer.Option(metavar="MONTH", help="Editions before this month, like 2025-01.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files go.")] = Path("var/archive"),
) -> None:
    """Move old lines of the log into compressed files, one a month, and out of the store.

    A line is what 'newsletter log --json' shows. What waits or is unsure stays. The files hold addresses, which
    'newsletter subscribers forget' does not reach.
    """
    day = parse_day(f"{before}-01", "--before")
    written = log_archive.archive_log(open_context_for(ctx, files=False), day, folder, lambda: False)
    for path, number in sorted(written.items()):
        say(f"{number:,} line{'' if number == 1 else 's'} moved to {path}.")
    if not written:
        say(f"Nothing to archive before {before}.")
