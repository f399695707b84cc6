"""Archive the send log: move months that are no longer needed from the store into files."""

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
    """Return the first day whose editions may not be archived yet, since their papers may still be candidates."""
    return context.clock().date() - timedelta(days=context.config.ranking.max_age_days + 1)


def archive_log(context: AppContext, before: date, folder: Path, should_stop: Callable[[], bool]) -> Counter[Path]:
    """Move the settled sends of editions before a day into compressed files in a folder, one file a month.

    Each send is a line of JSON, as in ``newsletter log --json``. Sends that are waiting, on the wire or unsure stay.

    Each block is written to disk before it is deleted from the store; so if this is interrupted, a line may be in two
    files, but none is lost.

    Returns:
        The number of lines in each file.

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
        raise UserError(f"{error.filename}: {error.strerror}; choose a writable folder") from None
    return path


def _append(path: Path, lines: list[LogLine]) -> None:
    text = "".join(json.dumps(to_object(line), ensure_ascii=False) + "\n" for line in lines)
    try:
        with path.open("ab") as file:
            # Each block is a separate gzip member, so an interrupted write damages nothing before it.
            file.write(gzip.compress(text.encode()))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; what was not written is still in the store") from None
