"""The command line: the ``newsletter`` command."""

import sys

from newsletter.cli.app import app
from newsletter.errors import NewsletterError

_ANYWHERE = ("--config", "--now")


def main() -> None:
    """Run the command that the arguments name; what a person can mend ends with exit code 2, other failures with 1."""
    try:
        app(args=global_options_first(sys.argv[1:]), prog_name="newsletter")
    except NewsletterError as error:
        for line in str(error).splitlines():
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
