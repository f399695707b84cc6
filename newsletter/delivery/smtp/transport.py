"""The transport: send messages over an open SMTP session, and interpret the server's response to each."""

import smtplib
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import idna

from newsletter.config.mail import Smtp
from newsletter.config.secrets import secret_file
from newsletter.delivery.smtp.dkim import Signer, sign
from newsletter.delivery.smtp.session import (
    AccountUnavailable,
    ServerUnavailable,
    drop,
    is_timeout,
    open_session,
    server_name,
    shown_error,
    shown_reply,
)
from newsletter.errors import NewsletterError, UserError, describe
from newsletter.model import Message, SendState
from newsletter.support.deadline import Deadline

MAX_SECONDS = 20 * 60.0
"""Time limit in seconds for one message on the wire, less than its claim holds. RFC 5321, section 4.5.3.2, requires a
timeout of ten minutes after the final dot.
"""

_WANTS_MORE = 530
_SERVICE_CLOSES = 421


class _NotSent(Exception):
    """The message was not handed over completely, so it certainly was not sent. The text says what the server did."""


class ConnectionAborted(ServerUnavailable):
    """The session broke twice with the same message, which may be at fault. It certainly was not sent."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one message: sent, deferred, failed or unsure, with the server's words.

    Attributes:
        refused: it was not accepted. If this happens to message after message, the account is at fault.
    """

    state: SendState
    smtp_reply: str | None = None
    reason: str | None = None
    refused: bool = False


class Transport:
    """The connection to one mail server: opened when needed, and reopened when it breaks.

    Args:
        settings: the server and the login.
        folder: the base of relative paths in ``settings``.
        name: the account's name.
        longest: time limit in seconds for opening a session, or for one message, in total.
    """

    def __init__(self, settings: Smtp, folder: Path, name: str = "smtp", longest: float = MAX_SECONDS) -> None:
        self._settings = settings
        self._folder = folder
        self._name = name
        self._carried = 0
        self._longest = longest
        self._deadline = Deadline(longest)
        self._client: Any = None
        self._signer = _signer(settings, folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Open a session and log in, unless one is open.

        Raises:
            UserError: a setting, a password or a key is missing or wrong.
            ServerUnavailable: the server cannot be reached, is not trusted, or rejects us now.
        """
        if self._client is None:
            with Deadline(self._longest) as self._deadline:
                self._open()

    def close(self) -> None:
        """Send QUIT; a session that is broken already is dropped."""
        if self._client is not None:
            with (
                Deadline(self._settings.timeout_seconds) as self._deadline,
                suppress(smtplib.SMTPException, OSError),
            ):
                self._client.close()
            self._drop()

    def send(self, message: Message) -> Outcome:
        """Send one message and return its outcome.

        If the session breaks before the message was handed over completely, it is tried once more on a new session. A
        session that has reached its maximum number of messages is reopened first.

        Raises:
            ConnectionAborted: the session broke twice; this message was not sent.
            ServerUnavailable: no message can be sent now; this one was not sent.
            UserError: as for :meth:`open`, or the server requires something that a setting provides.
        """
        if self._carried >= self._settings.messages_per_session:
            self.close()
        with Deadline(self._longest) as self._deadline:
            try:
                return self._try(message)
            except _NotSent:
                self._drop()
                self._check_time()
            try:
                return self._try(message)
            except _NotSent as error:
                self._drop()
                self._check_time()
                raise ConnectionAborted(
                    f"smtp: {server_name(self._settings)} {error}, twice; try again later"
                ) from None

    def _open(self) -> None:
        if self._client is None:
            try:
                self._client = open_session(self._settings, self._folder, self._name, self._watch)
                self._carried = 0
            except NewsletterError:
                self._check_time()
                raise

    def _watch(self, connection: socket.socket | None) -> None:
        self._deadline.watch(connection)

    def _drop(self) -> None:
        if self._client is not None:
            drop(self._client)
        self._client = None

    def _check_time(self) -> None:
        if self._deadline.over:
            raise ServerUnavailable(
                f"smtp: {server_name(self._settings)} timed out after {_in_words(self._longest)}; try again later"
            ) from None

    def _try(self, message: Message) -> Outcome:
        self._open()
        self._carried += 1
        smtp: smtplib.SMTP = self._client.smtp
        try:
            refused = self._hand_over(smtp, message)
        except (smtplib.SMTPException, OSError) as error:
            raise _NotSent(self._broken(error)) from error
        except (NewsletterError, _NotSent):
            raise
        except Exception as error:
            # The program cannot handle something in this message; the next message needs a session that is not in the
            # middle of it.
            self._drop()
            return Outcome(SendState.FAILED, reason=f"the message could not be sent: {describe(error)}", refused=True)
        if refused is not None:
            return refused
        # The final dot is out: from here on the server may have accepted the message even if we do not receive its
        # answer.
        try:
            code, words = smtp.getreply()
            if self._deadline.over:
                raise TimeoutError  # This may be the beginning of a truncated answer.
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            return Outcome(SendState.UNSURE, reason=f"handed over, but the server {self._broken(error)}", refused=True)
        if 200 <= code < 300:
            return Outcome(SendState.SENT, shown_reply(code, words))
        if not 400 <= code < 600:
            self._drop()
            reason = "the server's answer is invalid"
            return Outcome(SendState.UNSURE, shown_reply(code, words), reason, refused=True)
        return self._refused(smtp, code, words)

    def _hand_over(self, smtp: smtplib.SMTP, message: Message) -> Outcome | None:
        """Hand over a message up to the final dot; return its outcome if the server rejects it."""
        content = sign(message.content, self._signer) if self._signer is not None else message.content
        options = self._options(smtp, message)
        if isinstance(options, Outcome):
            return options
        sender, recipient = _wire_address(message.sender), _wire_address(message.recipient)
        commands = (f"MAIL FROM:<{sender}>{options}", f"RCPT TO:<{recipient}>", "DATA")
        for place, (code, words) in enumerate(_answers(smtp, commands)):
            if _accepts(commands[place], code):
                continue
            if code != _SERVICE_CLOSES and smtp.has_extn("pipelining"):
                self._skip_answers(smtp, len(commands) - place - 1)
            if not place and code >= 500 and code != _WANTS_MORE:
                reply = shown_reply(code, words)
                raise AccountUnavailable(
                    f"smtp: {server_name(self._settings)} refuses the sender {sender}: {reply}; "
                    "check site.from, bounces.address and smtp.user"
                )
            return self._refused(smtp, code, words)
        smtp.send(_dot_stuffed(content))
        return None

    def _broken(self, error: Exception) -> str:
        if self._deadline.over:
            return f"timed out after {_in_words(self._longest)}"
        if is_timeout(error):
            return f"did not answer within {_in_words(self._settings.timeout_seconds)}"
        return f"closed the connection ({shown_error(error)})"

    def _skip_answers(self, smtp: smtplib.SMTP, number: int) -> None:
        """Read the answers to the commands that were sent together with a rejected one.

        A server that wants the content anyway (RFC 2920, section 3.1) gets none: the session is dropped.
        """
        if 354 in [smtp.getreply()[0] for _ in range(number)]:
            self._drop()

    def _options(self, smtp: smtplib.SMTP, message: Message) -> str | Outcome:
        """Return the parameters of MAIL for a message, or its outcome if the server cannot take it."""
        addresses = _wire_address(message.sender), _wire_address(message.recipient)
        if all(address.isascii() for address in addresses) and message.content.isascii():
            return ""
        if smtp.has_extn("smtputf8"):
            smtp.command_encoding = "utf-8"
            return " SMTPUTF8 BODY=8BITMIME"
        lack = "does not take international addresses (SMTPUTF8, RFC 6531)"
        if addresses[1].isascii():
            fix = "write site.from and site.reply_to in ASCII"
            raise UserError(f"smtp: {server_name(self._settings)} {lack}; {fix}")
        return Outcome(SendState.FAILED, reason=f"the mail server {lack}")

    def _refused(self, smtp: smtplib.SMTP, code: int, words: bytes | str) -> Outcome:
        reply = shown_reply(code, words)
        if not 400 <= code < 600:
            raise _NotSent(f"sent an invalid answer ({reply})")
        if code == _WANTS_MORE:
            # The message is not at fault: RFC 4954 uses these codes for a missing login, RFC 3207 for missing TLS.
            self._drop()
            fix = "set smtp.user, or smtp.security to starttls or tls"
            raise UserError(f"smtp: {server_name(self._settings)} requires a login or TLS first: {reply}; {fix}")
        if code == _SERVICE_CLOSES:
            self._drop()
        else:
            with suppress(smtplib.SMTPException, OSError):
                smtp.rset()
        if code >= 500:
            return Outcome(SendState.FAILED, reply, "the mail server refused it permanently", refused=True)
        return Outcome(SendState.DEFERRED, reply, "the mail server asked to try again later")


def _answers(smtp: smtplib.SMTP, commands: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """Send commands, and yield the answer to each: all at once if the server allows that (RFC 2920), or else each after
    the answer to the one before.

    smtplib's own MAIL and RCPT parse addresses again each time, which takes longer than the rest of them.
    """
    if any(command.splitlines() != [command] for command in commands):
        raise ValueError("an address has a line break")
    at_once = smtp.has_extn("pipelining")
    if at_once:
        smtp.send("".join(f"{command}\r\n" for command in commands))
    for command in commands:
        if not at_once:
            smtp.putcmd(command)
        yield smtp.getreply()


def _accepts(command: str, code: int) -> bool:
    match command[:4]:
        case "DATA":
            return code == 354
        case "MAIL":
            return code == 250
    return 200 <= code < 300


def _in_words(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} seconds"


def _dot_stuffed(content: bytes) -> bytes:
    """Encode a message for DATA: lines ending in CRLF, leading dots doubled, closed by a dot (RFC 5321, 4.5.2)."""
    if not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r"):
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    if content.startswith(b"."):
        content = b"." + content
    # Looking for a byte is much faster than replacing three.
    return (content.replace(b"\r\n.", b"\r\n..") if b"\n." in content else content) + b".\r\n"


def _wire_address(address: str) -> str:
    local, _, domain = address.rpartition("@")
    if not local.isascii() or domain.isascii():
        return address
    return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"


def _signer(settings: Smtp, folder: Path) -> Signer | None:
    if settings.dkim_selector is None or settings.dkim_key_file is None:
        return None
    return Signer(settings.dkim_selector, secret_file(folder / settings.dkim_key_file))
