"""The session: yagmail opens it and logs in; whatever keeps it from that is told with its mend."""

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
"""Is told of the connection whenever an answer is waited for."""


class ServerUnavailable(NewsletterError):
    """The server cannot be used at all at present: no message is to blame, and none was sent."""


class AccountUnavailable(ServerUnavailable):
    """The server takes nothing at all by this account, in whichever session."""


class _Watched(smtplib.SMTP):
    """A session whose waits can be ended from outside."""

    def __init__(self, *arguments: Any, watch: Watch, **options: Any) -> None:
        self._watch = watch
        super().__init__(*arguments, **options)

    def getreply(self) -> tuple[int, bytes]:
        self._watch(self.sock)
        return super().getreply()

    def ehlo(self, name: str = "") -> tuple[int, bytes]:
        # yagmail does not look whether its greeting is taken.
        code, words = super().ehlo(name)
        if code >= 500:
            code, words = self.helo(name)
        if not 200 <= code < 300:
            raise smtplib.SMTPHeloError(code, words)
        return code, words


class _WatchedTls(_Watched, smtplib.SMTP_SSL):
    """The same, with TLS from the start."""


class _Client(yagmail.Client):  # type: ignore[misc]
    """yagmail's client, whose OAuth2 login does not verify TLS and does not look at the server's answer."""

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
        if code == 334:  # The server explains itself once it has been answered (RFC 7628, section 3.2.3).
            code, reply = self.smtp.docmd("")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, reply)
        self.is_closed = False

    def _oauth2_proof(self, known: dict[str, str]) -> str:
        try:
            return str(self.get_oauth_string(self.user, known))
        except HTTPError as error:
            if error.code >= 500:
                raise ServerUnavailable(f"smtp: Google gives no token at present: {error}; try again later") from None
            raise UserError(
                f"smtp: Google gives no token for {self.user}: {error}; make {self.oauth2_file} anew"
            ) from None
        except (OSError, ValueError, KeyError) as error:
            raise ServerUnavailable(f"smtp: cannot get a token from Google: {error}; try again later") from None


def open_session(settings: Smtp, folder: Path, name: str, watch: Watch) -> Any:
    """Open a session with a server and log in.

    Args:
        folder: from which the paths in ``settings`` count.
        name: of the account.

    Returns:
        yagmail's client; its ``smtp`` is the session, greeted and ready for a message.

    Raises:
        UserError: a setting, a password or a key is missing or wrong.
        ServerUnavailable: the server cannot be reached, is not to be trusted, or does not want us at present.
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
    """Shut a session without a word: yagmail would say goodbye when it is thrown away, and wait for the answer."""
    client.is_closed = True
    if client.smtp is not None:
        client.smtp.close()


def server_name(settings: Smtp) -> str:
    """The server, for people."""
    return f"{settings.host}:{settings.port}"


def shown_reply(code: int, words: bytes | str) -> str:
    """An answer of a server in one line, as it gave it."""
    text = " ".join((words.decode("utf-8", "replace") if isinstance(words, bytes) else words).split())
    # Of what does not begin with a number smtplib has lost the beginning.
    return (f"{code} {text}" if code >= 0 else f"…{text}")[:500]


def shown_error(error: Exception) -> str:
    """What broke a session, in words."""
    if isinstance(error, smtplib.SMTPResponseException):
        return shown_reply(error.smtp_code, error.smtp_error)
    return str(error.strerror if isinstance(error, OSError) and error.strerror else error) or type(error).__name__


def is_timeout(error: BaseException) -> bool:
    """Whether an error comes of a wait that was too long, which smtplib tells as a connection that was closed."""
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
    # yagmail would make "apikey" into "apikey@gmail.com".
    client.user = settings.user
    return client


def _own_name() -> str | None:
    """This host's full name; None when it has none that another host could know."""
    try:
        name = host_name(socket.getfqdn())
    except ValueError:
        return None
    first, last = name.partition(".")[0], name.rpartition(".")[2]
    # "localhost.localdomain", or the name of an address that has none ("1.0.0.127.in-addr.arpa").
    return None if first == "localhost" or last in ("localdomain", "localhost", "arpa") else name


def _why_not(error: Exception, settings: Smtp, name: str, connected: bool) -> NewsletterError:
    """Why a session could not be opened, with the mend."""
    server, told = server_name(settings), shown_error(error)
    match error:
        case smtplib.SMTPAuthenticationError():
            return _why_no_login(error, settings, name)
        case smtplib.SMTPNotSupportedError():
            return UserError(f"smtp: {server}: {told}; {_missing_extension(told, settings)}")
        case smtplib.SMTPConnectError() if not 400 <= error.smtp_code < 600:
            return ServerUnavailable(f"smtp: {server} is no mail server, it says {told!r}; check smtp.host and port")
        case smtplib.SMTPConnectError():
            return ServerUnavailable(f"smtp: {server} turns us away: {told}; try again later, or ask who runs it")
        case smtplib.SMTPHeloError():
            return ServerUnavailable(f"smtp: {server} does not take our greeting (EHLO): {told}; ask who runs it")
        case _ if is_timeout(error):
            return ServerUnavailable(f"smtp: {server} did not answer in time; check smtp.host, port and security")
        case smtplib.SMTPServerDisconnected():
            return ServerUnavailable(f"smtp: {server} broke the connection off at once; check smtp.port and security")
        case smtplib.SMTPException():
            told = told.rstrip(".")
            return ServerUnavailable(f"smtp: {server} lets us not begin: {told}; try again later, or ask who runs it")
        case ssl.SSLCertVerificationError():
            fix = "check smtp.host, or have the certificate mended"
            return ServerUnavailable(
                f"smtp: the certificate of {server} is not to be trusted: {error.verify_message}; {fix}"
            )
        case ssl.SSLError():
            return ServerUnavailable(f"smtp: no TLS with {server}: {told}; check smtp.port and security")
        case UnicodeError() if connected:
            return UserError("smtp: the login has letters that SMTP cannot carry; check smtp.user and the password")
        case UnicodeError():
            return UserError(f"smtp.host: {settings.host!r} is no host name; write it like smtp.example.org")
    return ServerUnavailable(f"smtp: cannot reach {server}: {told}; check smtp.host and port")


def _why_no_login(error: smtplib.SMTPAuthenticationError, settings: Smtp, name: str) -> NewsletterError:
    reply = shown_reply(error.smtp_code, error.smtp_error)
    login = f"the login of {settings.user}"
    if not 500 <= error.smtp_code < 600:
        return ServerUnavailable(
            f"smtp: {server_name(settings)} cannot take {login} at present: {reply}; try again later"
        )
    if settings.oauth2_file:
        secret = "smtp.oauth2_file"  # noqa: S105 - where it comes from
    elif os.environ.get(password_variable(name)):
        secret = password_variable(name)
    else:
        secret = "smtp.password_file" if settings.password_file else "the password in the keyring"
    return UserError(f"smtp: {server_name(settings)} does not accept {login}: {reply}; check smtp.user and {secret}")


def _missing_extension(told: str, settings: Smtp) -> str:
    if "AUTH" not in told:
        return "set smtp.security to tls or none"
    # Many servers offer a login only where nobody else can read it.
    return (
        "set smtp.security to starttls, or leave out smtp.user"
        if settings.security == "none"
        else "leave out smtp.user"
    )


def _check_oauth2(path: Path) -> None:
    """yagmail would ask questions on the terminal about a file that is not as it writes it itself."""
    try:
        known = json.loads(secret_file(path))
    except ValueError:
        known = None
    if not isinstance(known, dict) or not known.keys() >= _OAUTH2_KEYS:
        raise UserError(f"{path}: not an OAuth2 file; it needs {', '.join(sorted(_OAUTH2_KEYS))} as JSON")


def password_variable(name: str) -> str:
    """The environment variable with the password of an account."""
    own = "" if name == "smtp" else "_" + re.sub(r"\W", "_", name).upper()
    return f"NEWSLETTER_SMTP_PASSWORD{own}"


def account_password(settings: Smtp, folder: Path, name: str) -> str:
    """The password of an account; empty where there is no login.

    Raises:
        UserError: it is nowhere, or cannot be read.
    """
    if settings.user is None:
        return ""
    return password(password_variable(name), "yagmail", settings.user, settings.password_file, folder, "smtp")
