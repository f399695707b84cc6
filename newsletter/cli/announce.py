"""Commands for announcements: write to all subscribers, or to those with a tag, besides their digests."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.common import (
    Json,
    format_iso,
    format_moment,
    note,
    open_context_for,
    print_json,
    print_table,
    say,
    stoppable,
    warn,
)
from newsletter.errors import NewsletterError, UserError
from newsletter.model import SendState
from newsletter.support.clock import parse_moment

if TYPE_CHECKING:
    from newsletter.services.announcements import MailingDraft
    from newsletter.services.context import AppContext
    from newsletter.store.mailings import Mailing

_PAGE = 100

Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="The number that 'announcements list' shows.")]


def announce(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A Markdown (.md) or MJML (.mjml) file.")],
    to: Annotated[str, typer.Option(metavar="TAG", help='Subscribers with this tag, or "all".')] = "all",
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Send at this time (ISO 8601; default: now).", show_default=False)
    ] = None,
    local_time: Annotated[
        bool, typer.Option("--local-time", help="TIME is by the clock of each subscriber's time zone.")
    ] = False,
    subject: Annotated[str, typer.Option(metavar="TEXT", help="Subject (default: the one in the file).")] = "",
    test: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Only send a test to this address.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    json: Json = False,
) -> None:
    """Send an announcement to all active subscribers, or to those with a tag, now or at a given time.

    Subscribers who turned announcements off do not get it. 'newsletter run' or 'newsletter send' sends what is
    scheduled.
    """
    from newsletter.services import announcements
    from newsletter.store.audit import COMMAND_LINE

    if local_time and at is None:
        raise UserError("--local-time: needs the time; add --at TIME")
    context = open_context_for(ctx)
    draft = announcements.draft_from_file(file, subject)
    if test is not None:
        message = announcements.send_test(context, draft, test, COMMAND_LINE)
        say(f"Test sent to {message.recipient}.")
        return
    moment = _moment(at, local_time) if at is not None else None
    draft = announcements.checked(context, announcements.addressed(draft, to, moment, local_time))
    if not yes:
        _confirm(context, draft)
    mailing = announcements.create(context, draft, COMMAND_LINE)
    if moment is None or (not local_time and moment <= context.clock()):
        _send(context, mailing, json)
    elif json:
        print_json([_json(mailing, {})])
    else:
        say(f"Announcement {mailing.row} is scheduled for {_when(mailing)}.")


def _moment(at: str, local_time: bool) -> datetime:
    try:
        has_offset = datetime.fromisoformat(at.strip()).tzinfo is not None
    except ValueError:
        has_offset = False
    if local_time and has_offset:
        raise UserError(
            f"--at: {at!r} has an offset, but with --local-time each subscriber's time zone counts; drop it"
        )
    return parse_moment(at, "--at")


def _confirm(context: AppContext, draft: MailingDraft) -> None:
    """Show what would be sent to how many, and ask."""
    from newsletter.store import mailings, reading

    if not (sys.stdin and sys.stdin.isatty()):
        raise UserError("cannot ask for confirmation here; pass --yes")
    with reading(context.engine) as connection:
        number = mailings.number_of_recipients(connection, draft.tag)
    say(f"Subject: {draft.subject}")
    say(f"To: {number:,} subscriber{'' if number == 1 else 's'}{f' with the tag {draft.tag}' if draft.tag else ''}")
    typer.confirm("Send it?", abort=True)


def _send(context: AppContext, mailing: Mailing, json: bool) -> None:
    """Send an announcement now, with a progress bar."""
    from newsletter.cli.send import Tally, show_progress
    from newsletter.services.announcements import find, progress
    from newsletter.services.edition import run_edition
    from newsletter.store import mailings, reading

    with reading(context.engine) as connection:
        tally = Tally(mailings.number_of_recipients(connection, mailing.tag))
    with stoppable() as stopped, show_progress(tally, stopped) as on_progress:
        report = run_edition(context, iter(()), stopped.is_set, on_progress, on_info=note, on_wait=note)
    for one in report.notes:
        warn(one)
    with reading(context.engine) as connection:
        mailing = find(connection, mailing.row)
        counts = progress(connection, mailing)
    if json:
        print_json([_json(mailing, counts)])
    else:
        say(f"Announcement {mailing.row}: {_in_words(counts) or 'nobody to send it to'}.")
    if report.stopped:
        raise NewsletterError("interrupted; 'newsletter send' or 'newsletter run' sends the rest")
    if counts.get(SendState.FAILED) or counts.get(SendState.UNSURE):
        raise NewsletterError(f"not all were sent; see 'newsletter log --announcement {mailing.row}'")


def list_announcements(ctx: typer.Context, json: Json = False) -> None:
    """List the announcements, newest first, with how many were sent."""
    from newsletter.store import mailings, reading
    from newsletter.store.mailings import MailingKind

    context, before = open_context_for(ctx, files=False), None
    first = True
    while True:
        with reading(context.engine) as connection:
            page = mailings.page(connection, before, _PAGE, MailingKind.ANNOUNCEMENT)
            counts = mailings.counts(connection, [one.row for one in page])
        if not page:
            break
        if json:
            print_json(_json(one, counts[one.row]) for one in page)
        else:
            columns = (("", "right"), ("state", "left"), ("at (UTC)", "left"), ("to", "left"), ("subject", "wide"))
            print_table(columns, [_row(one, counts[one.row]) for one in page], heading=first)
        first, before = False, page[-1].row
    if first and not json:
        say("No announcements yet; write one with 'newsletter announce FILE'.")


def _row(mailing: Mailing, counts: Mapping[SendState, int]) -> tuple[object, ...]:
    at = (f"{mailing.send_at:%Y-%m-%d %H:%M}", "local time") if mailing.local_time else format_moment(mailing.send_at)
    words = _in_words(counts)
    return mailing.row, _state(mailing), at, mailing.tag or "all", (mailing.subject, *([f"  {words}"] if words else []))


def show_announcement(ctx: typer.Context, number: Number, json: Json = False) -> None:
    """Show an announcement and its progress."""
    from newsletter.services.announcements import find, progress
    from newsletter.store import reading

    with reading(open_context_for(ctx, files=False).engine) as connection:
        mailing = find(connection, number)
        counts = progress(connection, mailing)
    if json:
        print_json([{**_json(mailing, counts), "source": mailing.source}])
        return
    say(f"{mailing.kind.capitalize()} {mailing.row}: {mailing.subject}")
    say(f"state: {_state(mailing)}")
    say(f"time: {_when(mailing)}")
    say(f"to: {mailing.tag or ('all' if mailing.subscriber is None else 'one subscriber')}")
    say(f"file: {mailing.name}, by {mailing.created_by} on {format_moment(mailing.created_at)} UTC")
    say(f"sends: {_in_words(counts) or 'none planned yet'}")


def pause(ctx: typer.Context, number: Number, json: Json = False) -> None:
    """Pause an announcement. Messages that are being sent are finished."""
    from newsletter.services import announcements
    from newsletter.store.audit import COMMAND_LINE

    mailing = announcements.pause(open_context_for(ctx, files=False), number, COMMAND_LINE)
    _say_changed(mailing, json, f"Announcement {number} is paused; resume it with 'newsletter announcements resume'.")


def resume(ctx: typer.Context, number: Number, json: Json = False) -> None:
    """Resume a paused announcement. The next 'newsletter run' or 'newsletter send' sends what became due meanwhile."""
    from newsletter.services import announcements
    from newsletter.store.audit import COMMAND_LINE

    mailing = announcements.resume(open_context_for(ctx, files=False), number, COMMAND_LINE)
    _say_changed(mailing, json, f"Announcement {number} is resumed.")


def _say_changed(mailing: Mailing, json: bool, words: str) -> None:
    if json:
        print_json([_json(mailing, {})])
    else:
        say(words)


def cancel(ctx: typer.Context, number: Number, json: Json = False) -> None:
    """Cancel an announcement: nobody else gets it."""
    from newsletter.services import announcements
    from newsletter.store.audit import COMMAND_LINE

    context = open_context_for(ctx, files=False)
    cancelled, on_wire = announcements.cancel(context, number, COMMAND_LINE)
    if json:
        print_json([{"cancelled": cancelled, "on_wire": on_wire}])
        return
    say(f"Announcement {number} is cancelled; {cancelled:,} {'send was' if cancelled == 1 else 'sends were'} waiting.")
    if on_wire:
        say(f"{on_wire:,} not cancelled: already being sent.")


def _state(mailing: Mailing) -> str:
    return f"{mailing.state}, paused" if mailing.paused_at is not None else mailing.state.value


def _when(mailing: Mailing) -> str:
    if mailing.local_time:
        return f"{mailing.send_at.astimezone(UTC):%Y-%m-%d %H:%M} local time"
    return f"{format_moment(mailing.send_at)} UTC"


def _in_words(counts: Mapping[SendState, int]) -> str:
    return ", ".join(f"{counts[state]:,} {state.value}" for state in SendState if counts.get(state))


def _json(mailing: Mailing, counts: Mapping[SendState, int]) -> dict[str, Any]:
    return {
        "number": mailing.row,
        "kind": mailing.kind.value,
        "state": mailing.state.value,
        "subject": mailing.subject,
        "file": mailing.name,
        "to": mailing.tag or "all",
        "send_at": format_iso(mailing.send_at),
        "local_time": mailing.local_time,
        "paused_at": format_iso(mailing.paused_at),
        "created_at": format_iso(mailing.created_at),
        "created_by": mailing.created_by,
        "settled_at": format_iso(mailing.settled_at),
        "sends": {state.value: counts.get(state, 0) for state in SendState},
    }
