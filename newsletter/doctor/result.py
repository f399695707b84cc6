"""What the doctor finds: a line for each thing looked at, with its state and, where it is not well, the mend."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from newsletter.errors import NewsletterError


class CheckState(StrEnum):
    """How something is. ``warning``: mail goes out all the same. ``not checked``: nobody knows."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line: what was looked at, how it is, what was found there, and what mends it."""

    name: str
    state: CheckState
    found: str
    fix: str = ""


class CheckSkipped(NewsletterError):
    """Something could not be looked at: a line "why; mend". It is neither well nor bad."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at.

    Attributes:
        name: what it is called.
        look: looks at it. A NewsletterError that comes out of it counts as bad, a :class:`CheckSkipped` as not checked.
        mend: what to look into when it fails without saying so itself, or comes to no end.
        network: whether it needs more than this machine.
    """

    name: str
    look: Callable[[], CheckResult]
    fix: str
    network: bool = False


def ok(name: str, found: str) -> CheckResult:
    """All is well."""
    return CheckResult(name, CheckState.OK, found)


def warning(name: str, found: str, fix: str) -> CheckResult:
    """Mail goes out, but something should be mended."""
    return CheckResult(name, CheckState.WARNING, found, fix)


def bad(name: str, found: str, fix: str) -> CheckResult:
    """It does not work as it is."""
    return CheckResult(name, CheckState.BAD, found, fix)


def not_checked(name: str, found: str, fix: str = "") -> CheckResult:
    """It could not be looked at; ``found`` says why."""
    return CheckResult(name, CheckState.NOT_CHECKED, found, fix)


def of_error(name: str, error: NewsletterError, fix: str) -> CheckResult:
    """An error's line, parted into what is wrong and the mend; ``mend`` is for one that says none."""
    line = error.lines[0].removeprefix("smtp: ").removeprefix("store: ")  # The line's name says so already.
    found, parted, said = line.rpartition("; ")
    state = CheckState.NOT_CHECKED if isinstance(error, CheckSkipped) else CheckState.BAD
    return CheckResult(name, state, found if parted else said, said if parted else fix)
