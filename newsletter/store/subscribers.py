"""Stored subscribers: their state, consent and preferences, and when each is due."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    insert,
    null,
    or_,
    select,
    tuple_,
    update,
)

from newsletter.config.fields import plain_address
from newsletter.model import Alert, Preferences, Schedule, Subscriber, SubscriberState, WebhookKind
from newsletter.store import libraries, webhooks
from newsletter.store.database import advisory_lock, writes
from newsletter.store.preferences import stored_preferences, stored_schedule, to_json
from newsletter.store.schema import subscriber_tags, subscribers

_ACTIVE = subscribers.c.state == SubscriberState.ACTIVE.value

_BLOCK = 1_000

_BEGIN = 2
"""Number of leading characters of an address that a typo is assumed to leave intact."""


def email_key(email: str) -> str:
    """Return a key that all spellings of an address share: case is ignored, domains are normalised."""
    try:
        local, _, domain = plain_address(email).rpartition("@")
    except ValueError:
        return email.strip().casefold()  # Not an address, so nobody's.
    # Domains are not case-folded further: straße.example and strasse.example are different.
    return f"{local.casefold()}@{domain}"


def add(
    connection: Connection,
    preferences: Preferences,
    state: SubscriberState,
    consent: str,
    now: datetime,
    file: str | None,
) -> Subscriber:
    """Add a new subscriber.

    Args:
        consent: where the agreement to get mail came from, in words.
        now: when (UTC).
        file: the name of the subscriber's file, None without one.
    """
    connection.execute(
        insert(subscribers).values(
            email=preferences.email,
            email_key=email_key(preferences.email),
            state=state.value,
            consent=consent,
            preferences=to_json(preferences),
            file=file,
            seen_row=0,
            created_at=now,
            state_since=now,
        )
    )
    added = by_email(connection, preferences.email)
    assert added is not None  # noqa: S101 - inserted a line above
    facts = webhooks.SubscriberFacts(added.row, added.email, added.state)
    webhooks.record_subscriber(connection, WebhookKind.SUBSCRIBER_CREATED, facts, now)
    return added


def by_email(connection: Connection, email: str) -> Subscriber | None:
    """Return the subscriber with this address, in whatever case it is written."""
    query = _people(connection).where(subscribers.c.email_key == email_key(email))
    row = connection.execute(query).mappings().first()
    return _subscriber(row) if row is not None else None


def similar_emails(connection: Connection, email: str, limit: int = 500) -> list[str]:
    """Return up to ``limit`` addresses that an unknown one may be a typo of: those with the same part before the @, and
    those with the same beginning.
    """
    key = email_key(email)
    begins = [f"{key.partition('@')[0]}@", key[:_BEGIN]]
    found: list[str] = []
    for begin in begins if key else []:
        like = subscribers.c.email_key.startswith(begin, autoescape=True)
        query = select(subscribers.c.email).where(subscribers.c.email_key >= begin, like)
        found += connection.execute(query.order_by(subscribers.c.email_key).limit(limit)).scalars()
    return found


def by_file(connection: Connection, file: str) -> Subscriber | None:
    """Return the subscriber whose preferences are in this file."""
    row = connection.execute(_people(connection).where(subscribers.c.file == file)).mappings().first()
    return _subscriber(row) if row is not None else None


def lock_files(connection: Connection) -> None:
    """Keep other processes from reading the subscribers' files until this transaction ends: both would add new ones."""
    advisory_lock(connection, "files")


def files(connection: Connection) -> dict[str, str | None]:
    """Return the files known to the store, each with the digest of its contents when last read."""
    # Written so that SQLite uses the index.
    query = select(subscribers.c.file, subscribers.c.file_digest).where(subscribers.c.file > "")
    return {row.file: row.file_digest for row in connection.execute(query)}


def file_digest(connection: Connection, row: int) -> str | None:
    """Return the digest of a subscriber's file when last read."""
    found: str | None = connection.execute(select(subscribers.c.file_digest).where(subscribers.c.row == row)).scalar()
    return found


def set_preferences(connection: Connection, row: int, preferences: Preferences, now: datetime) -> None:
    """Replace a subscriber's preferences, including the address. Libraries that they no longer name are deleted."""
    before = webhooks.subscriber_facts(connection, row, WebhookKind.SUBSCRIBER_CHANGED)
    values = {
        "email": preferences.email,
        "email_key": email_key(preferences.email),
        "preferences": to_json(preferences),
    }
    connection.execute(update(subscribers).where(subscribers.c.row == row).values(**values))
    if before is not None and (before.email, before.preferences) != (values["email"], values["preferences"]):
        facts = webhooks.SubscriberFacts(row, preferences.email, before.state)
        webhooks.record_subscriber(connection, WebhookKind.SUBSCRIBER_CHANGED, facts, now)
    named = {library.address for interest in preferences.interests for library in interest.libraries}
    for library in libraries.of(connection, row):
        if library.address not in named:
            libraries.remove(connection, library.row)


def set_file(connection: Connection, row: int, file: str | None, digest: str | None) -> None:
    """Set the file that has a subscriber's preferences, and the digest of its contents when read."""
    connection.execute(update(subscribers).where(subscribers.c.row == row).values(file=file, file_digest=digest))


def set_state(
    connection: Connection, row: int, state: SubscriberState, now: datetime, consent: str | None = None
) -> None:
    """Change a subscriber's state; ``consent`` describes a new agreement. Only active subscribers are ever due."""
    values: dict[str, Any] = {"state": state.value, "state_since": now}
    if state is not SubscriberState.UNSUBSCRIBED:
        values["paused_until"] = None  # If this is undone, the pause applies again.
    if consent is not None:
        values["consent"] = consent
    if state is not SubscriberState.ACTIVE:
        values["next_due"] = None
    before = webhooks.before_state(connection, row)
    connection.execute(update(subscribers).where(subscribers.c.row == row).values(**values))
    if before is not None:
        webhooks.record_state(connection, before, state, now)


def set_pause(connection: Connection, row: int, until: datetime | None) -> None:
    """Set when the pause of a paused subscriber ends automatically (UTC)."""
    connection.execute(update(subscribers).where(subscribers.c.row == row).values(paused_until=until))


def set_consent(connection: Connection, row: int, consent: str) -> None:
    """Set where a subscriber's agreement to get mail came from, in words."""
    connection.execute(update(subscribers).where(subscribers.c.row == row).values(consent=consent))


def set_created_at(connection: Connection, row: int, moment: datetime) -> None:
    """Set since when somebody is a subscriber (UTC): longer than here, if another program had them before."""
    connection.execute(update(subscribers).where(subscribers.c.row == row).values(created_at=moment))


def sign_out_links(connection: Connection, row: int) -> None:
    """Invalidate all links that a subscriber has received so far."""
    raised = subscribers.c.link_version + 1
    connection.execute(update(subscribers).where(subscribers.c.row == row).values(link_version=raised))


def pauses_over(connection: Connection, now: datetime, limit: int) -> list[Subscriber]:
    """Return paused subscribers whose pause is over."""
    paused = subscribers.c.state == SubscriberState.PAUSED.value
    query = _people(connection).where(paused, subscribers.c.paused_until <= now)
    found = connection.execute(query.order_by(subscribers.c.paused_until).limit(limit))
    return [_subscriber(row) for row in found.mappings()]


def consent(connection: Connection, row: int) -> str:
    """Return where a subscriber's agreement to get mail came from, in words."""
    return str(connection.execute(select(subscribers.c.consent).where(subscribers.c.row == row)).scalar_one())


def consents(connection: Connection, rows: Collection[int]) -> dict[int, str]:
    """Return the same of several subscribers, by row."""
    query = select(subscribers.c.row, subscribers.c.consent).where(subscribers.c.row.in_(rows))
    return {one.row: str(one.consent) for one in connection.execute(query)}


def set_next_due(connection: Connection, due: Mapping[int, datetime | None]) -> None:
    """Set when each subscriber (by row) is due next (UTC)."""
    if due:
        statement = update(subscribers).where(subscribers.c.row == bindparam("of")).values(next_due=bindparam("moment"))
        connection.execute(statement, [{"of": row, "moment": moment} for row, moment in due.items()])


def hasten(connection: Connection, row: int, now: datetime) -> None:
    """Make the next digest of a subscriber due now (UTC), if it is due later and the subscriber has had none."""
    first = (subscribers.c.row == row, subscribers.c.last_digest.is_(None), subscribers.c.next_due > now)
    connection.execute(update(subscribers).where(_ACTIVE, *first).values(next_due=now))


@dataclass(frozen=True, slots=True)
class DueSubscriber:
    """The schedule of a subscriber (by row), and when the next digest is due (UTC)."""

    row: int
    schedule: Schedule
    next_due: datetime | None


def due(connection: Connection, now: datetime, after: DueSubscriber | None, limit: int) -> list[DueSubscriber]:
    """Return the active subscribers who are due, in the order of their due times, starting after ``after``."""
    query = _timed(connection).where(_ACTIVE, subscribers.c.next_due <= now)
    if after is not None and after.next_due is not None:
        query = query.where(_later(after.next_due, after.row))
    return _read_timed(connection, query.order_by(subscribers.c.next_due, subscribers.c.row).limit(limit))


def active(connection: Connection, after: DueSubscriber | None, limit: int) -> list[DueSubscriber]:
    """Return all active subscribers, by row, starting after ``after``."""
    query = _timed(connection).where(_in_state(connection, SubscriberState.ACTIVE))
    query = query.where(subscribers.c.row > (after.row if after is not None else 0))
    return _read_timed(connection, query.order_by(subscribers.c.row).limit(limit))


def _later(due: datetime, row: int) -> ColumnElement[bool]:
    """Return a condition for paging in the order of the due index; paging by row would sort all rows for each page."""
    return tuple_(subscribers.c.next_due, subscribers.c.row) > (due, row)


def number_due(connection: Connection, now: datetime) -> int:
    """Count the active subscribers who are due."""
    query = select(func.count()).select_from(subscribers)
    return connection.execute(query.where(_ACTIVE, subscribers.c.next_due <= now)).scalar_one()


def due_after(connection: Connection, moment: datetime, row: int, limit: int) -> list[DueSubscriber]:
    """Return the active subscribers who are due after a given time, or at that time with a higher row, in the order of
    their due times.
    """
    query = _timed(connection).where(_ACTIVE, _later(moment, row))
    return _read_timed(connection, query.order_by(subscribers.c.next_due, subscribers.c.row).limit(limit))


def _timed(connection: Connection) -> Select[Any]:
    schedule: ColumnElement[Any] = subscribers.c.preferences["schedule"]
    if connection.dialect.name == "sqlite":
        # One damaged row would fail the whole query; PostgreSQL accepts only valid JSON.
        schedule = case((func.json_valid(subscribers.c.preferences) == 1, schedule), else_=null())
    return select(subscribers.c.row, schedule.label("schedule"), subscribers.c.next_due)


def _read_timed(connection: Connection, query: Select[Any]) -> list[DueSubscriber]:
    return [DueSubscriber(one.row, stored_schedule(one.schedule), one.next_due) for one in connection.execute(query)]


def page(
    connection: Connection, after: int, limit: int, state: SubscriberState | None = None, tag: str | None = None
) -> list[Subscriber]:
    """Return all subscribers, or those in one state or with a tag, by row, starting after ``after``."""
    query = select(subscribers).where(subscribers.c.row > after)
    if tag is not None:
        query = query.join(subscriber_tags, subscriber_tags.c.subscriber == subscribers.c.row)
        query = query.where(subscriber_tags.c.tag == tag)
    if state is not None:
        query = query.where(_in_state(connection, state))
    found = connection.execute(query.order_by(subscribers.c.row).limit(limit))
    return [_subscriber(row) for row in found.mappings()]


def search(
    connection: Connection, words: str, state: SubscriberState | None, tag: str | None, after: int, limit: int
) -> list[Subscriber]:
    """Return the subscribers whose addresses or names contain a text, by row, starting after ``after``.

    Args:
        words: a part of the address or the name, in any case; empty for all.
        state, tag: only those; None for any.
    """
    query = select(subscribers).where(subscribers.c.row > after)
    if words:
        # The key is in lower case, with its domain in ASCII; what is no whole address is compared as it is.
        in_address = subscribers.c.email_key.contains(email_key(words), autoescape=True)
        query = query.where(or_(in_address, *_in_name(connection, words)))
    if state is not None:
        query = query.where(_in_state(connection, state))
    if tag is not None:
        with_tag = select(subscriber_tags.c.subscriber).where(subscriber_tags.c.tag == tag)
        query = query.where(subscribers.c.row.in_(with_tag))
    found = connection.execute(query.order_by(subscribers.c.row).limit(limit))
    return [_subscriber(row) for row in found.mappings()]


def _in_name(connection: Connection, words: str) -> list[ColumnElement[bool]]:
    """Return conditions, one of which holds if a name contains a text. Databases ignore the case of ASCII letters."""
    name = subscribers.c.preferences["name"].as_string()
    spellings = {words} if words.isascii() else {words, words.lower(), words.upper(), words.title()}
    if connection.dialect.name != "sqlite":
        return [name.icontains(one, autoescape=True) for one in sorted(spellings)]
    # Parsing is slow, so first look for the text in the JSON.
    text = cast(subscribers.c.preferences, Text)
    is_there = or_(*(text.icontains(json.dumps(one)[1:-1], autoescape=True) for one in spellings))
    in_name = or_(*(name.icontains(one, autoescape=True) for one in sorted(spellings)))
    return [
        case((is_there, case((func.json_valid(subscribers.c.preferences) == 1, in_name), else_=False)), else_=False)
    ]


def naming_libraries(connection: Connection, after: int, limit: int) -> list[Subscriber]:
    """Return active subscribers whose preferences may name libraries, by row, starting after ``after``."""
    written = cast(subscribers.c.preferences, Text)
    named = or_(*(written.contains(f'"{key}"') for key in ("zotero", "file", "upload", "orcid", "openalex")))
    active = _in_state(connection, SubscriberState.ACTIVE)
    query = _people(connection).where(active, named, subscribers.c.row > after)
    rows = connection.execute(query.order_by(subscribers.c.row).limit(limit)).mappings()
    return [_subscriber(row) for row in rows]


def held_back(
    connection: Connection, domain: str | None, since: datetime | None, after: int, limit: int
) -> list[Subscriber]:
    """Return the subscribers who are bounced or paused, by row, starting after ``after``.

    Args:
        domain: only those at this domain, as stored. ``since``: only those in this state since this time or later.
    """
    held = [SubscriberState.BOUNCED.value, SubscriberState.PAUSED.value]
    query = _people(connection).where(subscribers.c.state.in_(held), subscribers.c.row > after)
    if domain is not None:
        query = query.where(subscribers.c.email_key.endswith(f"@{domain}", autoescape=True))
    if since is not None:
        query = query.where(subscribers.c.state_since >= since)
    found = connection.execute(query.order_by(subscribers.c.row).limit(limit))
    return [_subscriber(row) for row in found.mappings()]


def email_keys(connection: Connection, states: Collection[SubscriberState]) -> Iterator[str]:
    """Yield the keys of the addresses of subscribers in some states."""
    query = select(subscribers.c.email_key).where(subscribers.c.state.in_([state.value for state in states]))
    yield from connection.execute(query).scalars()


def watched_alerts(connection: Connection) -> set[Alert]:
    """Return the alerts of all active subscribers."""
    written = cast(subscribers.c.preferences, Text)
    query = select(subscribers.c.email, subscribers.c.preferences).where(
        _in_state(connection, SubscriberState.ACTIVE), written.contains('"alerts"'), ~written.contains('"alerts": []')
    )
    rows = connection.execution_options(yield_per=_BLOCK).execute(query)
    return {alert for row in rows for alert in stored_preferences(row.email, row.preferences)[0].alerts}


def _in_state(connection: Connection, state: SubscriberState) -> ColumnElement[bool]:
    """Return a condition for a state, for paging by row."""
    column: ColumnElement[str] = subscribers.c.state
    if connection.dialect.name == "sqlite":
        # Not by the index of states, after which all rows of a state would be sorted for every page.
        column = func.coalesce(column, "")
    return column == state.value


def by_rows(connection: Connection, rows: Collection[int]) -> dict[int, Subscriber]:
    """Return the subscribers with these row numbers, by row number."""
    query = _people(connection).where(subscribers.c.row.in_(rows)).order_by(subscribers.c.row)
    return {row["row"]: _subscriber(row) for row in connection.execute(query).mappings()}


def counts(connection: Connection) -> dict[str, int]:
    """Count the subscribers in each state."""
    query = select(subscribers.c.state, func.count()).group_by(subscribers.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def _people(connection: Connection) -> Select[Any]:
    """Select subscribers; in a writing transaction, PostgreSQL locks them until it ends (SQLite locks everything)."""
    query = select(subscribers)
    return query.with_for_update(key_share=True) if writes(connection) else query


def _subscriber(row: RowMapping) -> Subscriber:
    preferences, damage = stored_preferences(row["email"], row["preferences"])
    return Subscriber(
        preferences=preferences,
        damage=damage,
        state=SubscriberState(row["state"]),
        row=row["row"],
        file=row["file"],
        next_due=row["next_due"],
        last_digest=row["last_digest"],
        seen_row=row["seen_row"],
        created_at=row["created_at"],
        state_since=row["state_since"],
        paused_until=row["paused_until"],
        link_version=row["link_version"],
        unlogged_row=row["unlogged_row"],
    )
