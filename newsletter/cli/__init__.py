"""The command line: the ``newsletter`` command."""

import os
import sys
from functools import cache
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_command

from newsletter.cli.app import app
from newsletter.cli.lazy import hide_types
from newsletter.errors import NewsletterError, UserError
from newsletter.support.text import is_utf8

_ANYWHERE = ("--config", "--now")


def main() -> None:
    """Run the command line. The exit code is 2 for errors that the user can fix, 1 for other failures."""
    # A shell may start a program without standard streams (``>&-``): write to the null device then.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open as long as the program runs
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    try:
        _command()(args=global_options_first(_arguments()), prog_name="newsletter")
    except NewsletterError as error:
        _end(error)
    except OSError as error:
        # Not handled elsewhere, such as a full disk under standard output.
        _end(NewsletterError(f"{error.filename or 'standard output'}: {error.strerror or error}"))


@cache
def _command() -> TyperGroup:
    # Cached: building it takes longer than many commands, and tests run thousands of commands in one process.
    command = get_command(app)
    assert isinstance(command, TyperGroup)  # noqa: S101 - it has commands
    hide_types(command)
    return command


def _arguments() -> list[str]:
    for argument in sys.argv[1:]:
        if not is_utf8(argument):
            raise UserError(
                f"{argument.encode('utf-8', 'replace').decode()!r}: is not valid UTF-8; encode the argument as UTF-8"
            )
    return sys.argv[1:]


def _end(error: NewsletterError) -> None:
    for line in error.lines:
        print(f"error: {line}", file=sys.stderr)  # noqa: T201
    sys.exit(error.exit_code)


def global_options_first(arguments: list[str]) -> list[str]:
    """Move ``--config`` and ``--now`` to the front of the arguments, so that they are accepted anywhere."""
    front: list[str] = []
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        if argument == "--":
            rest += [argument, *left]
        elif argument in _ANYWHERE:
            front += [argument, *[value for value in [next(left, None)] if value is not None]]
        elif argument.startswith(tuple(f"{name}=" for name in _ANYWHERE)):
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest
