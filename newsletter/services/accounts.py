"""The accounts of operators and the tokens of programs: each change is in the audit log, in one transaction with it."""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from newsletter.audience import passwords
from newsletter.errors import UserError
from newsletter.model import Role, Scope
from newsletter.services.context import AppContext
from newsletter.store import audit, operators, reading, tokens, writing
from newsletter.store.operators import Operator
from newsletter.support.text import to_single_line

LONGEST_NAME = 60
_NAME = re.compile(r"[\w.@+-]+")
"""Without spaces: no operator can have the name of another actor in the audit log, such as "command line"."""


class AccountError(UserError):
    """What is asked of an account or a token cannot be done; the site may show it.

    Attributes:
        field: what is wrong: ``name``, ``password`` or ``scopes``.
    """

    def __init__(self, field: str, words: str) -> None:
        self.field = field
        super().__init__(words)

    def __reduce__(self) -> tuple[type["AccountError"], tuple[str, str]]:
        return type(self), (self.field, self.lines[0])


def add_operator(context: AppContext, actor: str, name: str, role: Role, password: str) -> None:
    """Add an operator.

    Raises:
        AccountError: the name is taken or cannot be one, or the password is too weak.
    """
    check_name(context, name)
    password_hash = _hash(context, name, password)
    with writing(context.engine) as connection:
        row = operators.add(connection, name, role, password_hash, context.clock())
        if row is None:
            raise _taken(name)
        audit.record(connection, actor, "operator.add", name, context.clock(), role=role.value)


def check_name(context: AppContext, name: str) -> None:
    """Check the name of a new operator.

    Raises:
        AccountError: the name is taken or cannot be one.
    """
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise AccountError(
            "name",
            f"{name!r} is not an operator name; use up to {LONGEST_NAME} letters, digits and . _ - + @, like ada",
        )
    with reading(context.engine) as connection:
        if operators.by_name(connection, name) is not None:
            raise _taken(name)


def find_operator(context: AppContext, name: str) -> Operator:
    """Return the operator of a name.

    Raises:
        AccountError: there is no such operator.
    """
    with reading(context.engine) as connection:
        return _find(operators.by_name(connection, name), name)


def change_role(context: AppContext, actor: str, name: str, role: Role) -> None:
    """Change an operator's role and end the operator's sessions.

    Raises:
        AccountError: there is no such operator. LastOwner: there would be no owner left.
    """
    with writing(context.engine) as connection:
        operator = _find(operators.by_name(connection, name), name)
        if operator.role is role:
            return
        operators.set_role(connection, operator.row, role)
        operators.end_sessions(connection, operator.row)
        audit.record(
            connection,
            actor,
            "operator.role",
            operator.name,
            context.clock(),
            before=operator.role.value,
            role=role.value,
        )


def change_password(context: AppContext, actor: str, name: str, password: str) -> None:
    """Set an operator's password and end the operator's sessions.

    Raises:
        AccountError: there is no such operator, or the password is too weak.
    """
    operator = find_operator(context, name)
    password_hash = _hash(context, operator.name, password)
    with writing(context.engine) as connection:
        operators.set_password(connection, operator.row, password_hash)
        operators.end_sessions(connection, operator.row)
        audit.record(connection, actor, "operator.password", operator.name, context.clock())


def remove_operator(context: AppContext, actor: str, name: str) -> None:
    """Remove an operator and end the operator's sessions.

    Raises:
        AccountError: there is no such operator. LastOwner: there would be no owner left.
    """
    with writing(context.engine) as connection:
        operator = _find(operators.by_name(connection, name), name)
        operators.remove(connection, operator.row)
        audit.record(connection, actor, "operator.remove", operator.name, context.clock(), role=operator.role.value)


def end_sessions(context: AppContext, actor: str, name: str) -> int:
    """End all sessions of an operator; return how many.

    Raises:
        AccountError: there is no such operator.
    """
    with writing(context.engine) as connection:
        operator = _find(operators.by_name(connection, name), name)
        ended = operators.end_sessions(connection, operator.row)
        if ended:
            audit.record(connection, actor, "operator.end_sessions", operator.name, context.clock(), ended=ended)
        return ended


def check_login(context: AppContext, name: str, password: str) -> Operator | None:
    """Return the operator with this name and password; None if either is wrong, which takes equally long."""
    with reading(context.engine) as connection:
        operator = operators.by_name(connection, name)
    if not passwords.verify(operator.password_hash if operator is not None else None, password) or operator is None:
        return None
    if not passwords.needs_rehash(operator.password_hash):
        return operator
    password_hash = passwords.hash_password(password)
    with writing(context.engine) as connection:
        operators.set_password(connection, operator.row, password_hash)
    return replace(operator, password_hash=password_hash)


def create_token(
    context: AppContext, actor: str, name: str, scopes: Collection[Scope], expires_at: datetime | None
) -> str:
    """Create an API token and return it, which is possible only now.

    Raises:
        AccountError: the name is taken or cannot be one, or there is no scope.
    """
    if name != to_single_line(name) or not 0 < len(name) <= LONGEST_NAME:
        raise AccountError(
            "name", f"{name!r} is not a token name; use up to {LONGEST_NAME} characters in one line, like ada"
        )
    if not scopes:
        raise AccountError("scopes", f"a token needs a scope; choose from {', '.join(Scope)}")
    now = context.clock()
    with writing(context.engine) as connection:
        token = tokens.create(connection, name, scopes, now, expires_at, actor)
        if token is None:
            raise AccountError("name", f"token {name!r} already exists; revoke it first, or choose another name")
        until = expires_at.isoformat() if expires_at is not None else None
        allowed = [scope.value for scope in Scope if scope in scopes]
        audit.record(connection, actor, "token.create", name, now, scopes=allowed, expires_at=until)
    return token


def revoke_token(context: AppContext, actor: str, name: str) -> bool:
    """Revoke an API token; return whether there was one of that name."""
    with writing(context.engine) as connection:
        gone = tokens.revoke(connection, name)
        if gone:
            audit.record(connection, actor, "token.revoke", name, context.clock())
        return gone


def _find(operator: Operator | None, name: str) -> Operator:
    if operator is None:
        raise AccountError("name", f"no operator {name!r}; see 'newsletter operators list'")
    return operator


def _taken(name: str) -> AccountError:
    return AccountError("name", f"operator {name!r} already exists; choose another name")


def _hash(context: AppContext, name: str, password: str) -> str:
    wrong = passwords.problem(password, name, context.config.site.name)
    if wrong is not None:
        raise AccountError("password", wrong)
    return passwords.hash_password(password)
