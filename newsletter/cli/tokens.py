"""Commands for the tokens of operators."""

from datetime import datetime, timedelta
from typing import Annotated

import typer

from newsletter.cli.common import Json, format_iso, format_moment, open_context_for, print_json, print_table, say
from newsletter.errors import UserError
from newsletter.store import reading, tokens, writing
from newsletter.support.text import to_single_line

_LONGEST_NAME = 60


def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose it is, or what for.")],
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="How long it holds; else until revoked.")] = None,
) -> None:
    """Make a token for the operator's page, the operators' API and /metrics.

    It is printed this once: the store keeps only a digest of it.
    """
    if name != to_single_line(name) or not 0 < len(name) <= _LONGEST_NAME:
        raise UserError(f"NAME: {name!r} is no name for a token; write a short one in one line, like ada")
    context = open_context_for(ctx, files=False)
    now = context.clock()
    expires_at = now + timedelta(days=days) if days is not None else None
    with writing(context.engine) as connection:
        token = tokens.create(connection, name, now, expires_at)
    if token is None:
        raise UserError(f"NAME: there is a token {name!r} already; 'newsletter token revoke {name}' ends it")
    say(token)


def list_tokens(ctx: typer.Context, json: Json = False) -> None:
    """List the tokens, with when each was last used."""
    context = open_context_for(ctx, files=False)
    now = context.clock()
    with reading(context.engine) as connection:
        found = tokens.everything(connection)
    if json:
        print_json(
            {
                "name": one.name,
                "created_at": format_iso(one.created_at),
                "expires_at": format_iso(one.expires_at),
                "last_used": format_iso(one.last_used),
                "holds": one.holds(now),
            }
            for one in found
        )
    elif not found:
        say("No tokens yet: 'newsletter token create NAME' makes one.")
    else:
        columns = (("name", "wide"), ("made", "left"), ("holds until", "left"), ("last used", "left"))
        print_table(columns, ((one.name, format_moment(one.created_at), _until(one, now), _used(one)) for one in found))


def _until(token: tokens.Token, now: datetime) -> str:
    if token.expires_at is None:
        return "revoked"
    return format_moment(token.expires_at) if token.holds(now) else "expired"


def _used(token: tokens.Token) -> str:
    return format_moment(token.last_used) or "never"


def revoke(ctx: typer.Context, name: Annotated[str, typer.Argument(help="The token's name.")]) -> None:
    """End a token, and every session that began with it."""
    context = open_context_for(ctx, files=False)
    with writing(context.engine) as connection:
        gone = tokens.revoke(connection, name)
    if not gone:
        raise UserError(f"NAME: there is no token {name!r}; 'newsletter token list' shows them")
    say(f"The token {name} is worth nothing any more.")
