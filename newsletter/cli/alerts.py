"""Commands for alerts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import Json, format_iso, format_moment, open_context_for, print_json, print_table, say, warn
from newsletter.errors import UserError
from newsletter.model import Alert, AlertKind

if TYPE_CHECKING:
    from newsletter.services.alerts import AlertFindings
    from newsletter.services.context import AppContext

_CARET_SHOWN = 40
"""Characters of a query that are shown before and after an error in it."""

Days = Annotated[int, typer.Option(metavar="N", min=1, max=36_500, help="Papers first seen in this many days.")]


def test(
    ctx: typer.Context,
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", help="Query, such as '\"graph network*\" -survey'.")
    ] = None,
    author: Annotated[str | None, typer.Option(metavar="NAME", help="Papers by this author instead.")] = None,
    orcid: Annotated[str | None, typer.Option(metavar="ID", help="ORCID iD of the author.")] = None,
    institution: Annotated[
        str | None, typer.Option(metavar="NAME", help="Papers from this institution instead.")
    ] = None,
    ror: Annotated[str | None, typer.Option(metavar="ID", help="ROR id of the institution.")] = None,
    cites: Annotated[str | None, typer.Option(metavar="ID", help="Papers citing this DOI or arXiv id instead.")] = None,
    days: Days = 30,
    json: Json = False,
) -> None:
    """Show which papers of the last days an alert would have found, and why.

    Newest first. Institutions, ORCID iDs and citations are known for papers that a fetch looked up in OpenAlex.
    """
    alert = _one_alert(query, author, orcid, institution, ror, cites)
    from newsletter.services.alerts import find_recent

    context = open_context_for(ctx, files=False)
    (findings,) = find_recent(context, [alert], days)
    if json:
        print_json(
            {
                "id": one.paper.id,
                "title": one.paper.title,
                "first_seen": format_iso(one.paper.first_seen),
                "reason": one.reason,
                "possibly": one.possibly,
            }
            for one in findings.papers
        )
        return
    # All papers of a query have the same reason, unless only initials agree.
    rows = [
        (
            format_moment(one.paper.first_seen),
            one.paper.id,
            (one.paper.title, one.reason) if alert.kind is not AlertKind.QUERY or one.possibly else one.paper.title,
        )
        for one in findings.papers
    ]
    if rows:
        print_table((("first seen", "left"), ("id", "left"), ("title and reason", "wide")), rows)
    say(f"{_count(len(rows))} in the last {'day' if days == 1 else f'{days:,} days'}.")
    if not rows:
        _explain_nothing(context, alert)


def check(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Subscriber's email address.")],
    days: Days = 30,
    json: Json = False,
) -> None:
    """Show each alert of a subscriber with the number of papers it found."""
    from newsletter.audience import subscriptions
    from newsletter.services.alerts import find_recent
    from newsletter.store import reading
    from newsletter.store.preferences import alert_json

    context = open_context_for(ctx)
    with reading(context.engine) as connection:
        subscriber = subscriptions.get_subscriber(connection, email)
    found = find_recent(context, subscriber.preferences.alerts, days)
    if json:
        print_json(
            {
                "alert": alert_json(one.alert),
                "papers": len(one.papers),
                "possibly": sum(paper.possibly for paper in one.papers),
                "problem": one.problem,
            }
            for one in found
        )
        return
    if not found:
        say(f"No alerts: {subscriber.email} has none.")
        return
    print_table((("alert", "wide"), ("papers", "right"), ("possibly", "right")), map(_row, found))
    for one in found:
        if one.problem is not None:
            warn(f"{one.alert.value!r} {one.problem}")


def _row(findings: AlertFindings) -> tuple[object, ...]:
    possibly = sum(paper.possibly for paper in findings.papers)
    shown = _label(findings.alert)
    return (shown, "error" if findings.problem else len(findings.papers), possibly or None)


def _label(alert: Alert) -> str:
    value = " ".join(filter(None, (alert.value, alert.identifier and f"({alert.identifier})")))
    return f"{alert.name}: {alert.kind.value} {value}" if alert.name else f"{alert.kind.value} {value}"


def _count(number: int) -> str:
    return f"{number:,} paper{'' if number == 1 else 's'}"


def _one_alert(
    query: str | None,
    author: str | None,
    orcid: str | None,
    institution: str | None,
    ror: str | None,
    cites: str | None,
) -> Alert:
    """Return the alert that the options describe.

    Raises:
        UserError: they describe none or several, or one that cannot be used.
    """
    from newsletter.audience.identifiers import valid_cited, valid_orcid, valid_ror

    identified = {
        AlertKind.AUTHOR: (author, _valid(orcid, "--orcid", valid_orcid)),
        AlertKind.INSTITUTION: (institution, _valid(ror, "--ror", valid_ror)),
    }
    alerts = [Alert(kind=AlertKind.QUERY, value=query)] if query is not None else []
    alerts += [
        Alert(kind=kind, value=(name or "").strip(), identifier=identifier)
        for kind, (name, identifier) in identified.items()
        if (name and name.strip()) or identifier
    ]
    if (cited := _valid(cites, "--cites", valid_cited)) is not None:
        alerts.append(Alert(kind=AlertKind.CITES, value=cited))
    if len(alerts) != 1:
        raise UserError("Name one alert: a QUERY, or --author or --orcid, or --institution or --ror, or --cites")
    if query is not None:
        _check_query(query)
    return alerts[0]


def _valid(text: str | None, option: str, valid: Callable[[str], str]) -> str | None:
    try:
        return valid(text) if text is not None else None
    except ValueError as error:
        raise UserError(f"{option}: {text!r} {error}") from None


def _check_query(query: str) -> None:
    """Raise a UserError that points to what is wrong in a query."""
    from rich.cells import cell_len

    from newsletter.alerts.query import QueryError, parse_query
    from newsletter.support.text import escape_for_terminal

    try:
        parse_query(query)
    except QueryError as error:
        at = error.column - 1
        before, after = query[max(0, at - _CARET_SHOWN) : at], query[at : at + _CARET_SHOWN]
        width = cell_len(escape_for_terminal(before))
        raise UserError(f"QUERY: {error}", f"  {before}{after}", f"  {' ' * width}^") from None


def _explain_nothing(context: AppContext, alert: Alert) -> None:
    """Say why an alert may have found nothing though there is something to find."""
    from newsletter.store import openalex, papers, reading

    with reading(context.engine) as connection:
        empty = not papers.count(connection)
        known = openalex.cited(connection, [alert.value]).get(alert.value)
    if empty:
        warn("the store has no papers yet; run 'newsletter fetch'")
    elif alert.kind is AlertKind.INSTITUTION or alert.identifier is not None:
        warn("institutions and ORCID iDs are known for papers that a fetch looked up in OpenAlex for such an alert")
    elif alert.kind is not AlertKind.CITES:
        return
    elif known is None:
        warn("citations of this paper were not looked for yet; the first fetch after a subscriber has the alert does")
    elif known.openalex_id is None:
        warn("OpenAlex does not have this paper, so that its citations are unknown; check the identifier")
