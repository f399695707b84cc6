"""The wire against real servers: what is sent, put off, refused, or cannot be known."""

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
import yagmail.oauth2
from aiosmtpd.smtp import AuthResult, LoginPassword
from pytest_httpserver import HTTPServer

from newsletter.config import Smtp
from newsletter.delivery.transport import Outcome, ServerUnusable, Transport
from newsletter.demo import Loopback
from newsletter.errors import UserError
from newsletter.model import Message, SendState
from tests.smtp import Mailbox


def message(recipient: str = "ada@example.org", content: bytes = b"Subject: x\r\n\r\nbody\r\n") -> Message:
    return Message(sender="papers@example.org", recipient=recipient, message_id="<1@example.org>", content=content)


def settings(port: int, **changes: object) -> Smtp:
    return Smtp.model_validate(
        {"host": "127.0.0.1", "port": port, "security": "none", "timeout_seconds": 10, **changes}
    )


def send(port: int, one: Message | None = None, folder: Path = Path(), **changes: object) -> Outcome:
    with Transport(settings(port, **changes), folder) as transport:
        return transport.send(one or message())


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def server(mailbox: Mailbox) -> Iterator[Loopback]:
    with Loopback(mailbox) as server:
        yield server


def test_one_session_carries_many(server: Loopback, mailbox: Mailbox) -> None:
    with Transport(settings(server.port), Path()) as transport:
        for number in range(5):
            outcome = transport.send(message(f"r{number}@example.org"))
            assert outcome == Outcome(SendState.SENT, "250 taken")
    assert mailbox.recipients() == [f"r{number}@example.org" for number in range(5)]
    assert mailbox.connections == 1


def test_dots_and_line_ends_arrive_as_they_were(server: Loopback, mailbox: Mailbox) -> None:
    content = b"Subject: x\r\n\r\n.\r\n..two\r\n.one\r\nbare\nlf\r\nno end"
    send(server.port, message(content=content))
    ((_, arrived),) = mailbox.accepted
    assert arrived == b"Subject: x\r\n\r\n.\r\n..two\r\n.one\r\nbare\r\nlf\r\nno end\r\n"


@pytest.mark.parametrize(
    ("stage", "answer", "state"),
    [
        ("on_recipient", "550 5.1.1 no such user", SendState.FAILED),
        ("on_recipient", "450 4.7.1 greylisted", SendState.DEFERRED),
        ("on_data", "552 5.3.4 too big", SendState.FAILED),
        ("on_data", "451 4.3.0 try later", SendState.DEFERRED),
        ("on_sender", "451 4.3.0 not now", SendState.DEFERRED),
        ("on_recipient", "421 4.3.2 going down", SendState.DEFERRED),
    ],
)
def test_the_servers_words_are_kept(
    server: Loopback, mailbox: Mailbox, stage: str, answer: str, state: SendState
) -> None:
    setattr(mailbox, stage, lambda address: answer)
    with Transport(settings(server.port), Path()) as transport:
        outcome = transport.send(message())
        assert (outcome.state, outcome.smtp_reply) == (state, answer)
        # The session is good for the next message all the same.
        setattr(mailbox, stage, lambda address: None)
        assert transport.send(message("bob@example.org")).state is SendState.SENT
    assert mailbox.recipients() == ["bob@example.org"]


def test_a_refused_sender_is_no_fault_of_the_message(server: Loopback, mailbox: Mailbox) -> None:
    mailbox.on_sender = lambda address: "553 5.7.1 not yours"
    with pytest.raises(ServerUnusable, match=r"refuses the sender papers@example\.org: 553 5\.7\.1 not yours"):
        send(server.port)


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServerUnusable, match=f"cannot reach 127.0.0.1:{port}: Connection refused"):
        send(port)


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(ServerUnusable, match=r"cannot reach no\.such\.host\.invalid:25"):
        send(25, host="no.such.host.invalid")


@contextmanager
def breaking_server(*, after_dot: bool, times: int) -> Iterator[tuple[int, list[bytes]]]:
    """A server that breaks the connection off around the final dot, ``times`` times, then takes what comes."""
    listener = socket.create_server(("127.0.0.1", 0))
    whole: list[bytes] = []

    def serve() -> None:
        broken = 0
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"220 breaking\r\n")
                while line := lines.readline():
                    if not line.upper().startswith(b"DATA"):
                        connection.sendall(b"250 OK\r\n")
                        continue
                    if broken < times and not after_dot:
                        broken += 1
                        break
                    connection.sendall(b"354 go on\r\n")
                    content = b""
                    while not content.endswith(b"\r\n.\r\n"):
                        content += lines.readline()
                    whole.append(content)
                    if broken < times:
                        broken += 1
                        break
                    connection.sendall(b"250 taken\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], whole
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_lost_before_the_dot_is_sent_again_at_once() -> None:
    with breaking_server(after_dot=False, times=1) as (port, whole):
        assert send(port).state is SendState.SENT
    assert len(whole) == 1


def test_lost_before_the_dot_twice_is_the_servers_fault() -> None:
    with (
        breaking_server(after_dot=False, times=9) as (port, whole),
        pytest.raises(ServerUnusable, match="broke the connection off twice"),
    ):
        send(port)
    assert whole == []


def test_lost_after_the_dot_is_unsure_and_not_sent_again() -> None:
    with breaking_server(after_dot=True, times=1) as (port, whole), Transport(settings(port), Path()) as transport:
        outcome = transport.send(message())
        assert outcome.state is SendState.UNSURE
        assert "the connection was lost before the server confirmed" in (outcome.reason or "")
        assert transport.send(message("bob@example.org")).state is SendState.SENT
    assert len(whole) == 2


@pytest.mark.parametrize("words", ["garbage", "9999 what", "354 go on", "250", "251 forwarded", "200 ok"])
def test_an_answer_after_the_dot_that_makes_no_sense_is_unsure(server: Loopback, mailbox: Mailbox, words: str) -> None:
    mailbox.on_data = lambda address: words
    state = send(server.port).state
    assert state is (SendState.SENT if words.startswith("2") else SendState.UNSURE)


def test_a_silent_server_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ServerUnusable, match="timed out"):
            send(port, timeout_seconds=0.2)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs the certificate of a test's server."""
    return trustme.CA()


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def test_starttls_with_a_certificate_that_is_trusted(
    mailbox: Mailbox, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with Loopback(mailbox, tls_context=server_context(authority), require_starttls=True) as server:
        assert send(server.port, host="localhost", security="starttls").state is SendState.SENT


def test_a_certificate_that_is_not_trusted(mailbox: Mailbox, authority: trustme.CA) -> None:
    with (
        Loopback(mailbox, tls_context=server_context(authority)) as server,
        pytest.raises(ServerUnusable, match=r"certificate of localhost:\d+ is not to be trusted"),
    ):
        send(server.port, host="localhost", security="starttls")
    assert mailbox.accepted == []


def test_a_server_without_tls_gets_nothing_when_tls_is_asked_for(server: Loopback, mailbox: Mailbox) -> None:
    with pytest.raises(UserError, match="STARTTLS extension not supported"):
        send(server.port, security="starttls")
    assert mailbox.accepted == []


@contextmanager
def login_server(mailbox: Mailbox, password: str = "right") -> Iterator[Loopback]:
    def check(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", password.encode())
        return AuthResult(success=good, handled=False)

    with Loopback(mailbox, authenticator=check, auth_require_tls=False, auth_required=True) as server:
        yield server


def test_login_with_a_password_from_the_environment_or_a_file(
    mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with login_server(mailbox) as server:
        monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "right")
        assert send(server.port, user="me").state is SendState.SENT
        monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "wrong")
        with pytest.raises(UserError, match="does not accept the login of me: 535"):
            send(server.port, user="me")
        monkeypatch.delenv("NEWSLETTER_SMTP_PASSWORD")
        secret = tmp_path / "password"
        secret.write_text("right\n")
        secret.chmod(0o600)
        assert send(server.port, folder=tmp_path, user="me", password_file="password").state is SendState.SENT
        secret.chmod(0o644)
        with pytest.raises(UserError, match=r"others may read it \(mode 0644\); run 'chmod 600"):
            send(server.port, folder=tmp_path, user="me", password_file="password")


class TokenLogin(Mailbox):
    """Knows the mechanism XOAUTH2, and one token."""

    async def auth_XOAUTH2(self, server: object, args: list[str]) -> AuthResult:
        said = base64.b64decode(args[1])
        good = said == b"user=me@example.org\x01auth=Bearer fresh token\x01\x01"
        return AuthResult(success=good, handled=False, auth_data="me")


@pytest.mark.parametrize("token", ["fresh token", "stale token"])
def test_login_with_oauth2(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer, token: str
) -> None:
    httpserver.expect_request("/o/oauth2/token", method="POST").respond_with_json(
        {"access_token": token, "expires_in": 3599}
    )
    # yagmail knows one service that gives out tokens; here another answers in its place.
    monkeypatch.setattr(yagmail.oauth2, "GOOGLE_ACCOUNTS_BASE_URL", httpserver.url_for("").rstrip("/"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    names = ("google_client_id", "google_client_secret", "google_refresh_token")
    path = tmp_path / "oauth2.json"
    path.write_text(json.dumps({"email_address": "me@example.org", **dict.fromkeys(names, "x")}))
    path.chmod(0o600)
    login = {"user": "me@example.org", "oauth2_file": "oauth2.json", "host": "localhost", "security": "starttls"}
    box = TokenLogin()
    with Loopback(box, tls_context=server_context(authority), require_starttls=True, auth_required=True) as server:
        if token == "fresh token":
            assert send(server.port, folder=tmp_path, **login).state is SendState.SENT
        else:
            with pytest.raises(UserError, match=r"does not accept the login of me@example\.org: 535"):
                send(server.port, folder=tmp_path, **login)
    assert len(box.accepted) == (token == "fresh token")


@pytest.mark.parametrize("text", ["{}", "[]", "not json", '{"installed": {"client_id": "x"}}'])
def test_an_oauth2_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "oauth2.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UserError, match=r"oauth2\.json: not an OAuth2 file; it needs email_address, google_client_id"):
        send(1, folder=tmp_path, user="me@example.org", oauth2_file="oauth2.json")


def test_no_password_anywhere_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEWSLETTER_SMTP_PASSWORD", raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    with pytest.raises(UserError, match="no password for me; set NEWSLETTER_SMTP_PASSWORD"):
        send(1, user="me")


def test_international_addresses(mailbox: Mailbox) -> None:
    with Loopback(mailbox, enable_SMTPUTF8=True) as server:
        assert send(server.port, message("zoë@example.org")).state is SendState.SENT
        assert send(server.port, message("ada@bücher.example")).state is SendState.SENT
        # Not "strasse", as the older standard had it, which is somebody else's domain.
        assert send(server.port, message("ada@straße.example")).state is SendState.SENT
    assert mailbox.recipients() == ["zoë@example.org", "ada@xn--bcher-kva.example", "ada@xn--strae-oqa.example"]
    with Loopback(mailbox) as plain:
        outcome = send(plain.port, message("zoë@example.org"))
        assert outcome.state is SendState.FAILED
        assert "SMTPUTF8" in (outcome.reason or "")
        # That the newsletter itself goes by such an address is no fault of any reader.
        with pytest.raises(UserError, match=r"SMTPUTF8.*; write site\.from and site\.reply_to in ASCII"):
            send(plain.port, message(content="Reply-To: grüße@example.org\r\n\r\nbody\r\n".encode()))
