"""Export of the send log, read in pages to limit memory."""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from sqlalchemy import Engine

from newsletter.model import SendState
from newsletter.store import reading, send_log
from newsletter.store.send_log import DIGEST, LogFilter, LogLine
from newsletter.support.csv_files import escape_formula
from newsletter.support.text import escape_for_terminal

COLUMNS = (
    *("edition", "email", "state", "papers", "sent_at", "settled_at", "not_before", "attempts", "account"),
    *("message_id", "smtp_reply", "reason", "model_version", "paper_ids", "kind", "subject"),
)
"""The columns of CSV: ``papers`` is their number, ``paper_ids`` has them by rank, separated by ``;``."""

_PAGE = 500


def lines(engine: Engine, wanted: LogFilter) -> Iterator[LogLine]:
    """Yield the wanted lines of the log in the order in which they were first planned.

    Each page is read in a separate transaction, so that a slow reader does not block the store.
    """
    with reading(engine) as connection:
        first, last = send_log.span(connection, wanted)
    while True:
        with reading(engine) as connection:
            page = send_log.page(connection, wanted, first, last, _PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        first = page[-1].send.row + 1


def to_object(line: LogLine) -> dict[str, Any]:
    """Convert a log entry to JSON values."""
    send = line.send
    return {
        "edition": send.edition.isoformat(),
        "email": send.email,
        "kind": line.kind.value if line.kind else DIGEST,
        "subject": line.subject,
        "state": send.state.value,
        "message_id": send.message_id,
        "sent_at": _iso(send.settled_at) if send.state is SendState.SENT else None,
        "smtp_reply": send.smtp_reply,
        "reason": send.reason or send.no_papers,
        "attempts": send.attempts,
        "settled_at": _iso(send.settled_at),
        "not_before": _iso(send.not_before),
        "model_version": send.model_version,
        "account": send.account,
        "papers": [
            {"id": paper.id, "rank": paper.rank, "score": round(paper.score, 6), "section": paper.section}
            for paper in line.papers
        ],
    }


def csv_lines(found: Iterable[LogLine]) -> Iterator[str]:
    """Yield the log as CSV lines, with a heading."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in found:
        values = to_object(line)
        ids = ";".join(paper["id"] for paper in values["papers"])
        values.update(papers=len(values["papers"]), paper_ids=ids)
        writer.writerow([_cell(values[name]) for name in COLUMNS])
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def _cell(value: object) -> str:
    return "" if value is None else escape_formula(escape_for_terminal(str(value)))


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None
