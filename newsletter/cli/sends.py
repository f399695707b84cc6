"""Commands that tell what was sent, and settle what nobody knows."""

from typing import Annotated, Any

import typer

from newsletter.audience import membership
from newsletter.cli.common import Json, iso, open_for, print_json, print_table, say, short
from newsletter.clock import parse_day
from newsletter.errors import UserError
from newsletter.model import Digest, Send, SendState
from newsletter.store import reading, send_log, sends, writing


def log(
    context: typer.Context,
    email: Annotated[str | None, typer.Argument(help="Only this subscriber's.")] = None,
    edition: Annotated[str | None, typer.Option(metavar="DAY", help="Only this edition's.")] = None,
    json: Json = False,
) -> None:
    """Show what each subscriber was sent, when, and why not."""
    desk = open_for(context, files=False)
    day = parse_day(edition, "--edition") if edition is not None else None
    with reading(desk.engine) as connection:
        row = membership.require(connection, email).row if email is not None else None
        found = send_log.log(connection, row, day)
        if json:
            print_json(_log_json(send, digest) for send, digest in found)
            return
        rows = [_log_row(send, digest) for send, digest in found]
    if not rows:
        say("Nothing was sent yet." if email is None and day is None else "No line of the log fits.")
        return
    columns = (("edition", "left"), ("state", "left"), ("at (UTC)", "left"), ("papers", "right"))
    print_table((*columns, ("to whom, and what the server said or why not", "wide")), rows)


def _log_row(send: Send, digest: Digest) -> tuple[object, ...]:
    said = [send.reason if send.state is not SendState.SENT else None, send.smtp_reply]
    again = f"next try {short(send.not_before)}" if send.not_before else None
    words = "; ".join(part for part in (*said, again) if part)
    at = f"{send.settled_at:%H:%M:%S}" if send.settled_at else ""
    who = (send.email, f"  {words}") if words else send.email
    return send.edition, send.state.value, at, len(digest.choices) or "", who


def _log_json(send: Send, digest: Digest) -> dict[str, Any]:
    return {
        "edition": send.edition.isoformat(),
        "email": send.email,
        "state": send.state.value,
        "message_id": send.message_id,
        "sent_at": iso(send.settled_at) if send.state is SendState.SENT else None,
        "smtp_reply": send.smtp_reply,
        "reason": send.reason,
        "attempts": send.attempts,
        "settled_at": iso(send.settled_at),
        "not_before": iso(send.not_before),
        "space": send.space,
        "account": send.account,
        "papers": [
            {"id": choice.paper.id, "rank": choice.rank, "score": round(choice.score, 6), "section": choice.section}
            for choice in digest.choices
        ],
    }


def resolve(
    context: typer.Context,
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
    desk = open_for(context, files=False)
    day = parse_day(edition, "--edition") if edition is not None else None
    with writing(desk.engine) as connection:
        who = {membership.require(connection, email).row for email in emails or []}
        unsure = [
            send
            for send in sends.unsure(connection)
            if (not who or send.subscriber in who) and day in (None, send.edition)
        ]
        if sent or again:
            sends.resolve(connection, [send.row for send in unsure], arrived=sent, now=desk.clock())
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
