"""Clients that only keep the site waiting: how long they may, how many may, and what goes on beside a flood of them."""

import asyncio
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Response

from newsletter.config.web import Web
from newsletter.web.connections import network_of
from newsletter.web.middleware.security import LARGEST_BODY
from newsletter.web.server import listen, serving
from tests.helpers.flood import flood
from tests.helpers.newsletter import Newsletter, free_port, wait_until
from tests.helpers.smtp import Mailbox

READERS = 60
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
PATIENCE = 40
"""Seconds after which a connection counts as one that is never closed."""
QUICK = {"header_timeout_seconds": 0.6, "body_timeout_seconds": 0.6, "send_timeout_seconds": 0.6}


class Gate(threading.Event):
    """An event that knows how many requests have come to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: list[str] = []


@contextmanager
def site(**settings: object) -> Iterator[tuple[int, Gate]]:
    """A small application behind the site's server: its port, and an event without which ``/slow`` never answers."""
    app, go_on = FastAPI(), Gate()

    @app.get("/")
    def short() -> str:
        return "short"

    @app.post("/")
    def taken() -> str:
        return "taken"

    @app.get("/long")
    def long() -> Response:
        return Response(b"x" * 20_000_000)

    @app.post("/long")
    def long_without_reading() -> Response:
        return long()

    @app.get("/longest-turn")
    async def longest_turn() -> float:
        """The longest time, within two seconds, that this server does nothing else."""
        longest, begun = 0.0, time.monotonic()
        while (before := time.monotonic()) < begun + 2:
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - before)
        return longest

    @app.get("/slow")
    def slow() -> str:
        go_on.arrived.append("a request")
        go_on.wait(30)
        return "at last"

    web = Web(port=free_port(), **settings)  # type: ignore[arg-type]
    with listen(web) as listener, serving(app, listener, web):
        try:
            yield web.port, go_on
        finally:
            go_on.set()


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))


def seconds_until_closed(connection: socket.socket, drip: bytes = b"") -> float:
    """How long a connection lasts on which a byte is sent now and then, at most ``PATIENCE``."""
    begun = time.monotonic()
    connection.settimeout(0.1)
    while (lasted := time.monotonic() - begun) < PATIENCE:
        try:
            connection.send(drip)
            if not connection.recv(65536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return lasted


def get(port: int, source: str = "127.0.0.1", path: str = "/") -> int:
    """The status of a page, asked for from an address of this machine."""
    transport = httpx.HTTPTransport(local_address=source, verify=False)
    with httpx.Client(transport=transport, timeout=10, verify=False) as client:
        return client.get(f"http://127.0.0.1:{port}{path}", headers={"Connection": "close"}).status_code


def hear(connection: socket.socket, words: bytes) -> None:
    """Read until these words have come."""
    said = b""
    while words not in said:
        more = connection.recv(65536)
        assert more, said
        said += more


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        return bool(connection.recv(65536))
    except TimeoutError:
        return True
    except OSError:
        return False


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nX: ", b"a"),
        (b"GET / HTTP/1.1\r\n", b"X: a\r\n"),
        (GET, b"G"),
        (POST, b""),
        (POST, b"a"),
        # The site refuses them (411); the protocol before it has a deadline all the same.
        (CHUNKED, b"1\r\na\r\n"),
        (CHUNKED + b"0\r\n", b"X: a\r\n"),
    ],
)
def test_a_client_has_so_long_for_a_request_however_it_spreads_it(first: bytes, drip: bytes) -> None:
    with site(**QUICK, keep_alive_seconds=60) as (port, _), connect(port) as connection:
        connection.sendall(first)
        if first == GET:
            hear(connection, b"short")
        assert 0.4 < seconds_until_closed(connection, drip) < PATIENCE


def test_a_connection_without_a_request_is_kept_for_a_while(newsletter: Newsletter) -> None:
    with site(keep_alive_seconds=1) as (port, _), connect(port) as connection:
        connection.sendall(GET)
        assert 0.8 < seconds_until_closed(connection) < PATIENCE


def test_who_does_not_read_an_answer_loses_it() -> None:
    with site(**QUICK) as (port, _), connect(port) as connection:
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(3)
        got = 0
        with suppress(OSError):
            while more := connection.recv(1_000_000):
                got += len(more)
        assert got < 20_000_000


def test_who_reads_slowly_gets_all_of_it() -> None:
    with site(**QUICK, keep_alive_seconds=1) as (port, _), connect(port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got, begun = 0, time.monotonic()
        while got < 20_000_000 and (more := connection.recv(400_000)):
            got += len(more)
            time.sleep(0.03)
        assert got > 20_000_000
        assert time.monotonic() - begun > 1.5  # So that more than one deadline passed.


def test_who_reads_slowly_is_seen_to_read() -> None:
    with site(**QUICK) as (port, _), socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got, begun = 0, time.monotonic()
        # Far more than the least rate, and yet the buffer of the kernel for sending would empty in seconds only.
        while time.monotonic() - begun < 4:
            got += len(connection.recv(20_000))
            time.sleep(0.05)
        while got < 20_000_000 and (more := connection.recv(1_000_000)):
            got += len(more)
        assert got > 20_000_000


def test_bodies_in_pieces_of_a_byte_keep_nobody_else_waiting() -> None:
    over = threading.Event()

    def send(connection: socket.socket) -> None:
        with suppress(OSError):
            while not over.is_set():
                connection.sendall(b"1\r\na\r\n" * 100_000)

    with site() as (port, _), ExitStack() as held:
        ours = [held.enter_context(connect(port)) for _ in range(4)]
        senders = [threading.Thread(target=send, args=(one,)) for one in ours]
        for one, sender in zip(ours, senders, strict=True):
            one.sendall(CHUNKED)
            hear(one, b"taken")
            sender.start()
        try:
            # 0.03 s; with 256 KiB in one go 0.7 s. Beside other work on the machine it takes several tries to see it.
            longest = (float(httpx.get(f"http://127.0.0.1:{port}/longest-turn", timeout=30).text) for _ in range(5))
            assert any(one < 0.25 for one in longest)
        finally:
            over.set()
            for one, sender in zip(ours, senders, strict=True):
                one.shutdown(socket.SHUT_RDWR)
                sender.join()


def test_a_server_stops_while_garbage_follows_an_answer_that_nobody_reads() -> None:
    died: list[threading.ExceptHookArgs] = []
    with pytest.MonkeyPatch.context() as patch, ExitStack() as held:
        patch.setattr(threading, "excepthook", died.append)
        # Closed after the server has stopped, or dropped by it.
        connection = held.enter_context(socket.socket())
        with site(send_timeout_seconds=3) as (port, _):
            connection.connect(("127.0.0.1", port))
            connection.sendall(CHUNKED.replace(b"/", b"/long", 1) + b"1\r\na\r\n")
            connection.recv(1)  # It is answered.
            time.sleep(0.5)
            connection.sendall(b"ZZZ\r\n")
            time.sleep(0.5)
    assert [one.exc_value for one in died] == []


def test_an_answer_may_take_longer_than_a_request() -> None:
    with site(**QUICK) as (port, go_on), connect(port) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1.5)
        go_on.set()
        hear(connection, b"at last")


def test_one_address_has_so_many_connections_and_others_are_served() -> None:
    with site(max_connections_per_address=5, trusted_proxies=[]) as (port, _), ExitStack() as held:
        ours = [held.enter_context(connect(port, "127.0.0.3")) for _ in range(20)]
        assert sum(is_open(one) for one in ours) == 5
        with pytest.raises(httpx.TransportError):
            get(port, "127.0.0.3")
        assert get(port, "127.0.0.2") == 200
        for one in ours:
            one.close()
        # It counts what is open, not what was, once it has seen that they are closed.
        wait_until(lambda: answers(port, "/", "127.0.0.3"))
        for _ in range(20):
            assert get(port, "127.0.0.3") == 200


def test_a_proxy_has_as_many_connections_as_there_are() -> None:
    for proxies in (["127.0.0.3"], ["127.0.0.0/8"], ["*"]):
        with site(max_connections_per_address=5, trusted_proxies=proxies) as (port, _), ExitStack() as held:
            ours = [held.enter_context(connect(port, "127.0.0.3")) for _ in range(20)]
            assert all(is_open(one) for one in ours)
            assert get(port, "127.0.0.3") == 200


def test_when_all_are_in_use_the_one_that_waited_longest_goes(capsys: pytest.CaptureFixture[str]) -> None:
    with site(max_connections=10) as (port, _), ExitStack() as held:
        ours = [held.enter_context(connect(port, f"127.0.1.{number}")) for number in range(1, 11)]
        # A connection is idle once the server has begun to read from it.
        wait_until(lambda: answers(port, "/"))
        for number in range(2):
            assert get(port, f"127.0.2.{number + 1}") == 200
        deadline = time.monotonic() + 30
        while (still := [is_open(one) for one in ours]) != [False] + [True] * 9 and time.monotonic() < deadline:
            time.sleep(0.1)
        # One made room, and the next found it.
        assert still == [False] + [True] * 9
    assert "are in use; the one that is idle longest is closed" in capsys.readouterr().err


def test_nobody_goes_who_waits_for_the_site(capsys: pytest.CaptureFixture[str]) -> None:
    with site(max_connections=10) as (port, go_on), ExitStack() as held:
        ours = [held.enter_context(connect(port, f"127.0.1.{number}")) for number in range(1, 11)]
        for one in ours:
            one.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: len(go_on.arrived) == len(ours))
        with pytest.raises(httpx.TransportError):
            get(port, "127.0.2.1")
        go_on.set()
        for one in ours:
            hear(one, b"at last")
        # Before they end: one that the server still takes for idle then may go for a new one.
        said = capsys.readouterr().err
        for one in ours:
            one.close()
        assert get(port, "127.0.2.1") == 200
    assert "are in use and none is idle; a new one is refused" in said
    assert "closed" not in said


def test_connections_are_counted_by_what_one_machine_may_have() -> None:
    assert network_of("192.0.2.1") == network_of("::ffff:192.0.2.1") != network_of("192.0.2.2")
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1:2:3") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("fe80::1%eth0") == network_of("fe80::2%eth0")


def test_requests_that_do_not_wait_for_their_answers_are_not_served_for_ever() -> None:
    with site() as (port, _):
        with connect(port) as connection:
            connection.sendall(GET * 100)
            said = b""
            with suppress(OSError):
                while more := connection.recv(65536):
                    said += more
        assert said.count(b"HTTP/1.1 200") == 1
        with connect(port) as connection:
            for _ in range(3):
                connection.sendall(POST + b"a" * 50)
                hear(connection, b"taken")


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    b"POST /subscribe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nemail",
    b"POST /api/subscribe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
    CHUNKED + b"ZZZ\r\n",
    # Answered before its end, and garbled after that.
    CHUNKED + b"1\r\na\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (LARGEST_BODY + 5) + b"a" * LARGEST_BODY,
]


@pytest.mark.system
def test_what_strangers_send_fills_no_log(newsletter: Newsletter) -> None:
    process = newsletter.start("serve", "--port", port := free_port())
    wait_until(lambda: answers(port), process)
    for _ in range(60):
        for garbage in GARBAGE:
            with connect(port) as connection, suppress(OSError):
                connection.sendall(garbage)
                if garbage in GARBAGE[-2:]:
                    connection.recv(65536)
                    connection.sendall(b"ZZZ\r\nZZZ\r\n\r\n")
                    connection.recv(65536)
    assert answers(port)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert len(said) < 5_000, said
    assert "Traceback" not in said
    assert "pip install" not in said
    assert "more like this are left out" in said


def answers(port: int, path: str = "/healthz", source: str = "127.0.0.2") -> bool:
    try:
        return get(port, source, path) == 200
    except httpx.TransportError:
        return False


def healthy(port: int) -> float:
    """Seconds until the site says from another address that it is well; 60 at most."""
    begun = time.monotonic()
    while not answers(port) and time.monotonic() - begun < 60:
        time.sleep(0.02)
    return time.monotonic() - begun


@pytest.mark.system
@pytest.mark.parametrize(("kind", "sources"), [("head", 1), ("silent", 250), ("body", 250), ("unread", 250)])
def test_an_edition_is_sent_beside_a_flood(newsletter: Newsletter, mail: Mailbox, kind: str, sources: int) -> None:
    flooded = threading.Event()

    def slow(_: str) -> None:
        flooded.wait(60)
        time.sleep(0.03)

    mail.on_data = slow
    newsletter.with_sample()
    port = free_port()
    newsletter.configure(web={"port": port}, schedule={"tick_seconds": 1}, ranking={"max_age_days": 3650})
    for number in range(READERS):
        text = f"email: r{number}@example.org\nschedule: {{days: daily, time: '00:00'}}\ninterests: [language models]\n"
        newsletter.subscriber(f"r{number}", text)
    newsletter.run("subscribers", "list", now="2025-03-01T00:00")
    process = newsletter.start("run", "--web")
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    log = Log(process)
    wait_until(lambda: answers(port), process)
    with flood(port, kind, sources=sources, seconds=30):
        time.sleep(2)
        flooded.set()
        wait_until(lambda: len(mail.accepted) >= READERS // 2, process)
        assert len([*Path(f"/proc/{process.pid}/fd").iterdir()]) < 1024
        wait_until(lambda: len(mail.accepted) >= READERS, process)
    assert healthy(port) < 30
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert sorted(mail.recipients()) == sorted(f"r{number}@example.org" for number in range(READERS))
    said = log.text()
    assert len(said) < 1_000_000 / 10, said[:2000]
    assert "Traceback" not in said
    assert "of 1000 connections, because this process may open too few files" in said


class Log:
    """What a process writes, read as it comes so that it never waits for us."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._said: list[str] = []
        self._threads = [threading.Thread(target=self._read, args=(one,)) for one in (process.stdout, process.stderr)]
        for thread in self._threads:
            thread.start()

    def _read(self, stream: Iterator[str]) -> None:
        self._said.extend(stream)

    def text(self) -> str:
        """All of it, once the process has ended."""
        for thread in self._threads:
            thread.join()
        return "".join(self._said)
