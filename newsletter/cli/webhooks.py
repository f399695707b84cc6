"""Commands for webhooks: the endpoints that events are posted to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import Json, format_iso, format_moment, open_context_for, print_json, print_table, say
from newsletter.errors import NewsletterError
from newsletter.support.text import to_single_line

if TYPE_CHECKING:
    from newsletter.config.webhooks import Endpoint
    from newsletter.store.webhook_deliveries import EndpointSummary

_MOST_FAILURES = 1_000

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the endpoint in config.yaml.")]


def list_endpoints(ctx: typer.Context, json: Json = False) -> None:
    """List the endpoints, and how many events wait, were delivered and failed."""
    from newsletter.services.webhooks import endpoint_statuses
    from newsletter.store import reading

    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        rows = [(one.name, one.endpoint, one.summary) for one in endpoint_statuses(context, connection)]
    if json:
        print_json(_endpoint_json(*row) for row in rows)
    elif not rows:
        say("No endpoints yet; add them to webhooks.endpoints in config.yaml.")
    else:
        columns = (
            ("name", "left"),
            *((state, "right") for state in ("waiting", "delivered", "failed")),
            ("endpoint", "wide"),
        )
        print_table(columns, (_endpoint_row(*row) for row in rows))


def _numbers(summary: EndpointSummary) -> dict[str, int]:
    from newsletter.store.webhooks import DeliveryState

    return {state.value: summary.counts.get(state, 0) for state in DeliveryState}


def _endpoint_json(name: str, endpoint: Endpoint, summary: EndpointSummary) -> dict[str, object]:
    return {
        "name": name,
        "url": endpoint.url,
        "events": [kind.value for kind in endpoint.kinds],
        **_numbers(summary),
        "waiting_since": format_iso(summary.oldest),
        "last_delivered": format_iso(summary.last_delivered),
        "stopped_at": format_iso(summary.stopped),
    }


def _endpoint_row(name: str, endpoint: Endpoint, summary: EndpointSummary) -> list[object]:
    facts = [endpoint.url, f"  {', '.join(endpoint.events)}"]
    if summary.last_delivered is not None:
        facts.append(f"  last delivered {format_moment(summary.last_delivered)} UTC")
    if summary.stopped is not None:
        facts.append(
            f"  stopped since {format_moment(summary.stopped)} UTC (410 Gone); see 'newsletter webhooks retry'"
        )
    return [name, *_numbers(summary).values(), tuple(facts)]


def test(ctx: typer.Context, name: Name) -> None:
    """Post an event webhook.test to an endpoint now, and show the answer."""
    from newsletter.services.webhooks import post_test
    from newsletter.store.audit import COMMAND_LINE

    answer = post_test(open_context_for(ctx, files=False), name, COMMAND_LINE)
    if answer.error:
        raise NewsletterError(
            f"{name}: {answer.error}; check webhooks.endpoints.{name} and the program that answers there"
        )
    said = f": {to_single_line(answer.said)}" if answer.said.strip() else ""
    say(f"{name}: accepted with status {answer.status}{said}")


def failures(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only of this endpoint.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """List the events that endpoints did not accept, newest first, up to 1,000."""
    from newsletter.services.webhooks import check_name
    from newsletter.store import reading, webhook_deliveries

    context = open_context_for(ctx, files=False)
    if name is not None:
        check_name(context.config, name)
    with reading(context.engine) as connection:
        found = webhook_deliveries.failures(connection, name, _MOST_FAILURES)
    if json:
        print_json(
            {
                "endpoint": one.endpoint,
                "id": one.id,
                "type": one.kind,
                "created_at": format_iso(one.created_at),
                "attempts": one.attempts,
                "status": one.status,
                "error": one.error,
                "next_at": format_iso(one.next_at),
                "failed_at": format_iso(one.settled_at),
            }
            for one in found
        )
    elif not found:
        say("No failures.")
    else:
        columns = (("at (UTC)", "left"), ("endpoint", "left"), ("attempts", "right"), ("event and error", "wide"))
        print_table(
            columns,
            (
                (
                    format_moment(one.created_at),
                    one.endpoint,
                    one.attempts,
                    (
                        f"{one.kind} {one.id}",
                        f"  {one.error or ''}",
                        f"  next attempt {format_moment(one.next_at)} UTC" if one.next_at else "  given up",
                    ),
                )
                for one in found
            ),
        )


def retry(ctx: typer.Context, name: Name) -> None:
    """Try all events again that an endpoint did not accept. 'newsletter run' posts them within seconds.

    An endpoint that answered with status 410 gets events again.
    """
    from newsletter.services.webhooks import retry as retry_events
    from newsletter.store.audit import COMMAND_LINE

    number = retry_events(open_context_for(ctx, files=False), name, COMMAND_LINE)
    say(f"{name}: {number:,} {'event is' if number == 1 else 'events are'} due now; 'newsletter run' posts them.")


def secret(ctx: typer.Context) -> None:
    """Print a new secret for an endpoint. Nothing is stored."""
    from newsletter.config.secrets import new_webhook_secret

    say(new_webhook_secret())
