"""Commands that change the state of sends."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import Json, format_iso, open_context_for, print_json, say
from newsletter.errors import UserError
from newsletter.model import SendState
from newsletter.support.clock import parse_day, parse_moment

if TYPE_CHECKING:
    from newsletter.store.send_changes import Retry


_RECENT = timedelta(days=7)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")]
Edition = Annotated[str, typer.Option(metavar="DAY", help="Day of the edition, like 2025-11-25.")]
Announcement = Annotated[
    int | None, typer.Option(metavar="NUMBER", min=1, help="Only this announcement.", show_default=False)
]


def retry(
    ctx: typer.Context,
    failed: Annotated[bool, typer.Option("--failed", help="Retry only failed sends, not deferred ones.")] = False,
    edition: Annotated[
        str | None, typer.Option(metavar="DAY", help="Only this edition (default: the last 7 days).")
    ] = None,
    domain: Annotated[str | None, typer.Option(metavar="DOMAIN", help="Only addresses at this domain.")] = None,
    only: Annotated[str | None, typer.Option(metavar="EMAIL", help="Only this subscriber.")] = None,
    announcement: Announcement = None,
    dry: DryRun = False,
    json: Json = False,
) -> None:
    """Plan failed and deferred sends again, to be sent at once.

    They keep their Message-IDs. A digest that was sent is never sent again; papers that were sent in another digest are
    left out. Then run 'newsletter send', or let 'newsletter run' send them.
    """
    from newsletter.audience import subscriptions
    from newsletter.services import send_changes
    from newsletter.store import reading
    from newsletter.store.send_changes import Selection

    context = open_context_for(ctx, files=False)
    day = parse_day(edition, "--edition") if edition is not None else None
    with reading(context.engine) as connection:
        subscriber = subscriptions.get_subscriber(connection, only).row if only is not None else None
    states = (SendState.FAILED,) if failed else (SendState.FAILED, SendState.DEFERRED)
    if announcement is not None and day is not None:
        raise UserError("--announcement cannot be combined with --edition; remove one of them")
    since = None if day is not None or announcement is not None else (context.clock() - _RECENT).date()
    wanted = Selection(
        states=states,
        edition=day,
        since=since,
        domain=domain.lower().lstrip("@") if domain is not None else None,
        subscriber=subscriber,
        mailing=announcement,
    )
    counts: Counter[Retry] = Counter()
    for send, outcome in send_changes.retry(context, wanted, dry):
        counts[outcome] += 1
        if json:
            print_json([{"edition": send.edition.isoformat(), "email": send.email, "outcome": outcome.value}])
    if not json:
        _say_retried(counts, dry)


def _say_retried(counts: Counter[Retry], dry: bool) -> None:
    from newsletter.store.send_changes import Retry

    if not counts:
        say("No sends to retry.")
    if counts[Retry.PLANNED]:
        verb = "would be planned" if dry else "planned"
        say(f"{_sends(counts[Retry.PLANNED])} {verb} again; send them with 'newsletter send'.")
    if counts[Retry.MADE_AGAIN]:
        verb = "would be composed" if dry else "will be composed"
        say(f"{_sends(counts[Retry.MADE_AGAIN])} {verb} again by the next run: composing the digest had failed.")
    if counts[Retry.INACTIVE]:
        say(f"{_sends(counts[Retry.INACTIVE])} unchanged: the subscriber currently gets no mail.")
    if counts[Retry.NOTHING_LEFT]:
        say(f"{_sends(counts[Retry.NOTHING_LEFT])} unchanged: every paper was sent in another digest.")
    if counts[Retry.CANCELLED]:
        say(f"{_sends(counts[Retry.CANCELLED])} unchanged: the announcement was cancelled.")


def cancel(
    ctx: typer.Context,
    edition: Annotated[
        str | None, typer.Option(metavar="DAY", help="Day of the edition, like 2025-11-25.", show_default=False)
    ] = None,
    announcement: Announcement = None,
    json: Json = False,
) -> None:
    """Cancel the planned and deferred sends of an edition or of an announcement. No later run sends them.

    Papers of digests may appear in a later digest. Subscribers whose digest is not planned yet still get it; to stop
    these too, run 'newsletter pause'. An announcement is cancelled for good.
    """
    from newsletter.services import announcements, send_changes
    from newsletter.store.audit import COMMAND_LINE

    if (edition is None) == (announcement is None):
        raise UserError("pass --edition DAY or --announcement NUMBER, one of them")
    context = open_context_for(ctx, files=False)
    if announcement is not None:
        cancelled, on_wire = announcements.cancel(context, announcement, COMMAND_LINE)
    else:
        cancelled, on_wire = send_changes.cancel(context, parse_day(edition or "", "--edition"))
    if json:
        print_json([{"cancelled": cancelled, "on_wire": on_wire}])
        return
    say(f"{_sends(cancelled)} cancelled.")
    if on_wire:
        say(f"{_sends(on_wire)} not cancelled: already being sent.")


def mark_sent(
    ctx: typer.Context,
    edition: Edition,
    before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only subscribers due before this time (ISO 8601; default: now)."),
    ] = None,
    dry: DryRun = False,
    json: Json = False,
) -> None:
    """Mark an edition as sent that is missing from the log, such as after restoring a backup.

    Subscribers who were due get no digest for that edition, and papers now in the store no longer count as new to them.
    Run 'newsletter fetch' first, so that the store has the papers of the lost digests.
    """
    from newsletter.services import send_changes

    context = open_context_for(ctx)
    moment = parse_moment(before, "--before") if before is not None else context.clock()
    if moment > context.clock():
        raise UserError(f"--before: {before} is in the future; pass a time in the past")
    counts = send_changes.mark_sent(context, parse_day(edition, "--edition"), moment, dry)
    if json:
        print_json(
            [
                {
                    "noted": counts["noted"],
                    "had": counts["had"],
                    "not_due": counts["not_due"],
                    "before": format_iso(moment),
                }
            ]
        )
        return
    say(f"{_sends(counts['noted'])} {'would be marked' if dry else 'marked'} as sent.")
    if counts["had"]:
        say(f"{_sends(counts['had'])} already in the log.")
    if counts["not_due"]:
        number = counts["not_due"]
        who = "active subscriber was" if number == 1 else "active subscribers were"
        say(f"{number:,} {who} not due before {format_iso(moment)}; unchanged.")


def _sends(number: int) -> str:
    return f"{number:,} send{'' if number == 1 else 's'}"
