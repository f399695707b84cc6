"""Asks on a terminal for what a new source needs. Each answer is checked at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from newsletter.cli.common import note, say, say_wrapped
from newsletter.errors import UserError

if TYPE_CHECKING:
    from newsletter.config.source_kinds import SettingField, SourceKind

Answer = TypeVar("Answer")


def at_terminal() -> bool:
    """Return whether there is someone to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def ask_kind() -> SourceKind:
    """Ask for the kind of source, by its name or its number in the list."""
    from newsletter.config.source_kinds import find_kind, source_kinds

    kinds = source_kinds()
    width = max(map(len, kinds))
    say("Kinds of sources:")
    for number, kind in enumerate(kinds.values(), 1):
        start = f"{number:>3} {kind.name:<{width}}  "
        say_wrapped(kind.summary, start, " " * len(start))
    numbered = {str(number): name for number, name in enumerate(kinds, 1)}
    return _ask("Kind", lambda text: find_kind(numbered.get(text, text)))


def ask_settings(kind: SourceKind, given: Mapping[str, Any], optional: bool) -> dict[str, Any]:
    """Ask for the fields that are required and not given, then, if ``optional``, for others to change."""
    values = dict(given)
    for field in kind.fields.values():
        if field.required and field.name not in values:
            values[field.name] = _ask_field(kind, field)
    while True:
        if optional:
            _ask_optional(kind, values)
        try:
            kind.settings(values)
            return values
        except UserError as error:
            if all(field.required for field in kind.fields.values()):
                raise
            _show(error)
            optional = True


def ask_name(suggested: str, check: Callable[[str], None]) -> str:
    """Ask for the name of the source; ``check`` raises UserError for one that cannot be used."""

    def checked(text: str) -> str:
        check(text or suggested)
        return text or suggested

    return _ask(f"Name of the source [{suggested}]", checked)


def _ask_optional(kind: SourceKind, values: dict[str, Any]) -> None:
    others = [field for field in kind.fields.values() if not field.required]
    if not others:
        return
    say("Optional settings:")
    for field in others:
        default = f"default: {field.default}" if field.default else "not set"
        say_wrapped(f"{field.name} ({default}). {field.description}".strip(), "  ", "    ")
    while (name := _ask("Setting to change (Enter for none)", lambda text: text and kind.find(text).name)) != "":
        values[name] = _ask_field(kind, kind.fields[name])


def _ask_field(kind: SourceKind, field: SettingField) -> Any:
    def checked(text: str) -> Any:
        if not text:
            raise UserError(f"{field.name}: is empty; enter a value")
        value = field.parse(text)
        kind.check(field.name, value)
        return value

    if field.description:
        say_wrapped(field.description)
    return _ask(f"{field.name}{' (several: separate them by commas)' if field.is_list else ''}", checked)


def _ask(label: str, checked: Callable[[str], Answer]) -> Answer:
    """Ask until an answer can be used."""
    while True:
        text = str(typer.prompt(label, default="", show_default=False)).strip()
        try:
            return checked(text)
        except UserError as error:
            _show(error)


def _show(error: UserError) -> None:
    for line in error.lines:
        note(f"error: {line}")
