"""Carries out subscribers' emails that give feedback or change interests, and queues the answers.

As with the site's links, the signed token is the proof; who sent the email does not matter, and nobody but the
subscriber is ever answered.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from newsletter.audience import account, subscriptions
from newsletter.audience.form_limits import RequestOrigin
from newsletter.audience.signed_links import TokenHolder, TokenPurpose
from newsletter.audience.signup import LONGEST_INTEREST
from newsletter.audience.subscriber_file import preferences_from_mapping
from newsletter.delivery.bounces.parser import BounceReport
from newsletter.delivery.refusal_classifier import BounceKind
from newsletter.errors import UserError
from newsletter.model import Preferences, Subscriber, SubscriberState
from newsletter.services.context import AppContext
from newsletter.services.feedback_effect import best_interest
from newsletter.store import bounces, feedback, papers, reading, subscribers, writing
from newsletter.store.feedback import Verdict
from newsletter.store.sign_ups import Kind

_GETS_MAIL = (SubscriberState.ACTIVE, SubscriberState.PAUSED)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of an email.

    Attributes:
        email: the subscriber's address, None if the token is not valid (any more).
        done: what was done, or why nothing was, in words for the operator.
        again: the email was processed before.
    """

    email: str | None = None
    done: str = "no valid token"
    again: bool = False


def carry_out(context: AppContext, report: BounceReport, content_digest: str) -> CommandResult:
    """Carry out an email that gives feedback or changes interests, once.

    Args:
        content_digest: a hash of the email, by which it is known if it has no Message-ID.
    """
    # Two copies of one email differ in the headers that servers added on the way.
    identity = "|".join((report.kind, report.identity, *report.signed_tokens)) if report.identity else content_digest
    digest = hashlib.sha256(f"command|{identity}".encode()).hexdigest()
    token = report.signed_tokens[0]
    if report.kind is BounceKind.FEEDBACK:
        return _give_feedback(context, token, digest)
    return _change_interests(context, token, report.interests, digest)


def _give_feedback(context: AppContext, token: str, digest: str) -> CommandResult:
    found = context.links.feedback(token)
    if found is None:
        return CommandResult()
    holder, row, verdict = found
    with reading(context.engine) as connection:
        subscriber = _holder(connection, holder)
        paper = papers.by_rows(connection, [row]).get(row)
    if subscriber is None:
        return CommandResult()
    if paper is None:
        return CommandResult(subscriber.email, "the paper is no longer in the store")
    interest = best_interest(context, subscriber, paper)
    with writing(context.engine) as connection:
        if bounces.is_known(connection, digest):
            return CommandResult(subscriber.email, again=True)
        feedback.give(connection, subscriber.row, row, Verdict(verdict), interest, context.clock())
        done = f"{verdict} like {paper.id}"
        _keep(connection, context, subscriber, BounceKind.FEEDBACK, done, digest)
    return CommandResult(subscriber.email, done)


def _change_interests(context: AppContext, token: str, wanted: Sequence[str] | None, digest: str) -> CommandResult:
    with writing(context.engine) as connection:
        subscriber = _holder(connection, context.links.subscriber(TokenPurpose.PREFERENCES, token))
        if subscriber is None:
            return CommandResult()
        if bounces.is_known(connection, digest):
            return CommandResult(subscriber.email, again=True)
        if subscriber.state not in _GETS_MAIL:
            return CommandResult(subscriber.email, f"interests not changed: {subscriber.state}")
        try:
            changed = _saved(connection, context, subscriber, wanted)
            done = "interests changed"
        except UserError as error:
            changed, done = None, f"interests not changed: {error.lines[0]}"
        _keep(connection, context, subscriber, BounceKind.INTERESTS, done, digest)
        _queue_answer(connection, context, subscriber, changed)
    return CommandResult(subscriber.email, done)


def _saved(
    connection: Connection, context: AppContext, subscriber: Subscriber, wanted: Sequence[str] | None
) -> Preferences:
    """Replace a subscriber's interests. Those that are still listed keep their keywords, papers and weight.

    Raises:
        UserError: the list is missing, empty or too long, or the subscriber's file cannot be written.
    """
    if not wanted:
        raise UserError("the email lists none")
    if any(len(one) > LONGEST_INTEREST for one in wanted):
        raise UserError(f"the email has one of over {LONGEST_INTEREST} characters")
    folder, now = context.config.subscribers_folder, context.clock()
    home = subscriptions.read_stored(subscriber, folder)
    if home.problems:
        raise UserError(*home.problems)
    read = preferences_from_mapping({"email": subscriber.email, "interests": list(wanted)}, "email")
    new = subscriptions.merged(home.preferences, read, {"interests": wanted})
    if not subscriptions.save_preferences(connection, subscriber, new, home.mark, folder, now):
        raise UserError("they have just changed elsewhere")
    return new


def _queue_answer(
    connection: Connection, context: AppContext, subscriber: Subscriber, changed: Preferences | None
) -> None:
    """Queue the email that says what the interests are now, within the limits of the site's forms."""
    if not account.gets_mail(connection, subscriber):
        return
    asked = RequestOrigin(f"email of subscriber {subscriber.row}")
    limits, key = context.config.web.sign_ups, context.links.key
    to = changed if changed is not None else Preferences(email=subscriber.email)
    account.ask(connection, key, subscriber, Kind.INTERESTS, asked, limits, context.clock(), preferences=to)


def _holder(connection: Connection, holder: TokenHolder | None) -> Subscriber | None:
    """Return the subscriber of a token; None if it is invalid, or its reader signed out all links."""
    if holder is None:
        return None
    found = subscribers.by_rows(connection, [holder.row]).get(holder.row)
    return found if found is not None and found.link_version == holder.version else None


def _keep(
    connection: Connection, context: AppContext, subscriber: Subscriber, kind: BounceKind, done: str, digest: str
) -> None:
    bounces.keep(
        connection,
        subscriber=subscriber.row,
        send=None,
        kind=kind.value,
        status=None,
        diagnostic=done,
        effect=None,
        digest=digest,
        now=context.clock(),
    )
