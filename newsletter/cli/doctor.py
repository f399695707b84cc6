"""The command that checks the set-up."""

import sys
from collections import Counter
from textwrap import wrap
from typing import Annotated

import typer
from rich.text import Text

from newsletter.cli.common import Json, load, options, out, print_json, say
from newsletter.doctor.result import CheckResult, CheckState
from newsletter.errors import UserError
from newsletter.support.text import escape_for_terminal

_INDENT = 12
_NARROWEST = 40
_STYLES = {
    CheckState.OK: "green",
    CheckState.WARNING: "yellow",
    CheckState.BAD: "bold red",
    CheckState.NOT_CHECKED: "dim",
}


def doctor(
    ctx: typer.Context,
    send_to: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send a sample digest to this address through each account.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Skip checks that need the network.")] = False,
    json: Json = False,
) -> None:
    """Check the set-up and suggest a fix for each problem.

    Checks config, templates, store, sources, mail servers, SPF, DKIM, DMARC, the site, clock and disk.
    Sends nothing without --send-to and stores no papers. Exits with 1 when a check fails.
    """
    from newsletter.config.fields import plain_address

    if send_to is not None:
        if offline:
            raise UserError("--send-to and --offline are mutually exclusive; pass one of them")
        try:
            send_to = plain_address(send_to)
        except ValueError as error:
            raise UserError(f"--send-to: {send_to!r} {error}; write it like you@example.org") from None
    from newsletter.doctor.checks import config_problems, run_checks

    counts: Counter[CheckState] = Counter()
    ended = 1
    try:
        config, given = load(ctx), options(ctx)
        findings = run_checks(given.config, config, given.clock(), send_to=send_to, offline=offline)
    except UserError as error:
        findings, ended = config_problems(error), error.exit_code
    for finding in findings:
        counts[finding.state] += 1
        _tell(finding, json)
    if not json:
        say("")
        say(", ".join(_counted(state, counts[state]) for state in CheckState if counts[state]) + ".")
    if counts[CheckState.BAD]:
        raise typer.Exit(ended)


def _counted(state: CheckState, count: int) -> str:
    return f"{count} {state}{'s' if state is CheckState.WARNING and count > 1 else ''}"


def _tell(finding: CheckResult, json: bool) -> None:
    if json:
        row = {"name": finding.name, "state": finding.state.value, "found": finding.found, "fix": finding.fix or None}
        print_json([row])
        sys.stdout.flush()
        return
    first, *others = _lines(f"{finding.name}: {finding.found}")
    out.print(Text(f"{finding.state:<{_INDENT}}", _STYLES[finding.state]).append(first, "default"), soft_wrap=True)
    fix = _lines(f"fix: {finding.fix}") if finding.fix else []
    for line in [*others, *fix]:
        say(" " * _INDENT + line)


def _lines(text: str) -> list[str]:
    """Wrap a text to the width next to the states."""
    return wrap(escape_for_terminal(text), max(out.width, _NARROWEST) - _INDENT, break_on_hyphens=False) or [""]
