"""Daemon threads."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def run_in_thread(work: Callable[[], Result]) -> Future[Result]:
    """Run a function in a daemon thread, so that a hanging DNS lookup or connection does not block the exit."""
    result: Future[Result] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return result
