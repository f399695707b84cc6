"""Commands for bounces, complaints and suppressed addresses."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import Json, err, format_iso, format_moment, open_context_for, print_json, print_table, say
from newsletter.errors import NewsletterError, UserError
from newsletter.model import SubscriberState
from newsletter.support.clock import parse_moment
from newsletter.support.files import MAX_LIST_BYTES, read_bytes
from newsletter.support.text import escape_for_terminal

if TYPE_CHECKING:
    from newsletter.services.bounces import BounceResult
    from newsletter.services.context import AppContext
    from newsletter.services.forgive_bounces import ForgivenAddress, Selection


_DRY_RUN = "Dry run: nothing is changed. The result would be:"


def read(
    ctx: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Read one message from this file; '-' reads standard input.")
    ] = None,
) -> None:
    """Process bounces, complaints and subscribers' emails from the mailbox, a file or standard input.

    Only what is proven to be about a message of this newsletter is recorded and acted on.
    Recognised messages are moved to another folder; all others stay and are marked as read.
    """
    from newsletter.services.bounces import process_message

    if file == "-":
        _read_piped(ctx)
    elif file is not None:
        say(
            _on_progress(
                process_message(open_context_for(ctx, files=False), read_bytes(Path(file), file, MAX_LIST_BYTES))
            )
        )
    else:
        _read_mailbox(open_context_for(ctx, files=False))


def _read_piped(ctx: typer.Context) -> None:
    """Read a message that a mail server pipes in.

    Exit code 0 reports delivery, EX_TEMPFAIL asks the server to retry later. Any other code would make it bounce the
    message.
    """
    from newsletter.delivery.bounces.parser import MAX_BYTES
    from newsletter.services.bounces import process_message

    try:
        content = sys.stdin.buffer.read(MAX_BYTES) if sys.stdin else b""
        while sys.stdin and sys.stdin.buffer.read(MAX_BYTES):
            pass  # Read to the end, so that the writer gets no broken pipe.
        say(_on_progress(process_message(open_context_for(ctx, files=False), content)))
    except NewsletterError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(os.EX_TEMPFAIL) from None
    except Exception as error:
        words = f"{type(error).__name__}: {escape_for_terminal(str(error))}"
        print(f"error: cannot read this message: {words}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(os.EX_TEMPFAIL) from None


def _read_mailbox(context: AppContext) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from newsletter.services.bounces import process_mailbox

    if not context.config.bounces.mailbox:
        raise UserError(
            "bounces: no mailbox is configured; set bounces.maildir or bounces.imap in config.yaml, or pass a file "
            "('-' for standard input)"
        )
    effects: Counter[str] = Counter()
    problems: list[str] = []

    def each(taken: BounceResult) -> None:
        if taken.effect is not None:
            effects[taken.effect.value] += 1

    def failed(message: str, error: str) -> None:
        problems.append(f"{message}: cannot read it ({error}); it stays in the mailbox, marked as read")

    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        counts = process_mailbox(
            context, each, lambda done, of: bar.update(task, completed=done, total=of), lambda: False, failed
        )
    if not counts:
        say("No unread messages in the mailbox.")
        return
    say(f"{counts.total()} read: {', '.join(f'{count} {outcome}' for outcome, count in sorted(counts.items()))}.")
    if effects:
        say(f"Subscribers: {', '.join(f'{count} {effect}' for effect, count in sorted(effects.items()))}.")
    if problems:
        raise NewsletterError(*problems)


def _on_progress(taken: BounceResult) -> str:
    report = taken.report
    if taken.email is None:
        about = f"{report.kind}, {report.reason}" if report.reason else report.kind.value
        return f"Ignored: {about}; nothing proves that it is about a message of this newsletter."
    if taken.again:
        return f"Already processed: {report.kind}, {taken.email}."
    if taken.done:
        return f"{taken.email}: {report.kind}; {taken.done}."
    words = ", ".join(part for part in (report.kind.value, report.status, report.reason) if part)
    return f"{taken.email}: {words}; {f'now {taken.effect}' if taken.effect else 'state unchanged'}."


def list_bounces(ctx: typer.Context, json: Json = False) -> None:
    """List the recorded bounces and complaints."""
    from newsletter.store import bounces as store
    from newsletter.store import reading

    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        found = list(store.everything(connection))
    if json:
        print_json(
            {
                "received_at": format_iso(one.received_at),
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
        say("No bounces or complaints yet.")
        return
    columns = (("at (UTC)", "left"), ("kind", "left"), ("effect", "left"), ("address and server message", "wide"))
    rows = (
        (format_moment(one.received_at), one.kind, one.effect, (one.email or "", f"  {one.diagnostic}"))
        for one in found
    )
    print_table(columns, rows)


def list_suppressed(ctx: typer.Context, json: Json = False) -> None:
    """List the suppressed addresses, which get no mail even when they are imported again.

    The list stores only hashes: an address without a subscriber can no longer be shown.
    """
    from newsletter.store import reading, suppressions

    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        found = list(suppressions.everything(connection))
    if json:
        print_json({"email": one.email, "reason": one.reason.value, "since": format_iso(one.since)} for one in found)
        return
    if not found:
        say("No suppressed addresses.")
        return
    columns = (("since (UTC)", "left"), ("reason", "left"), ("address", "wide"))
    print_table(
        columns,
        ((format_moment(one.since), one.reason, one.email or "(unknown: only a hash is kept)") for one in found),
    )


def forgive(
    ctx: typer.Context,
    email: Annotated[
        str | None, typer.Argument(metavar="EMAIL", help="Address to reinstate.", show_default=False)
    ] = None,
    domain: Annotated[
        str | None, typer.Option(metavar="DOMAIN", help="Reinstate addresses at this domain that bounced.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Reinstate those that bounced at this time or later.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Reinstate all addresses that bounced.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Remove addresses from the suppression list.

    Subscribers who bounced, or were paused for bouncing, get mail again; a recent digest that failed for this reason is
    planned again. Subscribers who complained or unsubscribed stay out: use 'subscribe --again' when they ask to come
    back. --domain, --since and --all never touch them.
    """
    from newsletter.services import forgive_bounces

    selection = _selection(email, domain, since, everybody)
    context = open_context_for(ctx, files=False)
    if email is not None:
        forgiven = forgive_bounces.forgive(context, email, dry_run)
        if json:
            print_json([_forgiven_json(forgiven)])
        else:
            _tell_forgiven(email, forgiven, dry_run)
        return
    if not (yes or dry_run) and sys.stdin and sys.stdin.isatty():
        _ask(forgive_bounces.forgive_all(context, selection, dry_run=True))
    everyone = forgive_bounces.forgive_all(context, selection, dry_run)
    if json:
        print_json(map(_forgiven_json, everyone))
    else:
        _tell_number(everyone, dry_run)


def _selection(email: str | None, domain: str | None, since: str | None, everybody: bool) -> Selection:
    from newsletter.config.fields import plain_address
    from newsletter.services.forgive_bounces import Selection

    ways = (email is not None, domain is not None or since is not None, everybody)
    if not any(ways):
        raise UserError("no address given; pass an EMAIL, --domain, --since or --all")
    if sum(ways) > 1:
        raise UserError("EMAIL, --domain with --since, and --all are mutually exclusive; pass one of them")
    if email is not None:
        try:
            plain_address(email)
        except ValueError as error:
            raise UserError(f"{email!r} {error}") from None
    if domain is not None:
        try:
            domain = plain_address(f"someone@{domain.strip().removeprefix('@')}").rpartition("@")[2]
        except ValueError:
            raise UserError(f"--domain: {domain!r} is not a domain; write it like example.org") from None
    return Selection(domain=domain, since=parse_moment(since, "--since") if since is not None else None)


def _forgiven_json(one: ForgivenAddress) -> dict[str, object]:
    return {
        "email": one.email,
        "reason": one.lifted.value if one.lifted else None,
        "state": one.state.value if one.state else None,
        "planned_again": one.planned_again.isoformat() if one.planned_again else None,
    }


def _tell_forgiven(email: str, one: ForgivenAddress, dry_run: bool) -> None:
    if dry_run:
        say(_DRY_RUN)
    say(f"{email} is no longer suppressed ({one.lifted})." if one.lifted else f"{email} was not suppressed.")
    if one.state is SubscriberState.ACTIVE:
        say(f"{one.email} is active.")
    elif one.state is not None:
        fix = f"; if that person asks to come back, run 'newsletter subscribe --again {one.email}'"
        say(f"{one.email} is {one.state}{fix}.")
    if one.planned_again is not None:
        say(f"The digest of {one.planned_again} is planned again; 'newsletter send' sends it.")


def _ask(would_be: Iterable[ForgivenAddress]) -> None:
    number = sum(1 for _ in would_be)
    if number:
        typer.confirm(f"Reinstate {_counted(number, 'address', 'addresses')}?", abort=True, err=True)


def _tell_number(everyone: Iterable[ForgivenAddress], dry_run: bool) -> None:
    counts: Counter[str] = Counter()
    if dry_run:
        say(_DRY_RUN)
    for one in everyone:
        counts["active" if one.state is SubscriberState.ACTIVE else "unknown"] += 1
        counts["planned again"] += one.planned_again is not None
        if dry_run:
            say(one.email or "(unknown address)")
    if not counts:
        say("No matching bounced addresses.")
    if number := counts["active"]:
        say(f"{_counted(number, 'subscriber is', 'subscribers are')} active again.")
    if number := counts["unknown"]:
        found = _counted(number, "address without a subscriber is", "addresses without a subscriber are")
        say(f"{found} no longer suppressed.")
    if number := counts["planned again"]:
        say(f"{_counted(number, 'digest is', 'digests are')} planned again; 'newsletter send' sends what is planned.")


def _counted(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"
