"""Webhooks: events of subscribers and sends are posted to the operator's endpoints, as Standard Webhooks specifies.

Each endpoint has its own thread, so that one that does not answer never delays the others. An event may arrive more
than once, with the same id: an answer may be lost, and a process may end before it has recorded one.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection
from standardwebhooks import Webhook

from newsletter.config.secrets import webhook_secrets
from newsletter.config.settings import Config
from newsletter.config.suggestions import nearest_value
from newsletter.config.webhooks import Endpoint
from newsletter.errors import UserError, describe
from newsletter.services.context import AppContext
from newsletter.sources.bounds import brief
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, user_agent
from newsletter.sources.http_attempts import retry_after
from newsletter.sources.text import excerpt
from newsletter.store import audit, reading, webhook_deliveries, writing
from newsletter.store.webhook_deliveries import Delivery, DeliveryOutcome, EndpointSummary
from newsletter.store.webhooks import DeliveryState, new_id
from newsletter.support.clock import utc_now
from newsletter.support.threads import run_in_thread

Log = Callable[..., None]

LONGEST = timedelta(hours=24)
"""How long an event is tried; the last attempt is at the end of this time."""

_WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600))
"""Waits after the first attempts, as Standard Webhooks recommends; the last one repeats."""

_JITTER = 0.1
"""How far each wait may be from its value, as a share of it: what failed together is not tried together again."""

_LEASE = timedelta(seconds=60)
"""How much longer than its request a claim holds. A process that was killed leaves claims that end by then."""

_MAX_RESPONSE = 1_000_000
_STATUSES = range(600)
_GONE = 410
_BUSY = (429, 503)
_SAID = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered.

    Attributes:
        status: the HTTP status; None if there was no answer.
        error: what is wrong; empty if the event was accepted.
        said: the beginning of the body.
        hold: the seconds of its Retry-After, if it is busy.
    """

    status: int | None
    error: str = ""
    said: str = ""
    hold: float | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint no longer accepts events."""
        return self.status == _GONE


@dataclass(frozen=True, slots=True)
class _Target:
    """An endpoint with its secrets and a client, for one run."""

    name: str
    endpoint: Endpoint
    secrets: Sequence[str]
    http: HttpClient


class WebhookSender:
    """Delivers what is due, in one thread for each endpoint; used by one thread.

    Args:
        log: logs an event by name. ``should_stop``: whether to stop after the requests under way.
    """

    def __init__(self, context: AppContext, log: Log, should_stop: Callable[[], bool]) -> None:
        self._context, self._log, self._should_stop = context, log, should_stop
        self._running: dict[str, Future[bool]] = {}
        self._reported: dict[str, str] = {}

    def start(self) -> None:
        """Begin to deliver to each endpoint to which something is due, unless that is under way."""
        names = [name for name in self._context.config.webhooks.endpoints if not self._is_running(name)]
        if not names:
            return
        with reading(self._context.engine) as connection:
            due = webhook_deliveries.endpoints_due(connection, names, self._context.clock())
        for name in due:
            self._running[name] = run_in_thread(partial(self._deliver, name))

    def wait(self) -> bool:
        """Wait until nothing is under way; returns whether everything that was tried was delivered."""
        wait(self._running.values())
        return all(one.result() for one in self._running.values())

    def _is_running(self, name: str) -> bool:
        return name in self._running and not self._running[name].done()

    def _deliver(self, name: str) -> bool:
        try:
            counts, error = deliver(self._context, name, self._should_stop)
        except Exception as problem:  # It concerns this endpoint alone.
            counts, error = Counter(), describe(problem)
        if counts:
            self._log("webhooks", endpoint=name, **counts)
        # Logged once, not every few seconds until it is fixed.
        if error and self._reported.get(name) != error:
            self._log("webhooks_failed", endpoint=name, error=error)
        self._reported[name] = error
        return not error


def deliver(context: AppContext, name: str, should_stop: Callable[[], bool]) -> tuple[Counter[str], str]:
    """Deliver what is due to an endpoint, several at the same time, until nothing is left or none of them was accepted.

    Returns:
        The number of deliveries by outcome (``delivered``, ``waiting`` for another attempt, ``failed``), and the last
        error, empty without one.

    Raises:
        UserError: the secret is missing or not valid.
        NewsletterError: the store failed.
    """
    counts: Counter[str] = Counter()
    last_error = ""
    with _target(context.config, name) as target, ThreadPoolExecutor(target.endpoint.parallel) as pool:
        lease = timedelta(seconds=target.endpoint.timeout_seconds) + _LEASE
        while not should_stop():
            now = context.clock()
            with writing(context.engine) as connection:
                claimed = webhook_deliveries.claim(connection, name, now, now + lease, target.endpoint.parallel)
            if not claimed:
                break
            answers = list(pool.map(partial(_post_delivery, target), claimed))
            outcomes = _record(context, name, claimed, answers)
            counts.update(one.state.value for one in outcomes)
            last_error = next((one.error for one in reversed(answers) if one.error), last_error)
            accepted = any(one.state is DeliveryState.DELIVERED for one in outcomes)
            if not accepted or any(answer.is_gone for answer in answers):
                break  # Others wait until the next run, which is soon.
    return counts, last_error


@contextmanager
def _target(config: Config, name: str) -> Iterator[_Target]:
    endpoint = config.webhooks.endpoints[name]
    secrets = webhook_secrets(name, endpoint.secret_file, config.folder)
    seconds = endpoint.timeout_seconds
    network = config.network.model_copy(update={"attempts": 1, "timeout_seconds": seconds})
    agent = user_agent(config.site.url, config.contact)
    with HttpClient(network, agent, urls=[endpoint.url], max_bytes=_MAX_RESPONSE, max_seconds=seconds) as http:
        yield _Target(name, endpoint, secrets, http)


def _post_delivery(target: _Target, delivery: Delivery) -> Answer:
    try:
        return _post(target, delivery.id, body(delivery.kind, delivery.created_at, delivery.payload))
    except Exception as error:  # It concerns this event alone.
        return Answer(None, describe(error))


def body(kind: str, created_at: datetime, payload: Any) -> str:
    """Serialise an event, as Standard Webhooks specifies: the same text at each attempt."""
    moment = created_at.isoformat().replace("+00:00", "Z")
    return json.dumps({"type": kind, "timestamp": moment, "data": payload}, ensure_ascii=False)


def _post(target: _Target, event: str, text: str) -> Answer:
    now = utc_now()  # Receivers compare it with their own clock.
    signatures = [Webhook(secret).sign(event, now, text) for secret in target.secrets]
    headers = {
        "webhook-id": event,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    try:
        answer = target.http.post(target.endpoint.url, text.encode(), headers=headers, accepted=_STATUSES)
    except SourceError as error:
        # Without the URL, in which some services have a secret.
        return Answer(error.status, str(error).partition(": ")[2].removesuffix(" (tried once)") or str(error))
    said = answer.content[:_SAID].decode("utf-8", "replace")
    if 200 <= answer.status < 300:
        return Answer(answer.status, said=said)
    detail = f": {excerpt(said, _SAID)}" if said.strip() else ""
    hold = retry_after(answer.headers) if answer.status in _BUSY else None
    return Answer(answer.status, f"status {answer.status}{detail}", said, hold)


def _record(
    context: AppContext, name: str, claimed: Sequence[Delivery], answers: Sequence[Answer]
) -> list[DeliveryOutcome]:
    now = context.clock()
    outcomes = [_outcome(delivery, answer, now) for delivery, answer in zip(claimed, answers, strict=True)]
    holds = [answer.hold for answer in answers if answer.hold is not None]
    with writing(context.engine) as connection:
        webhook_deliveries.record_outcomes(connection, name, outcomes, now)
        if any(answer.is_gone for answer in answers):
            webhook_deliveries.stop(connection, name, now)
        elif holds:
            webhook_deliveries.hold(connection, name, now + min(timedelta(seconds=max(holds)), LONGEST))
    return outcomes


def _outcome(delivery: Delivery, answer: Answer, now: datetime) -> DeliveryOutcome:
    if not answer.error:
        return DeliveryOutcome(event=delivery.event, state=DeliveryState.DELIVERED, status=answer.status)
    again = next_attempt(delivery.since, delivery.attempts, now)
    state = DeliveryState.WAITING if again is not None else DeliveryState.FAILED
    error = brief(answer.error)
    return DeliveryOutcome(event=delivery.event, state=state, status=answer.status, error=error, next_at=again)


def next_attempt(since: datetime, attempts: int, now: datetime) -> datetime | None:
    """Return when an event is tried again (UTC); None if it was tried for 24 hours.

    Args:
        since: since when it is tried. ``attempts``: how often it was.
    """
    end = since + LONGEST
    if now >= end:
        return None
    usual = _WAITS[min(attempts, len(_WAITS)) - 1]
    return min(now + usual * random.uniform(1 - _JITTER, 1 + _JITTER), end)  # noqa: S311 - no secret


def post_test(context: AppContext, name: str, actor: str) -> Answer:
    """Post an event ``webhook.test`` to an endpoint now, and return the answer. Only the audit log has it.

    Raises:
        UserError: there is no such endpoint, or its secret is missing or not valid.
    """
    check_name(context.config, name)
    now = context.clock()
    text = body("webhook.test", now, {"endpoint": name})
    with _target(context.config, name) as target:
        answer = _post(target, new_id(), text)
    with writing(context.engine) as connection:
        audit.record(connection, actor, "webhook.test", name, now, status=answer.status)
    return answer


def check_name(config: Config, name: str) -> None:
    """Check that an endpoint is in the configuration.

    Raises:
        UserError: it is not.
    """
    names = list(config.webhooks.endpoints)
    if name not in names:
        near = nearest_value(name, names)
        fix = f"did you mean {near!r}?" if near else "see 'newsletter webhooks list'"
        raise UserError(f"NAME: no endpoint {name!r} in webhooks.endpoints; {fix}")


def retry(context: AppContext, name: str, actor: str) -> int:
    """Have all events that an endpoint did not accept tried again now, even after status 410; return how many.

    Raises:
        UserError: there is no such endpoint.
    """
    check_name(context.config, name)
    now = context.clock()
    with writing(context.engine) as connection:
        number = webhook_deliveries.retry(connection, name, now)
        audit.record(connection, actor, "webhook.retry", name, now, events=number)
    return number


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """An endpoint of the configuration and how its deliveries stand.

    Attributes:
        problem: what is wrong with its secret; empty if nothing is.
    """

    name: str
    endpoint: Endpoint
    summary: EndpointSummary
    problem: str = ""

    @property
    def host(self) -> str:
        """The scheme and host of its URL: some services have a secret in the rest."""
        parts = urlsplit(self.endpoint.url)
        return f"{parts.scheme}://{parts.netloc}"


def endpoint_statuses(context: AppContext, connection: Connection) -> list[EndpointStatus]:
    """Return the endpoints of the configuration, each with how its deliveries stand."""
    found, config = webhook_deliveries.summaries(connection), context.config
    return [
        EndpointStatus(name, endpoint, found.get(name, EndpointSummary()), _secret_problem(config, name, endpoint))
        for name, endpoint in config.webhooks.endpoints.items()
    ]


def _secret_problem(config: Config, name: str, endpoint: Endpoint) -> str:
    try:
        webhook_secrets(name, endpoint.secret_file, config.folder)
    except UserError as error:
        return str(error)
    return ""
