"""Checks of the mail servers and the bounce mailbox."""

import smtplib
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from newsletter.config.mail import Bounces, Smtp
from newsletter.delivery.bounces import bounce_mailbox
from newsletter.delivery.refusal_classifier import BounceKind, classify_refusal
from newsletter.delivery.smtp.session import (
    ServerUnavailable,
    drop,
    open_session,
    server_name,
    shown_error,
    shown_reply,
)
from newsletter.delivery.smtp.transport import Transport
from newsletter.doctor.result import CheckResult, bad, ok, warning
from newsletter.errors import NewsletterError
from newsletter.model import Message, SendState
from newsletter.support.deadline import Deadline
from newsletter.support.hosts import is_loopback

STEP = 8.0
"""Time limit for one SMTP or IMAP step, in seconds."""

TALK = 20.0
"""Time limit for a whole session, in seconds."""

_ENDS_SOON = 14
"""Days; automatically renewed certificates have more left."""

_LARGEST = 500_000
"""Bytes: no digest is larger, since its HTML stays under what Gmail shows."""

_NO_MAILBOX = "create that mailbox, or set bounces.address or site.from to another one"


def session(line: str, name: str, account: Smtp, folder: Path, sender: str) -> CheckResult:
    """Check an SMTP session up to the message itself: connection, TLS, login and sender.

    Args:
        line: name of the check. ``name``: name of the account.
        sender: the envelope sender, also used as a test recipient.

    Raises:
        NewsletterError: no session can be opened.
    """
    with Deadline(TALK) as deadline:
        client = _opened(account, folder, name, deadline)
        try:
            return _looked_at(line, account, client.smtp, sender)
        except (smtplib.SMTPException, OSError) as error:
            return bad(line, f"{server_name(account)} broke off: {shown_error(error)}", "contact its operator")
        finally:
            with suppress(smtplib.SMTPException, OSError):
                client.close()
            drop(client)


def _opened(account: Smtp, folder: Path, name: str, deadline: Deadline) -> Any:
    try:
        return open_session(_quick(account), folder, name, deadline.watch)
    except NewsletterError:
        if deadline.over:
            raise ServerUnavailable(
                f"smtp: {server_name(account)} timed out after {TALK:g} s; contact its operator"
            ) from None
        raise


def _quick(account: Smtp) -> Smtp:
    return account.model_copy(update={"timeout_seconds": min(account.timeout_seconds, STEP)})


def _looked_at(name: str, account: Smtp, smtp: Any, sender: str) -> CheckResult:
    server, days = server_name(account), _days_left(smtp.sock)
    facts = [server]
    if days is not None:
        facts.append(f"{smtp.sock.version()}, certificate valid for {days} days")
    if account.user is not None:
        facts.append(f"logged in as {account.user}")
    refused = _refused(name, server, smtp, sender)
    if refused is not None:
        return refused
    size = smtp.esmtp_features.get("size", "")
    if size.isdecimal() and 0 < int(size) < _LARGEST:
        return warning(name, f"{server} accepts at most {int(size):,} bytes per message", "raise its limit to 1 MB")
    if days is not None and days < _ENDS_SOON:
        return warning(name, f"{server}: its certificate expires in {days} days", "renew the certificate")
    if days is None and not is_loopback(account.host):
        return warning(
            name, f"{server}: no TLS, so the connection can be read by others", "set security to starttls or tls"
        )
    return ok(name, ", ".join([*facts, f"accepts mail from {sender}"]))


def _days_left(connection: Any) -> int | None:
    """Return the days until the certificate of a connection expires; None without TLS."""
    if not isinstance(connection, ssl.SSLSocket):
        return None
    ends = ssl.cert_time_to_seconds(str((connection.getpeercert() or {})["notAfter"]))
    return int((ends - time.time()) // 86_400)


def _refused(name: str, server: str, smtp: Any, sender: str) -> CheckResult | None:
    """Test MAIL and RCPT without sending a message; None if both are accepted."""
    options: list[str] = []
    if not sender.isascii():
        if not smtp.has_extn("smtputf8"):
            return bad(
                name, f"{server} does not support addresses like {sender} (SMTPUTF8)", "write site.from in ASCII"
            )
        options, smtp.command_encoding = ["SMTPUTF8"], "utf-8"
    code, words = smtp.mail(sender, options)
    if code != 250:
        fix = "set user and password of the account" if code == 530 else "check site.from, bounces.address and user"
        text = f"{server} does not accept mail from {sender}: {shown_reply(code, words)}"
        return (bad if code >= 500 else warning)(name, text, fix if code >= 500 else "try again later")
    code, words = smtp.rcpt(sender)
    reply = shown_reply(code, words)
    smtp.rset()
    if 200 <= code < 300:
        return None
    text = f"{server} does not accept mail to {sender}: {reply}"
    if code < 500:
        return warning(name, text, "try again later")
    if classify_refusal(reply) is BounceKind.HARD:
        return warning(name, text, _NO_MAILBOX)
    return bad(name, text, "allow relaying: set user, or contact its operator")


def test_message(line: str, name: str, account: Smtp, folder: Path, compose: Callable[[], Message]) -> CheckResult:
    """Send a test message through the account ``name``.

    Raises:
        NewsletterError: the message cannot be composed, or no session opened.
    """
    message = compose()
    with Transport(_quick(account), folder, name, longest=TALK) as transport:
        outcome = transport.send(message)
    said = outcome.smtp_reply or outcome.reason or ""
    if outcome.state is SendState.SENT:
        return ok(line, f"accepted for {message.recipient}: {said}; look for {message.message_id}")
    text = f"{server_name(account)} did not accept it for {message.recipient}: {said}"
    if outcome.state is SendState.DEFERRED:
        return warning(line, text, "try again in a few minutes")
    if outcome.state is SendState.UNSURE:
        return bad(line, f"unknown whether it arrived: {said}", "check the mailbox")
    return bad(line, text, "follow the server's message, or contact its operator")


def mailbox(settings: Bounces, folder: Path) -> CheckResult:
    """Check the mailbox that bounces are read from.

    Raises:
        NewsletterError: it cannot be opened.
    """
    name = "bounce mailbox"
    imap = settings.imap
    if imap is not None:
        quick = imap.model_copy(update={"timeout_seconds": min(imap.timeout_seconds, STEP)})
        settings = settings.model_copy(update={"imap": quick})
    unread = bounce_mailbox.count_unread(settings, folder)
    place = f"{imap.folder} of {imap.user} at {imap.host}:{imap.port}" if imap else str(settings.maildir)
    return ok(name, f"{place}, {unread} unread")
