"""A paper and what became of it as JSON, the same from the commands and the HTTP API."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from newsletter.model import Paper, PaperEvent, PaperUpdate
from newsletter.store import paper_events

_BLOCK = 500


def paper_json(paper: Paper) -> dict[str, Any]:
    """Convert a paper to the values of a JSON object: text, numbers, lists; dates in ISO 8601, moments in UTC."""
    return {
        "id": paper.id,
        "title": paper.title,
        "abstract": paper.abstract,
        "authors": list(paper.authors),
        "author_count": paper.author_count if paper.author_count is not None else len(paper.authors) or None,
        "organization": paper.organization,
        "venue": paper.venue,
        "published": paper.published.isoformat() if paper.published else None,
        "listed_on": paper.listed_on.isoformat() if paper.listed_on else None,
        "upvotes": paper.upvotes,
        "comments": paper.comments,
        "categories": list(paper.categories),
        "url": paper.url,
        "sources": list(paper.sources),
        "arxiv_id": paper.arxiv_id,
        "version": paper.version,
        "doi": paper.doi,
        "other_ids": list(paper.other_ids),
        "status": paper.status,
        "pdf_url": paper.pdf_url,
        "code_url": paper.code_url,
        "code_stars": paper.code_stars,
        "project_url": paper.project_url,
        "links": list(paper.links),
        "summary": paper.summary,
        "summary_by": paper.summary_by,
        "thumbnail_url": paper.thumbnail_url,
        "keywords": list(paper.keywords),
        "first_seen": _in_utc(paper.first_seen) if paper.first_seen else None,
    }


def papers_json(connection: Connection, papers: Iterable[Paper]) -> Iterator[dict[str, Any]]:
    """Convert stored papers likewise, each with its ``history``, which is read in blocks."""
    left = iter(papers)
    while block := list(islice(left, _BLOCK)):
        known = paper_events.histories(connection, [paper.row for paper in block])
        for paper in block:
            yield {**paper_json(paper), "history": [event_json(one) for one in known.get(paper.row, ())]}


def event_json(event: PaperEvent) -> dict[str, Any]:
    """Convert what became of a paper likewise."""
    return {
        "kind": event.kind.value,
        "day": event.day.isoformat() if event.day else None,
        "venue": event.venue,
        "doi": event.doi,
        "url": event.url,
        "version": event.version,
        "former_title": event.former_title,
        "added": list(event.added),
        "removed": list(event.removed),
        "source": event.source,
        "seen_at": _in_utc(event.seen_at),
    }


def update_json(update: PaperUpdate) -> dict[str, Any]:
    """Convert an update of a digest likewise: the paper, where the subscriber knows it from, and the event."""
    known = {"sent_on": update.sent_on.isoformat() if update.sent_on else None, "saved": update.saved}
    return {"id": update.paper.id, "title": update.paper.title, **known, **event_json(update.event)}


def _in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
