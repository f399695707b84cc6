"""Announcements to many subscribers, and messages to one: write, test, schedule, plan, pause and cancel them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from newsletter.audience.next_due import local_moment
from newsletter.config.fields import plain_address
from newsletter.errors import Conflict, NewsletterError, NotFound, UserError, describe
from newsletter.model import Message, Preferences, SendState, Subscriber, SubscriberState
from newsletter.rendering.announcement import find_subject, mailing_values, render_mailing
from newsletter.services.context import AppContext
from newsletter.services.direct_delivery import deliver_test
from newsletter.services.mailing_renderer import (
    compile_for,
    mailing_links,
    new_mailing_message_id,
    render_mailing_message,
)
from newsletter.store import audit, mailings, reading, subscribers, suppressions, tags, writing
from newsletter.store.mailings import Mailing, MailingFormat, MailingKind, MailingPlan, MailingState, Recipient
from newsletter.support.files import read_text
from newsletter.support.text import to_single_line
from newsletter.support.time_zones import get_zone

TEST = "[Test] "
"""The beginning of the subject of a test message."""

_BRACE = "{{ '{' }}"
_BLOCK = 500
_LOCAL_LEAD = timedelta(hours=26)
"""How long before its time by UTC an announcement by local time is planned. The first zone is 14 hours ahead of UTC."""

ENDINGS = {".md": MailingFormat.MARKDOWN, ".markdown": MailingFormat.MARKDOWN, ".mjml": MailingFormat.MJML}
_LONGEST_SOURCE = 500_000
_READER = Subscriber(
    preferences=Preferences(email="reader@example.org", name="Ada"), state=SubscriberState.ACTIVE, row=0
)
"""Who previews and tests are rendered for, unless they are for a subscriber. The links of row 0 do nothing."""


OnPlanned = Callable[[Connection, Mailing], None]


def nothing_else(connection: Connection, mailing: Mailing) -> None:
    """Do nothing else in a transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailingDraft:
    """An announcement that is not stored yet.

    Attributes:
        name: of the file, for errors and lists. ``source``: its text.
        subject: replaces the one that the text has, if it is not empty.
        tag: only subscribers with this tag get it; None: all.
        send_at: when it is due (UTC), None: now; with ``local_time``, what the clock of each subscriber shows then.
    """

    name: str
    format: MailingFormat
    source: str
    subject: str = ""
    tag: str | None = None
    send_at: datetime | None = None
    local_time: bool = False


class NoSubject(UserError):
    """An announcement has no subject."""


class UnknownTag(UserError):
    """Nobody has the tag that an announcement is for."""


def draft_from_file(path: Path, subject: str = "") -> MailingDraft:
    """Read an announcement from a Markdown or MJML file.

    Raises:
        UserError: the file cannot be read, or is of another kind.
    """
    return MailingDraft(name=path.name, format=format_of(path.name), source=read_text(path, str(path)), subject=subject)


def draft_from_text(source: str, format: MailingFormat, subject: str = "") -> MailingDraft:
    """Make a draft of a text that is in no file."""
    ending = next(ending for ending, one in ENDINGS.items() if one is format)
    return MailingDraft(name=f"source{ending}", format=format, source=source, subject=subject)


def addressed(draft: MailingDraft, to: str, send_at: datetime | None, local_time: bool) -> MailingDraft:
    """Return a draft with who gets it (``all`` or a tag), and when."""
    return replace(draft, tag=None if to == "all" else to, send_at=send_at, local_time=local_time)


def format_of(name: str) -> MailingFormat:
    """Return the format of a file by its name.

    Raises:
        UserError: it is neither Markdown nor MJML.
    """
    try:
        return ENDINGS[Path(name).suffix.lower()]
    except KeyError:
        raise UserError(f"{name}: unknown file type; name it .md or .mjml") from None


def checked(context: AppContext, draft: MailingDraft) -> MailingDraft:
    """Check a draft by rendering it for a reader with a name and one without; return it with its subject, filled in if
    that is the same for all readers.

    Raises:
        UserError: it has an error (the message names file and line), no subject, or a tag that nobody has.
    """
    found = with_subject(draft)
    if found.tag is not None:
        with reading(context.engine) as connection:
            known = tags.counts(connection)
        if found.tag not in known:
            named = f"the tags are {', '.join(known)}" if known else "no subscriber has a tag"
            raise UnknownTag(f"to: no subscriber has the tag {found.tag!r}; {named}")
    return replace(found, subject=_filled_subject(context, found))


def with_subject(draft: MailingDraft) -> MailingDraft:
    if len(draft.source) > _LONGEST_SOURCE:
        raise UserError(f"{draft.name}: longer than {_LONGEST_SOURCE:,} characters; shorten it")
    is_mjml = draft.format is MailingFormat.MJML
    subject = to_single_line(draft.subject) or find_subject(draft.source, is_mjml, draft.name)
    if not subject:
        where = "an <mj-title>" if is_mjml else "a first line like '# Subject'"
        raise NoSubject(f"{draft.name}: no subject; give it {where}, or pass a subject")
    return replace(draft, subject=subject)


def preview(context: AppContext, draft: MailingDraft, subscriber: Subscriber = _READER) -> tuple[str, str, str]:
    """Render a draft: subject, HTML part and text part.

    Raises:
        UserError: it has an error; the message names file and line.
    """
    mailing = new_mailing(context, with_subject(draft), "")
    compiled = compile_for(context, mailing)
    values = mailing_values(
        compiled, context.config.site, subscriber, mailing_links(context, subscriber, mailing.kind), {}
    )
    return (values["subject"], *render_mailing(compiled, values))


def send_test(context: AppContext, draft: MailingDraft, address: str, actor: str) -> Message:
    """Send a draft to any address, with links that do nothing; it is not in the log, only in the audit log.

    Raises:
        UserError: the draft has an error, or the address is none.
        Conflict: the address is suppressed.
        NewsletterError: it could not be sent.
    """
    draft = with_subject(draft)
    with reading(context.engine) as connection:
        check_not_suppressed(connection, address)
    mailing = new_mailing(context, replace(draft, subject=TEST + draft.subject), actor)
    reader = test_reader(_READER, address)
    identity = new_mailing_message_id(context, 0, 0)
    message = render_mailing_message(context, mailing, compile_for(context, mailing), reader, identity)
    deliver_test(context, message, actor, "announcement.test", draft.subject)
    return message


def check_not_suppressed(connection: Connection, email: str) -> None:
    if suppressions.find(connection, email) is not None:
        raise Conflict(f"{email} is suppressed and gets no mail")


def reader_like(context: AppContext, row: int | None) -> Subscriber:
    """Return a reader as :func:`test_reader`, with the name, preferences and address of a subscriber (by row); None: of
    a made-up one.

    Raises:
        NotFound: there is no such subscriber.
    """
    if row is None:
        return _READER
    with reading(context.engine) as connection:
        subscriber = find_subscriber(connection, row)
    return test_reader(subscriber, subscriber.email)


def find_subscriber(connection: Connection, named: int | str) -> Subscriber:
    if isinstance(named, str):
        found, by = subscribers.by_email(connection, named), "address"
    else:
        found, by = subscribers.by_rows(connection, [named]).get(named), "id"
    if found is None:
        raise NotFound(f"No subscriber has this {by}.")
    return found


def test_reader(subscriber: Subscriber, address: str) -> Subscriber:
    """Return a reader with a subscriber's preferences whose links do nothing, at any address.

    Raises:
        UserError: the address is none.
    """
    try:
        email = plain_address(address)
    except ValueError as error:
        raise UserError(f"{address}: {error}") from None
    preferences = replace(subscriber.preferences, email=email)
    return replace(subscriber, preferences=preferences, row=0, link_version=0)


def create(context: AppContext, draft: MailingDraft, actor: str, on_created: OnPlanned = nothing_else) -> Mailing:
    """Store an announcement; it is planned and sent when it is due.

    Args:
        on_created: called in the same transaction; if it raises an error, nothing is stored.

    Raises:
        UserError: it has an error; see :func:`checked`.
    """
    return create_once(context, draft, actor, None, on_created)[0]


def create_once(
    context: AppContext, draft: MailingDraft, actor: str, form: str | None, on_created: OnPlanned = nothing_else
) -> tuple[Mailing, bool]:
    """Store an announcement as :func:`create` does, unless its form has created one.

    Args:
        form: identifies a form of the admin site.

    Returns:
        The announcement of the form, and whether it was created now.

    Raises:
        UserError: it has an error; see :func:`checked`.
    """
    draft = checked(context, draft)
    with writing(context.engine) as connection:
        if form is not None and (found := mailings.by_form(connection, form)) is not None:
            return found, False
        mailing = mailings.add(connection, replace(new_mailing(context, draft, actor), form=form))
        details = {"to": draft.tag or "all", "send_at": mailing.send_at.isoformat(), "local_time": mailing.local_time}
        record(context, connection, actor, "create", mailing, **details)
        on_created(connection, mailing)
    return mailing, True


def draft_of(mailing: Mailing) -> MailingDraft:
    """Return the draft that a stored announcement was made from, to preview it or to write another one."""
    return MailingDraft(
        name=mailing.name, format=mailing.format, source=mailing.source, subject=mailing.subject, tag=mailing.tag
    )


def shown_subject(mailing: Mailing) -> str:
    """Return the subject as readers see it, except for variables that differ between them."""
    return mailing.subject.replace(_BRACE, "{")


def _filled_subject(context: AppContext, draft: MailingDraft) -> str:
    other = test_reader(replace(_READER, preferences=replace(_READER.preferences, name="")), "other@example.org")
    subjects = {preview(context, draft, reader)[0] for reader in (_READER, other)}
    return as_template(subjects.pop()) if len(subjects) == 1 else draft.subject


def as_template(text: str) -> str:
    """Return a template that renders to a text, whatever values brought into it."""
    return text.replace("{", _BRACE)


def new_mailing(context: AppContext, draft: MailingDraft, actor: str) -> Mailing:
    now = context.clock()
    return Mailing(
        kind=MailingKind.ANNOUNCEMENT,
        subject=draft.subject,
        name=draft.name,
        format=draft.format,
        source=draft.source,
        tag=draft.tag,
        send_at=draft.send_at or now,
        local_time=draft.local_time,
        created_at=now,
        created_by=actor,
    )


def record(
    context: AppContext, connection: Connection, actor: str, action: str, mailing: Mailing, **details: Any
) -> None:
    now = context.clock()
    details = {"mailing": mailing.row, **details}
    kind = mailing.kind.value
    audit.record(connection, actor, f"{kind}.{action}", mailing.subject, now, mailing.subscriber, **details)


def find(connection: Connection, row: int, kind: MailingKind | None = None) -> Mailing:
    """Return an announcement or a message.

    Args:
        kind: only one of this kind, None: of any.

    Raises:
        NotFound: there is none with this number.
    """
    return _found(mailings.by_row(connection, row), row, kind)


def _found(mailing: Mailing | None, row: int, kind: MailingKind | None) -> Mailing:
    if mailing is None or kind not in (None, mailing.kind):
        raise NotFound(f"{kind or MailingKind.ANNOUNCEMENT} {row}: there is none; see 'newsletter announcements list'")
    return mailing


def pause(context: AppContext, row: int, actor: str, kind: MailingKind | None = None) -> Mailing:
    """Pause an announcement: nothing more of it is planned or sent.

    Raises:
        NotFound: there is none.
        Conflict: it is sent or cancelled.
    """
    with writing(context.engine) as connection:
        mailing = _open(connection, row, kind)
        if mailing.paused_at is None:
            mailings.set_pause(connection, row, context.clock())
            record(context, connection, actor, "pause", mailing)
        return find(connection, row)


def resume(context: AppContext, row: int, actor: str, kind: MailingKind | None = None) -> Mailing:
    """End the pause of an announcement; what became due meanwhile is sent now.

    Raises:
        NotFound: there is none.
        Conflict: it is sent or cancelled.
    """
    with writing(context.engine) as connection:
        mailing = _open(connection, row, kind)
        if mailing.paused_at is not None:
            mailings.set_pause(connection, row, None)
            mailings.renew(connection, row, context.clock())
            record(context, connection, actor, "resume", mailing)
        return find(connection, row)


def cancel(context: AppContext, row: int, actor: str, kind: MailingKind | None = None) -> tuple[int, int]:
    """Cancel an announcement with its waiting sends.

    Returns:
        How many sends were cancelled, and how many are on the wire and were not.

    Raises:
        NotFound: there is none.
        Conflict: it is sent or cancelled.
    """
    with writing(context.engine) as connection:
        mailing = _open(connection, row, kind)
        cancelled, on_wire = mailings.cancel(connection, row, context.clock())
        record(context, connection, actor, "cancel", mailing, cancelled=cancelled)
    return cancelled, on_wire


def _open(connection: Connection, row: int, kind: MailingKind | None) -> Mailing:
    mailing = _found(mailings.by_row(connection, row, lock=True), row, kind)
    if mailing.state in (MailingState.SENT, MailingState.CANCELLED):
        raise Conflict(f"{mailing.kind} {row}: already {mailing.state}; nothing can be changed")
    return mailing


def plan_due(context: AppContext, should_stop: Callable[[], bool] = lambda: False) -> Iterator[str]:
    """Plan the sends of announcements that are due, in blocks, each in a transaction of its own; yield a line for each
    announcement that could not be planned. An interrupted run goes on where it stopped, and nobody is planned twice.
    """
    now = context.clock()
    with reading(context.engine) as connection:
        due = mailings.to_plan(connection, now, now + _LOCAL_LEAD)
    for mailing in due:
        try:
            while not should_stop() and _plan_block(context, mailing.row):
                pass
        except NewsletterError:
            raise
        except Exception as error:
            yield f"announcement {mailing.row} could not be planned: {describe(error)}"


def _plan_block(context: AppContext, row: int) -> bool:
    """Plan the sends to the next block of subscribers; return whether more may be left."""
    now = context.clock()
    with writing(context.engine) as connection:
        mailing = mailings.by_row(connection, row, lock=True)
        # Another process may have gone on with it, or an operator stopped it.
        is_open = mailing is not None and mailing.state in (MailingState.SCHEDULED, MailingState.SENDING)
        if mailing is None or not is_open or mailing.planned_at is not None or mailing.paused_at is not None:
            return False
        chosen, last = mailings.recipients(connection, mailing, _BLOCK)
        mailings.plan(connection, mailing, [plan_send(context, mailing, one, now) for one in chosen])
        mailings.set_planned(connection, row, last, now)
    return last is not None


def plan_send(context: AppContext, mailing: Mailing, to: Recipient, now: datetime) -> MailingPlan:
    at = mailing.send_at
    moment = local_moment(at.date(), at.time(), to.timezone) if mailing.local_time else at
    waits = moment > now
    moment = moment if waits else now
    day = moment.astimezone(get_zone(to.timezone)).date()
    identity = new_mailing_message_id(context, mailing.row, to.row)
    return MailingPlan(to.row, to.email, identity, moment, day, waits)


def settle(context: AppContext) -> list[Mailing]:
    """Mark announcements and messages as sent of which nothing is left to send; return them."""
    with writing(context.engine) as connection:
        return mailings.settle(connection, context.clock())


def progress(connection: Connection, mailing: Mailing) -> Mapping[SendState, int]:
    """Return how many sends of a mailing are in each state."""
    return mailings.counts(connection, [mailing.row])[mailing.row]
