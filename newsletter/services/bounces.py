"""Bounces, complaints and subscribers' emails: read them from a mailbox or a pipe, verify them, and act on them.

Anybody can send a report that names anybody. A report is trusted only if it contains something that only a recipient
of the message can know: the signed token of its return path, its Message-ID as in the send log, or the signed token
of an email that the message has a link for.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from newsletter.audience import bounce_actions
from newsletter.audience.signed_links import TokenPurpose
from newsletter.delivery.bounces import bounce_mailbox
from newsletter.delivery.bounces.parser import MAX_BYTES, BounceReport, parse_report
from newsletter.delivery.bounces.verp import read_token
from newsletter.delivery.refusal_classifier import BounceKind, classify_refusal, status_in
from newsletter.delivery.sending.circuit_breaker import burst_began
from newsletter.model import Send, SendState, Subscriber, SubscriberState
from newsletter.services.context import AppContext
from newsletter.store import bounces, circuit_breakers, reading, send_log, sends, subscribers, writing
from newsletter.support.text import to_single_line

OnProgress = Callable[[int, int], None]
"""Called with the number of messages read so far, and the total."""

_LONGEST_ERROR = 300


@dataclass(frozen=True, slots=True)
class BounceResult:
    """The result of processing a returned message.

    Attributes:
        email: the subscriber's address, None if the report could not be traced to a subscriber.
        effect: the state the subscriber was moved to, None if no state changed.
        again: this report was processed before.
        done: what an email with a command led to, or why to nothing; empty for other reports.
    """

    report: BounceReport
    email: str | None = None
    effect: SubscriberState | None = None
    again: bool = False
    done: str = ""

    @property
    def outcome(self) -> str:
        """Return the outcome it is counted under: its kind, ``again``, or ``not known`` for an unverifiable report."""
        if self.report.kind is not BounceKind.OTHER and self.email is None:
            return "not known"
        return "again" if self.again else self.report.kind.value


def process_message(context: AppContext, content: bytes) -> BounceResult:
    """Parse a returned message; if it can be verified, record it and act on it."""
    report = parse_report(content, context.config.bounces.address)
    if report.kind is BounceKind.OTHER:
        return BounceResult(report)
    if report.kind is BounceKind.NOTICE:
        with reading(context.engine) as connection:
            subscriber, _ = _about(connection, context, report)
        return BounceResult(report, subscriber.email if subscriber else None)
    digest = hashlib.sha256(content[:MAX_BYTES]).hexdigest()
    if report.kind in (BounceKind.FEEDBACK, BounceKind.INTERESTS):
        from newsletter.services import (
            mailed_commands,
        )  # Imported here: it loads the ranking, which bounces never need.

        result = mailed_commands.carry_out(context, report, digest)
        return BounceResult(report, result.email, again=result.again, done=result.done)
    with writing(context.engine) as connection:
        subscriber, send = _about(connection, context, report)
        if subscriber is None:
            return BounceResult(report)
        email = send.email if send else subscriber.email
        if bounces.is_known(connection, digest):
            return BounceResult(report, email, again=True)
        effect = keep_report(connection, context, subscriber, send, report, digest)
    return BounceResult(report, email, effect)


def _about(connection: Connection, context: AppContext, report: BounceReport) -> tuple[Subscriber | None, Send | None]:
    """Return the subscriber and the send that a report verifiably concerns."""
    if report.signed_tokens:
        holders = (context.links.subscriber(TokenPurpose.UNSUBSCRIBE, token) for token in report.signed_tokens)
        holder = next((one for one in holders if one is not None), None)
        return (subscribers.by_rows(connection, [holder.row]).get(holder.row) if holder is not None else None), None
    signed = (read_token(context.links.key, token) for token in report.tokens)
    of_token = next((send_log.of_edition(connection, *one) for one in signed if one is not None), None)
    send = of_token or send_log.by_message_id(connection, report.message_ids)
    return (subscribers.by_rows(connection, [send.subscriber])[send.subscriber], send) if send else (None, None)


def keep_report(
    connection: Connection,
    context: AppContext,
    subscriber: Subscriber,
    send: Send | None,
    report: BounceReport,
    digest: str,
) -> SubscriberState | None:
    """Act on a verified report about a subscriber, and store it.

    Returns:
        The state the subscriber was moved to, None if no state changed.
    """
    now = context.clock()
    effect = None
    if report.kind is not BounceKind.HARD or send is None or not _is_accounts_fault(connection, context, send):
        effect = bounce_actions.apply_bounce(connection, subscriber, send, report.kind, context.config.bounces, now)
    bounces.keep(
        connection,
        subscriber=subscriber.row,
        send=send.row if send else None,
        kind=report.kind.value,
        status=report.status,
        diagnostic=report.diagnostic,
        effect=effect.value if effect else None,
        digest=digest,
        now=now,
    )
    return effect


def _is_accounts_fault(connection: Connection, context: AppContext, send: Send) -> bool:
    """Return whether a send was part of a burst of refusals for which its account is set aside now."""
    settings = context.config.delivery.circuit_breaker
    began = {one.account: burst_began(one, settings) for one in circuit_breakers.set_aside(connection)}
    return send.account in began and send.settled_at is not None and send.settled_at >= began[send.account]


def process_refusal(context: AppContext, send: Send, reply: str | None) -> SubscriberState | None:
    """Act on a server's final refusal of a send; if it concerns the mailbox, treat it like a bounce.

    Returns:
        The state the subscriber was moved to, None if no state changed.
    """
    kind = classify_refusal(reply or "")
    if kind is None or reply is None:
        return None
    report = BounceReport(kind=kind, status=status_in(reply), diagnostic=to_single_line(reply))
    with writing(context.engine) as connection:
        subscriber = subscribers.by_rows(connection, [send.subscriber]).get(send.subscriber)
        now = sends.by_rows(connection, [send.row])
        if subscriber is None or not now or now[0].state is not SendState.FAILED:
            return None  # The subscriber was just deleted, or the send was planned again.
        digest = _refusal_digest(send, now[0].attempts)
        if bounces.is_known(connection, digest):
            return None
        return keep_report(connection, context, subscriber, send, report, digest)


def undo_refusals(context: AppContext, rows: Sequence[int]) -> None:
    """Undo the effects of refusals of sends (by row) that were the account's fault: reactivate bounced subscribers."""
    with reading(context.engine) as connection:
        planned_again = sends.by_rows(connection, rows)
    for send in planned_again:
        with writing(context.engine) as connection:
            effect = bounces.remove(connection, _refusal_digest(send, send.attempts))
            if effect is not None:
                bounce_actions.forgive(connection, send.email, context.clock())


def _refusal_digest(send: Send, attempt: int) -> str:
    """Return a digest that is unique to one attempt: a send that is planned again may be refused again."""
    return hashlib.sha256(f"refused|{send.message_id}|{attempt}".encode()).hexdigest()


def process_mailbox(
    context: AppContext,
    each: Callable[[BounceResult], None],
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
    on_failure: Callable[[str, str], None],
) -> Counter[str]:
    """Process the unread messages of the configured mailbox.

    Recognised messages are moved away; all others stay there, marked as read.

    Args:
        each: called with every result.
        should_stop: polled between messages; if true, the remaining messages are left for the next run.
        on_failure: called with the name of a message that could not be processed and the reason; the others are read.

    Returns:
        The number of messages, by outcome.

    Raises:
        NewsletterError: the mailbox or the store is unavailable; what was read so far has been processed.
        UserError: the mailbox does not exist, or a setting or a password is wrong.
    """
    counts: Counter[str] = Counter()

    def take_one(content: bytes) -> bool:
        taken = process_message(context, content)
        counts[taken.outcome] += 1
        each(taken)
        return taken.email is not None

    def failed(name: str, error: Exception) -> None:
        counts["failed"] += 1
        on_failure(name, to_single_line(f"{type(error).__name__}: {error}")[:_LONGEST_ERROR])

    bounce_mailbox.process_unread(
        context.config.bounces, context.config.folder, take_one, on_progress, should_stop, failed
    )
    return counts
