"""Alerts of subscribers: prepare papers with what the store knows about them, and find what each alert matches."""

from collections.abc import Callable, Mapping, Sequence

from newsletter.alerts.matching import (
    AlertMatch,
    AlertPapers,
    Institution,
    PaperFacts,
    Person,
    describe,
    match_alert,
)
from newsletter.alerts.query import QueryError
from newsletter.model import Alert, AlertHit, Paper
from newsletter.rendering.plain_text import latex_to_text
from newsletter.services.context import AppContext
from newsletter.store import openalex, reading

Hits = Mapping[int, tuple[AlertHit, ...]]
"""Why alerts find papers, by the index of the paper."""


def alert_papers(context: AppContext, papers: Sequence[Paper]) -> AlertPapers:
    """Prepare papers of the store for :func:`alert_matches`, with what the store knows about them."""
    rows = [paper.row for paper in papers]
    with reading(context.engine) as connection:
        known = openalex.works(connection, rows)
        citations = openalex.citing(connection, rows)
        titles = openalex.cited(connection, citations)
    facts = {
        row: PaperFacts(
            tuple(Person(name, orcid) for name, orcid in work.authors),
            tuple(Institution(name, ror) for name, ror in work.institutions),
        )
        for row, work in known.items()
    }
    return AlertPapers(
        papers=papers,
        facts=facts,
        citations=citations,
        titles={one.identifier: latex_to_text(one.title) for one in titles.values() if one.title},
        plain=latex_to_text,
    )


def alert_matches(
    papers: AlertPapers,
    alerts_by_subscriber: Mapping[int, Sequence[Alert]],
    on_note: Callable[[str], None] = lambda note: None,
) -> Mapping[int, Hits]:
    """Find what the alerts of subscribers match.

    Args:
        papers: from :func:`alert_papers`; of one run, so that what alerts have in common is found once.
        alerts_by_subscriber: by the row of the subscriber.
        on_note: called with one line for each query that cannot be used, such as one stored by a former version. It
            finds nothing; the other alerts go on.

    Returns:
        For each subscriber with a match, the hits by the index of the paper, in the order of the alerts.
    """
    known: dict[Alert, list[AlertMatch]] = {}
    found: dict[int, dict[int, tuple[AlertHit, ...]]] = {}
    for subscriber, alerts in alerts_by_subscriber.items():
        for alert in dict.fromkeys(alerts):
            if alert not in known:
                known[alert] = _matches(papers, alert, on_note)
            for match in known[alert]:
                hits = found.setdefault(subscriber, {})
                hit = AlertHit(describe(alert, match), alert.always)
                hits[match.paper] = (*hits.get(match.paper, ()), hit)
    return found


def _matches(papers: AlertPapers, alert: Alert, on_note: Callable[[str], None]) -> list[AlertMatch]:
    try:
        return match_alert(papers, alert)
    except QueryError as error:
        on_note(f"alert {alert.value!r}: skipped, since it is not a query: {error}")
        return []
