"""The examination: all checks side by side, told in their order, none waited for longer than there is time."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

from newsletter.doctor.result import Check, CheckResult, bad, of_error
from newsletter.errors import NewsletterError

Result = TypeVar("Result")


def run_parallel(checks: Sequence[Check], seconds: float) -> Iterator[CheckResult]:
    """Look at everything at once; a line comes when its check and all before it are done.

    Args:
        seconds: for all checks together; one that comes to no end within them is bad.
    """
    end = time.monotonic() + seconds
    begun = [(check, run_in_thread(check.look)) for check in checks]
    for check, looking in begun:
        yield _waited_for(check, looking, max(0.0, end - time.monotonic()), seconds)


def run_in_thread(work: Callable[[], Result]) -> Future[Result]:
    """Work begun in a thread that the program does not wait for at its end: nothing else ends the look-up of a name or
    a connection that hangs.
    """
    result: Future[Result] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return result


def _waited_for(check: Check, looking: Future[CheckResult], left: float, seconds: float) -> CheckResult:
    try:
        return looking.result(timeout=left)
    except NewsletterError as error:
        return of_error(check.name, error, check.fix)
    except TimeoutError:
        if not looking.done():
            return bad(check.name, f"came to no end within {seconds:.2g} s", check.fix)
        return bad(check.name, "no answer in time", check.fix)
    except Exception as error:
        # Nothing that one check stumbles over is to keep the others from being told.
        return bad(check.name, f"{type(error).__name__}: {error}", check.fix)
