"""Mail servers and mailboxes, real ones on loopback: how a session gets on, and what mends it where it does not."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from aiosmtpd.smtp import AuthResult, LoginPassword

from newsletter.config.mail import Bounces, Smtp
from newsletter.doctor.mail import mailbox, session
from newsletter.doctor.result import CheckState
from newsletter.errors import NewsletterError, UserError
from newsletter.services.demo import LoopbackServer
from tests.helpers.imap import PASSWORD, ImapServer
from tests.helpers.smtp import Mailbox

SENDER = "bounces+0@papers-lab.org"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs the certificate of a test's server."""
    return trustme.CA()


@pytest.fixture(autouse=True)
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "right")


@contextmanager
def secure(authority: trustme.CA, box: Mailbox, days: float = 90, **options: object) -> Iterator[Smtp]:
    """An account at a server with STARTTLS and a login, whose certificate is good for so many days."""

    def check(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
        return AuthResult(success=isinstance(data, LoginPassword) and data.password == b"right", handled=False)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = datetime.now(UTC) + timedelta(days=days)
    authority.issue_cert("localhost", not_after=ends).configure_cert(context)
    with LoopbackServer(
        box, tls_context=context, require_starttls=True, authenticator=check, auth_required=True, **options
    ) as server:
        yield Smtp(host="localhost", port=server.port, user="me", timeout_seconds=10)


def test_a_session_that_is_well(authority: trustme.CA) -> None:
    box = Mailbox()
    with secure(authority, box, 60.5) as account:
        finding = session("smtp", "smtp", account, Path(), SENDER)
    assert finding.state is CheckState.OK
    assert finding.found == (
        f"localhost:{account.port}, TLSv1.3, certificate valid for 60 days, logged in as me, accepts mail from {SENDER}"
    )
    assert box.accepted == []  # Nothing is sent unless asked for.


def test_a_certificate_that_ends_soon(authority: trustme.CA) -> None:
    with secure(authority, Mailbox(), 5.5) as account:
        finding = session("smtp", "smtp", account, Path(), SENDER)
    assert (finding.state, finding.fix) == (CheckState.WARNING, "renew the certificate")
    assert "its certificate expires in 5 days" in finding.found


def test_a_server_that_takes_small_messages_only(authority: trustme.CA) -> None:
    with secure(authority, Mailbox(), data_size_limit=100_000) as account:
        finding = session("smtp", "smtp", account, Path(), SENDER)
    assert finding.state is CheckState.WARNING
    assert "accepts at most 100,000 bytes per message" in finding.found


def test_a_certificate_that_is_not_trusted() -> None:
    with (
        secure(trustme.CA(), Mailbox()) as account,
        pytest.raises(NewsletterError, match=r"not trusted.*check smtp\.host, or have the certificate fixed"),
    ):
        session("smtp", "smtp", account, Path(), SENDER)


def test_a_wrong_password(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "wrong")
    with (
        secure(authority, Mailbox()) as account,
        pytest.raises(UserError, match=r"rejected the login of me: 535.*check smtp\.user and NEWSLETTER_SMTP"),
    ):
        session("smtp", "smtp", account, Path(), SENDER)


@pytest.mark.parametrize(
    ("stage", "answer", "state", "fix"),
    [
        ("on_sender", "553 5.7.1 not yours", CheckState.BAD, "check site.from, bounces.address and user"),
        ("on_sender", "530 5.7.0 log in", CheckState.BAD, "set user and password of the account"),
        ("on_sender", "451 4.3.0 not now", CheckState.WARNING, "try again later"),
        ("on_recipient", "554 5.7.1 relay access denied", CheckState.BAD, "allow relaying"),
        ("on_recipient", "550 5.1.1 no such user", CheckState.WARNING, "create that mailbox, or set bounces.address"),
        ("on_recipient", "450 4.7.1 greylisted", CheckState.WARNING, "try again later"),
    ],
)
def test_what_the_server_has_against_our_mail(stage: str, answer: str, state: CheckState, fix: str) -> None:
    box = Mailbox()
    setattr(box, stage, lambda address: answer)
    with LoopbackServer(box) as server:
        account = Smtp(host="127.0.0.1", port=server.port, security="none")
        finding = session("smtp main", "main", account, Path(), SENDER)
    assert (finding.name, finding.state, answer in finding.found) == ("smtp main", state, True), finding
    assert fix in finding.fix


def test_a_mailbox_behind_imap(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    with ImapServer(authority) as server:
        server.put("1", b"Subject: one\r\n\r\nhello\r\n")
        bounces = Bounces(address="bounces@papers-lab.org", imap=server.settings())
        monkeypatch.setenv("NEWSLETTER_IMAP_PASSWORD", PASSWORD)
        for _ in range(2):  # It is still unread after the first.
            assert mailbox(bounces, Path()).found.endswith(f"at 127.0.0.1:{server.port}, 1 unread")
        monkeypatch.setenv("NEWSLETTER_IMAP_PASSWORD", "wrong")
        with pytest.raises(UserError, match="rejected the login of bounces"):
            mailbox(bounces, Path())


def test_a_maildir_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such Maildir; create it, or set another one"):
        mailbox(Bounces(maildir=tmp_path / "Maildir"), tmp_path)
