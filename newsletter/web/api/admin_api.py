"""The JSON API for operators, with a token: subscribers, editions, the log and statistics."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.exceptions import HTTPException

from newsletter.model import SendState, SubscriberState
from newsletter.services import status, subscriber_admin
from newsletter.store import papers, reading, send_log, statistics, subscribers, tags
from newsletter.store.send_log import LogFilter
from newsletter.web.api.problems import READ_ERRORS, as_responses
from newsletter.web.api.public import Day, Id, Limit, Parameters
from newsletter.web.api.schemas import (
    EditionPage,
    EditionResponse,
    SendPage,
    Stats,
    SubscriberPage,
    SubscriberResponse,
    queue_response,
    send_response,
    source_response,
    subscriber_response,
)
from newsletter.web.auth import Scope, limited
from newsletter.web.context import WebContext

_HIGHEST = 2**31 - 1
Row = Annotated[int, Field(ge=0, le=_HIGHEST)]


class ListQuery(Parameters):
    """Filters and paging for subscribers."""

    state: SubscriberState | None = None
    email: str | None = Field(None, max_length=320, description="Only the one with this address.")
    limit: Limit = 50
    after: Row = Field(0, description="The `next` of the previous page.")


class EditionQuery(Parameters):
    """Paging for editions."""

    limit: Limit = 30
    before: Day | None = Field(None, description="The `next` of the previous page.")


class LogQuery(Parameters):
    """Filters and paging for the log."""

    edition: Day | None = Field(None, description="Of this edition.")
    since: Day | None = Field(None, description="Of editions from this day on.")
    until: Day | None = Field(None, description="Of editions up to this day.")
    state: list[SendState] = Field(default_factory=list, description="In one of these states.")
    subscriber: Row | None = Field(None, description="The id of the subscriber.")
    paper: Id | None = Field(None, description="With this paper in the digest.")
    limit: Limit = 50
    after: Row = Field(0, description="The `next` of the previous page.")


def routes(site: WebContext) -> APIRouter:
    """Create the router of the operator API."""
    context = site.context
    router = APIRouter(
        prefix="/api", tags=["operators"], responses=READ_ERRORS, dependencies=[limited(site, Scope.READ)]
    )

    @router.get("/subscribers")
    def list_subscribers(asked: Annotated[ListQuery, Query()]) -> SubscriberPage:
        """List the subscribers, in the order in which they joined."""
        with reading(context.engine) as connection:
            if asked.email is not None:
                one = subscribers.by_email(connection, asked.email)
                fits = one is not None and one.row > asked.after and asked.state in (None, one.state)
                found = [one] if one is not None and fits else []
            else:
                found = subscribers.page(connection, asked.after, asked.limit + 1, asked.state)
            shown = found[: asked.limit]
            rows = [one.row for one in shown]
            labels, agreed = tags.of_subscribers(connection, rows), subscribers.consents(connection, rows)
        following = shown[-1].row if len(found) > len(shown) else None
        return SubscriberPage(
            subscribers=[subscriber_response(one, labels.get(one.row, []), agreed[one.row]) for one in shown],
            next=following,
        )

    @router.get("/subscribers/{id}")
    def show_subscriber(id: Annotated[int, Path(ge=0, le=_HIGHEST)]) -> SubscriberResponse:
        """Return a subscriber."""
        with as_responses():
            found = subscriber_admin.profile(context, id)
        return subscriber_response(found.subscriber, found.tags, found.consent)

    @router.get("/editions")
    def list_editions(asked: Annotated[EditionQuery, Query()]) -> EditionPage:
        """List the editions, newest first, with the number of sends in each state."""
        with reading(context.engine) as connection:
            found = statistics.editions(connection, asked.limit + 1, asked.before)
        shown = [EditionResponse(edition=day, sends=counts) for day, counts in found.items()][: asked.limit]
        return EditionPage(editions=shown, next=shown[-1].edition if len(found) > len(shown) else None)

    @router.get("/sends")
    def list_sends(asked: Annotated[LogQuery, Query()]) -> SendPage:
        """List the log: what each subscriber was sent, in the order in which it was planned."""
        with reading(context.engine) as connection:
            paper = papers.by_id(connection, asked.paper) if asked.paper is not None else None
            if asked.paper is not None and paper is None:
                raise HTTPException(404, "No paper has this id.")
            wanted = LogFilter(
                subscriber=asked.subscriber,
                paper=paper.row if paper is not None else None,
                since=_latest(asked.edition, asked.since),
                until=_earliest(asked.edition, asked.until),
                states=tuple(asked.state),
            )
            first, last = send_log.span(connection, wanted)
            found = send_log.page(connection, wanted, max(first, asked.after + 1), last, asked.limit + 1)
        shown = found[: asked.limit]
        following = shown[-1].send.row if len(found) > len(shown) else None
        return SendPage(sends=[send_response(one) for one in shown], next=following)

    @router.get("/stats")
    def show_stats() -> Stats:
        """Return the status of the newsletter."""
        with reading(context.engine) as connection:
            people, sent = subscribers.counts(connection), statistics.totals(connection)
            return Stats(
                now=context.clock(),
                papers=papers.count(connection),
                subscribers={state: people.get(state, 0) for state in SubscriberState},
                sends={state: sent.get(state, 0) for state in SendState},
                returns=statistics.bounces_by_kind(connection),
                queue=queue_response(status.queue_status(context, connection)),
                sources=[source_response(one) for one in status.source_statuses(context, connection)],
            )

    return router


def _latest(*days: date | None) -> date | None:
    return max((day for day in days if day is not None), default=None)


def _earliest(*days: date | None) -> date | None:
    return min((day for day in days if day is not None), default=None)
