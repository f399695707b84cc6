"""The wire: messages over one open SMTP session that yagmail opens, and what the server made of each."""

import json
import os
import smtplib
import ssl
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import idna
import yagmail

from newsletter.config import Smtp
from newsletter.credentials import secret_file
from newsletter.errors import NewsletterError, UserError
from newsletter.model import Message, SendState

_PASSWORD_VARIABLE = "NEWSLETTER_SMTP_PASSWORD"  # noqa: S105 - the name of a variable, no password
_SERVICE_CLOSES = 421
_OAUTH2_KEYS = {"email_address", "google_client_id", "google_client_secret", "google_refresh_token"}


class ServerUnusable(NewsletterError):
    """The server cannot be used at all at present: no message is to blame, and none was sent."""


class _NotSent(Exception):
    """The session broke before the message was handed over whole: it certainly was not sent."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message: sent, deferred, failed or unsure, with the server's words."""

    state: SendState
    smtp_reply: str | None = None
    reason: str | None = None


class _Client(yagmail.Client):  # type: ignore[misc]
    """yagmail's client, whose OAuth2 login does not verify TLS and does not look at the server's answer."""

    def _login_oauth2(self, oauth2_info: dict[str, Any]) -> None:
        known = {key: value for key, value in oauth2_info.items() if key != "email_address"}
        self.smtp = self.connection(self.host, self.port, **self.kwargs)
        self.smtp.ehlo()
        if self.starttls:
            self.smtp.starttls(**self.starttls)
            self.smtp.ehlo()
        code, reply = self.smtp.docmd("AUTH", "XOAUTH2 " + self.get_oauth_string(self.user, known))
        if code == 334:  # The server explains itself once it has been answered (RFC 7628, section 3.2.3).
            code, reply = self.smtp.docmd("")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, reply)
        self.is_closed = False


class Transport:
    """The way to one mail server: a session opened when it is needed, and opened anew when it broke.

    Args:
        settings: the server, and how to log in.
        folder: from which the paths in ``settings`` count.
    """

    def __init__(self, settings: Smtp, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._client: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Open a session and log in, unless one is open.

        Raises:
            UserError: a password or key is missing or wrong.
            ServerUnusable: the server cannot be reached, or its TLS is not to be trusted.
        """
        if self._client is None:
            self._client = _open(self._settings, self._folder)

    def close(self) -> None:
        """Say goodbye; a session that is broken already is dropped."""
        if self._client is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._client.close()
            _drop(self._client)
        self._client = None

    def send(self, message: Message) -> Outcome:
        """Send one message and hear what the server says. A session that breaks before the message was handed over
        whole is opened anew, once.

        Raises:
            ServerUnusable: no message gets through at present; this one was not sent.
            UserError: as :meth:`open`.
        """
        try:
            return self._try(message)
        except _NotSent:
            self.close()
        try:
            return self._try(message)
        except _NotSent as error:
            self.close()
            where = f"{self._settings.host}:{self._settings.port}"
            raise ServerUnusable(f"smtp: {where} broke the connection off twice: {error}; try again later") from None

    def _try(self, message: Message) -> Outcome:
        self.open()
        smtp: smtplib.SMTP = self._client.smtp
        try:
            refused = self._envelope(smtp, message)
            if refused is not None:
                return refused
            code, words = smtp.docmd("DATA")
            if code != 354:
                return self._refused(smtp, code, words)
            smtp.send(_dot_stuffed(message.content))
        except (smtplib.SMTPException, OSError) as error:
            raise _NotSent(_told(error)) from error
        # The final dot is out: from here on the server may have taken the message without our hearing so.
        try:
            code, words = smtp.getreply()
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            reason = f"the connection was lost before the server confirmed: {_told(error)}"
            return Outcome(SendState.UNSURE, reason=reason)
        if 200 <= code < 300:
            return Outcome(SendState.SENT, _reply(code, words))
        if not 400 <= code < 600:
            self.close()
            return Outcome(SendState.UNSURE, _reply(code, words), "the server's answer makes no sense")
        return self._refused(smtp, code, words)

    def _envelope(self, smtp: smtplib.SMTP, message: Message) -> Outcome | None:
        smtp.ehlo_or_helo_if_needed()
        sender, recipient = _wire_address(message.sender), _wire_address(message.recipient)
        options = []
        if not (sender.isascii() and recipient.isascii() and message.content.isascii()):
            if not smtp.has_extn("smtputf8"):
                reason = "the mail server does not take international addresses (SMTPUTF8, RFC 6531)"
                if recipient.isascii():
                    raise UserError(f"smtp: {reason}; write site.from and site.reply_to in ASCII")
                return Outcome(SendState.FAILED, reason=reason)
            options = ["SMTPUTF8", "BODY=8BITMIME"]
            smtp.command_encoding = "utf-8"
        code, words = smtp.mail(sender, options)
        if code != 250:
            if code >= 500:
                raise ServerUnusable(f"the mail server refuses the sender {sender}: {_reply(code, words)}")
            return self._refused(smtp, code, words)
        code, words = smtp.rcpt(recipient)
        return None if 200 <= code < 300 else self._refused(smtp, code, words)

    def _refused(self, smtp: smtplib.SMTP, code: int, words: bytes | str) -> Outcome:
        reply = _reply(code, words)
        if not 400 <= code < 600:
            raise _NotSent(f"the server's answer makes no sense: {reply}")
        if code == _SERVICE_CLOSES:
            self.close()
        else:
            with suppress(smtplib.SMTPException, OSError):
                smtp.rset()
        if code >= 500:
            return Outcome(SendState.FAILED, reply, "the mail server refused it for good")
        return Outcome(SendState.DEFERRED, reply, "the mail server asked to try again later")


def _open(settings: Smtp, folder: Path) -> Any:
    where = f"{settings.host}:{settings.port}"
    context = ssl.create_default_context()
    tls = settings.security == "tls"
    options: dict[str, Any] = {"context": context} if tls else {}
    oauth2_file = folder / settings.oauth2_file if settings.oauth2_file else None
    if oauth2_file is not None:
        _check_oauth2(oauth2_file)
    client = _Client(
        user=settings.user or "newsletter",
        password=None if oauth2_file else _password(settings, folder),
        host=settings.host,
        port=settings.port,
        smtp_ssl=tls,
        smtp_starttls={"context": context} if settings.security == "starttls" else False,
        smtp_skip_login=settings.user is None,
        oauth2_file=str(oauth2_file) if oauth2_file else None,
        soft_email_validation=False,
        timeout=settings.timeout_seconds,
        **options,
    )
    # yagmail would make "apikey" into "apikey@gmail.com".
    client.user = settings.user
    try:
        with ExitStack() as on_failure:
            on_failure.callback(_drop, client)
            client.login()
            on_failure.pop_all()
    except smtplib.SMTPAuthenticationError as error:
        raise UserError(
            f"smtp: {where} does not accept the login of {settings.user}: {_reply(error.smtp_code, error.smtp_error)}; "
            f"check smtp.user and {_PASSWORD_VARIABLE}"
        ) from None
    except UnicodeError:
        raise UserError(
            f"smtp: {where}: smtp.host is no host name, or the login has letters that SMTP cannot carry; mend it"
        ) from None
    except smtplib.SMTPNotSupportedError as error:
        mend = "leave out smtp.user" if "AUTH" in str(error) else "set smtp.security to tls or none"
        raise UserError(f"smtp: {where}: {error}; {mend}") from None
    except ssl.SSLCertVerificationError as error:
        raise ServerUnusable(f"smtp: the certificate of {where} is not to be trusted: {error.verify_message}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise ServerUnusable(
            f"smtp: cannot reach {where}: {_told(error)}; check smtp.host, port and security"
        ) from None
    return client


def _drop(client: Any) -> None:
    """Shut a session without a word: yagmail would say goodbye when it is thrown away, and wait for the answer."""
    client.is_closed = True
    if client.smtp is not None:
        client.smtp.close()


def _check_oauth2(path: Path) -> None:
    """yagmail would ask questions on the terminal about a file that is not as it writes it itself."""
    try:
        known = json.loads(secret_file(path))
    except ValueError:
        known = None
    if not isinstance(known, dict) or not known.keys() >= _OAUTH2_KEYS:
        raise UserError(f"{path}: not an OAuth2 file; it needs {', '.join(sorted(_OAUTH2_KEYS))} as JSON")


def _password(settings: Smtp, folder: Path) -> str:
    if settings.user is None:
        return ""
    if given := os.environ.get(_PASSWORD_VARIABLE):
        return given
    if settings.password_file is not None:
        return secret_file(folder / settings.password_file)
    import keyring  # Slow to import, and seldom needed.
    from keyring.errors import KeyringError

    with suppress(KeyringError):
        stored = keyring.get_password("yagmail", settings.user)
        if stored:
            return str(stored)
    raise UserError(
        f"smtp: no password for {settings.user}; set {_PASSWORD_VARIABLE}, smtp.password_file, "
        f"or run 'keyring set yagmail {settings.user}'"
    )


def _dot_stuffed(content: bytes) -> bytes:
    """A message as DATA wants it: lines ending in CRLF, leading dots doubled, closed by a dot (RFC 5321, 4.5.2)."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    return b"".join(b"." + line + b"\r\n" if line.startswith(b".") else line + b"\r\n" for line in lines) + b".\r\n"


def _wire_address(address: str) -> str:
    local, _, domain = address.rpartition("@")
    if not local.isascii() or domain.isascii():
        return address
    return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"


def _reply(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"{code} {' '.join(text.split())}"[:500]


def _told(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _reply(error.smtp_code, error.smtp_error)
    return str(error.strerror if isinstance(error, OSError) and error.strerror else error) or type(error).__name__
