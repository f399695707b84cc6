"""What mail providers report by webhook: verified, acted on like a bounce received by email, and only once."""

import hashlib
from collections import Counter
from types import ModuleType

from sqlalchemy import Connection

from newsletter.audience import bounce_actions
from newsletter.config.webhooks import (
    BrevoWebhook,
    MailgunWebhook,
    PostmarkWebhook,
    SendGridWebhook,
    SesWebhook,
    read_public_key,
)
from newsletter.delivery.bounces.parser import BounceReport
from newsletter.delivery.bounces.verp import read_token, tokens
from newsletter.delivery.provider_webhooks import brevo, mailgun, postmark, sendgrid, ses
from newsletter.delivery.provider_webhooks.base import Credentials, ProviderEvent, ProviderRequest, log
from newsletter.delivery.refusal_classifier import BounceKind, classify_verdict
from newsletter.errors import NewsletterError
from newsletter.model import Send, Subscriber
from newsletter.services.bounces import keep_report
from newsletter.services.context import AppContext
from newsletter.services.sns import SnsClient
from newsletter.store import bounces, provider_notices, reading, send_log, subscribers, suppressions, writing
from newsletter.store.subscribers import email_key
from newsletter.store.suppressions import Reason

_BLOCK = 100
"""Events in one transaction: few, so that others can write in between."""

_MODULES: dict[str, ModuleType] = {
    "ses": ses,
    "sendgrid": sendgrid,
    "mailgun": mailgun,
    "postmark": postmark,
    "brevo": brevo,
}


def process_request(context: AppContext, provider: str, request: ProviderRequest, sns: SnsClient) -> Counter[str]:
    """Verify a request of a configured provider, and act on its events.

    Returns:
        The number of events, by outcome: their kind, ``again``, ``known`` for a suppression that changes nothing, or
        ``not known`` for an address without a subscriber. Empty for a request that was processed before.

    Raises:
        ForgedRequest: it is not proven to come from the provider, or is old.
        UnreadableRequest: its body is not in the provider's format.
        UserError: the secret of the provider is missing or cannot be read.
        NewsletterError: the store is unavailable, or an event failed; the provider must send the request again.
    """
    module = _MODULES[provider]
    _verify(context, provider, request, sns)
    digest = _digest(provider, module.replay_key(request))
    with reading(context.engine) as connection:
        if provider_notices.is_known(connection, digest):
            return Counter()
    events: list[ProviderEvent] = module.events(request.body)
    if provider == "ses" and (url := ses.confirmation_url(request.body)) is not None:
        sns.confirm(url)
    counts: Counter[str] = Counter()
    for start in range(0, len(events), _BLOCK):
        counts += _process_block(context, provider, events[start : start + _BLOCK])
    if counts["failed"]:
        raise NewsletterError(f"webhooks: {counts['failed']} events of {provider} failed; it will send them again")
    with writing(context.engine) as connection:
        provider_notices.add(connection, digest, context.clock())
    return counts


def _verify(context: AppContext, provider: str, request: ProviderRequest, sns: SnsClient) -> None:
    folder, now = context.config.folder, context.clock()
    match getattr(context.config.webhooks.providers, provider):
        case SesWebhook() as settings:
            ses.verify(request, ses.SesSettings(settings.topic_arn, sns.certificate), now)
        case SendGridWebhook() as settings:
            sendgrid.verify(request, read_public_key(settings.public_key), now)
        case MailgunWebhook() as settings:
            mailgun.verify(request, settings.secret(folder), now)
        case PostmarkWebhook() as settings:
            postmark.verify(request, Credentials(settings.secret(folder), settings.user), now)
        case BrevoWebhook() as settings:
            brevo.verify(request, Credentials(settings.secret(folder), settings.user), now)
        case _:
            raise ValueError(f"{provider} is not configured")


def _process_block(context: AppContext, provider: str, events: list[ProviderEvent]) -> Counter[str]:
    """Act on events in one transaction. One that fails is undone, and does not stop the others."""
    counts: Counter[str] = Counter()
    with writing(context.engine) as connection:
        for event in events:
            try:
                with connection.begin_nested():
                    counts[_act_on(connection, context, provider, event)] += 1
            except NewsletterError:
                raise
            except Exception:
                log.exception("webhooks: an event of %s failed", provider)
                counts["failed"] += 1
    return counts


def _act_on(connection: Connection, context: AppContext, provider: str, event: ProviderEvent) -> str:
    """Act on an event, and return its outcome."""
    kind = classify_verdict(event.kind, event.status, event.diagnostic)
    # The same name may be used for what else happens to a message.
    parts = (event.id, *event.message_ids, event.return_path, event.address, event.kind, event.reason, event.at)
    digest = _digest(provider, repr([str(part) for part in parts]).encode())
    if not provider_notices.add(connection, digest, context.clock()) or bounces.is_known(connection, digest):
        return "again"
    subscriber, send = _about(connection, context, event)
    if subscriber is None:
        return "not known"
    if kind is BounceKind.SUPPRESSED:
        return _suppress(connection, context, subscriber, send, event, digest)
    report = BounceReport(kind=kind, status=event.status, diagnostic=event.diagnostic)
    keep_report(connection, context, subscriber, send, report, digest)
    return kind.value


def _about(connection: Connection, context: AppContext, event: ProviderEvent) -> tuple[Subscriber | None, Send | None]:
    """Return the subscriber and the send that an event concerns: by the message or, since the provider is trusted, by
    the address alone. Then the send is the latest one to that address.
    """
    return_address = context.config.bounces.address
    shown = tokens(return_address, event.return_path) if return_address else []
    signed = (read_token(context.links.key, token) for token in shown)
    of_token = next((send_log.of_edition(connection, *one) for one in signed if one is not None), None)
    send = of_token or send_log.by_message_id(connection, event.message_ids)
    if send is not None:
        return subscribers.by_rows(connection, [send.subscriber])[send.subscriber], send
    subscriber = subscribers.by_email(connection, event.address)
    return subscriber, send_log.latest_to(connection, subscriber.row, event.at) if subscriber is not None else None


def _suppress(
    connection: Connection,
    context: AppContext,
    subscriber: Subscriber,
    send: Send | None,
    event: ProviderEvent,
    digest: str,
) -> str:
    """Suppress an address that the provider no longer delivers to."""
    reason = event.reason or Reason.BOUNCED
    sent_to = send.email if send is not None else subscriber.email
    own = next((one for one in (sent_to, subscriber.email) if email_key(one) == email_key(event.address)), sent_to)
    before, now = suppressions.find(connection, own), context.clock()
    effect = bounce_actions.apply_suppression(connection, subscriber, own, reason, now)
    if effect is None and suppressions.find(connection, own) == before:
        return "known"  # It is reported for each message that is dropped.
    bounces.keep(
        connection,
        subscriber=subscriber.row,
        send=send.row if send is not None else None,
        kind=BounceKind.SUPPRESSED.value,
        status=event.status,
        diagnostic=event.diagnostic,
        effect=effect.value if effect is not None else None,
        digest=digest,
        now=now,
    )
    return BounceKind.SUPPRESSED.value


def _digest(provider: str, content: bytes) -> str:
    return hashlib.sha256(f"webhook|{provider}|".encode() + content).hexdigest()
