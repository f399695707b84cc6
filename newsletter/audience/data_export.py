"""Export of all data about a subscriber."""

from typing import Any

from sqlalchemy import Connection

from newsletter.audience import log_export
from newsletter.audience.import_export import to_object
from newsletter.model import Subscriber
from newsletter.store import bounces, feedback, papers, saved_papers, send_log, subscribers
from newsletter.store.send_log import LogFilter


def export_data(connection: Connection, subscriber: Subscriber) -> dict[str, Any]:
    """Collect a subscriber's data as JSON values."""
    row = subscriber.row
    since = subscriber.created_at
    reading_list = saved_papers.of(connection, row)
    named = papers.names(connection, (one.paper for one in reading_list))
    return {
        **to_object(subscriber),
        "file": subscriber.file,
        "consent": subscribers.consent(connection, row),
        "created_at": since.isoformat() if since else None,
        "state_since": subscriber.state_since.isoformat() if subscriber.state_since else None,
        "paused_until": subscriber.paused_until.isoformat() if subscriber.paused_until else None,
        "next_due": subscriber.next_due.isoformat() if subscriber.next_due else None,
        "feedback": [
            {
                "paper": one.paper.id,
                "title": one.paper.title,
                "verdict": one.verdict.value,
                "interest": one.interest,
                "given_at": one.given_at.isoformat(),
            }
            for one in feedback.of(connection, [row])[row]
        ],
        "saved_papers": [
            {"paper": named[one.paper].id, "title": named[one.paper].title, "saved_at": one.saved_at.isoformat()}
            for one in reading_list
        ],
        "digests": [log_export.to_object(line) for line in send_log.log(connection, LogFilter(subscriber=row))],
        "came_back": [
            {"kind": one.kind, "received_at": one.received_at.isoformat(), "diagnostic": one.diagnostic}
            for one in (bounces.of_subscriber(connection, row, since) if since else [])
        ],
    }
