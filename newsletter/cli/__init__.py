"""The command line: the ``newsletter`` command."""

import os
import sys
from functools import cache
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_command

from newsletter.cli.app import app
from newsletter.errors import NewsletterError, UserError
from newsletter.support.text import is_utf8

_ANYWHERE = ("--config", "--now")


def main() -> None:
    """Run the command that the arguments name; what a person can mend ends with exit code 2, other failures with 1."""
    # A shell may start a program without them (``>&-``); then there is nowhere to write, and nothing to fail.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open as long as the program runs
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    try:
        _command()(args=global_options_first(_arguments()), prog_name="newsletter")
    except NewsletterError as error:
        _end(error)
    except OSError as error:
        # What no part of the program foresaw: a full disk under standard output, say.
        _end(NewsletterError(f"{error.filename or 'standard output'}: {error.strerror or error}"))


@cache
def _command() -> TyperGroup:
    # Kept, since making it takes longer than many a command, and tests run thousands of them in one process.
    command = get_command(app)
    assert isinstance(command, TyperGroup)  # noqa: S101 - it has commands
    return command


def _arguments() -> list[str]:
    for argument in sys.argv[1:]:
        if not is_utf8(argument):
            raise UserError(f"{argument.encode('utf-8', 'replace').decode()!r}: not text in UTF-8; write it as such")
    return sys.argv[1:]


def _end(error: NewsletterError) -> None:
    for line in error.lines:
        print(f"error: {line}", file=sys.stderr)  # noqa: T201
    sys.exit(error.exit_code)


def global_options_first(arguments: list[str]) -> list[str]:
    """Arguments with ``--config`` and ``--now`` moved to the front, so that they may stand anywhere."""
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
