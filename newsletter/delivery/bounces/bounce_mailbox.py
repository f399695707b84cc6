"""The bounce mailbox, a Maildir or an IMAP folder: process each unread message, then move it away."""

import imaplib
import mailbox
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from imapclient import SEEN, IMAPClient
from imapclient.exceptions import CapabilityError, LoginError

from newsletter.config.mail import Bounces, Imap
from newsletter.config.secrets import password
from newsletter.delivery.bounces.parser import MAX_BYTES
from newsletter.delivery.smtp.session import shown_error
from newsletter.errors import NewsletterError, UserError
from newsletter.support.deadline import Deadline

HandleMessage = Callable[[bytes], bool]
"""Called with a message (its beginning, if it is long); returns whether it was processed and may be moved away."""

OnProgress = Callable[[int, int], None]
"""Called with the number of messages read so far, and the total."""

OnFailure = Callable[[str, Exception], None]
"""Called for a message that could not be read or processed, with its name in the mailbox and the error."""

PASSWORD_VARIABLE = "NEWSLETTER_IMAP_PASSWORD"  # noqa: S105 - the name of a variable, not a password
_KEYRING_SERVICE = "newsletter-imap"
_LONGEST = 300.0
"""Time limit in seconds for opening a mailbox, or for one message, in total."""


def process_unread(
    settings: Bounces,
    folder: Path,
    take: HandleMessage,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
    on_failure: OnFailure,
) -> None:
    """Process each unread message of the mailbox.

    Processed messages are moved to the configured folder, others stay; all are marked as read, none is deleted.

    Args:
        folder: the base of relative paths in ``settings``.
        should_stop: polled between messages.
        on_failure: called for a message on which ``take`` fails with an error other than a :class:`NewsletterError`.
            It is marked as read, and the next one is read.

    Raises:
        UserError: the mailbox does not exist, or a setting or a password is wrong.
        NewsletterError: it is unavailable.
    """
    if settings.maildir is not None:
        _each_in_maildir(
            folder / settings.maildir, settings.processed, _contained(take, on_failure), on_progress, should_stop
        )
    elif settings.imap is not None:
        _each_by_imap(settings.imap, folder, settings.processed, _contained(take, on_failure), on_progress, should_stop)


_TakeNamed = Callable[[str, bytes], bool]


def _contained(take: HandleMessage, on_failure: OnFailure) -> _TakeNamed:
    """Wrap ``take`` so that whatever goes wrong with one message is reported by its name, and the next one is read."""

    def taken(name: str, content: bytes) -> bool:
        try:
            return take(content)
        except NewsletterError:
            raise  # The store or the configuration is at fault, not this message.
        except Exception as error:
            on_failure(name, error)
            return False

    return taken


def count_unread(settings: Bounces, folder: Path) -> int:
    """Count the unread messages in the mailbox without changing anything. Raises the same as :func:`process_unread`."""
    if settings.maildir is not None:
        path = folder / settings.maildir
        with _maildir(path):
            return len(_unread_in(path))
    if settings.imap is None:
        return 0
    with _opened(settings.imap, folder) as client, Deadline(_LONGEST) as deadline:
        deadline.watch(client.socket())
        return len(client.search(["UNSEEN", "UNDELETED"]))


def _each_in_maildir(
    path: Path, processed: str, take: _TakeNamed, on_progress: OnProgress, should_stop: Callable[[], bool]
) -> None:
    target = processed.replace("/", ".")  # Maildir++ names folders like this
    with _maildir(path) as inbox:
        unread = _unread_in(path)
        for number, one in enumerate(unread):
            on_progress(number, len(unread))
            if should_stop():
                return
            with suppress(FileNotFoundError):  # another process was first
                with one.open("rb") as file:
                    content = file.read(MAX_BYTES)
                done_with = take(one.name, content)
                if done_with:
                    inbox.add_folder(target)
                one.rename((path / f".{target}" if done_with else path) / "cur" / _seen_name(one.name))
        on_progress(len(unread), len(unread))


@contextmanager
def _maildir(path: Path) -> Iterator[Any]:
    """Open a Maildir; errors say how to fix them."""
    try:
        yield mailbox.Maildir(path, factory=None, create=False)
    except mailbox.NoSuchMailboxError:
        raise UserError(f"bounces.maildir: {path}: no such Maildir; create it, or set another one") from None
    except OSError as error:
        raise UserError(
            f"bounces.maildir: {error.filename or path}: {error.strerror}; check that it is a Maildir and that you may "
            "write there"
        ) from None


def _unread_in(path: Path) -> list[Path]:
    return sorted(one for name in ("new", "cur") for one in (path / name).iterdir() if _is_unread(one))


def _is_unread(path: Path) -> bool:
    if not path.is_file():
        return False  # A folder cannot be read, and a pipe may never end.
    return not path.name.startswith(".") and not {"S", "T"} & set(path.name.partition(":2,")[2])


def _seen_name(name: str) -> str:
    base, _, flags = name.partition(":2,")
    return f"{base}:2,{''.join(sorted({*flags, 'S'}))}"


def _each_by_imap(
    settings: Imap,
    folder: Path,
    processed: str,
    take: _TakeNamed,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
) -> None:
    with _opened(settings, folder) as client:
        with Deadline(_LONGEST) as deadline:
            deadline.watch(client.socket())
            unread = client.search(["UNSEEN", "UNDELETED"])
        target = None
        for number, uid in enumerate(unread):
            on_progress(number, len(unread))
            if should_stop():
                return
            with Deadline(_LONGEST) as deadline:
                deadline.watch(client.socket())
                content = _beginning(client, uid)
                if content is None:
                    continue  # another process was first
            done_with = take(f"message {uid} of {settings.folder}", content)
            with Deadline(_LONGEST) as deadline:
                deadline.watch(client.socket())
                client.add_flags([uid], [SEEN], silent=True)
                if done_with:
                    target = target or _folder_for(client, processed)
                    _move(client, uid, target)
        on_progress(len(unread), len(unread))


def imap_password(settings: Imap, folder: Path) -> str:
    """Return the password of a mailbox.

    Raises:
        UserError: it is not set anywhere, or cannot be read.
    """
    return password(PASSWORD_VARIABLE, _KEYRING_SERVICE, settings.user, settings.password_file, folder, "bounces.imap")


@contextmanager
def _opened(settings: Imap, folder: Path) -> Iterator[Any]:
    """Open a session and select the folder; errors say how to fix them."""
    where = f"bounces.imap: {settings.host}:{settings.port}"
    secret = imap_password(settings, folder)
    tls = settings.security == "tls"
    context = ssl.create_default_context() if settings.security != "none" else None
    try:
        with IMAPClient(
            settings.host, settings.port, ssl=tls, ssl_context=context, timeout=settings.timeout_seconds
        ) as client:
            with Deadline(_LONGEST) as deadline:
                deadline.watch(client.socket())
                if settings.security == "starttls":
                    client.starttls(context)
                    deadline.watch(client.socket())
                client.login(settings.user, secret)
                _select(client, settings.folder, where)
            yield client
    except ssl.SSLCertVerificationError as error:
        problem = f"{where}: its certificate is not trusted: {error.verify_message}"
        raise NewsletterError(f"{problem}; check bounces.imap.host, or have the certificate fixed") from None
    except CapabilityError:
        raise UserError(f"{where} offers no STARTTLS; set bounces.imap.security to tls or none") from None
    except LoginError as error:
        fix = f"check bounces.imap.user and {PASSWORD_VARIABLE} or bounces.imap.password_file"
        raise UserError(f"{where} rejected the login of {settings.user}: {_said(error)}; {fix}") from None
    except (OSError, UnicodeError) as error:
        raise NewsletterError(
            f"{where}: {shown_error(error)}; check bounces.imap.host, port and security, or try again later"
        ) from None
    except imaplib.IMAP4.error as error:
        raise NewsletterError(f"{where} rejected a command: {_said(error)}; try again later") from None


def _select(client: Any, folder: str, where: str) -> None:
    try:
        client.select_folder(folder)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        raise UserError(
            f"{where} cannot open the folder {folder!r}: {_said(error)}; check bounces.imap.folder"
        ) from None


def _beginning(client: Any, uid: int) -> bytes | None:
    answer = client.fetch([uid], [f"BODY.PEEK[]<0.{MAX_BYTES}>"]).get(uid, {})
    return next((value for key, value in answer.items() if key.startswith(b"BODY[]")), None)


def _folder_for(client: Any, name: str) -> str:
    """Return the folder to move messages to, created if missing. Some servers have all folders below the INBOX."""
    prefix = ""
    if client.has_capability("NAMESPACE"):
        personal = client.namespace().personal
        prefix = personal[0][0] if personal else ""
    folder = name if name.startswith(prefix) else f"{prefix}{name}"
    if not client.folder_exists(folder):
        client.create_folder(folder)
        client.subscribe_folder(folder)
    return folder


def _move(client: Any, uid: int, folder: str) -> None:
    if client.has_capability("MOVE"):
        client.move([uid], folder)
        return
    client.copy([uid], folder)
    client.delete_messages([uid], silent=True)
    if client.has_capability("UIDPLUS"):
        # Without UIDPLUS, EXPUNGE would delete every message that anybody has marked.
        client.uid_expunge([uid])


def _said(error: Exception) -> str:
    return shown_error(error).removeprefix("b'").removesuffix("'")
