"""The mailbox behind a real IMAP server: what is read, where it goes, and what stands in the way."""

import socket
from collections.abc import Iterator
from pathlib import Path

import keyring.backends.fail
import keyring.core
import pytest
import trustme

from newsletter.config.mail import Bounces, Imap
from newsletter.delivery.bounces.bounce_mailbox import PASSWORD_VARIABLE, process_unread
from newsletter.delivery.bounces.parser import MAX_BYTES
from newsletter.errors import NewsletterError, UserError
from tests.helpers.imap import PASSWORD, ImapServer


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def running(authority: trustme.CA) -> Iterator[ImapServer]:
    with ImapServer(authority) as server:
        yield server


@pytest.fixture
def server(running: ImapServer, monkeypatch: pytest.MonkeyPatch) -> ImapServer:
    """With two unread messages: one says that it is done with, the other is long."""
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    for path in (path for path in running.mail.rglob("*") if path.is_file()):
        path.unlink()
    running.put("1", b"Subject: one\n\ndone\n")
    running.put("2", b"Subject: two\n\n" + b"long\n" * MAX_BYTES)
    return running


def refuse(name: str, error: Exception) -> None:
    raise AssertionError(name) from error


def read(settings: Imap, folder: Path = Path(), processed: str = "Processed") -> list[bytes]:
    seen: list[bytes] = []

    def take(content: bytes) -> bool:
        seen.append(content)
        return b"done" in content

    process_unread(
        Bounces(imap=settings, processed=processed), folder, take, lambda done, of: None, lambda: False, refuse
    )
    return seen


def files(server: ImapServer, folder: str = "") -> list[str]:
    """The flags of the messages in a folder."""
    return sorted(path.name.partition(":2,")[2] for path in (server.mail / folder / "cur").iterdir())


def test_what_is_done_with_is_moved_and_the_rest_marked_as_read(server: ImapServer) -> None:
    one, two = read(server.settings())
    assert one == b"Subject: one\r\n\r\ndone\r\n"
    assert two.startswith(b"Subject: two")
    assert len(two) == MAX_BYTES
    assert (files(server), files(server, ".Processed")) == (["S"], ["S"])
    assert read(server.settings()) == []


def test_a_message_that_could_not_be_kept_stays_unread(server: ImapServer) -> None:
    def take(content: bytes) -> bool:
        raise NewsletterError("the store is locked")

    with pytest.raises(NewsletterError, match=r"^the store is locked$"):
        process_unread(Bounces(imap=server.settings()), Path(), take, lambda done, of: None, lambda: False, refuse)
    assert len(read(server.settings())) == 2


def test_a_message_that_fails_is_reported_and_the_next_is_read(server: ImapServer) -> None:
    seen: list[bytes] = []
    failed: list[tuple[str, str]] = []

    def take(content: bytes) -> bool:
        if b"one" in content:
            raise LookupError("unknown encoding: nonesuch")
        seen.append(content)
        return True

    def on_failure(name: str, error: Exception) -> None:
        failed.append((name, str(error)))

    settings = Bounces(imap=server.settings(), processed="Processed")
    for _ in range(2):  # the second time, nothing is left to try
        process_unread(settings, Path(), take, lambda done, of: None, lambda: False, on_failure)
    assert len(seen) == 1
    ((name, error),) = failed
    assert name.startswith("message ") and name.endswith(" of INBOX")
    assert error == "unknown encoding: nonesuch"
    assert (files(server), files(server, ".Processed")) == (["S"], ["S"])


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_over_tls_that_is_verified(
    server: ImapServer, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, security: str
) -> None:
    port = server.tls_port if security == "tls" else server.port
    settings = server.settings(port=port, security=security)
    with pytest.raises(NewsletterError, match=r"its certificate is not trusted: .*; check bounces\.imap\.host"):
        read(settings)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert len(read(settings)) == 2


def test_where_all_folders_lie_below_the_inbox(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    with ImapServer(authority, prefix="INBOX.") as server:
        server.put("1", b"\ndone\n")
        read(server.settings(), processed="Done with")
        assert files(server, ".Done with") == ["S"]


def test_the_password_comes_from_a_file_or_the_keyring(
    server: ImapServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE)
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    assert len(read(server.settings(password_file="password"), tmp_path)) == 2
    monkeypatch.setattr(keyring.core, "_keyring_backend", keyring.backends.fail.Keyring())
    fix = f"set {PASSWORD_VARIABLE} or bounces.imap.password_file"
    with pytest.raises(UserError, match=f"^bounces.imap: no password for bounces, and no keyring available; {fix}$"):
        read(server.settings())


def test_what_stands_in_the_way_is_told_with_its_mend(server: ImapServer, monkeypatch: pytest.MonkeyPatch) -> None:
    where = f"bounces.imap: 127.0.0.1:{server.port}"
    with pytest.raises(UserError, match=f"{where} cannot open the folder 'Nonesuch': .*; check bounces.imap.folder"):
        read(server.settings(folder="Nonesuch"))
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    with pytest.raises(UserError, match=f"{where} rejected the login of bounces: .*; check bounces.imap.user"):
        read(server.settings())
    with pytest.raises(NewsletterError, match=r"Connection refused; check bounces\.imap\.host"):
        read(server.settings(port=1))
    with pytest.raises(NewsletterError, match=r"check bounces\.imap\.host, port and security"):
        read(server.settings(security="tls"))  # where plain text is spoken


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {"host": "127.0.0.1", "port": silent.getsockname()[1], "security": "none", "user": "bounces"}
        with pytest.raises(NewsletterError, match=r"timed out; check bounces\.imap\.host"):
            read(Imap.model_validate({**settings, "timeout_seconds": 0.3}))
