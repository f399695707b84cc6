"""Limit repeated log lines, with a count of those left out."""

import logging
import time
import traceback
from collections.abc import Hashable
from dataclasses import dataclass

MOST = 5
SECONDS = 60.0


@dataclass(slots=True)
class _Place:
    began: float
    seen: int = 0
    left_out: int = 0


class RepeatFilter(logging.Filter):
    """Lets each place in the code log up to ``MOST`` records a minute, so that no stranger can fill the disk.

    It counts by place and not by message: a message may quote what a stranger sent, which differs each time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[Hashable, _Place] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record."""
        now = time.monotonic()
        place = self._places.setdefault(_place(record), _Place(now))
        if now - place.began >= SECONDS:
            place.began, place.seen = now, 0
        place.seen += 1
        if place.seen > MOST:
            place.left_out += 1
            return False
        if place.left_out:
            _add(record, f"{place.left_out:,} more like this were left out before it")
            place.left_out = 0
        elif place.seen == MOST:
            _add(record, "more like this are left out for a minute")
        return True


def _add(record: logging.LogRecord, words: str) -> None:
    record.msg, record.args = f"{record.getMessage()} ({words})", ()


def _place(record: logging.LogRecord) -> Hashable:
    """Return where a record was logged and, for an exception, where it was raised."""
    if not record.exc_info or record.exc_info[0] is None:
        return record.pathname, record.lineno
    frames = traceback.extract_tb(record.exc_info[2], limit=-1)
    raised = (frames[0].filename, frames[0].lineno) if frames else None
    return record.pathname, record.lineno, record.exc_info[0], raised
