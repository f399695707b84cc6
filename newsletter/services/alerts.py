"""Alerts of subscribers: prepare papers with what the store knows about them, and find what each alert matches."""

from collections.abc import Iterable, Mapping, Sequence, Set
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
from newsletter.model import Alert, AlertHit, AlertKind, Paper, Subscriber
from newsletter.rendering.plain_text import latex_to_text
from newsletter.services.context import AppContext
from newsletter.store import openalex, papers, reading

_BLOCK = 2_000

Hits = Mapping[int, tuple[AlertHit, ...]]
"""Why alerts find papers, by the index of the paper."""


def alert_papers(
    context: AppContext, candidates: Sequence[Paper], late_for: Mapping[int, Set[AlertKind]] | None = None
) -> AlertPapers:
    """Prepare papers of the store for :func:`alert_matches`, with what the store knows about them.

    Args:
        late_for: as in :class:`AlertPapers`.
    """
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
        late_for=late_for or {},
    )


def alert_matches(prepared: AlertPapers, alerts_by_subscriber: Mapping[int, Sequence[Alert]]) -> Mapping[int, Hits]:
    """Find what the alerts of subscribers match.

    Args:
        prepared: from :func:`alert_papers`; of one run, so that what alerts have in common is found once.
        alerts_by_subscriber: by the row of the subscriber. A query that cannot be used finds nothing; see
            :func:`describe_unusable`.

    Returns:
        For each subscriber with a match, the hits by the index of the paper, in the order of the alerts.
    """
    known: dict[Alert, list[AlertMatch]] = {}
    found: dict[int, dict[int, tuple[AlertHit, ...]]] = {}
    for subscriber, alerts in alerts_by_subscriber.items():
        for alert in dict.fromkeys(alerts):
            if alert not in known:
                known[alert] = _matches(prepared, alert)
            for match in known[alert]:
                hits = found.setdefault(subscriber, {})
                hit = AlertHit(describe(alert, match), alert.always)
                hits[match.paper] = (*hits.get(match.paper, ()), hit)
    return found


def _matches(prepared: AlertPapers, alert: Alert) -> list[AlertMatch]:
    if _problem(alert) is not None:
        return []
    return [one for one in match_alert(prepared, alert) if prepared.may_find(alert, one.paper)]


def describe_unusable(people: Iterable[Subscriber]) -> list[str]:
    """Return a line for each subscriber with a query that cannot be used, such as one stored by a former version."""
    lines = []
    for one in people:
        problems = [f"{alert.value!r} {why}" for alert in one.preferences.alerts if (why := _problem(alert))]
        if problems:
            more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
            lines.append(f"{one.email}: an alert finds nothing: {problems[0]}{more}")
    return lines


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
