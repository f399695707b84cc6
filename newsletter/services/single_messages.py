"""Messages to one subscriber that programs ask for, from templates of the newsletter's own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from newsletter.errors import Conflict, UserError
from newsletter.model import Subscriber, SubscriberState
from newsletter.rendering.announcement import mailing_values, render_mailing
from newsletter.services.announcements import (
    ENDINGS,
    MailingDraft,
    OnPlanned,
    as_template,
    check_not_suppressed,
    draft_from_file,
    find_subscriber,
    new_mailing,
    nothing_else,
    plan_send,
    record,
    with_subject,
)
from newsletter.services.context import AppContext
from newsletter.services.mailing_renderer import compile_for, mailing_links
from newsletter.store import mailings, writing
from newsletter.store.mailings import Mailing, MailingKind, MailingState, Recipient


def send_message(
    context: AppContext,
    *,
    to: int | str,
    template: str,
    data: Mapping[str, Any],
    actor: str,
    on_planned: OnPlanned = nothing_else,
) -> Mailing:
    """Plan a message to one subscriber, by row or address; see :func:`plan_message`.

    Args:
        on_planned: called in the same transaction; if it raises an error, nothing is planned.

    Raises:
        NotFound: there is no such subscriber.
        UserError, Conflict: see :func:`plan_message`.
    """
    with writing(context.engine) as connection:
        subscriber = find_subscriber(connection, to)
        mailing = plan_message(context, connection, subscriber=subscriber, template=template, data=data, actor=actor)
        on_planned(connection, mailing)
    return mailing


def plan_message(
    context: AppContext,
    connection: Connection,
    *,
    subscriber: Subscriber,
    template: str,
    data: Mapping[str, Any],
    actor: str,
) -> Mailing:
    """Plan a message to one subscriber, from ``messages/TEMPLATE.md`` or ``.mjml`` in the newsletter's templates.

    It is sent even to who wants no announcements, with the next run. It is planned in the caller's transaction.

    Args:
        data: the values of the template's own variables.

    Raises:
        UserError: there is no such template, it has an error or lacks a variable.
        Conflict: the subscriber gets no mail.
    """
    if subscriber.state is not SubscriberState.ACTIVE:
        raise Conflict(f"{subscriber.email} is {subscriber.state.value} and gets no mail")
    check_not_suppressed(connection, subscriber.email)
    now, draft = context.clock(), with_subject(_message_draft(context, template))
    message = replace(
        new_mailing(context, draft, actor),
        kind=MailingKind.MESSAGE,
        state=MailingState.SENDING,
        data=data,
        subscriber=subscriber.row,
        planned_at=now,
    )
    subject = _check_message(context, message, subscriber)
    mailing = mailings.add(connection, replace(message, subject=as_template(subject)))
    record(context, connection, actor, "create", mailing, template=template)
    zone = subscriber.preferences.schedule.timezone
    recipient = Recipient(subscriber.row, subscriber.email, zone)
    mailings.plan(connection, mailing, [plan_send(context, mailing, recipient, now)])
    return mailing


def _check_message(context: AppContext, message: Mailing, subscriber: Subscriber) -> str:
    """Render a message, so that an error is found now; return its subject."""
    compiled, links = compile_for(context, message), mailing_links(context, subscriber, message.kind)
    values = mailing_values(compiled, context.config.site, subscriber, links, message.data)
    render_mailing(compiled, values)
    return str(values["subject"])


def _message_draft(context: AppContext, template: str) -> MailingDraft:
    folder = context.config.folder / context.config.templates / "messages"
    present = sorted(path.name for path in folder.glob("*") if path.suffix.lower() in ENDINGS)
    # Looked up among the files there are, so that a name cannot lead elsewhere.
    chosen = next((name for name in present if template in (name, Path(name).stem)), None)
    if chosen is None:
        known = f"the templates are {', '.join(present)}" if present else f"write {template}.md there"
        raise UserError(f"template {template!r}: not in {context.config.templates / 'messages'}; {known}")
    return draft_from_file(folder / chosen)
