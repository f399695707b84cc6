"""Alerts of subscribers: prepare papers with what the store knows about them, and find what each alert matches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from newsletter.alerts.matching import (
    AlertMatch,
    AlertPapers,
    Institution,
    PaperFacts,
    Person,
    describe,
    match_alert,
)
from newsletter.alerts.query import QueryError, parse_query
from newsletter.model import Alert, AlertHit, AlertKind, Paper
from newsletter.rendering.plain_text import latex_to_text
from newsletter.services.context import AppContext
from newsletter.store import openalex, papers, reading

_BLOCK = 2_000

Hits = Mapping[int, tuple[AlertHit, ...]]
"""Why alerts find papers, by the index of the paper."""


def alert_papers(context: AppContext, candidates: Sequence[Paper]) -> AlertPapers:
    """Prepare papers of the store for :func:`alert_matches`, with what the store knows about them."""
    rows = [paper.row for paper in candidates]
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
        papers=candidates,
        facts=facts,
        citations=citations,
        titles={one.identifier: latex_to_text(one.title) for one in titles.values() if one.title},
        plain=latex_to_text,
    )


def alert_matches(
    prepared: AlertPapers,
    alerts_by_subscriber: Mapping[int, Sequence[Alert]],
    on_note: Callable[[str], None] = lambda note: None,
) -> Mapping[int, Hits]:
    """Find what the alerts of subscribers match.

    Args:
        prepared: from :func:`alert_papers`; of one run, so that what alerts have in common is found once.
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
                known[alert] = _matches(prepared, alert, on_note)
            for match in known[alert]:
                hits = found.setdefault(subscriber, {})
                hit = AlertHit(describe(alert, match), alert.always)
                hits[match.paper] = (*hits.get(match.paper, ()), hit)
    return found


def _matches(prepared: AlertPapers, alert: Alert, on_note: Callable[[str], None]) -> list[AlertMatch]:
    try:
        return match_alert(prepared, alert)
    except QueryError as error:
        on_note(f"alert {alert.value!r}: skipped, since it is not a query: {error}")
        return []


@dataclass(frozen=True, slots=True)
class FoundPaper:
    """A paper that an alert finds: the reason as an email shows it, and whether it is only possibly one."""

    paper: Paper
    reason: str
    possibly: bool


@dataclass(frozen=True, slots=True)
class AlertFindings:
    """What an alert finds among recent papers, newest first; ``problem`` says why it cannot be used, if so."""

    alert: Alert
    papers: tuple[FoundPaper, ...]
    problem: str | None = None


def find_recent(context: AppContext, alerts: Sequence[Alert], days: int) -> list[AlertFindings]:
    """Find what alerts match among the papers first seen in the last days."""
    with reading(context.engine) as connection:
        recent = papers.first_seen_since(connection, context.clock() - timedelta(days=days))
    found: dict[Alert, list[FoundPaper]] = {alert: [] for alert in alerts}
    problems = {alert: problem for alert in found if (problem := _problem(alert)) is not None}
    # Block by block, so that the papers of a large store need not all be in memory in prepared form.
    for end in range(len(recent), 0, -_BLOCK):
        block = alert_papers(context, recent[max(0, end - _BLOCK) : end])
        for alert in found.keys() - problems.keys():
            matches = reversed(match_alert(block, alert))
            found[alert] += [FoundPaper(block.papers[one.paper], describe(alert, one), one.possibly) for one in matches]
    return [AlertFindings(alert, tuple(found[alert]), problems.get(alert)) for alert in alerts]


def _problem(alert: Alert) -> str | None:
    if alert.kind is AlertKind.QUERY:
        try:
            parse_query(alert.value)
        except QueryError as error:
            return f"is not a query: {error}"
    return None
