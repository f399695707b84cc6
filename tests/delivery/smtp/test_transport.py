"""The wire against real servers: what is sent, put off, refused, or cannot be known."""

import base64
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import keyring.backends.fail
import keyring.backends.null
import keyring.core
import pytest
import trustme
import yagmail.oauth2
from aiosmtpd.smtp import AuthResult, LoginPassword
from pytest_httpserver import HTTPServer

from newsletter.config.mail import Smtp
from newsletter.delivery.smtp.session import ServerUnavailable
from newsletter.delivery.smtp.transport import ConnectionAborted, Outcome, Transport
from newsletter.errors import UserError
from newsletter.model import Message, SendState
from newsletter.services.demo import LoopbackServer
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox


def message(recipient: str = "ada@example.org", content: bytes = b"Subject: x\r\n\r\nbody\r\n") -> Message:
    return Message(sender="papers@example.org", recipient=recipient, message_id="<1@example.org>", content=content)


def settings(port: int, **changes: object) -> Smtp:
    return Smtp.model_validate(
        {"host": "127.0.0.1", "port": port, "security": "none", "timeout_seconds": 10, **changes}
    )


def send(port: int, one: Message | None = None, folder: Path = Path(), **changes: object) -> Outcome:
    with Transport(settings(port, **changes), folder) as transport:
        return transport.send(one or message())


@pytest.fixture(params=[False, True], ids=["one by one", "pipelining"])
def mailbox(request: pytest.FixtureRequest) -> Mailbox:
    made = Mailbox()
    made.pipelining = request.param
    return made


@pytest.fixture
def server(mailbox: Mailbox) -> Iterator[LoopbackServer]:
    with LoopbackServer(mailbox) as server:
        yield server


def test_one_session_carries_many(server: LoopbackServer, mailbox: Mailbox) -> None:
    with Transport(settings(server.port), Path()) as transport:
        for number in range(5):
            outcome = transport.send(message(f"r{number}@example.org"))
            assert outcome == Outcome(SendState.SENT, "250 taken")
    assert mailbox.recipients() == [f"r{number}@example.org" for number in range(5)]
    assert mailbox.connections == 1


def test_dots_and_line_ends_arrive_as_they_were(server: LoopbackServer, mailbox: Mailbox) -> None:
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
    server: LoopbackServer, mailbox: Mailbox, stage: str, answer: str, state: SendState
) -> None:
    setattr(mailbox, stage, lambda address: answer)
    with Transport(settings(server.port), Path()) as transport:
        outcome = transport.send(message())
        assert (outcome.state, outcome.smtp_reply) == (state, answer)
        # The session is good for the next message all the same.
        setattr(mailbox, stage, lambda address: None)
        assert transport.send(message("bob@example.org")).state is SendState.SENT
    assert mailbox.recipients() == ["bob@example.org"]


def test_a_refused_sender_is_no_fault_of_the_message(server: LoopbackServer, mailbox: Mailbox) -> None:
    mailbox.on_sender = lambda address: "553 5.7.1 not yours"
    with pytest.raises(ServerUnavailable, match=r"refuses the sender papers@example\.org: 553 5\.7\.1 not yours"):
        send(server.port)


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServerUnavailable, match=f"cannot reach 127.0.0.1:{port}: Connection refused"):
        send(port)


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(ServerUnavailable, match=r"cannot reach no\.such\.host\.invalid:25"):
        send(25, host="no.such.host.invalid")


def test_a_server_that_wants_the_content_of_a_refused_message_gets_none() -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(b"220 hello\r\n")
            heard.append(connection.recv(1000))
            connection.sendall(b"250-hello\r\n250 PIPELINING\r\n")
            heard.append(connection.recv(1000))
            connection.sendall(b"250 fine\r\n550 5.1.1 no such user\r\n354 go on\r\n")
            heard.append(connection.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=lambda: talk(listener.accept()[0]), daemon=True)
        serving.start()
        assert send(listener.getsockname()[1]).smtp_reply == "550 5.1.1 no such user"
        serving.join(10)
    assert heard[1:] == [b"MAIL FROM:<papers@example.org>\r\nRCPT TO:<ada@example.org>\r\nDATA\r\n", b""]


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
        pytest.raises(
            ServerUnavailable, match=r"closed the connection \(Connection unexpectedly closed\), twice; try again"
        ),
    ):
        send(port)
    assert whole == []


def test_lost_after_the_dot_is_unsure_and_not_sent_again() -> None:
    with breaking_server(after_dot=True, times=1) as (port, whole), Transport(settings(port), Path()) as transport:
        outcome = transport.send(message())
        assert outcome.state is SendState.UNSURE
        reason = "handed over, but the server closed the connection (Connection unexpectedly closed)"
        assert outcome.reason == reason
        assert transport.send(message("bob@example.org")).state is SendState.SENT
    assert len(whole) == 2


@pytest.mark.parametrize("words", ["garbage", "9999 what", "354 go on", "250", "251 forwarded", "200 ok"])
def test_an_answer_after_the_dot_that_makes_no_sense_is_unsure(
    server: LoopbackServer, mailbox: Mailbox, words: str
) -> None:
    mailbox.on_data = lambda address: words
    state = send(server.port).state
    assert state is (SendState.SENT if words.startswith("2") else SendState.UNSURE)


def test_a_silent_server_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ServerUnavailable, match=r"did not answer in time; check smtp\.host, port and security"):
            send(port, timeout_seconds=0.2)


@contextmanager
def speaking_server(answers: dict[str, str], greeting: str = "220 hello") -> Iterator[int]:
    """A server that answers each command as it is told to (by its first word), else with 250; ``DRIP`` for an answer
    never comes to its end.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def say(connection: socket.socket, words: str) -> None:
        while words == "DRIP":
            connection.sendall(b"2")
            time.sleep(0.05)
        connection.sendall(f"{words}\r\n".encode())

    def talk(connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            say(connection, greeting)
            for line in lines:
                word = line.split()[0].decode(errors="replace").upper()
                say(connection, answers.get(word, "354 go on" if word == "DATA" else "250 OK"))
                if word == "DATA":
                    while lines.readline() != b".\r\n":
                        pass
                    say(connection, answers.get(".", "250 taken"))

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize(
    ("greeting", "answers", "changes", "error", "words"),
    [
        (
            "SSH-2.0-OpenSSH_9.6",
            {},
            {},
            ServerUnavailable,
            "is not a mail server: it answered '…2.0-OpenSSH_9.6'; check smtp.host",
        ),
        ("554 not you", {}, {}, ServerUnavailable, "refused the connection: 554 not you; try again later"),
        (
            "220 hi",
            {"EHLO": "554 no", "HELO": "554 no"},
            {},
            ServerUnavailable,
            "rejected our greeting (EHLO): 554 no",
        ),
        (
            "220 hi",
            {"EHLO": "554 no", "HELO": "554 no"},
            {"security": "starttls"},
            ServerUnavailable,
            "rejected our greeting (EHLO): 554 no; contact its operator",
        ),
        ("220 hi", {"EHLO": "421 full"}, {}, ServerUnavailable, "rejected our greeting (EHLO): 421 full"),
        (
            "220 hi",
            {"EHLO": "250-hi\r\n250 STARTTLS", "STARTTLS": "454 no TLS now"},
            {"security": "starttls"},
            ServerUnavailable,
            "rejected the session: 454 no TLS now; try again later",
        ),
        (
            "220 hi",
            {"EHLO": "250 hi"},
            {"user": "me"},
            UserError,
            "set smtp.security to starttls, or leave out smtp.user",
        ),
        (
            "220 hi",
            {"EHLO": "250-hi\r\n250 AUTH PLAIN", "AUTH": "454 4.7.0 try later"},
            {"user": "me"},
            ServerUnavailable,
            "cannot process the login of me now: 454 4.7.0 try later; try again later",
        ),
        (
            "220 hi",
            {"EHLO": "250-hi\r\n250 AUTH PLAIN", "AUTH": "535 5.7.8 wrong"},
            {"user": "me"},
            UserError,
            "rejected the login of me: 535 5.7.8 wrong; check smtp.user and NEWSLETTER_SMTP_PASSWORD",
        ),
        (
            "220 hi",
            {"EHLO": "250-hi\r\n250 AUTH PLAIN"},
            {"user": "zoë"},
            UserError,
            "the login contains characters that SMTP does not allow; check smtp.user and the password",
        ),
        ("220 hi", {}, {"security": "tls"}, ServerUnavailable, "no TLS with 127.0.0.1:"),
        (
            "220 hi",
            {"MAIL": "530 5.7.0 log in"},
            {},
            UserError,
            "requires a login or TLS first: 530 5.7.0 log in; set smtp.",
        ),
        (
            "220 hi",
            {"RCPT": "530 5.7.0 log in"},
            {},
            UserError,
            "requires a login or TLS first: 530 5.7.0 log in; set smtp.",
        ),
        (
            "220 hi",
            {"MAIL": "what"},
            {},
            ConnectionAborted,
            "sent an invalid answer (…), twice; try again later",
        ),
        ("220 hi", {}, {"host": "mail..example"}, UserError, "smtp.host: 'mail..example' is not a host name"),
    ],
)
def test_what_keeps_mail_from_going_out_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
    greeting: str,
    answers: dict[str, str],
    changes: dict[str, str],
    error: type[Exception],
    words: str,
) -> None:
    monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "secret")
    with speaking_server(answers, greeting) as port, pytest.raises(error, match=re.escape(words)) as raised:
        send(port, **changes)
    assert type(raised.value) is error
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("command", ["greeting", "EHLO", "MAIL", "DATA"])
def test_a_server_that_never_comes_to_an_end_is_given_up(command: str) -> None:
    greeting = "DRIP" if command == "greeting" else "220 hello"
    with (
        speaking_server({command: "DRIP"}, greeting) as port,
        Transport(settings(port), Path(), longest=0.3) as transport,
        pytest.raises(ServerUnavailable, match=r"timed out after 0\.3 seconds; try again later"),
    ):
        transport.send(message())


def test_a_server_that_never_comes_to_an_end_after_the_dot_leaves_it_unsure() -> None:
    with speaking_server({".": "DRIP"}) as port, Transport(settings(port), Path(), longest=3) as transport:
        outcome = transport.send(message())
        assert outcome.state is SendState.UNSURE
        assert outcome.reason == "handed over, but the server timed out after 3 seconds"


def test_goodbye_takes_no_longer_than_one_answer() -> None:
    with speaking_server({"QUIT": "DRIP"}) as port:
        began = time.monotonic()
        assert send(port, timeout_seconds=3).state is SendState.SENT
        assert time.monotonic() - began < 30


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
    with LoopbackServer(mailbox, tls_context=server_context(authority), require_starttls=True) as server:
        assert send(server.port, host="localhost", security="starttls").state is SendState.SENT


def test_a_certificate_that_is_not_trusted(mailbox: Mailbox, authority: trustme.CA) -> None:
    with (
        LoopbackServer(mailbox, tls_context=server_context(authority)) as server,
        pytest.raises(ServerUnavailable, match=r"certificate of localhost:\d+ is not trusted"),
    ):
        send(server.port, host="localhost", security="starttls")
    assert mailbox.accepted == []


def test_a_server_without_tls_gets_nothing_when_tls_is_asked_for(server: LoopbackServer, mailbox: Mailbox) -> None:
    with pytest.raises(UserError, match="STARTTLS extension not supported"):
        send(server.port, security="starttls")
    assert mailbox.accepted == []


@contextmanager
def login_server(mailbox: Mailbox, password: str = "right") -> Iterator[LoopbackServer]:
    def check(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", password.encode())
        return AuthResult(success=good, handled=False)

    with LoopbackServer(mailbox, authenticator=check, auth_require_tls=False, auth_required=True) as server:
        yield server


def test_login_with_a_password_from_the_environment_or_a_file(
    mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with login_server(mailbox) as server:
        monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "right")
        assert send(server.port, user="me").state is SendState.SENT
        monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "wrong")
        with pytest.raises(UserError, match="rejected the login of me: 535"):
            send(server.port, user="me")
        monkeypatch.delenv("NEWSLETTER_SMTP_PASSWORD")
        secret = tmp_path / "password"
        secret.write_text("right\n")
        secret.chmod(0o600)
        assert send(server.port, folder=tmp_path, user="me", password_file="password").state is SendState.SENT
        secret.chmod(0o644)
        with pytest.raises(UserError, match=r"readable by others \(mode 0644\); run 'chmod 600"):
            send(server.port, folder=tmp_path, user="me", password_file="password")


class TokenLogin(Mailbox):
    """Knows the mechanism XOAUTH2, and one token."""

    async def auth_XOAUTH2(self, server: object, args: list[str]) -> AuthResult:
        said = base64.b64decode(args[1])
        good = said == b"user=me@example.org\x01auth=Bearer fresh token\x01\x01"
        return AuthResult(success=good, handled=False, auth_data="me")


@pytest.fixture
def oauth2_login(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> dict[str, str]:
    """Settings that log in by OAuth2, with a test's own server in the place of Google's."""
    # yagmail knows one service that gives out tokens; here another answers in its place.
    monkeypatch.setattr(yagmail.oauth2, "GOOGLE_ACCOUNTS_BASE_URL", httpserver.url_for("").rstrip("/"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    names = ("google_client_id", "google_client_secret", "google_refresh_token")
    path = tmp_path / "oauth2.json"
    path.write_text(json.dumps({"email_address": "me@example.org", **dict.fromkeys(names, "x")}))
    path.chmod(0o600)
    return {"user": "me@example.org", "oauth2_file": "oauth2.json", "host": "localhost", "security": "starttls"}


@pytest.mark.parametrize("token", ["fresh token", "stale token"])
def test_login_with_oauth2(
    authority: trustme.CA, tmp_path: Path, httpserver: HTTPServer, oauth2_login: dict[str, str], token: str
) -> None:
    httpserver.expect_request("/o/oauth2/token", method="POST").respond_with_json(
        {"access_token": token, "expires_in": 3599}
    )
    box = TokenLogin()
    with LoopbackServer(
        box, tls_context=server_context(authority), require_starttls=True, auth_required=True
    ) as server:
        if token == "fresh token":
            assert send(server.port, folder=tmp_path, **oauth2_login).state is SendState.SENT
        else:
            with pytest.raises(
                UserError, match=r"login of me@example\.org: 535.*; check smtp\.user and smtp\.oauth2_file"
            ):
                send(server.port, folder=tmp_path, **oauth2_login)
    assert len(box.accepted) == (token == "fresh token")


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (400, UserError, r"Google refuses a token for me@example\.org: .*400.*; create .*oauth2\.json again"),
        (503, ServerUnavailable, r"Google is not issuing tokens: .*503.*; try again later"),
        (200, ServerUnavailable, r"cannot get a token from Google: .*; try again later"),
    ],
)
def test_no_token_is_no_fault_of_the_mail_server(
    tmp_path: Path,
    httpserver: HTTPServer,
    oauth2_login: dict[str, str],
    status: int,
    error: type[Exception],
    words: str,
) -> None:
    httpserver.expect_request("/o/oauth2/token", method="POST").respond_with_data("", status=status)
    with pytest.raises(error, match=words):
        send(1, folder=tmp_path, **oauth2_login)


@pytest.mark.parametrize("text", ["{}", "[]", "not json", '{"installed": {"client_id": "x"}}'])
def test_an_oauth2_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "oauth2.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UserError, match=r"oauth2\.json: not an OAuth2 file; it needs email_address, google_client_id"):
        send(1, folder=tmp_path, user="me@example.org", oauth2_file="oauth2.json")


def test_no_password_anywhere_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEWSLETTER_SMTP_PASSWORD", raising=False)
    # Not by a variable: another test may have opened a keyring in this process, which then stays.
    monkeypatch.setattr(keyring.core, "_keyring_backend", keyring.backends.null.Keyring())
    with pytest.raises(
        UserError, match=r"no password for me; set NEWSLETTER_SMTP_PASSWORD .* 'keyring set yagmail me'"
    ):
        send(1, user="me")
    monkeypatch.setattr(keyring.core, "_keyring_backend", keyring.backends.fail.Keyring())
    with pytest.raises(
        UserError, match=r"and no keyring available; set NEWSLETTER_SMTP_PASSWORD or smtp\.password_file$"
    ):
        send(1, user="me")


def test_international_addresses(mailbox: Mailbox) -> None:
    with LoopbackServer(mailbox, enable_SMTPUTF8=True) as server:
        assert send(server.port, message("zoë@example.org")).state is SendState.SENT
        assert send(server.port, message("ada@bücher.example")).state is SendState.SENT
        # Not "strasse", as the older standard had it, which is somebody else's domain.
        assert send(server.port, message("ada@straße.example")).state is SendState.SENT
    assert mailbox.recipients() == ["zoë@example.org", "ada@xn--bcher-kva.example", "ada@xn--strae-oqa.example"]
    with LoopbackServer(mailbox) as plain:
        outcome = send(plain.port, message("zoë@example.org"))
        assert outcome.state is SendState.FAILED
        assert "SMTPUTF8" in (outcome.reason or "")
        # That the newsletter itself goes by such an address is no fault of any reader.
        with pytest.raises(UserError, match=r"SMTPUTF8.*; write site\.from and site\.reply_to in ASCII"):
            send(plain.port, message(content="Reply-To: grüße@example.org\r\n\r\nbody\r\n".encode()))


def write_key(path: Path) -> bytes:
    """Write a private key into a file; returns the record with its public half."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    path.write_bytes(private)
    path.chmod(0o600)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def test_a_message_in_utf8_is_signed_too(newsletter: Newsletter, mail: Mailbox) -> None:
    import dkim

    record = write_key(newsletter.folder / "dkim.pem")
    newsletter.with_sample()
    newsletter.configure(
        smtp={"dkim_selector": "news", "dkim_key_file": "dkim.pem"}, site={"from": "Łódź <papers@example.org>"}
    )
    newsletter.subscriber("zoe", "email: zoë@example.org\nname: Zoë\ninterests: [energy-based models]\n")
    assert newsletter.run("send").out == "1 sent\n"
    ((_, content),) = mail.accepted
    assert "From: Łódź <papers@example.org>\r\n".encode() in content
    assert dkim.verify(content, dnsfunc=lambda name, timeout=5: record)


def test_messages_are_signed_with_dkim_when_a_key_is_set(newsletter: Newsletter, mail: Mailbox) -> None:
    import dkim

    path = newsletter.folder / "dkim.pem"
    record = write_key(path)
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\nname: Ädä\ninterests: [energy-based models]\n")
    newsletter.configure(smtp={"dkim_selector": "news", "dkim_key_file": "dkim.pem"})
    assert newsletter.run("send").out == "1 sent\n"
    ((_, content),) = mail.accepted
    asked = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name.decode())
        return record

    assert dkim.verify(content, dnsfunc=dns)
    (message,) = mail.messages()
    domain = message["From"].addresses[0].domain
    assert set(asked) == {f"news._domainkey.{domain}."}
    assert "list-unsubscribe" in message["DKIM-Signature"]
    assert not dkim.verify(content.replace(b"Subject: ", b"Subject: Re: ", 1), dnsfunc=dns)
    path.write_text("no key")
    newsletter.subscriber("bob", "email: bob@example.org\ninterests: [energy-based models]\n")
    ran = newsletter.run("send", code=2)
    assert "smtp.dkim_key_file: not a private key" in ran.err
    assert {row["email"]: row["state"] for row in newsletter.run("log", "--json").rows} == {
        "ada@example.org": "sent",
        "bob@example.org": "planned",
    }
