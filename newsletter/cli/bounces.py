"""Commands for what comes back: bounces, complaints, and addresses that get no mail."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from newsletter.audience import returns
from newsletter.cli.common import Json, err, iso, open_for, print_json, print_table, say, short
from newsletter.config import plain_address
from newsletter.delivery.bounces import MOST_BYTES
from newsletter.desk import Desk
from newsletter.errors import NewsletterError, UserError
from newsletter.model import SubscriberState
from newsletter.plaintext import shown
from newsletter.returning import Taken, take, take_mailbox
from newsletter.store import bounces as store
from newsletter.store import reading, suppressions, writing
from newsletter.textfile import MOST_BYTES_OF_LISTS, read_bytes


def read(
    context: typer.Context,
    file: Annotated[str | None, typer.Argument(help="One message; '-' reads it from standard input.")] = None,
) -> None:
    """Read what came back: the mailbox of config.yaml, a file, or what is piped in.

    A report that proves to be about a message of ours is kept and acted on.
    What is understood is moved away, all else stays and is marked as read.
    """
    if file == "-":
        _read_piped(context)
    elif file is not None:
        say(_told(take(open_for(context, files=False), read_bytes(Path(file), file, MOST_BYTES_OF_LISTS))))
    else:
        _read_mailbox(open_for(context, files=False))


def _read_piped(context: typer.Context) -> None:
    """Read a message that a mail server pipes in. By the exit code it knows what to do with the message: 0, it is
    delivered; EX_TEMPFAIL, try again later. Any other would make it bounce what came back.
    """
    try:
        content = sys.stdin.buffer.read(MOST_BYTES) if sys.stdin else b""
        while sys.stdin and sys.stdin.buffer.read(MOST_BYTES):
            pass  # Who pipes it in is to have it read to its end.
        say(_told(take(open_for(context, files=False), content)))
    except NewsletterError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(os.EX_TEMPFAIL) from None
    except Exception as error:
        print(f"error: this message cannot be read: {type(error).__name__}: {shown(str(error))}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(os.EX_TEMPFAIL) from None


def _read_mailbox(desk: Desk) -> None:
    if not desk.config.bounces.mailbox:
        raise UserError(
            "bounces: no mailbox is set; set bounces.maildir or bounces.imap in config.yaml, or name a file ('-' is "
            "standard input)"
        )
    effects: Counter[str] = Counter()
    problems: list[str] = []

    def each(taken: Taken) -> None:
        if taken.effect is not None:
            effects[taken.effect.value] += 1

    def failed(message: str, error: str) -> None:
        problems.append(f"{message}: cannot be read ({error}); it is marked as read and stays in the mailbox")

    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        counts = take_mailbox(
            desk, each, lambda done, of: bar.update(task, completed=done, total=of), lambda: False, failed
        )
    if not counts:
        say("Nothing unread in the mailbox.")
        return
    say(f"{counts.total()} read: {', '.join(f'{count} {outcome}' for outcome, count in sorted(counts.items()))}.")
    if effects:
        say(f"Subscribers: {', '.join(f'{count} {effect}' for effect, count in sorted(effects.items()))}.")
    if problems:
        raise NewsletterError(*problems)


def _told(taken: Taken) -> str:
    report = taken.report
    if taken.email is None:
        about = f"{report.kind}, {report.reason}" if report.reason else report.kind.value
        return f"Not known: {about}; nothing in it proves that it is about a message of ours."
    if taken.again:
        return f"Read before: {report.kind}, {taken.email}."
    words = ", ".join(part for part in (report.kind.value, report.status, report.reason) if part)
    return f"{taken.email}: {words}; {f'now {taken.effect}' if taken.effect else 'no state changed'}."


def list_bounces(context: typer.Context, json: Json = False) -> None:
    """List what came back and was believed."""
    desk = open_for(context, files=False)
    with reading(desk.engine) as connection:
        found = list(store.everything(connection))
    if json:
        print_json(
            {
                "received_at": iso(one.received_at),
                "kind": one.kind,
                "email": one.email,
                "edition": one.edition.isoformat() if one.edition else None,
                "message_id": one.message_id,
                "status": one.status,
                "diagnostic": one.diagnostic,
                "effect": one.effect,
            }
            for one in found
        )
        return
    if not found:
        say("Nothing came back yet.")
        return
    columns = (("at (UTC)", "left"), ("kind", "left"), ("led to", "left"), ("whose, and what was said", "wide"))
    rows = ((short(one.received_at), one.kind, one.effect, (one.email or "", f"  {one.diagnostic}")) for one in found)
    print_table(columns, rows)


def list_suppressed(context: typer.Context, json: Json = False) -> None:
    """List the addresses that get no mail, whoever imports them.

    One that no subscriber has is not known any more: the list keeps digests.
    """
    desk = open_for(context, files=False)
    with reading(desk.engine) as connection:
        found = list(suppressions.everything(connection))
    if json:
        print_json({"email": one.email, "reason": one.reason.value, "since": iso(one.since)} for one in found)
        return
    if not found:
        say("No address is suppressed.")
        return
    columns = (("since (UTC)", "left"), ("reason", "left"), ("address", "wide"))
    print_table(columns, ((short(one.since), one.reason, one.email or "(not known any more)") for one in found))


def forgive(context: typer.Context, email: Annotated[str, typer.Argument(help="The address.")]) -> None:
    """Take an address off the suppression list.

    Who bounced, or was paused for bouncing, gets mail again. Who complained or
    unsubscribed does not: 'subscribe --again' does that, when that person asks.
    """
    try:
        plain_address(email)
    except ValueError as error:
        raise UserError(f"{email!r} {error}") from None
    desk = open_for(context, files=False)
    with writing(desk.engine) as connection:
        lifted, subscriber = returns.forgive(connection, email, desk.clock())
    say(f"{email} is suppressed no more ({lifted.reason})." if lifted else f"{email} was not suppressed.")
    if subscriber is not None and subscriber.state is SubscriberState.ACTIVE:
        say(f"{subscriber.email} is active.")
    elif subscriber is not None:
        mend = f"; 'newsletter subscribe --again {subscriber.email}' changes that, if that person asks"
        say(f"{subscriber.email} is {subscriber.state}{mend}.")
