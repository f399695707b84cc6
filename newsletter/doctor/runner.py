"""Runs checks in parallel and yields their results in order, within a time limit."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from newsletter.doctor.result import Check, CheckResult, bad, of_error
from newsletter.errors import NewsletterError
from newsletter.support.threads import run_in_thread


def run_parallel(checks: Sequence[Check], seconds: float) -> Iterator[CheckResult]:
    """Run all checks at once; yields each result when it and those before it are done.

    Args:
        seconds: time limit for all checks; one that exceeds it is bad.
    """
    end = time.monotonic() + seconds
    begun = [(check, run_in_thread(check.look)) for check in checks]
    for check, looking in begun:
        yield _waited_for(check, looking, max(0.0, end - time.monotonic()), seconds)


def _waited_for(check: Check, looking: Future[CheckResult], left: float, seconds: float) -> CheckResult:
    try:
        return looking.result(timeout=left)
    except NewsletterError as error:
        return of_error(check.name, error, check.fix)
    except TimeoutError:
        if not looking.done():
            return bad(check.name, f"timed out after {seconds:.2g} s", check.fix)
        return bad(check.name, "no answer in time", check.fix)
    except Exception as error:
        # An error in one check must not hide the results of the others.
        return bad(check.name, f"{type(error).__name__}: {error}", check.fix)
