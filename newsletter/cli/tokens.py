"""Commands for the tokens of programs that use the API."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import Json, format_iso, format_moment, open_context_for, print_json, print_table, say
from newsletter.errors import UserError
from newsletter.support.text import to_single_line

if TYPE_CHECKING:
    from newsletter.store import tokens


def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Owner or purpose of the token.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="What it allows: read, metrics, subscribers:write, announcements:write or messages:write. Can be "
            "repeated (default: read and metrics).",
        ),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=3650, help="Days until it expires, 1 to 3650 (default: never)."),
    ] = None,
) -> None:
    """Create a token for the API and /metrics.

    The token is shown only once: only a hash of it is kept.
    """
    from newsletter.services import accounts
    from newsletter.store import reading, tokens
    from newsletter.store.audit import COMMAND_LINE
    from newsletter.store.tokens import USUAL_SCOPES, Scope

    if name != to_single_line(name) or not 0 < len(name) <= accounts.LONGEST_NAME:
        raise UserError(
            f"NAME: {name!r} is not a token name; use up to {accounts.LONGEST_NAME} characters in one line, like ada"
        )
    for one in scope or ():
        if one not in list(Scope):
            raise UserError(f"--scope: {one!r} is not a scope; use {', '.join(Scope)}")
    wanted = [one for one in Scope if one.value in scope] if scope else USUAL_SCOPES
    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        if any(one.name == name for one in tokens.everything(connection)):
            raise UserError(f"NAME: token {name!r} already exists; revoke it with 'newsletter token revoke {name}'")
    say(accounts.create_token(context, name, wanted, days, COMMAND_LINE))


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
                "scopes": [scope.value for scope in one.scopes],
                "holds": one.holds(now),
            }
            for one in found
        )
    elif not found:
        say("No tokens yet; create one with 'newsletter token create NAME'.")
    else:
        columns = (("name", "wide"), ("scopes", "wide"), ("expires", "left"), ("last used", "left"))
        print_table(columns, ((one.name, ", ".join(one.scopes), _until(one, now), _used(one)) for one in found))


def _until(token: tokens.Token, now: datetime) -> str:
    if token.expires_at is None:
        return "never"
    return format_moment(token.expires_at) if token.holds(now) else "expired"


def _used(token: tokens.Token) -> str:
    return format_moment(token.last_used) or "never"


def revoke(ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="Token name.")]) -> None:
    """Revoke a token."""
    from newsletter.services import accounts
    from newsletter.store.audit import COMMAND_LINE

    context = open_context_for(ctx, files=False)
    if not accounts.revoke_token(context, name, COMMAND_LINE):
        raise UserError(f"NAME: no token {name!r}; see 'newsletter token list'")
    say(f"Token {name} has been revoked.")
