"""SMTP sessions: yagmail opens them and logs in; errors say how to fix them."""

import json
import os
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import yagmail

from newsletter.config.fields import host_name
from newsletter.config.mail import Smtp
from newsletter.config.secrets import password, secret_file
from newsletter.errors import NewsletterError, UserError

_OAUTH2_KEYS = {"email_address", "google_client_id", "google_client_secret", "google_refresh_token"}

Watch = Callable[[socket.socket | None], None]
"""Called with the connection whenever an answer is awaited, then with None."""


class ServerUnavailable(NewsletterError):
    """The server is unavailable: no message is at fault, and none was sent."""


class AccountUnavailable(ServerUnavailable):
    """The server rejects all messages of this account, in any session."""


class _Watched(smtplib.SMTP):
    """A session whose waits can be interrupted from outside."""

    def __init__(self, *arguments: Any, watch: Watch, **options: Any) -> None:
        self._watch = watch
        super().__init__(*arguments, **options)

    def getreply(self) -> tuple[int, bytes]:
        self._watch(self.sock)
        return super().getreply()

    def ehlo(self, name: str = "") -> tuple[int, bytes]:
        # yagmail does not check whether its greeting is accepted.
        code, words = super().ehlo(name)
        if code >= 500:
            code, words = self.helo(name)
        if not 200 <= code < 300:
            raise smtplib.SMTPHeloError(code, words)
        return code, words


class _WatchedTls(_Watched, smtplib.SMTP_SSL):
    """The same, with TLS from the start."""


class _Client(yagmail.Client):  # type: ignore[misc]
    """yagmail's client; its own OAuth2 login neither verifies TLS nor checks the server's answer."""

    @property
    def connection(self) -> type[_Watched]:
        return _WatchedTls if self.ssl else _Watched

    def _login_oauth2(self, oauth2_info: dict[str, Any]) -> None:
        proof = self._oauth2_proof({key: value for key, value in oauth2_info.items() if key != "email_address"})
        self.smtp = self.connection(self.host, self.port, **self.kwargs)
        self.smtp.ehlo()
        if self.starttls:
            self.smtp.starttls(**self.starttls)
            self.smtp.ehlo()
        code, reply = self.smtp.docmd("AUTH", "XOAUTH2 " + proof)
        if code == 334:  # The server sends the reason after an answer (RFC 7628, section 3.2.3).
            code, reply = self.smtp.docmd("")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, reply)
        self.is_closed = False

    def _oauth2_proof(self, known: dict[str, str]) -> str:
        try:
            return str(self.get_oauth_string(self.user, known))
        except HTTPError as error:
            if error.code >= 500:
                raise ServerUnavailable(f"smtp: Google is not issuing tokens: {error}; try again later") from None
            raise UserError(
                f"smtp: Google refuses a token for {self.user}: {error}; create {self.oauth2_file} again"
            ) from None
        except (OSError, ValueError, KeyError) as error:
            raise ServerUnavailable(f"smtp: cannot get a token from Google: {error}; try again later") from None


def open_session(settings: Smtp, folder: Path, name: str, watch: Watch) -> Any:
    """Open a session with a server and log in.

    Args:
        folder: the base of relative paths in ``settings``.
        name: the account's name.

    Returns:
        yagmail's client; its ``smtp`` is the session, after the greeting and login.

    Raises:
        UserError: a setting, a password or a key is missing or wrong.
        ServerUnavailable: the server cannot be reached, is not trusted, or rejects us now.
    """
    client = _client(settings, folder, name, watch)
    try:
        with ExitStack() as on_failure:
            on_failure.callback(drop, client)
            client.login()
            client.smtp.ehlo_or_helo_if_needed()
            on_failure.pop_all()
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        raise _why_not(error, settings, name, client.smtp is not None) from None
    return client


def drop(client: Any) -> None:
    """Close a session without QUIT: yagmail would send that when it is garbage-collected, and wait for the answer."""
    client.is_closed = True
    if client.smtp is not None:
        client.smtp.close()


def server_name(settings: Smtp) -> str:
    """Return the server's name for display."""
    return f"{settings.host}:{settings.port}"


def shown_reply(code: int, words: bytes | str) -> str:
    """Format a server's answer in one line."""
    text = " ".join((words.decode("utf-8", "replace") if isinstance(words, bytes) else words).split())
    # smtplib drops the beginning of an answer that does not start with a number.
    return (f"{code} {text}" if code >= 0 else f"…{text}")[:500]


def shown_error(error: Exception) -> str:
    """Describe the error that broke a session."""
    if isinstance(error, smtplib.SMTPResponseException):
        return shown_reply(error.smtp_code, error.smtp_error)
    return str(error.strerror if isinstance(error, OSError) and error.strerror else error) or type(error).__name__


def is_timeout(error: BaseException) -> bool:
    """Return whether an error is due to a timeout, which smtplib reports as a closed connection."""
    return isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)


def _client(settings: Smtp, folder: Path, name: str, watch: Watch) -> _Client:
    context = ssl.create_default_context()
    tls = settings.security == "tls"
    options: dict[str, Any] = {"context": context} if tls else {}
    oauth2_file = folder / settings.oauth2_file if settings.oauth2_file else None
    if oauth2_file is not None:
        _check_oauth2(oauth2_file)
    client = _Client(
        user=settings.user or "newsletter",
        password=None if oauth2_file else account_password(settings, folder, name),
        host=settings.host,
        port=settings.port,
        smtp_ssl=tls,
        smtp_starttls={"context": context} if settings.security == "starttls" else False,
        smtp_skip_login=settings.user is None,
        oauth2_file=str(oauth2_file) if oauth2_file else None,
        soft_email_validation=False,
        timeout=settings.timeout_seconds,
        local_hostname=settings.ehlo_name or _own_name() or settings.sender_domain,
        watch=watch,
        **options,
    )
    # yagmail would turn "apikey" into "apikey@gmail.com".
    client.user = settings.user
    return client


def _own_name() -> str | None:
    """Return this host's full name; None if it has none that another host could resolve."""
    try:
        name = host_name(socket.getfqdn())
    except ValueError:
        return None
    first, last = name.partition(".")[0], name.rpartition(".")[2]
    # "localhost.localdomain", or the name of an address without one ("1.0.0.127.in-addr.arpa").
    return None if first == "localhost" or last in ("localdomain", "localhost", "arpa") else name


def _why_not(error: Exception, settings: Smtp, name: str, connected: bool) -> NewsletterError:
    """Return an error that explains why a session could not be opened, and how to fix it."""
    server, reason = server_name(settings), shown_error(error)
    match error:
        case smtplib.SMTPAuthenticationError():
            return _why_no_login(error, settings, name)
        case smtplib.SMTPNotSupportedError():
            return UserError(f"smtp: {server}: {reason}; {_missing_extension(reason, settings)}")
        case smtplib.SMTPConnectError() if not 400 <= error.smtp_code < 600:
            return ServerUnavailable(
                f"smtp: {server} is not a mail server: it answered {reason!r}; check smtp.host and port"
            )
        case smtplib.SMTPConnectError():
            return ServerUnavailable(
                f"smtp: {server} refused the connection: {reason}; try again later, or contact its operator"
            )
        case smtplib.SMTPHeloError():
            return ServerUnavailable(f"smtp: {server} rejected our greeting (EHLO): {reason}; contact its operator")
        case _ if is_timeout(error):
            return ServerUnavailable(f"smtp: {server} did not answer in time; check smtp.host, port and security")
        case smtplib.SMTPServerDisconnected():
            return ServerUnavailable(f"smtp: {server} closed the connection right away; check smtp.port and security")
        case smtplib.SMTPException():
            reason = reason.rstrip(".")
            return ServerUnavailable(
                f"smtp: {server} rejected the session: {reason}; try again later, or contact its operator"
            )
        case ssl.SSLCertVerificationError():
            fix = "check smtp.host, or have the certificate fixed"
            return ServerUnavailable(f"smtp: the certificate of {server} is not trusted: {error.verify_message}; {fix}")
        case ssl.SSLError():
            return ServerUnavailable(f"smtp: no TLS with {server}: {reason}; check smtp.port and security")
        case UnicodeError() if connected:
            return UserError(
                "smtp: the login contains characters that SMTP does not allow; check smtp.user and the password"
            )
        case UnicodeError():
            return UserError(f"smtp.host: {settings.host!r} is not a host name; write it like smtp.example.org")
    return ServerUnavailable(f"smtp: cannot reach {server}: {reason}; check smtp.host and port")


def _why_no_login(error: smtplib.SMTPAuthenticationError, settings: Smtp, name: str) -> NewsletterError:
    reply = shown_reply(error.smtp_code, error.smtp_error)
    login = f"the login of {settings.user}"
    if not 500 <= error.smtp_code < 600:
        return ServerUnavailable(f"smtp: {server_name(settings)} cannot process {login} now: {reply}; try again later")
    if settings.oauth2_file:
        secret = "smtp.oauth2_file"  # noqa: S105 - where it comes from
    elif os.environ.get(password_variable(name)):
        secret = password_variable(name)
    else:
        secret = "smtp.password_file" if settings.password_file else "the password in the keyring"
    return UserError(f"smtp: {server_name(settings)} rejected {login}: {reply}; check smtp.user and {secret}")


def _missing_extension(reason: str, settings: Smtp) -> str:
    if "AUTH" not in reason:
        return "set smtp.security to tls or none"
    # Many servers offer a login only over an encrypted connection.
    return (
        "set smtp.security to starttls, or leave out smtp.user"
        if settings.security == "none"
        else "leave out smtp.user"
    )


def _check_oauth2(path: Path) -> None:
    """Check the file before yagmail reads it: on an unexpected one it would ask questions on the terminal."""
    try:
        known = json.loads(secret_file(path))
    except ValueError:
        known = None
    if not isinstance(known, dict) or not known.keys() >= _OAUTH2_KEYS:
        raise UserError(f"{path}: not an OAuth2 file; it needs {', '.join(sorted(_OAUTH2_KEYS))} as JSON")


def password_variable(name: str) -> str:
    """Return the environment variable for the password of an account."""
    own = "" if name == "smtp" else "_" + re.sub(r"\W", "_", name).upper()
    return f"NEWSLETTER_SMTP_PASSWORD{own}"


def account_password(settings: Smtp, folder: Path, name: str) -> str:
    """Return the password of an account; empty if there is no login.

    Raises:
        UserError: it is not set anywhere, or cannot be read.
    """
    if settings.user is None:
        return ""
    return password(password_variable(name), "yagmail", settings.user, settings.password_file, folder, "smtp")
