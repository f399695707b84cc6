"""Each fault, by ``send`` against a server, a wire or a disk that has it: where each message ends, what is said of it,
and that it comes once when the fault is over. ``docs/explanation/delivery.md`` has the table.
"""

import resource
import signal
import sqlite3
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Timer

import pytest
import trustme
from aiosmtpd.smtp import AuthResult, LoginPassword

from newsletter.delivery.smtp.transport import Transport
from newsletter.services.demo import LoopbackServer
from tests.helpers.faulty_proxy import Fault, Wire, wire_to
from tests.helpers.newsletter import NOW, Newsletter, faketime_environment, wait_until
from tests.helpers.smtp import Mailbox

TOMORROW = "2025-11-29T09:00"
NAMES = ("r0", "r1", "r2")


@pytest.fixture(autouse=True)
def readers(newsletter: Newsletter) -> None:
    """Three subscribers, who get theirs one after the other."""
    newsletter.with_sample()
    for name in NAMES:
        newsletter.subscriber(name, f"email: {name}@example.org\ninterests: [language models]\n")
    newsletter.configure(smtp={"sessions": 1})


@pytest.fixture
def wire(newsletter: Newsletter, mail: Mailbox) -> Iterator[Wire]:
    """The way to ``mail`` with a fault in it; a server's answer is waited for three seconds."""
    with wire_to(newsletter.config.smtp.port) as made:
        newsletter.configure(smtp={"port": made.port, "timeout_seconds": 3})
        yield made


def states(newsletter: Newsletter) -> list[str]:
    """Of the readers' digests of the first day."""
    return [row["state"] for row in log(newsletter)]


def log(newsletter: Newsletter) -> list[dict]:
    rows = newsletter.run("log", "--edition", "2025-11-28", "--json").rows
    return sorted(rows, key=lambda row: row["email"])


def assert_each_once(newsletter: Newsletter, box: Mailbox) -> None:
    """All have theirs, under the Message-ID of the log, and another run adds nothing."""
    newsletter.run("send", now="2025-11-28T23:00")
    assert sorted(box.recipients()) == [f"{name}@example.org" for name in NAMES]
    assert {message["Message-ID"] for message in box.messages()} == {row["message_id"] for row in log(newsletter)}
    assert states(newsletter) == ["sent"] * 3


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("on_recipient", "450 4.2.0 greylisted, come back in five minutes"),
        ("on_recipient", "452 4.2.2 mailbox full"),
        ("on_data", "451 4.3.0 try later"),
        ("on_sender", "451 4.3.0 not now"),
    ],
)
def test_what_a_server_puts_off_comes_when_its_time_has_come(
    newsletter: Newsletter, mail: Mailbox, stage: str, answer: str
) -> None:
    setattr(mail, stage, lambda address: answer if len(mail.accepted) == 1 else None)
    if stage != "on_sender":
        setattr(mail, stage, lambda address: answer if address == "r1@example.org" else None)
        assert newsletter.run("send").out.startswith("2 sent; 1 deferred until ")
        assert states(newsletter) == ["sent", "deferred", "sent"]
    else:
        assert newsletter.run("send").out.startswith("1 sent; 2 deferred, the first until ")
    put_off = log(newsletter)[1]
    assert (put_off["smtp_reply"], put_off["attempts"]) == (answer, 1)
    assert "2025-11-28T09:05" <= put_off["not_before"] <= "2025-11-28T09:06:01"
    setattr(mail, stage, lambda address: None)
    assert " deferred" in newsletter.run("send", now="2025-11-28T09:04").out
    assert len(mail.accepted) == (1 if stage == "on_sender" else 2)
    newsletter.run("send", now="2025-11-28T09:07")
    assert_each_once(newsletter, mail)


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("on_recipient", "550 5.7.1 not from you"),
        ("on_recipient", "553 5.1.3 mailbox name not allowed"),
        ("on_data", "552 5.3.4 message too big"),
        ("on_data", "550 5.7.1 looks like spam"),
    ],
)
def test_what_a_server_refuses_has_failed_and_its_papers_come_with_the_next_digest(
    newsletter: Newsletter, mail: Mailbox, stage: str, answer: str
) -> None:
    setattr(mail, stage, lambda address: answer if address == "r1@example.org" else None)
    assert newsletter.run("send", code=1).out == "2 sent, 1 failed\n"
    assert states(newsletter) == ["sent", "failed", "sent"]
    failed = log(newsletter)[1]
    assert (failed["smtp_reply"], failed["reason"]) == (answer, "the mail server refused it permanently")
    # Another run does not try it again.
    setattr(mail, stage, lambda address: None)
    newsletter.run("send", now="2025-11-28T12:00")
    assert sorted(mail.recipients()) == ["r0@example.org", "r2@example.org"]
    newsletter.run("send", "--only", "r1@example.org", now=TOMORROW, code=2 if "5.1.3" in answer else 0)
    if "5.1.3" not in answer:
        assert newsletter.run("log", "r1@example.org", "--json").rows[-1]["papers"] == failed["papers"]


def test_a_refused_sender_is_no_fault_of_any_reader(newsletter: Newsletter, mail: Mailbox) -> None:
    mail.on_sender = lambda address: "553 5.7.1 not yours"
    ran = newsletter.run("send", code=1)
    assert "refuses the sender papers@example.org: 553 5.7.1 not yours; check site.from" in ran.err
    assert states(newsletter) == ["planned"] * 3
    mail.on_sender = lambda address: None
    assert_each_once(newsletter, mail)


def test_a_connection_reset_before_the_message_is_opened_anew(
    newsletter: Newsletter, mail: Mailbox, wire: Wire
) -> None:
    wire.fault = Fault.RESET_AT_DATA
    assert newsletter.run("send").out == "3 sent\n"
    assert_each_once(newsletter, mail)


def test_a_connection_reset_twice_before_the_message_puts_that_one_off(
    newsletter: Newsletter, mail: Mailbox, wire: Wire
) -> None:
    wire.fault, wire.times = Fault.RESET_AT_DATA, 2
    assert newsletter.run("send").out.startswith("2 sent; 1 deferred until ")
    assert states(newsletter) == ["deferred", "sent", "sent"]
    assert "closed the connection" in log(newsletter)[0]["reason"]
    newsletter.run("send", now="2025-11-28T09:07")
    assert_each_once(newsletter, mail)


@pytest.mark.parametrize(
    ("fault", "arrived", "words"),
    [
        # Lost before the dot, but on its way: the system had taken all of the message from us.
        (Fault.RESET_IN_MESSAGE, False, "closed the connection"),
        (Fault.RESET_AFTER_DOT, True, "closed the connection"),
        (Fault.SILENCE_AFTER_DOT, True, "did not answer within 3 seconds"),
        (Fault.ENDLESS_DRIP_AFTER_DOT, True, "timed out after 5 seconds"),
    ],
)
def test_what_may_have_arrived_is_unsure_and_left_to_the_operator(
    newsletter: Newsletter,
    mail: Mailbox,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    arrived: bool,
    words: str,
) -> None:
    monkeypatch.setattr("newsletter.delivery.sending.account_pool.Transport", partial(Transport, longest=5))
    wire.fault = fault
    ran = newsletter.run("send", code=1)
    assert ran.out == "2 sent, 1 unsure\n"
    assert states(newsletter) == ["unsure", "sent", "sent"]
    assert words in log(newsletter)[0]["reason"]
    assert newsletter.run("send", now="2025-11-28T12:00").out.startswith("Everyone already")
    assert len(mail.accepted) == 2 + arrived
    newsletter.run("sends", "resolve", "--sent" if arrived else "--again", "--all")
    assert_each_once(newsletter, mail)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.SILENCE_AT_ONCE, "did not answer in time; check smtp.host, port and security"),
        (Fault.ENDLESS_DRIP_AFTER_SENDER, "timed out after 2 seconds; try again later"),
    ],
)
def test_a_server_that_comes_to_no_end_before_the_message_ends_the_run(
    newsletter: Newsletter, mail: Mailbox, wire: Wire, monkeypatch: pytest.MonkeyPatch, fault: Fault, words: str
) -> None:
    wire.fault, wire.times = fault, 99
    with monkeypatch.context() as patch:
        patch.setattr("newsletter.delivery.sending.account_pool.Transport", partial(Transport, longest=2))
        newsletter.configure(smtp={"timeout_seconds": 1})
        assert words in newsletter.run("send", code=1).err
    assert states(newsletter) == ["planned"] * 3
    assert mail.accepted == []
    wire.fault = None
    newsletter.configure(smtp={"timeout_seconds": 10})
    assert_each_once(newsletter, mail)


def test_silence_before_the_message_puts_it_off_since_it_may_be_to_blame(
    newsletter: Newsletter, mail: Mailbox, wire: Wire
) -> None:
    wire.fault, wire.times = Fault.SILENCE_AFTER_SENDER, 99
    newsletter.configure(smtp={"timeout_seconds": 0.5})
    assert newsletter.run("send").out.startswith("3 deferred, the first until ")
    assert "did not answer within 0.5 seconds, twice" in log(newsletter)[0]["reason"]
    assert mail.accepted == []
    wire.fault = None
    newsletter.configure(smtp={"timeout_seconds": 10})
    newsletter.run("send", now="2025-11-28T09:07")
    assert_each_once(newsletter, mail)


def test_a_slow_drip_that_comes_to_its_end_is_waited_for(newsletter: Newsletter, mail: Mailbox, wire: Wire) -> None:
    wire.fault, wire.times = Fault.DRIP, 999
    assert newsletter.run("send").out == "3 sent\n"
    assert_each_once(newsletter, mail)


@pytest.mark.parametrize("wrong", ["authority", "name", "date"])
def test_a_bad_certificate_gets_no_message(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str
) -> None:
    authority = trustme.CA()
    (authority if wrong != "authority" else trustme.CA()).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    until = datetime.now(UTC) - timedelta(days=1) if wrong == "date" else None
    bad = authority.issue_cert("localhost" if wrong != "name" else "mail.example", not_after=until)
    box = Mailbox()
    with tls_server(newsletter, box, bad):
        ran = newsletter.run("send", code=1)
    words = {"authority": "unable to get local issuer", "name": "Hostname mismatch", "date": "has expired"}[wrong]
    assert f"is not trusted: {'certificate ' if wrong == 'date' else ''}{words}" in ran.err
    assert states(newsletter) == ["planned"] * 3
    assert box.accepted == []
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with tls_server(newsletter, box, authority.issue_cert("localhost")):
        assert_each_once(newsletter, box)


@contextmanager
def tls_server(newsletter: Newsletter, box: Mailbox, certificate: trustme.LeafCert) -> Iterator[None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with LoopbackServer(box, tls_context=context, require_starttls=True) as server:
        newsletter.configure(smtp={"host": "localhost", "port": server.port, "security": "starttls"})
        yield


def test_a_wrong_password_gets_no_message_out(newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", b"right")
        return AuthResult(success=good, handled=False)

    box = Mailbox()
    with LoopbackServer(box, authenticator=check, auth_require_tls=False, auth_required=True) as server:
        newsletter.configure(smtp={"port": server.port, "user": "me"})
        monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "wrong")
        ran = newsletter.run("send", code=2)
        assert "rejected the login of me: 535" in ran.err
        assert "check smtp.user and NEWSLETTER_SMTP_PASSWORD" in ran.err
        assert states(newsletter) == ["planned"] * 3
        monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "right")
        assert_each_once(newsletter, box)


def test_a_host_without_an_address_loses_nothing(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.configure(smtp={"host": "no.such.host.invalid"})
    assert "cannot reach no.such.host.invalid:" in newsletter.run("send", code=1).err
    assert states(newsletter) == ["planned"] * 3
    newsletter.configure(smtp={"host": "127.0.0.1"})
    assert_each_once(newsletter, mail)


def on_the_second(mail: Mailbox, act: Callable[[], object]) -> threading.Event:
    """Do something while the server holds the second message; the event tells that it was done."""
    done = threading.Event()

    def on_data(address: str) -> None:
        if address == "r1@example.org" and not done.is_set():
            act()
            done.set()

    mail.on_data = on_data
    return done


def in_store(newsletter: Newsletter) -> list[str]:
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as store:
        return [state for (state,) in store.execute("SELECT state FROM sends ORDER BY email")]


def fill_disk(process: subprocess.Popen[str], full: bool = True) -> None:
    """No file may grow any more under a process, which fails as on a full disk; or it may again."""
    most = 0 if full else resource.RLIM_INFINITY
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def test_a_disk_that_is_full_from_the_start_sends_nothing(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.run("rank", "r0@example.org")
    ran = newsletter.run_on_full_disk("--now", NOW, "send")
    assert ran.returncode == 1
    assert ran.stderr.endswith("disk I/O error; check the disk and who else uses it, then run it again\n")
    assert mail.accepted == []
    assert_each_once(newsletter, mail)


@pytest.mark.system
@pytest.mark.parametrize("patient", [True, False], ids=["freed", "stopped"])
def test_a_disk_that_fills_up_in_the_middle(newsletter: Newsletter, mail: Mailbox, patient: bool) -> None:
    processes: list[subprocess.Popen[str]] = []
    filled = on_the_second(mail, lambda: fill_disk(processes[0]))
    processes.append(newsletter.start("--now", NOW, "send"))
    assert filled.wait(60)
    time.sleep(0.5)
    # The server has it and the store cannot be told; no other goes out.
    assert in_store(newsletter)[:2] == ["sent", "claimed"]
    if patient:
        fill_disk(processes[0], full=False)
    else:
        processes[0].send_signal(signal.SIGINT)
    out, err = processes[0].communicate(timeout=60)
    if patient:
        assert (processes[0].returncode, out) == (0, "3 sent\n")
    else:
        assert processes[0].returncode == 1
        assert "r1@example.org, 2025-11-28: sent (250 taken), but this could not be recorded: " in err
        assert "note it, since the log will call it unsure" in err
        assert newsletter.run("send", code=1).out == "1 sent, 1 unsure\n"
        newsletter.run("sends", "resolve", "--sent", "r1@example.org")
    assert_each_once(newsletter, mail)


@contextmanager
def locked(newsletter: Newsletter) -> Iterator[sqlite3.Connection]:
    """The store, held by another program."""
    path = newsletter.folder / "var" / "newsletter.db"
    with closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_a_store_that_stays_locked_sends_nothing(
    newsletter: Newsletter, mail: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    newsletter.run("subscribers", "list")
    monkeypatch.setattr("newsletter.store.database._BUSY_SECONDS", 0.2)
    with locked(newsletter):
        ran = newsletter.run("send", code=1)
    assert "newsletter.db: database is locked; check the disk and who else uses it, then run it again" in ran.err
    assert mail.accepted == []
    assert_each_once(newsletter, mail)


def test_a_store_locked_in_the_middle_is_asked_again_for_what_was_sent(
    newsletter: Newsletter, mail: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.store.database._BUSY_SECONDS", 0.2)
    with ExitStack() as stack:
        on_the_second(mail, lambda: Timer(1.5, stack.enter_context(locked(newsletter)).rollback).start())
        assert "database is locked" in newsletter.run("send", code=1).err
    assert states(newsletter)[:2] == ["sent", "sent"]
    assert_each_once(newsletter, mail)


def test_a_clock_set_back_keeps_nothing_waiting(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.configure(smtp={"per_hour": 4, "per_day": 6}, ranking={"max_age_days": 36_500})
    mail.on_recipient = lambda address: "421 4.3.2 closing" if address == "r1@example.org" else None
    ahead = newsletter.start("send", **faketime_environment("+1d"))
    wait_until(lambda: "deferred" in in_store(newsletter), ahead)
    ahead.kill()
    ahead.communicate()
    # Then the clock is right again, a day before: limits, patience, retries and claims lie in the future.
    mail.on_recipient = lambda address: None
    now = newsletter.start("send")
    out, err = now.communicate(timeout=60)
    assert (out.partition(" (")[0], err) == ("4 sent\n", "")
    rows = sorted(newsletter.run("log", "--json").rows, key=lambda row: (row["email"], row["edition"]))
    # Today the first gets what the wrong clock's digest left over; for the third, today's takes the place of that one.
    assert [row["state"] for row in rows] == ["sent", "sent", "sent", "sent", "sent", "skipped"]
    assert len(mail.accepted) == len({message["Message-ID"] for message in mail.messages()}) == 5
    papers = [(row["email"], paper["id"]) for row in rows if row["state"] == "sent" for paper in row["papers"]]
    assert len(set(papers)) == len(papers)
