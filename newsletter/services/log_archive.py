"""Archiving: months of the log that nobody asks the store for any more go into files, and out of the store."""

import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import count
from pathlib import Path

from newsletter.audience.log_export import to_object
from newsletter.errors import UserError
from newsletter.model import SendState
from newsletter.services.context import AppContext
from newsletter.services.retention import purge_contents
from newsletter.store import reading, retention, send_log, writing
from newsletter.store.send_log import LogFilter, LogLine

_BLOCK = 2_000
_SETTLED = (SendState.SENT, SendState.FAILED, SendState.SKIPPED)


def latest(context: AppContext) -> date:
    """Before which day editions may be archived: a paper that may stand for choice yet must be known as sent."""
    return context.clock().date() - timedelta(days=context.config.ranking.max_age_days + 1)


def archive_log(context: AppContext, before: date, folder: Path, should_stop: Callable[[], bool]) -> Counter[Path]:
    """Move what became of the sends of editions before a day into files in a folder, one a month: a line of JSON for
    each as ``newsletter log --json`` has it, compressed. What waits, is on the wire or is unsure stays.

    Each block is on the disk before it goes from the store; so a line may be in two files after this was cut short, and
    none is in neither.

    Returns:
        How many lines each file has.

    Raises:
        UserError: the day is too late, or a file cannot be written.
    """
    if before > latest(context):
        raise UserError(f"--before: {before} is too late; up to {latest(context)}, ranking.max_age_days needs the log")
    written: Counter[Path] = Counter()
    files: dict[str, Path] = {}
    for block in _blocks(context, before, should_stop):
        for month in sorted({f"{line.send.edition:%Y-%m}" for line in block}):
            lines = [line for line in block if f"{line.send.edition:%Y-%m}" == month]
            if month not in files:
                files[month] = _new_file(folder, month)
            _append(files[month], lines)
            written[files[month]] += len(lines)
        with writing(context.engine) as connection:
            retention.forget_sends(connection, [line.send.row for line in block])
    if written:
        purge_contents(context, should_stop)
    return written


def _blocks(context: AppContext, before: date, should_stop: Callable[[], bool]) -> Iterator[list[LogLine]]:
    wanted = LogFilter(until=before - timedelta(days=1), states=_SETTLED)
    with reading(context.engine) as connection:
        first, last = send_log.span(connection, wanted)
    while not should_stop():
        with reading(context.engine) as connection:
            block = send_log.page(connection, wanted, first, last, _BLOCK)
        if not block:
            return
        yield block
        first = block[-1].send.row + 1


def _new_file(folder: Path, month: str) -> Path:
    names = (f"sends-{month}{f'-{number}' if number > 1 else ''}.jsonl.gz" for number in count(1))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = next(folder / name for name in names if not (folder / name).exists())
        path.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; choose a folder that can be written") from None
    return path


def _append(path: Path, lines: list[LogLine]) -> None:
    text = "".join(json.dumps(to_object(line), ensure_ascii=False) + "\n" for line in lines)
    try:
        with path.open("ab") as file:
            # Each block by itself: what is cut short spoils nothing that stands before it.
            file.write(gzip.compress(text.encode()))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; what was not written is in the store still") from None
