"""The accounts of operators and the tokens of programs; each change is recorded in the audit log."""

from collections.abc import Sequence
from datetime import timedelta

from newsletter.audience import passwords
from newsletter.errors import ReaderError
from newsletter.services.context import AppContext
from newsletter.store import audit, operators, reading, tokens, writing
from newsletter.store.operators import Operator, Role
from newsletter.store.tokens import Scope
from newsletter.support.text import to_single_line

LONGEST_NAME = 60


def check_name(name: str) -> str:
    """Return a name of an account or a token.

    Raises:
        ReaderError: it is empty, too long, or of several lines.
    """
    if name != to_single_line(name) or not 0 < len(name) <= LONGEST_NAME:
        raise ReaderError(f"{name!r} is not a name; use up to {LONGEST_NAME} characters in one line, like ada")
    return name


def add(context: AppContext, name: str, role: Role, password: str, actor: str) -> Operator:
    """Add an account.

    Raises:
        ReaderError: the name is taken or unusable, or the password is too easy.
    """
    now, hashed = context.clock(), passwords.hash_password(password, check_name(name))
    with writing(context.engine) as connection:
        added = operators.add(connection, name, role, hashed, now)
        if added is None:
            raise ReaderError(f"An account named {name!r} exists already; choose another name.")
        audit.record(connection, actor, "operator.add", name, now, role=role.value)
    return added


def find(context: AppContext, name: str) -> Operator:
    """Return the account of a name.

    Raises:
        ReaderError: there is none.
    """
    with reading(context.engine) as connection:
        found = operators.find(connection, name)
    if found is None:
        raise ReaderError(f"There is no account named {name!r}.")
    return found


def set_role(context: AppContext, operator: Operator, role: Role, actor: str) -> None:
    """Change the role of an account, and end its sessions.

    Raises:
        ReaderError: it is the last owner.
    """
    with writing(context.engine) as connection:
        if not operators.set_role(connection, operator.row, role):
            raise ReaderError(f"{operator.name} is the only owner; make somebody else an owner first.")
        audit.record(connection, actor, "operator.role", operator.name, context.clock(), role=role.value)


def set_password(context: AppContext, operator: Operator, password: str, actor: str) -> None:
    """Set a new password, and end the sessions of the account.

    Raises:
        ReaderError: it is too easy.
    """
    hashed = passwords.hash_password(password, operator.name)
    with writing(context.engine) as connection:
        operators.set_password(connection, operator.row, hashed)
        audit.record(connection, actor, "operator.password", operator.name, context.clock())


def change_own_password(context: AppContext, operator: Operator, present: str, wanted: str) -> None:
    """Let an operator set a new password, who knows the present one.

    Raises:
        ReaderError: the present one is wrong, or the new one is too easy.
    """
    with reading(context.engine) as connection:
        hashed = operators.password_hash(connection, operator.row)
    if not passwords.verify(present, hashed):
        raise ReaderError("The present password is wrong.")
    set_password(context, operator, wanted, operator.name)


def remove(context: AppContext, operator: Operator, actor: str) -> None:
    """Delete an account with its sessions.

    Raises:
        ReaderError: it is the last owner.
    """
    with writing(context.engine) as connection:
        if not operators.remove(connection, operator.row):
            raise ReaderError(f"{operator.name} is the only owner; make somebody else an owner first.")
        audit.record(connection, actor, "operator.remove", operator.name, context.clock())


def end_sessions(context: AppContext, operator: Operator, actor: str) -> None:
    """End the sessions of an account."""
    with writing(context.engine) as connection:
        operators.end_sessions(connection, operator.row)
        audit.record(connection, actor, "operator.logout", operator.name, context.clock())


def create_token(context: AppContext, name: str, scopes: Sequence[Scope], days: int | None, actor: str) -> str:
    """Create a token and return it, which is possible only now.

    Args:
        days: until it expires; None: never.

    Raises:
        ReaderError: the name is taken or unusable, or there is no scope.
    """
    now = context.clock()
    if not scopes:
        raise ReaderError("A token without a scope allows nothing; choose at least one.")
    expires_at = now + timedelta(days=days) if days is not None else None
    with writing(context.engine) as connection:
        token = tokens.create(connection, check_name(name), now, expires_at, scopes, actor)
        if token is None:
            raise ReaderError(f"A token named {name!r} exists already; revoke it first, or choose another name.")
        audit.record(connection, actor, "token.create", name, now, scopes=[scope.value for scope in scopes])
    return token


def revoke_token(context: AppContext, name: str, actor: str) -> bool:
    """Revoke a token; return whether there was one of that name."""
    with writing(context.engine) as connection:
        gone = tokens.revoke(connection, name)
        if gone:
            audit.record(connection, actor, "token.revoke", name, context.clock())
    return gone
