"""Requests of mail providers as they document them: each builds the body of an event, signs it and posts it."""

import base64
import hashlib
import hmac
import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from newsletter.sources import http
from newsletter.support.clock import parse_moment
from tests.helpers.bounce_reports import About
from tests.helpers.newsletter import NOW

TOPIC = "arn:aws:sns:eu-north-1:210987654321:papers-feedback"
SNS = "sns.eu-north-1.amazonaws.com"
CERTIFICATE = f"https://{SNS}/SimpleNotificationService-0f1e2d3c.pem"
SECRETS = {
    "NEWSLETTER_MAILGUN_SIGNING_KEY": "key-of-the-webhooks-0001",
    "NEWSLETTER_POSTMARK_WEBHOOK_PASSWORD": "postmark's password",
    "NEWSLETTER_BREVO_WEBHOOK_TOKEN": "brevo-token-0001",
}
_SENDGRID_KEY = ec.generate_private_key(ec.SECP256R1())
_SNS_KEY = rsa.generate_private_key(65537, 2048)


@dataclass
class Post:
    """A request, which a test may change before it is posted."""

    provider: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def to(self, site: str) -> int:
        """Post it, and return the status."""
        url = f"{site}/webhooks/{self.provider}"
        answer = httpx.post(url, content=self.body, headers=self.headers, timeout=30, trust_env=False, verify=False)
        self.answer = answer
        return answer.status_code


def settings() -> dict[str, Any]:
    """Return the settings of all providers."""
    public = _SENDGRID_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    given = {"ses": {"topic_arn": TOPIC}, "sendgrid": {"public_key": base64.b64encode(public).decode()}}
    return {"providers": {**given, "mailgun": {}, "postmark": {}, "brevo": {}}}


def _epoch(now: str) -> int:
    return int(parse_moment(now).timestamp())


def _stamp(now: str) -> str:
    return parse_moment(now).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _plain(about: About) -> str:
    return about.message_id.strip("<>")


# Amazon SES


def sns(message: str, now: str = NOW, version: str = "2", kind: str = "Notification", **changes: str) -> Post:
    """Wrap a message in one of SNS; ``changes`` are made before it is signed."""
    notice = {
        "Type": kind,
        "MessageId": f"8d1f{hashlib.sha256(message.encode()).hexdigest()[:16]}",
        "TopicArn": TOPIC,
        "Message": message,
        "Timestamp": _stamp(now),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        **changes,
    }
    order = ("Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type")
    said = "".join(f"{name}\n{notice[name]}\n" for name in order if name in notice).encode()
    algorithm = SHA1() if version == "1" else SHA256()
    signature = _SNS_KEY.sign(said, padding.PKCS1v15(), algorithm)
    notice["Signature"] = base64.b64encode(signature).decode()
    return Post("ses", json.dumps(notice).encode(), {"Content-Type": "text/plain; charset=UTF-8"})


def ses(kind: str, about: About, now: str = NOW, number: int = 1, version: str = "2") -> Post:
    mail = {
        "timestamp": _stamp(now),
        "source": about.return_path,
        "messageId": f"0110019{number:05}",
        "destination": [about.recipient],
        "headersTruncated": False,
        "headers": [{"name": "From", "value": "papers@papers.example.org"}],
    }
    at = {"timestamp": _stamp(now), "feedbackId": f"0110019-feedback-{number}"}
    recipient: dict[str, str] = {"emailAddress": about.recipient}
    failures = {
        "hard": ("Permanent", "NoEmail", "5.1.1", "smtp; 550 5.1.1 mailbox unknown"),
        "soft": ("Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 mailbox full"),
        "suppressed": ("Permanent", "OnAccountSuppressionList", "5.1.1", "Amazon SES did not send the message"),
    }
    if kind in failures:
        form, subtype, status, said = failures[kind]
        recipient |= {"action": "failed", "status": status, "diagnosticCode": said}
        bounce = {"bounceType": form, "bounceSubType": subtype, "bouncedRecipients": [recipient], **at}
        report = {"notificationType": "Bounce", "bounce": bounce, "mail": mail}
    elif kind == "complaint":
        complaint = {"complainedRecipients": [recipient], "complaintFeedbackType": "abuse", **at}
        report = {"eventType": "Complaint", "complaint": complaint, "mail": mail}
    else:
        preferences = {"unsubscribeAll": True, "topicSubscriptionStatus": []}
        change = {"contactList": "readers", "source": "UnsubscribeHeader", "newTopicPreferences": preferences}
        report = {"eventType": "Subscription", "subscription": {**change, "timestamp": _stamp(now)}, "mail": mail}
    return sns(json.dumps(report), now, version)


# SendGrid


def signed_by_sendgrid(body: bytes, now: str = NOW) -> Post:
    timestamp = str(_epoch(now))
    signature = _SENDGRID_KEY.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    return Post(
        "sendgrid",
        body,
        {
            "Content-Type": "application/json",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        },
    )


def sendgrid_event(kind: str, about: About, now: str = NOW, number: int = 1) -> dict[str, Any]:
    common = {
        "email": about.recipient,
        "timestamp": _epoch(now),
        "smtp-id": about.message_id,
        "sg_event_id": f"ZXZlbnQ{number}",
        "sg_message_id": f"msg{number}.recvd",
    }
    kinds: dict[str, dict[str, Any]] = {
        "hard": {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 mailbox unknown"},
        "soft": {"event": "bounce", "type": "blocked", "status": "4.2.2", "reason": "452 4.2.2 mailbox full"},
        "complaint": {"event": "spamreport"},
        "unsubscribe": {"event": "unsubscribe"},
        "suppressed": {"event": "dropped", "reason": "Bounced Address", "status": "5.0.0"},
    }
    return common | kinds[kind]


def sendgrid(kind: str, about: About, now: str = NOW, number: int = 1) -> Post:
    return signed_by_sendgrid(json.dumps([sendgrid_event(kind, about, now, number)]).encode(), now)


# Mailgun


def signed_by_mailgun(event: dict[str, Any], now: str = NOW, token: str = "") -> Post:
    timestamp = str(_epoch(now))
    token = token or hashlib.sha256(json.dumps(event).encode()).hexdigest()[:50]
    key = SECRETS["NEWSLETTER_MAILGUN_SIGNING_KEY"].encode()
    shown = hmac.new(key, f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    signature = {"timestamp": timestamp, "token": token, "signature": shown}
    body = json.dumps({"signature": signature, "event-data": event}).encode()
    return Post("mailgun", body, {"Content-Type": "application/json"})


def mailgun(kind: str, about: About, now: str = NOW, number: int = 1) -> Post:
    failures = {
        "hard": ("permanent", "bounce", 550, "5.1.1 mailbox unknown"),
        "soft": ("permanent", "old", 452, "4.2.2 mailbox full"),
        "suppressed": ("permanent", "suppress-bounce", 605, "Not delivering to previously bounced address"),
    }
    event: dict[str, Any] = {
        "id": f"evt-{number}",
        "timestamp": _epoch(now) + 0.25,
        "recipient": about.recipient,
        "message": {"headers": {"message-id": _plain(about), "to": about.recipient}},
        "event": {"complaint": "complained", "unsubscribe": "unsubscribed"}.get(kind, "failed"),
    }
    if kind in failures:
        severity, reason, code, said = failures[kind]
        status = {"attempt-no": 1, "code": code, "message": said, "description": ""}
        event |= {"severity": severity, "reason": reason, "delivery-status": status}
    return signed_by_mailgun(event, now)


# Postmark


def with_password(provider: str, body: Any, secret: str, user: str = "newsletter") -> Post:
    credentials = base64.b64encode(f"{user}:{secret}".encode()).decode()
    return Post(provider, json.dumps(body).encode(), {"Authorization": f"Basic {credentials}"})


def postmark(kind: str, about: About, now: str = NOW, number: int = 1) -> Post:
    record: dict[str, Any] = {"MessageID": f"00000000-0000-0000-0000-{number:012}", "ServerID": 23}
    bounces = {
        "hard": {"Type": "HardBounce", "TypeCode": 1, "Details": "smtp;550 5.1.1 mailbox unknown", "Inactive": True},
        "soft": {"Type": "SoftBounce", "TypeCode": 4096, "Details": "smtp;452 4.2.2 mailbox full", "Inactive": False},
    }
    if kind in bounces:
        record |= {"RecordType": "Bounce", **bounces[kind]}
    elif kind == "complaint":
        record |= {"RecordType": "SpamComplaint", "Type": "SpamComplaint", "TypeCode": 100001, "Inactive": True}
    else:
        reason = {"suppressed": "HardBounce", "unsubscribe": "ManualSuppression"}[kind]
        record |= {"RecordType": "SubscriptionChange", "Recipient": about.recipient, "Origin": "Recipient"}
        record |= {"SuppressSending": True, "SuppressionReason": reason, "ChangedAt": _stamp(now)}
    if record["RecordType"] != "SubscriptionChange":
        record |= {"ID": 42_000 + number, "Email": about.recipient, "BouncedAt": _stamp(now), "MessageStream": "bulk"}
    return with_password("postmark", record, SECRETS["NEWSLETTER_POSTMARK_WEBHOOK_PASSWORD"])


# Brevo


def brevo_event(kind: str, about: About, now: str = NOW, number: int = 1) -> dict[str, Any]:
    names = {"hard": "hard_bounce", "soft": "soft_bounce", "complaint": "spam", "unsubscribe": "unsubscribed"}
    reasons = {"hard": "550 5.1.1 mailbox unknown", "soft": "452 4.2.2 mailbox full"}
    return {
        "event": names.get(kind, "blocked"),
        "email": about.recipient,
        "id": 77,
        "date": "2020-01-01 00:00:00",
        "message-id": about.message_id,
        "ts_event": _epoch(now),
        "ts_epoch": _epoch(now) * 1000 + number,
        **({"reason": reasons[kind]} if kind in reasons else {}),
    }


def brevo(kind: str, about: About, now: str = NOW, number: int = 1) -> Post:
    token = SECRETS["NEWSLETTER_BREVO_WEBHOOK_TOKEN"]
    body = json.dumps(brevo_event(kind, about, now, number)).encode()
    return Post("brevo", body, {"Authorization": f"Bearer {token}"})


BUILDERS = {"ses": ses, "sendgrid": sendgrid, "mailgun": mailgun, "postmark": postmark, "brevo": brevo}


# The servers of SNS


class SnsServers:
    """Servers of SNS behind a proxy, over TLS: they have one certificate, and confirm subscriptions.

    Attributes:
        hosts: the hosts that were connected to. ``paths``: what was requested of them.
        moved: a URL to redirect all requests to, if set.
    """

    def __init__(self, authority: trustme.CA) -> None:
        self.hosts: list[str] = []
        self.paths: list[str] = []
        self.moved = ""
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(SNS, "evil.example").configure_cert(self._tls)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.proxy = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self.hosts.append(connection.recv(65536).split()[1].decode().partition(":")[0])
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with self._tls.wrap_socket(connection, server_side=True) as secure:
                path = secure.recv(65536).split()[1].decode()
                self.paths.append(path)
                secure.sendall(self._answer(path))

    def _answer(self, path: str) -> bytes:
        if self.moved:
            return f"HTTP/1.1 302 Found\r\nLocation: {self.moved}\r\nContent-Length: 0\r\n\r\n".encode()
        known = CERTIFICATE.endswith(path) or path.startswith("/?Action=ConfirmSubscription")
        body = _signing_certificate() if known else b"<Error/>"
        status = "200 OK" if known else "403 Forbidden"
        return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _signing_certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, _SNS_KEY.public_key(), x509.random_serial_number())
    dated = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
    return dated.sign(_SNS_KEY, SHA256()).public_bytes(Encoding.PEM)


@contextmanager
def sns_servers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SnsServers]:
    """Run the servers of SNS; our client trusts their authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(os.fspath(folder / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(folder / "authority.pem"))
    http._tls.cache_clear()
    servers = SnsServers(authority)
    try:
        yield servers
    finally:
        servers.close()
        http._tls.cache_clear()
