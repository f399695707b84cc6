"""Commands for API tokens."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import Json, format_iso, format_moment, open_context_for, print_json, print_table, say
from newsletter.errors import UserError
from newsletter.model import Scope

if TYPE_CHECKING:
    from newsletter.store import tokens


def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Owner or purpose of the token.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(metavar="SCOPE", help=f"What it allows: {', '.join(Scope)} (default: read; repeatable)."),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=3650, help="Days until it expires, 1 to 3650 (default: never)."),
    ] = None,
) -> None:
    """Create a token for a program that uses the API or reads /metrics.

    The token is shown only once: only a hash of it is kept.
    """
    from newsletter.services import accounts
    from newsletter.store.audit import COMMAND_LINE

    context = open_context_for(ctx, files=False)
    expires_at = context.clock() + timedelta(days=days) if days is not None else None
    try:
        token = accounts.create_token(context, COMMAND_LINE, name, scope or [Scope.READ], expires_at)
    except accounts.AccountError as error:
        raise UserError(f"NAME: {error}") from None
    say(token)


def list_tokens(ctx: typer.Context, json: Json = False) -> None:
    """List the tokens: what each allows, when it expires, and when it was last used."""
    from newsletter.store import reading, tokens

    context = open_context_for(ctx, files=False)
    now = context.clock()
    with reading(context.engine) as connection:
        found = tokens.everything(connection)
    if json:
        print_json(
            {
                "name": one.name,
                "scopes": [scope.value for scope in one.scopes],
                "created_at": format_iso(one.created_at),
                "created_by": one.created_by or None,
                "expires_at": format_iso(one.expires_at),
                "last_used": format_iso(one.last_used),
                "holds": one.holds(now),
            }
            for one in found
        )
    elif not found:
        say("No tokens yet; create one with 'newsletter token create NAME'.")
    else:
        columns = (
            ("name", "wide"),
            ("scopes", "left"),
            ("created", "left"),
            ("expires", "left"),
            ("last used", "left"),
        )
        print_table(columns, (_cells(one, now) for one in found))


def _cells(token: tokens.Token, now: datetime) -> tuple[object, ...]:
    expires = format_moment(token.expires_at) if token.holds(now) else "expired"
    used = format_moment(token.last_used)
    return (
        token.name,
        tuple(token.scopes) or "none",
        format_moment(token.created_at),
        expires or "never",
        used or "never",
    )


def revoke(ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="Token name.")]) -> None:
    """Revoke a token."""
    from newsletter.services import accounts
    from newsletter.store.audit import COMMAND_LINE

    context = open_context_for(ctx, files=False)
    if not accounts.revoke_token(context, COMMAND_LINE, name):
        raise UserError(f"NAME: no token {name!r}; see 'newsletter token list'")
    say(f"Token {name} has been revoked.")
