"""Metrics: ``/metrics`` for Prometheus, and ``/healthz`` for health checks."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newsletter.errors import NewsletterError
from newsletter.model import SendState, SubscriberState
from newsletter.services import status
from newsletter.services.context import AppContext
from newsletter.services.status import QueueStatus, SourceHealth
from newsletter.store import health, reading, statistics, subscribers, worker_stats
from newsletter.store.worker_stats import WorkerStats
from newsletter.support.hosts import is_loopback
from newsletter.web import auth
from newsletter.web.auth import PresentedToken, scoped
from newsletter.web.context import WebContext, as_json

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WORKERS_SHOWN = timedelta(days=1)
_METHODS = ("GET", "HEAD", "POST")
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")

# The creation times of counters are useless, and double the size of the output.
disable_created_metrics()  # type: ignore[no-untyped-call]


class RequestMetrics:
    """Requests of the site, counted and timed by the template of their route, never by their content."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._count = Counter("newsletter_http_requests", "Responses of the site.", labels, registry=self.registry)
        self._seconds = Histogram(
            "newsletter_http_request_seconds",
            "Duration of responses.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )

    def counted(self, app: ASGIApp) -> ASGIApp:
        """Wrap an application to count its requests."""

        async def counting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            begun, status = time.perf_counter(), 500

            async def noting(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, noting)
            finally:
                method = scope["method"] if scope["method"] in _METHODS else "other"
                route = getattr(scope.get("route"), "path_format", "none")
                self._count.labels(method, route, status).inc()
                self._seconds.labels(method, route).observe(time.perf_counter() - begun)

        return counting


def routes(site: WebContext, requests: RequestMetrics) -> APIRouter:
    """Create the router of ``/metrics`` and ``/healthz``."""
    router = APIRouter(include_in_schema=False)
    stored = CollectorRegistry()
    stored.register(_Store(site.context))
    allowed = scoped(site, auth.Scope.METRICS)

    @router.get("/metrics")
    def metrics(request: Request, shown: PresentedToken) -> Response:
        if not _from_this_machine(request):
            allowed(shown)
        headers = {"Cache-Control": "no-store"}
        text = generate_latest(requests.registry) + generate_latest(stored)
        return Response(text, media_type=CONTENT_TYPE_LATEST, headers=headers)

    @router.api_route("/healthz", methods=["GET", "HEAD"])
    def healthz() -> Response:
        well = _is_well(site.context)
        return as_json({"status": "ok" if well else "the store does not answer"}, 200 if well else 503)

    return router


def _is_well(context: AppContext) -> bool:
    try:
        with reading(context.engine) as connection:
            return health.is_current(connection)
    except NewsletterError:
        return False


def _from_this_machine(request: Request) -> bool:
    """Return whether a request was made on this machine. A proxy on this machine forwards requests of others: it is
    recognised by the headers that proxies add, and by the requested host name.
    """
    if any(name in request.headers for name in _FORWARDED) or not is_loopback(request.url.hostname or ""):
        return False
    try:
        return ip_address(request.client.host if request.client else "").is_loopback
    except ValueError:
        return False


class _Store(Collector):
    """Collects metrics of the store, reading it for each request."""

    def __init__(self, context: AppContext) -> None:
        self._context = context

    def describe(self) -> list[Metric]:
        return []  # So that the store is not read when this is registered.

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("newsletter_store_up", "Whether the store responds.")
        try:
            families = [*_families(self._context)]
        except NewsletterError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from families


def _families(context: AppContext) -> Iterator[Metric]:
    now = context.clock()
    with reading(context.engine) as connection:
        people, returns = subscribers.counts(connection), statistics.bounces_by_kind(connection)
        today = statistics.totals(connection, now.date())
        yield _numbers("newsletter_subscribers", "Subscribers by state.", SubscriberState, people)
        yield _numbers("newsletter_sends_today", "Sends of today's edition (UTC) by state.", SendState, today)
        yield _numbers("newsletter_returns", "Bounces and complaints, by kind.", returns, returns, label="kind")
        yield from _queue(status.queue_status(context, connection), now)
        yield from _workers(worker_stats.seen_since(connection, now - _WORKERS_SHOWN))
        yield from _sources(status.source_statuses(context, connection))


def _numbers(name: str, words: str, labels: Iterable[str], numbers: Mapping[Any, int], label: str = "state") -> Metric:
    """Build a gauge with a value for each label; labels without a count are 0."""
    family = GaugeMetricFamily(name, words, labels=[label])
    for one in labels:
        family.add_metric([str(one)], numbers.get(one, 0))
    return family


def _queue(queue: QueueStatus, now: datetime) -> Iterator[Metric]:
    waits = [one for state, one in queue.waiting.items() if state is not SendState.UNSURE]
    yield GaugeMetricFamily("newsletter_queue", "Sends waiting to be sent.", value=sum(one.count for one in waits))
    oldest = max(((now - one.since).total_seconds() for one in waits), default=0)
    yield GaugeMetricFamily("newsletter_queue_oldest_seconds", "Waiting time of the oldest send.", value=max(0, oldest))
    unsure = queue.waiting.get(SendState.UNSURE)
    words = "Sends of unknown outcome."
    yield GaugeMetricFamily("newsletter_unsure", words, value=unsure.count if unsure is not None else 0)
    overdue = queue.overdue.count if queue.overdue is not None else 0
    yield GaugeMetricFamily("newsletter_overdue", "Active subscribers whose digest is overdue.", value=overdue)
    held = GaugeMetricFamily(
        "newsletter_hold_seconds", "Remaining back-off of a server, by account and domain.", labels=["key"]
    )
    for key, until in queue.holds.items():
        held.add_metric([key], (until - now).total_seconds())
    yield held
    paused = queue.pause is not None
    yield GaugeMetricFamily("newsletter_paused", "Whether the operator has paused all sending.", value=paused)
    aside = GaugeMetricFamily(
        "newsletter_account_set_aside", "1 for an account whose server refused too many messages.", labels=["account"]
    )
    for one in queue.set_aside:
        aside.add_metric([one.account], 1)
    yield aside


def _workers(known: Sequence[WorkerStats]) -> Iterator[Metric]:
    settled = CounterMetricFamily(
        "newsletter_worker_sends", "Sends that a process settled, by state.", labels=["worker", "state"]
    )
    seen = GaugeMetricFamily(
        "newsletter_worker_last_settled_timestamp_seconds", "When it last settled one.", labels=["worker"]
    )
    for one in known:
        for state, number in one.sends.items():
            settled.add_metric([one.name, state.value], number)
        seen.add_metric([one.name], one.last.timestamp())
    yield from (settled, seen)


def _sources(known: Sequence[SourceHealth]) -> Iterator[Metric]:
    success = GaugeMetricFamily(
        "newsletter_source_last_success_timestamp_seconds", "When a source last succeeded.", labels=["source"]
    )
    failing = GaugeMetricFamily("newsletter_source_failing", "Whether its last attempt failed.", labels=["source"])
    papers = GaugeMetricFamily("newsletter_source_new_papers", "New papers at its last success.", labels=["source"])
    for one in known:
        if one.record is None or one.kind is None:
            continue
        failing.add_metric([one.name], one.record.error is not None)
        if one.record.last_success is not None:
            success.add_metric([one.name], one.record.last_success.timestamp())
            papers.add_metric([one.name], one.record.new_papers or 0)
    yield from (success, failing, papers)
