"""Commands for what comes back: bounces, complaints, and addresses that get no mail."""

import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from newsletter.cli.common import Json, err, format_iso, format_moment, open_context_for, print_json, print_table, say
from newsletter.config.fields import plain_address
from newsletter.delivery.bounces.parser import MAX_BYTES
from newsletter.errors import NewsletterError, UserError
from newsletter.model import SubscriberState
from newsletter.services import forgive_bounces
from newsletter.services.bounces import BounceResult, process_mailbox, process_message
from newsletter.services.context import AppContext
from newsletter.services.forgive_bounces import ForgivenAddress, Selection
from newsletter.store import bounces as store
from newsletter.store import reading, suppressions
from newsletter.support.clock import parse_moment
from newsletter.support.files import MAX_LIST_BYTES, read_bytes
from newsletter.support.text import escape_for_terminal

_DRY_RUN = "A dry run: nothing is changed. It would be like this:"


def read(
    ctx: typer.Context,
    file: Annotated[str | None, typer.Argument(help="One message; '-' reads it from standard input.")] = None,
) -> None:
    """Read what came back: the mailbox of config.yaml, a file, or what is piped in.

    A report that proves to be about a message of ours is kept and acted on.
    What is understood is moved away, all else stays and is marked as read.
    """
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
    """Read a message that a mail server pipes in. By the exit code it knows what to do with the message: 0, it is
    delivered; EX_TEMPFAIL, try again later. Any other would make it bounce what came back.
    """
    try:
        content = sys.stdin.buffer.read(MAX_BYTES) if sys.stdin else b""
        while sys.stdin and sys.stdin.buffer.read(MAX_BYTES):
            pass  # Who pipes it in is to have it read to its end.
        say(_on_progress(process_message(open_context_for(ctx, files=False), content)))
    except NewsletterError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(os.EX_TEMPFAIL) from None
    except Exception as error:
        words = f"{type(error).__name__}: {escape_for_terminal(str(error))}"
        print(f"error: this message cannot be read: {words}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(os.EX_TEMPFAIL) from None


def _read_mailbox(context: AppContext) -> None:
    if not context.config.bounces.mailbox:
        raise UserError(
            "bounces: no mailbox is set; set bounces.maildir or bounces.imap in config.yaml, or name a file ('-' is "
            "standard input)"
        )
    effects: Counter[str] = Counter()
    problems: list[str] = []

    def each(taken: BounceResult) -> None:
        if taken.effect is not None:
            effects[taken.effect.value] += 1

    def failed(message: str, error: str) -> None:
        problems.append(f"{message}: cannot be read ({error}); it is marked as read and stays in the mailbox")

    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        counts = process_mailbox(
            context, each, lambda done, of: bar.update(task, completed=done, total=of), lambda: False, failed
        )
    if not counts:
        say("Nothing unread in the mailbox.")
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
        return f"Not known: {about}; nothing in it proves that it is about a message of ours."
    if taken.again:
        return f"Read before: {report.kind}, {taken.email}."
    words = ", ".join(part for part in (report.kind.value, report.status, report.reason) if part)
    return f"{taken.email}: {words}; {f'now {taken.effect}' if taken.effect else 'no state changed'}."


def list_bounces(ctx: typer.Context, json: Json = False) -> None:
    """List what came back and was believed."""
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
        say("Nothing came back yet.")
        return
    columns = (("at (UTC)", "left"), ("kind", "left"), ("led to", "left"), ("whose, and what was said", "wide"))
    rows = (
        (format_moment(one.received_at), one.kind, one.effect, (one.email or "", f"  {one.diagnostic}"))
        for one in found
    )
    print_table(columns, rows)


def list_suppressed(ctx: typer.Context, json: Json = False) -> None:
    """List the addresses that get no mail, whoever imports them.

    One that no subscriber has is not known any more: the list keeps digests.
    """
    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        found = list(suppressions.everything(connection))
    if json:
        print_json({"email": one.email, "reason": one.reason.value, "since": format_iso(one.since)} for one in found)
        return
    if not found:
        say("No address is suppressed.")
        return
    columns = (("since (UTC)", "left"), ("reason", "left"), ("address", "wide"))
    print_table(columns, ((format_moment(one.since), one.reason, one.email or "(not known any more)") for one in found))


def forgive(
    ctx: typer.Context,
    email: Annotated[str | None, typer.Argument(help="The address.", show_default=False)] = None,
    domain: Annotated[str | None, typer.Option(metavar="DOMAIN", help="Everybody with an address there.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Everybody who bounced at that time or later.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody who bounced.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say who would be forgiven; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Take addresses off the suppression list.

    Whoever bounced, or was paused for bouncing, gets mail again; a digest that failed for it is sent if it is recent.
    Whoever complained or unsubscribed does not: 'subscribe --again' does that, when that person asks. With --domain,
    --since or --all nothing of theirs is touched.
    """
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
    ways = (email is not None, domain is not None or since is not None, everybody)
    if not any(ways):
        raise UserError("name whom to forgive: an EMAIL, --domain, --since, or --all")
    if sum(ways) > 1:
        raise UserError("an EMAIL, --domain with --since, and --all exclude each other; keep one of them")
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
    say(f"{email} is suppressed no more ({one.lifted})." if one.lifted else f"{email} was not suppressed.")
    if one.state is SubscriberState.ACTIVE:
        say(f"{one.email} is active.")
    elif one.state is not None:
        fix = f"; 'newsletter subscribe --again {one.email}' changes that, if that person asks"
        say(f"{one.email} is {one.state}{fix}.")
    if one.planned_again is not None:
        say(f"The digest of {one.planned_again} is planned again; 'newsletter send' sends it.")


def _ask(would_be: Iterable[ForgivenAddress]) -> None:
    number = sum(1 for _ in would_be)
    if number:
        typer.confirm(f"Forgive {_counted(number, 'address', 'addresses')}?", abort=True, err=True)


def _tell_number(everyone: Iterable[ForgivenAddress], dry_run: bool) -> None:
    counts: Counter[str] = Counter()
    if dry_run:
        say(_DRY_RUN)
    for one in everyone:
        counts["active" if one.state is SubscriberState.ACTIVE else "unknown"] += 1
        counts["planned again"] += one.planned_again is not None
        if dry_run:
            say(one.email or "an address that nobody has any more")
    if not counts:
        say("Nobody who bounced fits.")
    if number := counts["active"]:
        say(f"{_counted(number, 'subscriber is', 'subscribers are')} active again.")
    if number := counts["unknown"]:
        found = _counted(number, "address that no subscriber has is", "addresses that no subscriber has are")
        say(f"{found} no longer suppressed.")
    if number := counts["planned again"]:
        say(f"{_counted(number, 'digest is', 'digests are')} planned again; 'newsletter send' sends what is planned.")


def _counted(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"
