"""Commands for the accounts of operators."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import Json, format_iso, format_moment, note, open_context_for, print_json, print_table, say
from newsletter.errors import UserError
from newsletter.model import Role

if TYPE_CHECKING:
    from newsletter.services.accounts import AccountError

_LONGEST_LINE = 10_000

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the operator.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]


def add(
    ctx: typer.Context,
    name: Name,
    role: Annotated[
        Role,
        typer.Option(metavar="ROLE", help="What the operator may do: viewer (see), editor (change) or owner (all)."),
    ] = Role.VIEWER,
    password_stdin: PasswordStdin = False,
) -> None:
    """Add an operator, who can log in to the admin site.

    The password is asked for twice. It needs 12 characters or more and must not be easy to guess.
    """
    from newsletter.services import accounts
    from newsletter.store import operators, reading
    from newsletter.store.audit import COMMAND_LINE

    context = open_context_for(ctx, files=False)
    try:
        accounts.check_name(context, name)
        accounts.add_operator(context, COMMAND_LINE, name, role, _password(password_stdin))
    except accounts.AccountError as error:
        raise _told(error) from None
    say(f"Operator {name} has been added, with the role {role}.")
    with reading(context.engine) as connection:
        if all(one.role is not Role.OWNER for one in operators.everything(connection)):
            note(f"There is no owner yet; make one with 'newsletter operators role {name} owner'.")


def list_operators(ctx: typer.Context, json: Json = False) -> None:
    """List the operators: the role of each, and when each last logged in."""
    from newsletter.store import operators, reading

    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        found = operators.everything(connection)
        logged_in = operators.sessions(connection, context.clock())
    if json:
        print_json(
            {
                "name": one.name,
                "role": one.role.value,
                "created_at": format_iso(one.created_at),
                "last_login": format_iso(one.last_login),
                "sessions": logged_in.get(one.row, 0),
            }
            for one in found
        )
    elif not found:
        say("No operators yet; add one with 'newsletter operators add NAME --role owner'.")
    else:
        columns = (("name", "wide"), ("role", "left"), ("added", "left"), ("last login", "left"), ("sessions", "right"))
        print_table(
            columns,
            (
                (
                    one.name,
                    one.role,
                    format_moment(one.created_at),
                    format_moment(one.last_login) or "never",
                    logged_in.get(one.row, 0),
                )
                for one in found
            ),
        )


def role(
    ctx: typer.Context,
    name: Name,
    new: Annotated[Role, typer.Argument(metavar="ROLE", help="What the operator may do: viewer, editor or owner.")],
) -> None:
    """Change an operator's role. The operator must log in again."""
    from newsletter.services import accounts
    from newsletter.store.audit import COMMAND_LINE

    context = open_context_for(ctx, files=False)
    try:
        accounts.change_role(context, COMMAND_LINE, name, new)
    except accounts.AccountError as error:
        raise _told(error) from None
    say(f"Operator {name} has the role {new}.")


def password(ctx: typer.Context, name: Name, password_stdin: PasswordStdin = False) -> None:
    """Set an operator's password. All sessions of the operator end."""
    from newsletter.services import accounts
    from newsletter.store.audit import COMMAND_LINE

    context = open_context_for(ctx, files=False)
    try:
        accounts.find_operator(context, name)
        accounts.change_password(context, COMMAND_LINE, name, _password(password_stdin))
    except accounts.AccountError as error:
        raise _told(error) from None
    say(f"The password of {name} has been changed, and all sessions have ended.")


def remove(ctx: typer.Context, name: Name) -> None:
    """Remove an operator. All sessions of the operator end."""
    from newsletter.services import accounts
    from newsletter.store.audit import COMMAND_LINE

    context = open_context_for(ctx, files=False)
    try:
        accounts.remove_operator(context, COMMAND_LINE, name)
    except accounts.AccountError as error:
        raise _told(error) from None
    say(f"Operator {name} has been removed.")


def _password(from_stdin: bool) -> str:
    """Read a new password: the first line of standard input, or what is typed twice without being shown."""
    if from_stdin:
        return sys.stdin.readline(_LONGEST_LINE).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UserError(
            "password: standard input is not a terminal; run this in a terminal, or add --password-stdin and pipe it in"
        )
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True)
    return typed


def _told(error: AccountError) -> UserError:
    where = {"name": "NAME", "password": "password"}[error.field]
    return UserError(f"{where}: {error}")
