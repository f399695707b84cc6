"""Groups whose commands are imported when they are used, so that help and completion start fast."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, partial
from importlib import import_module
from typing import Any

import typer
from typer._click.exceptions import UsageError
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from newsletter.cli.usage_errors import plain_usage_errors

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, slots=True)
class Entry:
    """A command in the list of its group.

    Attributes:
        name: what users type.
        target: module and function in ``newsletter.cli``, like ``papers:fetch``.
        help: the first paragraph of the function's docstring, here too so that listing commands imports none.
    """

    name: str
    target: str
    help: str


@dataclass(frozen=True, slots=True)
class Group:
    """A group of commands in the list of all commands; ``default``: the command that runs if none is named."""

    name: str
    help: str
    commands: tuple[Entry, ...]
    default: str | None = None


class _Command(TyperCommand):
    """A command whose errors are in plain words."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options and arguments."""
        with plain_usage_errors():
            return super().parse_args(ctx, args)


class ListedCommand(TyperCommand):
    """A command in a list: its name and help. The real one is imported when it is used."""

    def __init__(self, entry: Entry, panel: str | None) -> None:
        super().__init__(entry.name, help=entry.help, rich_help_panel=panel)
        self._target = entry.target

    @cached_property
    def real(self) -> TyperCommand:
        """The command itself."""
        module, _, function = self._target.partition(":")
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        called = getattr(import_module(f"newsletter.cli.{module}"), function)
        app.command(self.name, cls=_Command, help=_unwrapped(called), context_settings=HELP_OPTIONS)(called)
        command = get_command(app)
        assert isinstance(command, TyperCommand)  # noqa: S101 - the only one
        hide_types(command)
        return command


class LazyGroup(TyperGroup):
    """A group that imports a command when it is run, shows its help or completes its options.

    Attributes:
        default: the command that runs if none is named.
    """

    default: str | None = None

    def list_in(self, panel: str | None, listed: Iterable[Entry | Group]) -> None:
        """Add commands and groups, in a panel of the help."""
        for one in listed:
            if isinstance(one, Entry):
                self.add_command(ListedCommand(one, panel))
            else:
                self.add_command(_create_group(one, panel))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options of the group itself."""
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        unnamed = not args or (args[0].startswith("-") and args[0] not in own)
        if self.default and unnamed and not ctx.resilient_parsing:
            args = [self.default, *args]
        with plain_usage_errors():
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that is called."""
        try:
            name, command, rest = super().resolve_command(ctx, args)
        except UsageError as error:
            near = get_close_matches(args[0], self._commands_of_groups())
            if near and "Did you mean" not in error.message:
                named = [f"'{group} {name}'" for name in near for group in self._commands_of_groups()[name]]
                error.message = f"{error.message} Did you mean {' or '.join(named)}?"
            raise
        return name, command.real if isinstance(command, ListedCommand) else command, rest

    def _commands_of_groups(self) -> dict[str, list[str]]:
        """Return the groups that have a command, by its name."""
        groups: dict[str, list[str]] = {}
        for group in self.commands.values():
            for name in getattr(group, "commands", ()):
                groups.setdefault(name, []).append(str(group.name))
        return groups


def _unwrapped(function: Callable[..., object]) -> str:
    """Return a docstring with each paragraph on one line: the help wraps it to the width of the terminal."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _create_group(group: Group, panel: str | None) -> LazyGroup:
    created = LazyGroup(
        name=group.name,
        help=group.help,
        rich_help_panel=panel,
        no_args_is_help=True,
        context_settings=HELP_OPTIONS,
    )
    created.default = group.default
    created.list_in(None, group.commands)
    hide_types(created)
    return created


def hide_types(command: Any) -> None:
    """Remove the Python types, ranges and braces that Typer shows in the help (``<bool>``, ``<list[str]>``, ``[x>=1]``,
    ``{EMAIL}``). Flags take no value, all other parameters have a metavar, and help texts name the numbers allowed.
    """
    context = command.context_class(command, **command.context_settings)
    for parameter in (*command.params, command.get_help_option(context)):
        parameter._get_number_range_help_str = lambda: None
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda ctx: None
            usage = parameter.metavar if parameter.required else f"[{parameter.metavar}]"
            parameter.get_usage_pieces = partial(_same, [usage + ("..." if parameter.nargs != 1 else "")])


def _same(value: list[str], _context: object) -> list[str]:
    return value
