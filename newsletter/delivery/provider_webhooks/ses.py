"""Amazon SES: bounces, complaints and subscription changes, as messages of a topic of Amazon SNS.

Formats: "Verifying the signatures of Amazon SNS messages" and "Amazon SNS notification contents for Amazon SES".
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509 import load_pem_x509_certificate

from newsletter.delivery.provider_webhooks.base import (
    ForgedRequest,
    ProviderEvent,
    ProviderRequest,
    UnreadableRequest,
    address,
    check_fresh,
    failure,
    identifier,
    message_ids,
    moment,
    read_each,
    read_object,
    same,
    text,
    within,
)
from newsletter.delivery.refusal_classifier import BounceKind
from newsletter.store.suppressions import Reason

_LONGEST_DELAY = timedelta(hours=1)
"""SNS tries for up to an hour to hand over a message."""

_CERTIFICATE = re.compile(r"https://(sns\.[a-z0-9-]{3,30}\.amazonaws\.com)/[\w.-]{1,200}\.pem", re.ASCII)
_SUBSCRIBED = "SubscriptionConfirmation"
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    _SUBSCRIBED: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
"""The fields that are signed, in this order."""

_HASHES: dict[str, type[HashAlgorithm]] = {"1": SHA1, "2": SHA256}

_BOUNCES = {"Permanent": BounceKind.HARD, "Transient": BounceKind.SOFT, "Undetermined": BounceKind.SOFT}
_OF_THE_MESSAGE = ("ContentRejected", "MessageTooLarge", "AttachmentRejected")
_SUPPRESSED = {
    "Suppressed": Reason.BOUNCED,
    "OnAccountSuppressionList": Reason.BOUNCED,
    "UnsubscribedRecipient": Reason.UNSUBSCRIBED,
}
_NO_COMPLAINTS = ("not-spam", "auth-failure", "virus")
"""Types of feedback (RFC 5965, section 7.3; RFC 6430; RFC 6591) that are not a person's objection."""


@dataclass(frozen=True, slots=True)
class SesSettings:
    """What SNS messages are checked with.

    Attributes:
        topic_arn: the topic they must be of.
        certificate: returns the PEM certificate at a URL of SNS.
    """

    topic_arn: str
    certificate: Callable[[str], bytes]


def verify(request: ProviderRequest, settings: SesSettings, now: datetime) -> None:
    """Check the signature of an SNS message.

    Raises:
        ForgedRequest: it is not of SNS, or of another topic, or old.
        UnreadableRequest: the body is not an SNS message.
    """
    notice = read_object(request.body)
    signed = _SIGNED.get(text(notice.get("Type")))
    if signed is None:
        raise UnreadableRequest("the body is not a message of SNS; turn off raw message delivery")
    if not same(text(notice.get("TopicArn")), settings.topic_arn):
        raise ForgedRequest("it is of another topic")
    check_fresh(moment(notice.get("Timestamp")), now, _LONGEST_DELAY)
    algorithm = _HASHES.get(text(notice.get("SignatureVersion")))
    certificate = _CERTIFICATE.fullmatch(text(notice.get("SigningCertURL")))
    if algorithm is None or certificate is None:
        raise ForgedRequest("its signature version or its certificate is not of SNS")
    if "SubscribeURL" in signed and not _is_at(text(notice.get("SubscribeURL")), certificate[1]):
        raise ForgedRequest("its SubscribeURL is not of SNS")
    _check_signature(notice, signed, algorithm(), settings.certificate(certificate[0]))


def _check_signature(notice: dict[str, Any], signed: tuple[str, ...], algorithm: HashAlgorithm, pem: bytes) -> None:
    said = "".join(f"{name}\n{notice[name]}\n" for name in signed if notice.get(name) is not None)
    try:
        key = load_pem_x509_certificate(pem).public_key()
        if not isinstance(key, RSAPublicKey):
            raise ForgedRequest("its certificate has no RSA key")
        key.verify(b64decode(text(notice.get("Signature")), validate=True), said.encode(), PKCS1v15(), algorithm)
    except (InvalidSignature, ValueError):
        raise ForgedRequest("its signature is wrong") from None


def _is_at(url: str, host: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return (parts.scheme, parts.netloc, parts.fragment) == ("https", host, "") and url.isascii()


def replay_key(request: ProviderRequest) -> bytes:
    """Return what only the same request has: the signature covers the whole body."""
    return request.body


def confirmation_url(body: bytes) -> str | None:
    """Return the URL to request for a verified message that asks to confirm a subscription; None for others."""
    notice = read_object(body)
    return text(notice.get("SubscribeURL")) if notice.get("Type") == _SUBSCRIBED else None


def events(body: bytes) -> list[ProviderEvent]:
    """Return the events of a verified message; none if it is about something else.

    Raises:
        UnreadableRequest: the body is not an SNS message.
    """
    notice = read_object(body)
    if notice.get("Type") != "Notification":
        return []
    message = notice.get("Message")
    try:
        report = read_object(message.encode("utf-8", "replace") if isinstance(message, str) else b"")
    except UnreadableRequest:
        return []  # SES writes a sentence to a topic that was just configured.
    return read_each([report], lambda one: _events(one, identifier(notice.get("MessageId"))))


def _events(report: dict[str, Any], notice_id: str) -> Iterator[ProviderEvent]:
    # "notificationType" of an identity's feedback, "eventType" of a configuration set.
    match text(report.get("eventType") or report.get("notificationType")):
        case "Bounce":
            yield from _bounces(report, notice_id)
        case "Complaint":
            yield from _complaints(report, notice_id)
        case "Subscription" if within(report, "subscription", "newTopicPreferences", "unsubscribeAll") is True:
            about = _about(report, report["subscription"], notice_id)
            for recipient in within(report, "mail", "destination") or []:
                yield replace(
                    about,
                    kind=BounceKind.UNSUBSCRIBE,
                    address=address(recipient),
                    diagnostic="unsubscribed at Amazon SES",
                )


def _bounces(report: dict[str, Any], notice_id: str) -> list[ProviderEvent]:
    bounce = report["bounce"]
    subtype = text(bounce.get("bounceSubType"))
    kind, reason = _BOUNCES.get(text(bounce.get("bounceType")), BounceKind.SOFT), _SUPPRESSED.get(subtype)
    if reason is not None:
        kind = BounceKind.SUPPRESSED
    elif subtype in _OF_THE_MESSAGE:
        kind = BounceKind.REFUSED
    about = replace(_about(report, bounce, notice_id), kind=kind, reason=reason)

    def read(recipient: dict[str, Any]) -> Iterator[ProviderEvent]:
        status, said = failure(recipient.get("status"), recipient.get("diagnosticCode") or subtype)
        yield replace(about, address=address(recipient.get("emailAddress")), status=status, diagnostic=said)

    return read_each(bounce["bouncedRecipients"], read)


def _complaints(report: dict[str, Any], notice_id: str) -> list[ProviderEvent]:
    complaint = report["complaint"]
    feedback = text(complaint.get("complaintFeedbackType"))
    if feedback in _NO_COMPLAINTS:
        return []
    listed = text(complaint.get("complaintSubType")) == "OnAccountSuppressionList"
    about = replace(
        _about(report, complaint, notice_id),
        kind=BounceKind.SUPPRESSED if listed else BounceKind.COMPLAINT,
        reason=Reason.COMPLAINT if listed else None,
        diagnostic=failure(None, f"{feedback or 'complaint'} reported by Amazon SES")[1],
    )
    recipients = complaint["complainedRecipients"]
    return read_each(recipients, lambda one: [replace(about, address=address(one.get("emailAddress")))])


def _about(report: dict[str, Any], event: dict[str, Any], notice_id: str) -> ProviderEvent:
    """Return what all events of a report have in common."""
    return ProviderEvent(
        kind=BounceKind.OTHER,
        id=identifier(event.get("feedbackId")) or notice_id,
        at=moment(event.get("timestamp")),
        message_ids=_message_ids(report),
        return_path=text(within(report, "mail", "source")),
    )


def _message_ids(report: dict[str, Any]) -> tuple[str, ...]:
    """Return the Message-IDs in the original headers; SES replaces the header in what it sends."""
    headers = within(report, "mail", "headers")
    fields = [one for one in headers if isinstance(one, dict)] if isinstance(headers, list) else []
    named = (one.get("value") for one in fields if text(one.get("name")).lower() == "message-id")
    return message_ids(*named, within(report, "mail", "commonHeaders", "messageId"))
