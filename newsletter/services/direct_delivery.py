"""Send one message now, beside the outbox: sign-up emails and test messages."""

import logging
import time

from newsletter.delivery.sending import rate_limit
from newsletter.delivery.smtp.transport import Outcome, Transport
from newsletter.errors import NewsletterError
from newsletter.model import Message, SendState
from newsletter.services.context import AppContext
from newsletter.store import audit, circuit_breakers, reading, writing
from newsletter.support.clock import utc_now

_LONGEST_ON_WIRE = 120.0

_log = logging.getLogger(__name__)


def deliver(context: AppContext, message: Message) -> Outcome | None:
    """Send a message through the first account that works, within its limits; None if none does now."""
    accounts = sorted(context.config.mail_accounts.items(), key=lambda one: -one[1].weight)
    with reading(context.engine) as connection:
        set_aside = {one.account for one in circuit_breakers.set_aside(connection)}
    for name, settings in accounts:
        if name in set_aside:
            continue
        grant = rate_limit.acquire(context.engine, name, settings.limits, 1, utc_now())
        if not grant.number:
            continue
        time.sleep(max(0.0, (grant.first - utc_now()).total_seconds()))
        try:
            with Transport(settings, context.config.folder, name, longest=_LONGEST_ON_WIRE) as wire:
                return wire.send(message)
        except NewsletterError as error:
            rate_limit.release(context.engine, name, settings.limits, 1, utc_now())
            _log.warning("an email is delayed: account %s: %s", name, error)
    return None


def deliver_test(context: AppContext, message: Message, actor: str, action: str, target: str) -> None:
    """Send a test message, with a line in the audit log.

    Raises:
        NewsletterError: it could not be sent.
    """
    outcome = deliver(context, message)
    if outcome is None:
        raise NewsletterError("the test message was not sent: no mail server takes it now; see 'newsletter doctor'")
    if outcome.state is not SendState.SENT:
        said = outcome.smtp_reply or outcome.reason or ""
        raise NewsletterError(f"the test message to {message.recipient} was not sent: {outcome.state.value}: {said}")
    with writing(context.engine) as connection:
        audit.record(connection, actor, action, target, context.clock(), to=message.recipient)
