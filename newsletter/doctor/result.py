"""Check results: a state, the finding and, for problems, a fix."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from newsletter.errors import NewsletterError


class CheckState(StrEnum):
    """The state of a check. With a ``warning``, mail is still sent; ``not checked`` means unknown."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check: its name, state, finding and fix."""

    name: str
    state: CheckState
    found: str
    fix: str = ""


class CheckSkipped(NewsletterError):
    """A check could not run; the message is "reason; fix"."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check to run.

    Attributes:
        name: name of its result.
        look: runs it. A NewsletterError counts as bad, a :class:`CheckSkipped` as not checked.
        fix: the fix for errors without one, and for timeouts.
        network: whether it needs the network.
    """

    name: str
    look: Callable[[], CheckResult]
    fix: str
    network: bool = False


def ok(name: str, found: str) -> CheckResult:
    """Return a result without problems."""
    return CheckResult(name, CheckState.OK, found)


def warning(name: str, found: str, fix: str) -> CheckResult:
    """Return a problem that does not stop mail."""
    return CheckResult(name, CheckState.WARNING, found, fix)


def bad(name: str, found: str, fix: str) -> CheckResult:
    """Return a problem that stops the newsletter from working."""
    return CheckResult(name, CheckState.BAD, found, fix)


def not_checked(name: str, found: str, fix: str = "") -> CheckResult:
    """Return a check that did not run; ``found`` is the reason."""
    return CheckResult(name, CheckState.NOT_CHECKED, found, fix)


def of_error(name: str, error: NewsletterError, fix: str) -> CheckResult:
    """Split an error's message into finding and fix; ``fix`` is the default."""
    line = error.lines[0].removeprefix("smtp: ").removeprefix("store: ")  # The name of the result says this.
    found, parted, said = line.rpartition("; ")
    state = CheckState.NOT_CHECKED if isinstance(error, CheckSkipped) else CheckState.BAD
    return CheckResult(name, state, found if parted else said, said if parted else fix)
