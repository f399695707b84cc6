"""Export of all data about a subscriber."""

from typing import Any

from sqlalchemy import Connection

from newsletter.audience import log_export
from newsletter.audience.import_export import to_object
from newsletter.model import PaperRef, Subscriber
from newsletter.store import bounces, feedback, libraries, papers, saved_papers, send_log, subscribers, tags
from newsletter.store.libraries import Library
from newsletter.store.saved_papers import Export, SavedPaper
from newsletter.store.send_log import LogFilter


def export_data(connection: Connection, subscriber: Subscriber) -> dict[str, Any]:
    """Collect a subscriber's data as JSON values."""
    row = subscriber.row
    since = subscriber.created_at
    reading_list = saved_papers.of(connection, row)
    named = papers.names(connection, (one.paper for one in reading_list))
    return {
        **to_object(subscriber, tags.of_subscribers(connection, [row]).get(row, ())),
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
            _saved_paper(named[one.paper], one, saved_papers.export_of(connection, row, one.paper))
            for one in reading_list
        ],
        "libraries": [_library(connection, one) for one in libraries.of(connection, row)],
        "digests": [log_export.to_object(line) for line in send_log.log(connection, LogFilter(subscriber=row))],
        "came_back": [
            {"kind": one.kind, "received_at": one.received_at.isoformat(), "diagnostic": one.diagnostic}
            for one in (bounces.of_subscriber(connection, row, since) if since else [])
        ],
    }


def _saved_paper(paper: PaperRef, saved: SavedPaper, export: Export | None) -> dict[str, Any]:
    in_zotero = export.exported_at if export else None
    return {
        "paper": paper.id,
        "title": paper.title,
        "saved_at": saved.saved_at.isoformat(),
        "in_zotero_since": in_zotero.isoformat() if in_zotero else None,
    }


def _library(connection: Connection, library: Library) -> dict[str, Any]:
    return {
        "address": library.address,
        "has_key": library.encrypted_key is not None,
        "synced_at": library.synced_at.isoformat() if library.synced_at else None,
        "error": library.error,
        "papers": [
            {
                "title": one.paper.title,
                "abstract": one.paper.abstract,
                "authors": list(one.paper.authors),
                "venue": one.paper.venue,
                "published": one.paper.published.isoformat() if one.paper.published else None,
                "doi": one.paper.doi,
                "arxiv_id": one.paper.arxiv_id,
                "url": one.paper.url,
                "keywords": list(one.paper.keywords),
                "collections": list(one.collections),
            }
            for one in libraries.items(connection, [library.row])
        ],
    }
