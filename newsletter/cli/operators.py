"""Commands for the accounts of the admin site."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import Json, format_iso, format_moment, open_context_for, print_json, print_table, say
from newsletter.errors import UserError

if TYPE_CHECKING:
    from newsletter.services.context import AppContext
    from newsletter.store.operators import Operator, Role

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]
RoleName = Annotated[str, typer.Option("--role", metavar="ROLE", help="viewer, editor or owner.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking for it.")
]


def add(ctx: typer.Context, name: Name, role: RoleName = "owner", password_stdin: FromStdin = False) -> None:
    """Add an account for the admin site, and ask for its password.

    A viewer may look; an editor may also change subscribers and sending; an owner may also manage accounts and tokens.
    """
    from newsletter.services import accounts
    from newsletter.store.audit import COMMAND_LINE

    wanted, context = _role(role), open_context_for(ctx, files=False)
    accounts.check_name(name)
    added = accounts.add(context, name, wanted, _password(password_stdin), COMMAND_LINE)
    say(f"{added.name} can log in at {context.config.site.url or 'the site'}/admin as {added.role}.")


def list_operators(ctx: typer.Context, json: Json = False) -> None:
    """List the accounts, their roles and last logins."""
    from newsletter.store import operators, reading

    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        found = operators.everything(connection)
    if json:
        print_json(
            {
                "name": one.name,
                "role": one.role.value,
                "created_at": format_iso(one.created_at),
                "last_login": format_iso(one.last_login),
            }
            for one in found
        )
    elif not found:
        say("No accounts yet; add one with 'newsletter operators add NAME'.")
    else:
        columns = (("name", "wide"), ("role", "left"), ("last login (UTC)", "left"))
        print_table(columns, ((one.name, one.role.value, format_moment(one.last_login) or "never") for one in found))


def role(
    ctx: typer.Context,
    name: Name,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, editor or owner.")],
) -> None:
    """Change the role of an account. It has to log in again."""
    from newsletter.services import accounts
    from newsletter.store.audit import COMMAND_LINE

    wanted, context = _role(role), open_context_for(ctx, files=False)
    accounts.set_role(context, _find(context, name), wanted, COMMAND_LINE)
    say(f"{name} is {'an' if wanted.value[0] in 'aeiou' else 'a'} {wanted.value} now.")


def password(ctx: typer.Context, name: Name, password_stdin: FromStdin = False) -> None:
    """Set a new password of an account. It has to log in again."""
    from newsletter.services import accounts
    from newsletter.store.audit import COMMAND_LINE

    context = open_context_for(ctx, files=False)
    operator = _find(context, name)
    accounts.set_password(context, operator, _password(password_stdin), COMMAND_LINE)
    say(f"The password of {operator.name} is changed, and its sessions have ended.")


def remove(ctx: typer.Context, name: Name) -> None:
    """Delete an account. Its sessions end."""
    from newsletter.services import accounts
    from newsletter.store.audit import COMMAND_LINE

    context = open_context_for(ctx, files=False)
    operator = _find(context, name)
    accounts.remove(context, operator, COMMAND_LINE)
    say(f"The account {operator.name} is deleted.")


def _find(context: AppContext, name: str) -> Operator:
    from newsletter.store import operators, reading

    with reading(context.engine) as connection:
        found = operators.find(connection, name)
    if found is None:
        raise UserError(f"NAME: no account {name!r}; see 'newsletter operators list'")
    return found


def _role(value: str) -> Role:
    from newsletter.store.operators import Role

    if value not in list(Role):
        raise UserError(f"ROLE: {value!r} is not a role; use viewer, editor or owner")
    return Role(value)


def _password(from_stdin: bool) -> str:
    """Read a new password: a line of standard input, or what is typed twice at the terminal."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not (sys.stdin and sys.stdin.isatty()):
        raise UserError("cannot ask for a password here; pass it to standard input with --password-stdin")
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed
