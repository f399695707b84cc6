"""Commands for API and operator tokens."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import Json, format_iso, format_moment, open_context_for, print_json, print_table, say
from newsletter.errors import UserError
from newsletter.support.text import to_single_line

if TYPE_CHECKING:
    from newsletter.store import tokens


_LONGEST_NAME = 60


def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Owner or purpose of the token.")],
    days: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=3650, help="Days until it expires, 1 to 3650 (default: never)."),
    ] = None,
) -> None:
    """Create a token for the operator's page, the operator API and /metrics.

    The token is shown only once: only a hash of it is kept.
    """
    from newsletter.store import tokens, writing

    if name != to_single_line(name) or not 0 < len(name) <= _LONGEST_NAME:
        raise UserError(
            f"NAME: {name!r} is not a token name; use up to {_LONGEST_NAME} characters in one line, like ada"
        )
    context = open_context_for(ctx, files=False)
    now = context.clock()
    expires_at = now + timedelta(days=days) if days is not None else None
    with writing(context.engine) as connection:
        token = tokens.create(connection, name, now, expires_at)
    if token is None:
        raise UserError(f"NAME: token {name!r} already exists; revoke it with 'newsletter token revoke {name}'")
    say(token)


def list_tokens(ctx: typer.Context, json: Json = False) -> None:
    """List the tokens and when each was last used."""
    from newsletter.store import reading, tokens

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
        say("No tokens yet; create one with 'newsletter token create NAME'.")
    else:
        columns = (("name", "wide"), ("created", "left"), ("expires", "left"), ("last used", "left"))
        print_table(columns, ((one.name, format_moment(one.created_at), _until(one, now), _used(one)) for one in found))


def _until(token: tokens.Token, now: datetime) -> str:
    if token.expires_at is None:
        return "never"
    return format_moment(token.expires_at) if token.holds(now) else "expired"


def _used(token: tokens.Token) -> str:
    return format_moment(token.last_used) or "never"


def revoke(ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="Token name.")]) -> None:
    """Revoke a token and end every session that it started."""
    from newsletter.store import tokens, writing

    context = open_context_for(ctx, files=False)
    with writing(context.engine) as connection:
        gone = tokens.revoke(connection, name)
    if not gone:
        raise UserError(f"NAME: no token {name!r}; see 'newsletter token list'")
    say(f"Token {name} has been revoked.")
