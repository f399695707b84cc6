"""A store as a newsletter of 100,000 subscribers has it after a month of editions, for :mod:`benchmarks.admin`.

Twenty-nine editions reached 30 of 100 subscribers each, and one that goes to all is being sent. One announcement went
to all, another one is planned for tomorrow. Some sends failed, were deferred or are of unknown outcome. There are
bounces, tags, an audit log, and webhook events of two endpoints. The first subscriber (``first@example.org``) has a
line in every edition, and 300 in the audit log. Everything is the same each time.
"""

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert

from newsletter.model import Interest, Preferences, Schedule, SendState, SubscriberState, WebhookKind
from newsletter.store import schema, statistics, writing
from newsletter.store.preferences import to_json
from newsletter.store.sends import domain_of
from newsletter.store.webhooks import DeliveryState

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
EDITIONS, SHARE, DAILY_PAPERS = 30, 0.3, 100
WITH_PAPERS, PAPERS_EACH = 10, 3
TAGS = ("chemistry", "biology", "physics", "medicine", "staff", "students", "press", "beta", "partners", "europe")
ENDPOINTS = ("crm", "warehouse")
TOKEN_NAME = "bench"
_FIRST = ("Ada", "Grace", "Emmy", "Mary", "Rosalind", "Lise", "Chien-Shiung", "Barbara", "Vera", "Jocelyn")
_LAST = ("Lovelace", "Hopper", "Noether", "Somerville", "Franklin", "Meitner", "Wu", "McClintock", "Rubin", "Bell")
_DOMAINS = ("example.org", "mail.example.com", "uni.example.edu", "lab.example.net", "institute.example.org")
_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "Australia/Sydney", "UTC", "Africa/Lagos")
_STATES = {
    SubscriberState.ACTIVE: 85,
    SubscriberState.UNSUBSCRIBED: 6,
    SubscriberState.PAUSED: 4,
    SubscriberState.BOUNCED: 3,
    SubscriberState.PENDING: 2,
}
_BLOCK = 5_000
_REASONS = ("the mailbox is full", "the server rejects the address", "greylisted", "the server is busy")


def fill(engine: Engine, subscribers: int) -> None:
    """Fill an empty store."""
    chance = random.Random(1)
    with writing(engine) as connection:
        _put(connection, schema.papers, _papers())
        people = list(_subscribers(subscribers, chance))
        _put(connection, schema.subscribers, people)
        _put(connection, schema.subscriber_tags, _tags(subscribers, chance))
        _put(connection, schema.mailings, _announcements())
        emails = [one["email"] for one in people]
        _put(connection, schema.sends, _sends(emails, chance))
    with writing(engine) as connection:
        _put(connection, schema.send_papers, _send_papers(connection))
        _put(connection, schema.bounces, _bounces(connection, subscribers, chance))
        _put(connection, schema.audit_log, _audit_log(subscribers, chance))
        events = max(1, subscribers // 2)
        _put(connection, schema.webhook_events, _events(events, subscribers, chance))
        _put(connection, schema.webhook_deliveries, _deliveries(events, chance))
        _put(connection, schema.daily_counts, _daily_counts(subscribers))
    with writing(engine) as connection:
        # As housekeeping does it every day.
        for day in statistics.to_be_kept(connection, NOW.date()):
            statistics.keep_edition(connection, day)


def _put(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    left = iter(rows)
    while block := list(islice(left, _BLOCK)):
        connection.execute(insert(table), block)


def _papers() -> Iterator[dict[str, Any]]:
    lists: dict[str, Any] = {name: [] for name in ("authors", "categories", "keywords")}
    for number in range(1, EDITIONS * DAILY_PAPERS + 1):
        seen = NOW - timedelta(days=EDITIONS - (number - 1) // DAILY_PAPERS, hours=2)
        title = f"A study of subject {number}"
        texts = {"title": title, "title_key": title.lower(), "abstract": "We study a subject. " * 40}
        yield {"row": number, "id": f"bench:{number}", **texts, **lists, "sources": ["bench"], "first_seen": seen}


def _subscribers(number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    states, weights = list(_STATES), list(_STATES.values())
    for row in range(1, number + 1):
        first, last = chance.choice(_FIRST), chance.choice(_LAST)
        state = SubscriberState.ACTIVE if row == 1 else chance.choices(states, weights)[0]
        email = f"{first}.{last}{row}@{chance.choice(_DOMAINS)}" if row > 1 else "first@example.org"
        schedule = Schedule(timezone=chance.choice(_ZONES))
        interests = tuple(Interest(name=f"Subject {one}", text=f"subject {one}") for one in range(1 + row % 3))
        wanted = Preferences(email=email, name=f"{first} {last}", schedule=schedule, interests=interests)
        joined = NOW - timedelta(days=700 * chance.random())
        yield {
            "row": row,
            "email": email,
            "email_key": email.lower(),
            "state": state.value,
            "consent": "generated for a benchmark",
            "preferences": to_json(wanted),
            "next_due": NOW + timedelta(hours=row % 24 + 1) if state is SubscriberState.ACTIVE else None,
            "seen_row": 0,
            "created_at": joined,
            "state_since": joined + (NOW - joined) * chance.random(),
        }


def _tags(number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    for row in range(1, number + 1):
        yield from ({"tag": tag, "subscriber": row} for place, tag in enumerate(TAGS) if chance.random() < 0.4**place)


def _announcements() -> Iterator[dict[str, Any]]:
    texts = {"kind": "announcement", "name": "site.md", "format": "markdown", "source": "New.", "created_by": "ada"}
    planned = {"state": "sending", "planned_row": 2**31 - 1}
    for row, subject, at in ((1, "A new site", NOW - timedelta(days=3)), (2, "A holiday", NOW + timedelta(days=1))):
        times = {"send_at": at, "created_at": NOW - timedelta(days=4), "planned_at": NOW - timedelta(days=3)}
        yield {"row": row, "subject": subject, **texts, **planned, **times, "local_time": row == 2}


def _sends(emails: list[str], chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield the sends of the editions and of the announcements. About 1 in 500 failed, some were deferred, and, in the
    latest editions, some are of unknown outcome.
    """
    rows = count(1)
    every = max(1, round(1 / SHARE))
    for number in range(EDITIONS):
        day = NOW.date() - timedelta(days=EDITIONS - 1 - number)
        last = number == EDITIONS - 1
        for place, email in enumerate(emails):
            if last or place == 0 or (place + number) % every == 0:
                yield _send(next(rows), day, place + 1, email, _state(chance, number >= EDITIONS - 3, last), chance)
    for mailing, days in ((1, -3), (2, 1)):
        day = NOW.date() + timedelta(days=days)
        for place, email in enumerate(emails):
            state = SendState.PLANNED if days > 0 else _state(chance, False, False)
            made = _send(next(rows), day, place + 1, email, state, chance, mailing)
            yield {**made, "not_before": NOW + timedelta(hours=12 + place % 24)} if days > 0 else made


def _state(chance: random.Random, is_recent: bool, is_last: bool) -> SendState:
    drawn = chance.random()
    if is_last and drawn > 0.4:
        return SendState.PLANNED
    if is_recent and drawn < 0.002:
        return SendState.UNSURE
    if is_recent and drawn < 0.02:
        return SendState.DEFERRED
    return SendState.FAILED if 0.02 < drawn < 0.022 else SendState.SENT


def _send(
    row: int,
    day: date,
    subscriber: int,
    email: str,
    state: SendState,
    chance: random.Random,
    mailing: int | None = None,
) -> dict[str, Any]:
    planned = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=6)
    is_settled = state not in (SendState.PLANNED, SendState.DEFERRED)
    return {
        "row": row,
        "edition": day,
        "subscriber": subscriber,
        "email": email,
        "domain": domain_of(email),
        "state": state.value,
        "message_id": f"<{row}.{chance.getrandbits(48):x}@papers.example.org>",
        "considered": DAILY_PAPERS,
        "seen_row": 0,
        "planned_at": planned,
        "settled_at": planned + timedelta(minutes=5) if is_settled else None,
        "not_before": NOW + timedelta(minutes=row % 60) if state is SendState.DEFERRED else None,
        "attempts": 0 if state is SendState.PLANNED else 1,
        "smtp_reply": "250 2.0.0 Ok: queued" if state is SendState.SENT else None,
        "reason": None if state in (SendState.SENT, SendState.PLANNED) else _REASONS[row % len(_REASONS)],
        "mailing": mailing,
    }


def _send_papers(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield the papers of the latest digests."""
    first = NOW.date() - timedelta(days=WITH_PAPERS - 1)
    query = schema.sends.select().with_only_columns(
        schema.sends.c.row, schema.sends.c.subscriber, schema.sends.c.edition
    )
    for send in connection.execute(
        query.where(schema.sends.c.edition >= first, schema.sends.c.mailing.is_(None))
    ).all():
        before = (EDITIONS - 1 - (NOW.date() - send.edition).days) * DAILY_PAPERS
        for rank in range(1, PAPERS_EACH + 1):
            paper = before + (send.subscriber * 7 + rank * 13) % DAILY_PAPERS + 1
            own = {"send": send.row, "rank": rank, "subscriber": send.subscriber, "paper": paper}
            yield {**own, "score": 0.9 - rank / 10, "section": "Subject 0", "because": "subject"}


def _bounces(connection: Connection, subscribers: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    query = schema.sends.select().with_only_columns(schema.sends.c.row, schema.sends.c.subscriber)
    every = query.where(schema.sends.c.row % 317 == 0, schema.sends.c.state == SendState.SENT.value)
    for number, send in enumerate(connection.execute(every).all()):
        kind = chance.choices(("hard", "soft", "refused", "complaint"), (50, 40, 8, 2))[0]
        received = NOW - timedelta(days=30 * chance.random())
        texts = {"kind": kind, "status": "5.1.1", "diagnostic": "550 5.1.1 no such user", "digest": f"{number:064x}"}
        yield {"subscriber": send.subscriber, "send": send.row, **texts, "received_at": received, "effect": None}


def _audit_log(subscribers: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    actors, actions = ("ada", "grace", "token crm", "command line"), ("pause", "resume", "tags", "change", "block")
    for number in range(subscribers):
        row = 1 if number % 331 == 0 else chance.randint(1, subscribers)
        at = NOW - timedelta(days=365) * (1 - number / subscribers)
        action = f"subscriber.{chance.choice(actions)}"
        named = {"actor": chance.choice(actors), "action": action, "subscriber": row, "target": f"subscriber {row}"}
        yield {"at": at, **named, "details": {"reason": "asked by email"}}


def _events(events: int, subscribers: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    kinds = list(WebhookKind)
    for row in range(1, events + 1):
        at = NOW - timedelta(days=7) * (1 - row / events)
        kind, subscriber = chance.choice(kinds), chance.randint(1, subscribers)
        yield {
            "row": row,
            "id": f"evt_{row}",
            "kind": kind.value,
            "payload": {"type": kind.value, "data": {"subscriber": subscriber}},
            "subscriber": subscriber,
            "created_at": at,
        }


def _deliveries(events: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    for row in range(1, events + 1):
        since = NOW - timedelta(days=7) * (1 - row / events)
        for endpoint in ENDPOINTS:
            state = chance.choices(list(DeliveryState), (1, 96, 3))[0]
            failed = {"status": 503, "error": "status 503"} if state is not DeliveryState.DELIVERED else {}
            settled = {"settled_at": since + timedelta(seconds=2)} if state is not DeliveryState.WAITING else {}
            waits = {"next_at": NOW + timedelta(minutes=5)} if state is DeliveryState.WAITING else {}
            own = {"event": row, "endpoint": endpoint, "state": state.value, "since": since, "attempts": 1}
            yield {
                "next_at": None,
                "status": None,
                "error": None,
                "settled_at": None,
                **own,
                **failed,
                **settled,
                **waits,
            }


def _daily_counts(subscribers: int) -> Iterator[dict[str, Any]]:
    for back in range(90):
        for state, share in _STATES.items():
            number = subscribers * share // 100 - back
            yield {"day": NOW.date() - timedelta(days=back), "state": state.value, "number": max(0, number)}
