"""Commands that change what waits to be sent, or is said to have been."""

from collections import Counter
from datetime import timedelta
from typing import Annotated

import typer

from newsletter.audience import subscriptions
from newsletter.cli.common import Json, format_iso, open_context_for, print_json, say
from newsletter.errors import UserError
from newsletter.model import SendState
from newsletter.services import send_changes
from newsletter.store import reading
from newsletter.store.send_changes import Retry, Selection
from newsletter.support.clock import parse_day, parse_moment

_RECENT = timedelta(days=7)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change; change nothing.")]
Edition = Annotated[str, typer.Option(metavar="DAY", help="The edition of this day, like 2025-11-25.")]


def retry(
    ctx: typer.Context,
    failed: Annotated[bool, typer.Option("--failed", help="Leave deferred sends to their own time.")] = False,
    edition: Annotated[
        str | None, typer.Option(metavar="DAY", help="Only this edition's; else those of the last seven days.")
    ] = None,
    domain: Annotated[str | None, typer.Option(metavar="DOMAIN", help="Only those to this domain.")] = None,
    only: Annotated[str | None, typer.Option(metavar="EMAIL", help="Only this subscriber's.")] = None,
    dry: DryRun = False,
    json: Json = False,
) -> None:
    """Plan failed sends again, and have deferred ones tried at once.

    They keep their Message-IDs. A digest that was sent is never sent again, and a paper that went out in another digest
    is left out. 'newsletter send' or 'newsletter run' then sends them.
    """
    context = open_context_for(ctx, files=False)
    day = parse_day(edition, "--edition") if edition is not None else None
    with reading(context.engine) as connection:
        subscriber = subscriptions.get_subscriber(connection, only).row if only is not None else None
    states = (SendState.FAILED,) if failed else (SendState.FAILED, SendState.DEFERRED)
    since = None if day is not None else (context.clock() - _RECENT).date()
    wanted = Selection(
        states=states,
        edition=day,
        since=since,
        domain=domain.lower().lstrip("@") if domain is not None else None,
        subscriber=subscriber,
    )
    counts: Counter[Retry] = Counter()
    for send, outcome in send_changes.retry(context, wanted, dry):
        counts[outcome] += 1
        if json:
            print_json([{"edition": send.edition.isoformat(), "email": send.email, "outcome": outcome.value}])
    if not json:
        _say_retried(counts, dry)


def _say_retried(counts: Counter[Retry], dry: bool) -> None:
    if not counts:
        say("No send to try again.")
    if counts[Retry.PLANNED]:
        verb = "would be planned" if dry else "planned"
        say(f"{_sends(counts[Retry.PLANNED])} {verb} again; 'newsletter send' sends what is planned.")
    if counts[Retry.MADE_AGAIN]:
        verb = "would be made" if dry else "will be made"
        say(f"{_sends(counts[Retry.MADE_AGAIN])} {verb} again by the next run, since their digests could not be made.")
    if counts[Retry.INACTIVE]:
        say(f"{_sends(counts[Retry.INACTIVE])} left alone: the subscriber gets no mail at present.")
    if counts[Retry.NOTHING_LEFT]:
        say(f"{_sends(counts[Retry.NOTHING_LEFT])} left alone: every paper went out in another digest.")


def cancel(ctx: typer.Context, edition: Edition, json: Json = False) -> None:
    """Cancel what is planned or deferred of an edition; no later run sends it.

    Its papers may come in a later digest. Subscribers whose digest is not planned yet still get theirs: 'newsletter
    pause' stops these.
    """
    context = open_context_for(ctx, files=False)
    cancelled, on_wire = send_changes.cancel(context, parse_day(edition, "--edition"))
    if json:
        print_json([{"cancelled": cancelled, "on_wire": on_wire}])
        return
    say(f"{_sends(cancelled)} cancelled.")
    if on_wire:
        say(f"{_sends(on_wire)} on the wire, not cancelled.")


def mark_sent(
    ctx: typer.Context,
    edition: Edition,
    before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only those whose time for it lay before this (ISO); default: now."),
    ] = None,
    dry: DryRun = False,
    json: Json = False,
) -> None:
    """Note that an edition was sent which the log does not have, as after a restore from a backup.

    Whoever was due gets no digest of that edition any more, and the papers that the store has now are not new to them.
    Run 'newsletter fetch' first, so that it has the papers that the lost digests were made from.
    """
    context = open_context_for(ctx)
    moment = parse_moment(before, "--before") if before is not None else context.clock()
    if moment > context.clock():
        raise UserError(f"--before: {before} lies in the future; name a moment that has passed")
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
    say(f"{_sends(counts['noted'])} {'would be noted' if dry else 'noted'} as sent.")
    if counts["had"]:
        say(f"{_sends(counts['had'])} in the log already.")
    if counts["not_due"]:
        number = counts["not_due"]
        who = "active subscriber was" if number == 1 else "active subscribers were"
        say(f"{number:,} {who} not due before {format_iso(moment)}; nothing changes for them.")


def _sends(number: int) -> str:
    return f"{number:,} send{'' if number == 1 else 's'}"
