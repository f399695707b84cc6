"""Stored mailings: announcements to many subscribers, and messages to one that another program asked for."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    case,
    delete,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from newsletter.model import SendState, SubscriberState
from newsletter.store.database import advisory_lock, upsert
from newsletter.store.preferences import stored_preferences
from newsletter.store.schema import mailings, sends, subscriber_tags, subscribers
from newsletter.store.sends import CANCELLED, domain_of


class MailingKind(StrEnum):
    """What a mailing is: written to all or to those with a tag, or to one subscriber by a program."""

    ANNOUNCEMENT = "announcement"
    MESSAGE = "message"


class MailingState(StrEnum):
    """The state of a mailing: ``sending`` from when its first sends are planned, ``sent`` once all are settled."""

    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    CANCELLED = "cancelled"


class MailingFormat(StrEnum):
    """How the text of a mailing is written."""

    MARKDOWN = "markdown"
    MJML = "mjml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailing:
    """An announcement or a message.

    Attributes:
        subject: the subject line, a template. ``source``: the text, as it was when the mailing was made.
        name: the file or the template that it was made from.
        data: what a message has for the variables of its template.
        tag: only subscribers with this tag get it; None: all. ``subscriber``: only this one (by row).
        send_at: when it is due (UTC); with ``local_time``, the time that the clock of each subscriber shows then.
        created_by: the actor, as in the audit log.
        paused_at: since when it is paused (UTC), None if it is not.
        planned_row: the subscribers up to this row were considered. ``planned_at``: when planning ended (UTC).
        settled_at: when it was sent or cancelled (UTC).
        form: the form of the admin site that created it; None: a command or a program did.
    """

    kind: MailingKind
    subject: str
    name: str
    format: MailingFormat
    source: str
    send_at: datetime
    created_at: datetime
    created_by: str
    state: MailingState = MailingState.SCHEDULED
    data: Mapping[str, Any] = field(default_factory=dict)
    tag: str | None = None
    subscriber: int | None = None
    local_time: bool = False
    paused_at: datetime | None = None
    planned_row: int = 0
    planned_at: datetime | None = None
    settled_at: datetime | None = None
    form: str | None = None
    row: int = 0


_FIELDS = tuple(Mailing.__dataclass_fields__)
_COLUMNS = tuple(mailings.c[name] for name in _FIELDS)
_WAITING = (SendState.PLANNED.value, SendState.DEFERRED.value)
_UNDER_WAY = (*_WAITING, SendState.CLAIMED.value)


def add(connection: Connection, mailing: Mailing) -> Mailing:
    """Store a new mailing; return it with its row."""
    values = {name: getattr(mailing, name) for name in _FIELDS if name != "row"}
    values |= {name: values[name].value for name in ("kind", "state", "format")}
    values["data"] = dict(mailing.data)
    row = connection.execute(insert(mailings).values(**values).returning(mailings.c.row)).scalar_one()
    found = by_row(connection, row)
    assert found is not None  # noqa: S101 - inserted above
    return found


def by_form(connection: Connection, form: str) -> Mailing | None:
    """Return the mailing that a form created, None if it created none. Others with the same form wait until this
    transaction ends.
    """
    advisory_lock(connection, f"form {form}")
    found = connection.execute(select(*_COLUMNS).where(mailings.c.form == form)).mappings().first()
    return _mailing(found) if found is not None else None


def by_row(connection: Connection, row: int, lock: bool = False) -> Mailing | None:
    """Return a mailing, None if there is none with this row.

    Args:
        lock: let no other transaction change it before this one ends.
    """
    query = select(*_COLUMNS).where(mailings.c.row == row)
    found = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return _mailing(found) if found is not None else None


def by_rows(connection: Connection, rows: Collection[int]) -> dict[int, Mailing]:
    """Return mailings, by row."""
    if not rows:
        return {}
    found = connection.execute(select(*_COLUMNS).where(mailings.c.row.in_(rows))).mappings()
    return {one["row"]: _mailing(one) for one in found}


def page(connection: Connection, before: int | None, limit: int, kind: MailingKind) -> list[Mailing]:
    """Return the mailings of a kind, newest first, starting before row ``before``."""
    query = select(*_COLUMNS).where(mailings.c.kind == kind.value).order_by(mailings.c.row.desc()).limit(limit)
    if before is not None:
        query = query.where(mailings.c.row < before)
    return [_mailing(row) for row in connection.execute(query).mappings()]


def _mailing(row: RowMapping) -> Mailing:
    values = {name: row[name] for name in _FIELDS}
    return Mailing(
        **{
            **values,
            "kind": MailingKind(values["kind"]),
            "state": MailingState(values["state"]),
            "format": MailingFormat(values["format"]),
        }
    )


def subjects(connection: Connection, rows: Collection[int]) -> dict[int, tuple[MailingKind, str]]:
    """Return the kinds and subjects of mailings, by row."""
    if not rows:
        return {}
    query = select(mailings.c.row, mailings.c.kind, mailings.c.subject).where(mailings.c.row.in_(rows))
    return {one.row: (MailingKind(one.kind), one.subject) for one in connection.execute(query)}


def counts(connection: Connection, rows: Collection[int]) -> dict[int, dict[SendState, int]]:
    """Return how many sends of mailings are in each state, by the mailing's row."""
    query = select(sends.c.mailing, sends.c.state, func.count()).where(sends.c.mailing.in_(rows))
    found: dict[int, dict[SendState, int]] = {row: {} for row in rows}
    for mailing, state, number in connection.execute(query.group_by(sends.c.mailing, sends.c.state)):
        found[mailing][SendState(state)] = number
    return {row: {state: own[state] for state in SendState if state in own} for row, own in found.items()}


def to_plan(connection: Connection, due: datetime, local_due: datetime) -> list[Mailing]:
    """Return the mailings that are not planned completely and not paused, oldest first.

    Args:
        due: those due at this time (UTC) or before. ``local_due``: the same for those that go by local time.
    """
    open_states = [MailingState.SCHEDULED.value, MailingState.SENDING.value]
    in_time = or_(
        mailings.c.local_time.is_(False) & (mailings.c.send_at <= due),
        mailings.c.local_time.is_(True) & (mailings.c.send_at <= local_due),
    )
    query = select(*_COLUMNS).where(
        mailings.c.state.in_(open_states), mailings.c.planned_at.is_(None), mailings.c.paused_at.is_(None), in_time
    )
    return [_mailing(row) for row in connection.execute(query.order_by(mailings.c.row)).mappings()]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A subscriber (by row) who gets a mailing: address and time zone."""

    row: int
    email: str
    timezone: str


def recipients(connection: Connection, mailing: Mailing, limit: int) -> tuple[list[Recipient], int | None]:
    """Return who gets a mailing among the next ``limit`` active subscribers, after those considered before.

    They are locked, so that none is deleted before this transaction ends.

    Returns:
        The recipients, and the row of the last subscriber considered; None if there was none left.
    """
    query = _audience(mailing.tag).where(subscribers.c.row > mailing.planned_row)
    query = query.order_by(subscribers.c.row).limit(limit).with_for_update(read=True, key_share=True, of=subscribers)
    found = connection.execute(query).all()
    return list(_willing(found)), found[-1].row if found else None


def number_of_recipients(connection: Connection, tag: str | None) -> int:
    """Count the subscribers who would get an announcement now, all or those with a tag."""
    # Counted by the database: to read the preferences of 100,000 subscribers takes seconds.
    audience = _audience(tag).with_only_columns(func.count()).where(_is_willing(connection))
    return int(connection.execute(audience).scalar_one())


def _is_willing(connection: Connection) -> ColumnElement[bool]:
    """Return the condition of :func:`_willing`; damaged preferences do not decline."""
    wanted = subscribers.c.preferences["announcements"]
    if connection.dialect.name == "sqlite":
        # One damaged row would fail the whole query; PostgreSQL accepts only valid JSON.
        wanted = case((func.json_valid(subscribers.c.preferences) == 1, wanted.as_integer()), else_=null())
        return func.coalesce(wanted, 1) != 0
    return func.coalesce(wanted.as_string(), "true") != "false"


def _audience(tag: str | None) -> Any:
    # Paged by row, not by the index of states.
    active = func.coalesce(subscribers.c.state, "") == SubscriberState.ACTIVE.value
    query = select(subscribers.c.row, subscribers.c.email, subscribers.c.preferences).where(active)
    if tag is not None:
        has_tag = exists().where(subscriber_tags.c.tag == tag, subscriber_tags.c.subscriber == subscribers.c.row)
        query = query.where(has_tag)
    return query


def _willing(found: Any) -> Iterator[Recipient]:
    for one in found:
        preferences, _ = stored_preferences(one.email, one.preferences)
        if preferences.announcements:
            yield Recipient(one.row, one.email, preferences.schedule.timezone)


@dataclass(frozen=True, slots=True)
class MailingPlan:
    """A send of a mailing: who gets it, under which Message-ID, when (UTC), and the local day of that moment.

    Attributes:
        waits: whether that moment is yet to come.
    """

    subscriber: int
    email: str
    message_id: str
    moment: datetime
    edition: date
    waits: bool


def plan(connection: Connection, mailing: Mailing, plans: Sequence[MailingPlan]) -> int:
    """Record what is to be sent; return the number of sends planned now: nobody has two of a mailing."""
    values = [
        {
            "mailing": mailing.row,
            "edition": one.edition,
            "subscriber": one.subscriber,
            "message_id": one.message_id,
            "email": one.email,
            "domain": domain_of(one.email),
            "state": SendState.PLANNED.value,
            "attempts": 0,
            "considered": 0,
            "seen_row": 0,
            "planned_at": one.moment,
            "not_before": one.moment if one.waits else None,
        }
        for one in plans
    ]
    if not values:
        return 0
    return int(connection.execute(upsert(connection, sends).on_conflict_do_nothing(), values).rowcount)


def set_planned(connection: Connection, row: int, last: int | None, now: datetime) -> None:
    """Record that the subscribers up to ``last`` were considered; with None, that there are no more."""
    values: dict[str, Any] = {"planned_at": now} if last is None else {"planned_row": last}
    one = mailings.c.row == row
    connection.execute(update(mailings).where(one).values(state=MailingState.SENDING.value, **values))


def settle(connection: Connection, now: datetime) -> list[Mailing]:
    """Mark mailings as sent of which no send is under way any more; return them. Unsure sends are settled too."""
    under_way = exists().where(sends.c.mailing == mailings.c.row, sends.c.state.in_(_UNDER_WAY))
    done = update(mailings).where(
        mailings.c.state == MailingState.SENDING.value, mailings.c.planned_at.is_not(None), ~under_way
    )
    found = connection.execute(done.values(state=MailingState.SENT.value, settled_at=now).returning(*_COLUMNS))
    return [_mailing(row) for row in found.mappings()]


def set_pause(connection: Connection, row: int, since: datetime | None) -> None:
    """Pause a mailing (since a moment, UTC), or end its pause."""
    connection.execute(update(mailings).where(mailings.c.row == row).values(paused_at=since))


def renew(connection: Connection, row: int, now: datetime) -> None:
    """Count the time for retries of waiting sends from now, since the mailing was paused."""
    waiting = _waiting(sends.c.mailing == row) & (sends.c.planned_at < now)
    connection.execute(update(sends).where(waiting).values(planned_at=now))


def cancel(connection: Connection, row: int, now: datetime) -> tuple[int, int]:
    """Cancel a mailing and its waiting sends.

    Returns:
        How many sends were cancelled, and how many are on the wire and were not.
    """
    values = {"state": MailingState.CANCELLED.value, "settled_at": now, "paused_at": None}
    connection.execute(update(mailings).where(mailings.c.row == row).values(**values))
    cancelled = _skip(connection, sends.c.mailing == row, CANCELLED, now)
    on_wire = (sends.c.mailing == row) & (sends.c.state == SendState.CLAIMED.value)
    return cancelled, connection.execute(select(func.count()).select_from(sends).where(on_wire)).scalar_one()


def withdraw(connection: Connection, subscriber: int, now: datetime) -> int:
    """Skip the waiting announcements of a subscriber who wants no more of them; return how many."""
    announcements = select(mailings.c.row).where(mailings.c.kind == MailingKind.ANNOUNCEMENT.value)
    own = (sends.c.subscriber == subscriber) & sends.c.mailing.in_(announcements)
    return _skip(connection, own, "the subscriber wants no announcements", now)


def _skip(connection: Connection, chosen: ColumnElement[bool], reason: str, now: datetime) -> int:
    values = {"state": SendState.SKIPPED.value, "reason": reason, "settled_at": now, "not_before": None}
    skipped = update(sends).where(_waiting(chosen)).values(**values, claimed_by=None)
    return int(connection.execute(skipped).rowcount)


def _waiting(chosen: ColumnElement[bool]) -> ColumnElement[bool]:
    off_wire = (sends.c.state == SendState.CLAIMED.value) & sends.c.wire_at.is_(None)
    return chosen & or_(sends.c.state.in_(_WAITING), off_wire)


def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` mailings sent or cancelled before a given time (UTC) of which the log has no sends left;
    return how many.
    """
    logged = exists().where(sends.c.mailing == mailings.c.row)
    old = select(mailings.c.row).where(mailings.c.settled_at < before, ~logged).order_by(mailings.c.row).limit(limit)
    rows = list(connection.execute(old).scalars())
    connection.execute(delete(mailings).where(mailings.c.row.in_(rows)))
    return len(rows)
