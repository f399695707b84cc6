"""What an attacker tries on a site: a test for each line of a scanner's list, over real HTTP and raw sockets."""

import hashlib
import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import product
from urllib.parse import quote

import httpx
import pytest
from itsdangerous import TimestampSigner

from newsletter.audience.signed_links import TokenPurpose
from newsletter.config.web import Web
from newsletter.services.context import open_context
from newsletter.support.clock import frozen_clock, parse_moment
from newsletter.web.app import make_app
from newsletter.web.middleware.security import LARGEST_BODY
from newsletter.web.server import listen, serving
from tests.helpers.newsletter import NOW, Newsletter, free_port, wait_until
from tests.helpers.web import add_operator, links_of, log_in, path_of, row_of, session_of, site_client, state_of

Served = tuple[str, Newsletter]

EVIL = "evil.example"
ALWAYS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TLS = {"X-Forwarded-Proto": "https"}


@contextmanager
def behind(newsletter: Newsletter, *proxies: str) -> Iterator[str]:
    """The site, which believes these proxies alone."""
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    web = Web(port=free_port(), trusted_proxies=list(proxies))
    with listen(web) as listener, serving(make_app(context), listener, web):
        yield f"http://127.0.0.1:{web.port}"
    context.engine.dispose()


def raw(where: str, sent: bytes, seconds: float = 10) -> bytes:
    """What the server says to bytes as they are, until it closes or says nothing more."""
    host, _, port = where.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(sent)
        said = b""
        while b"\r\n\r\n" not in said and (more := connection.recv(65536)):
            said += more
    return said


def parameters(where: str) -> Iterator[tuple[str, str]]:
    """Every path of the API with the name of each of its parameters in the query."""
    document = httpx.get(f"{where}/api/openapi.json").json()
    for path, methods in document["paths"].items():
        for one in methods.get("get", {}).get("parameters", []):
            if one["in"] == "query":
                yield path.replace("{id}", "1"), one["name"]


def test_every_answer_carries_the_headers_whatever_went_wrong(served: Served) -> None:
    where, _ = served
    answers = [
        httpx.get(f"{where}/static/site.css"),
        httpx.get(f"{where}/admin/login"),
        httpx.get(f"{where}/admin"),
        httpx.get(f"{where}/healthz"),
        httpx.get(f"{where}/papers"),
        httpx.get(f"{where}/papers?q=diffusion"),
        httpx.get(f"{where}/subscribe"),
        httpx.get(f"{where}/preferences/forged"),
        httpx.get(f"{where}/nonesuch"),
        httpx.get(f"{where}/api/nonesuch"),
        httpx.get(f"{where}/api/stats"),
        httpx.get(f"{where}/api/search"),
        httpx.put(f"{where}/admin"),
        httpx.get(f"{where}/admin", headers={"Host": EVIL}),
        httpx.get(f"{where}/api/papers?source=%00"),
        httpx.post(f"{where}/admin/login", content=b"x" * (LARGEST_BODY + 1)),
    ]
    assert {one.status_code for one in answers} == {200, 303, 404, 401, 422, 405, 400, 413}
    for answer in answers:
        policy = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS, answer.url
        assert "server" not in answer.headers


def test_only_behind_tls_a_browser_is_told_to_stay_with_it(newsletter: Newsletter) -> None:
    with behind(newsletter, "127.0.0.1") as where:
        assert "max-age=31536000" in httpx.get(where, headers=TLS).headers["Strict-Transport-Security"]
        assert "Strict-Transport-Security" not in httpx.get(where).headers
    with behind(newsletter, "192.0.2.1") as where:
        assert "Strict-Transport-Security" not in httpx.get(where, headers=TLS).headers


def test_only_a_trusted_proxy_says_whom_a_request_is_from(newsletter: Newsletter) -> None:
    for proxies, status in ((["127.0.0.1"], 403), (["127.0.0.0/8"], 403), (["192.0.2.1"], 429), ([], 429)):
        with behind(newsletter, *proxies) as where, httpx.Client(verify=False) as client:
            for number in range(11):
                # The first address is what the client itself may have claimed; the last is what the proxy saw.
                headers = {"X-Forwarded-For": f"10.9.9.9, 192.0.{number}.1"}
                last = client.post(f"{where}/admin/login", data={"name": "ada", "password": "guess"}, headers=headers)
        assert last.status_code == status, proxies


def test_guesses_are_few(served: Served) -> None:
    where, newsletter = served
    add_operator(newsletter)
    answers = [log_in(where, "ada", f"guess {number}") for number in range(10)]
    assert {(one.status_code, "set-cookie" in one.headers) for one in answers} == {(403, False)}
    assert len({one.text for one in answers}) == 1
    good = log_in(where)
    assert (good.status_code, "set-cookie" in good.headers) == (429, False)
    assert good.headers["Retry-After"] == "900"


def test_the_cookie_is_out_of_reach(served: Served) -> None:
    where, newsletter = served
    add_operator(newsletter)
    for headers, secure in (({}, False), (TLS, True)):
        cookie, *told = log_in(where, **headers).headers["Set-Cookie"].split("; ")
        flags = {flag.lower() for flag in told}
        assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} <= flags
        assert not any(flag.startswith("domain") for flag in flags)
        assert ("secure" in flags) == cookie.startswith("__Host-operator=") == secure


def test_a_cookie_that_was_not_made_here_is_worth_nothing(served: Served) -> None:
    where, newsletter = served
    good = session_of(newsletter)["operator"]
    assert len(good) >= 43
    key = (newsletter.folder / "var" / "secret.key").read_text().strip()
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as store:
        ((kept,),) = store.execute("SELECT digest FROM operator_sessions")
    assert good not in kept
    forged = [
        "",
        "1",
        good[:-1],
        ("A" if good[0] != "A" else "B") + good[1:],
        kept,  # Who reads the store has no cookie.
        TimestampSigner(key, salt="newsletter.operator", digest_method=hashlib.sha256).sign("1").decode(),
        "x" * 10_000,
    ]
    for cookie in forged:
        answer = httpx.get(f"{where}/admin", headers={"Cookie": f"operator={cookie}"})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/login"), cookie
    assert httpx.get(f"{where}/admin", headers={"Cookie": f"operator={good}"}).status_code == 200
    # Behind TLS only the name counts that nobody without TLS can set.
    assert httpx.get(f"{where}/admin", headers={"Cookie": f"operator={good}", **TLS}).status_code == 303


def test_what_another_site_posts_does_nothing(served: Served) -> None:
    where, newsletter = served
    add_operator(newsletter)
    for site in ("cross-site", "same-site"):
        for answer in (
            log_in(where, **{"Sec-Fetch-Site": site}),
            httpx.post(f"{where}/admin/logout", headers={"Sec-Fetch-Site": site}),
            httpx.post(f"{where}/subscribe", data={"email": "x@example.org"}, headers={"Sec-Fetch-Site": site}),
            httpx.post(f"{where}/api/subscribe", json={"email": "x@example.org"}, headers={"Sec-Fetch-Site": site}),
        ):
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    # A form of another site cannot send JSON, and what it can send is not taken for it.
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        headers = {"Content-Type": kind}
        posted = httpx.post(f"{where}/api/subscribe", content=b'{"email": "x@example.org"}', headers=headers)
        assert posted.status_code == 422
    # Nor does a link or a picture log anybody out.
    assert httpx.get(f"{where}/admin/logout").status_code == 405
    assert httpx.post(f"{where}/admin/logout", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


OURS, THEIRS = "https://papers.example.org", f"https://{EVIL}"
SENT_BY = [
    # Origin, Sec-Fetch-Site, and whether it is taken from our own pages alone.
    (None, "same-origin", True),
    (None, "none", True),
    (None, "same-site", False),
    (None, "cross-site", False),
    (None, "made-up", False),
    (OURS, None, True),
    (OURS, "same-origin", True),
    (f"{OURS}:443", None, True),
    (OURS.upper(), None, True),
    (OURS, "cross-site", False),
    (THEIRS, None, False),
    (THEIRS, "same-origin", False),
    (THEIRS, "none", False),
    ("http://papers.example.org", None, False),
    (f"{OURS}:8443", None, False),
    (f"{OURS}.{EVIL}", None, False),
    (f"{OURS}@{EVIL}", None, False),
    (f"{OURS} {THEIRS}", None, False),
    ("https://a.papers.example.org", None, False),
    ("https://example.org", None, False),
    ("papers.example.org", None, False),
    ("https://[", None, False),
    ("", None, False),
    ("null", None, False),
    ("null", "none", False),
    ("null", "cross-site", False),
    # A page of ours whose referrer policy an extension has changed.
    ("null", "same-origin", True),
    ("file://", None, False),
]


@pytest.mark.parametrize("proxied", [True, False])
def test_a_form_is_taken_from_our_own_pages_alone(served: Served, proxied: bool) -> None:
    where, _ = served
    # As a proxy asks that ends TLS, which may or may not say so: the site's own URL counts in any case.
    reached = {"Host": "papers.example.org", **(TLS if proxied else {})}
    paths = ("/admin/login", "/admin/logout", "/subscribe", "/confirm/x", "/preferences/x", "/unsubscribe/x")
    paths += ("/undo/x", "/feedback/x", "/api/subscribe")
    with site_client(where) as client:
        for origin, fetched, taken in SENT_BY:
            if not proxied and origin == "http://papers.example.org":
                taken = True  # It was reached by that very origin.
            headers = {"Origin": origin, "Sec-Fetch-Site": fetched}
            sent = {**reached, **{name: value for name, value in headers.items() if value is not None}}
            for path in paths:
                status = client.post(path, headers=sent, data={"token": ""}).status_code
                assert not client.cookies
                if path == "/admin/login" and taken:
                    assert status in (403, 429)  # By what was guessed, not by where it came from.
                    continue
                assert (status == 403) == (not taken), (origin, fetched, path, status)


def test_a_site_is_reached_by_the_name_and_port_that_it_listens_on_too(served: Served) -> None:
    where, _ = served
    port = where.rpartition(":")[2]
    for host, origin, status in (
        (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}", 303),
        (f"localhost:{port}", f"http://localhost:{port}", 303),
        (f"[::1]:{port}", f"http://[::1]:{port}", 303),
        (f"127.0.0.1:{port}", f"http://localhost:{port}", 403),
        (f"127.0.0.1:{port}", "http://127.0.0.1:1", 403),
        (f"127.0.0.1:{port}", f"https://127.0.0.1:{port}", 403),
    ):
        answer = httpx.post(f"{where}/admin/logout", headers={"Host": host, "Origin": origin})
        assert answer.status_code == status, (host, origin)


def test_a_session_needs_a_browser_that_says_where_a_form_stood(served: Served) -> None:
    where, newsletter = served
    # A program posts what a signed link allows ...
    cookies = session_of(newsletter)
    assert httpx.post(f"{where}/subscribe", data={"email": ""}).status_code != 403
    # ... but what a browser adds to anything by itself is not taken on its word.
    assert httpx.post(f"{where}/admin/logout", cookies=cookies).status_code == 403
    assert httpx.get(f"{where}/admin", cookies=cookies).status_code == 200
    assert httpx.post(f"{where}/admin/logout", cookies=cookies, headers={"Origin": where}).status_code == 303


def test_the_one_click_of_mail_programs_comes_from_anywhere(reader: str, served: Served) -> None:
    where, newsletter = served
    newsletter.run("subscribers", "list")
    path = path_of(links_of(newsletter).url(TokenPurpose.UNSUBSCRIBE, row_of(newsletter, reader)))
    foreign = {"Origin": THEIRS, "Sec-Fetch-Site": "cross-site"}
    assert httpx.post(where + path, headers=foreign).status_code == 403
    assert state_of(newsletter, reader) == "active"
    assert httpx.post(where + path, headers=foreign, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert state_of(newsletter, reader) == "unsubscribed"


def test_nobody_is_sent_elsewhere(served: Served) -> None:
    where, newsletter = served
    paths = [f"//{EVIL}", f"//{EVIL}/", f"/%2f{EVIL}", f"/\\{EVIL}", f"/admin/?next=https://{EVIL}", "/admin/"]
    paths += [f"/admin?next=//{EVIL}", f"/admin/login?next=https://{EVIL}", f"/static/..//{EVIL}"]
    for path in paths:
        said = raw(where, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert re.search(rb"\r\nlocation: (?!/admin/login\r\n)", said) is None, (path, said)
    add_operator(newsletter)
    answer = log_in(where)
    assert answer.headers["Location"] == "/admin"


def test_no_line_of_a_request_becomes_one_of_an_answer(served: Served) -> None:
    where, newsletter = served
    for line in ("\r\nX-Injected: yes", "\nX-Injected: yes", "\r\n\r\n<script>", "\rX-Injected: yes"):
        quoted = line.replace("\r", "%0d").replace("\n", "%0a").replace(" ", "%20")
        for path in (f"/{quoted}", f"/admin?a={quoted}", f"/static/{quoted}", f"/api/papers?after={quoted}"):
            said = raw(where, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: operator={quoted}\r\n\r\n".encode())
            assert b"x-injected" not in said.lower().partition(b"\r\n\r\n")[0]
        for data in ({"name": line}, {f"name{line}": "x"}):
            assert "x-injected" not in httpx.post(f"{where}/admin/login", data=data).headers
        newsletter.run("token", "create", f"ada{line}", code=2)


def test_no_path_leads_out_of_its_folder(served: Served) -> None:
    where, newsletter = served
    (newsletter.folder / "app.py").write_text("secret")
    ways = ("../app.py", "..%2fapp.py", "%2e%2e/app.py", "..%5capp.py", "....//app.py", "%252e%252e%252fapp.py")
    for root, path in product(("/static/", "/api/papers/", "/api/similar/", "/"), (*ways, "/etc/passwd")):
        said = raw(where, f"GET {root}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert said.split(b" ", 2)[1] in (b"404", b"400"), (root, path, said)


ATTACKS = (
    "' OR '1'='1",
    "1; DROP TABLE papers; --",
    '" UNION SELECT email FROM subscribers --',
    "%' OR 1=1 --",
    "{{7*191}}${7*191}<%= 7*191 %>#{7*191}",
    "<script>alert(1)</script>",
    "\x00",
    "\ud7ff\uffff" * 60,
)


def test_what_is_asked_stays_a_text(reader: str, served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample()
    token = newsletter.run("token", "create", "ada").out.strip()
    asked = list(parameters(where))
    assert len(asked) > 25
    with httpx.Client(base_url=where, headers={"Authorization": f"Bearer {token}"}, timeout=30, verify=False) as client:
        for attack in ATTACKS:
            for path, name in asked:
                needed = {"q": "x"} if "search" in path and name != "q" else {}
                answer = client.get(path, params={name: attack, **needed})
                assert answer.status_code in (200, 400, 404, 422), (path, name, answer.text)
                assert "1337" not in answer.text
                assert answer.headers["Content-Type"] == "application/json"
            for path, name in (("papers", "category"), ("papers", "source"), ("subscribers", "email")):
                assert client.get(f"/api/{path}", params={name: attack}).json().get(path, []) == []
            fields = [("/papers", "q"), ("/papers", "page"), ("/subscribe", "email"), ("/subscribe", "interest")]
            fields += [("/papers/trending", "page"), ("/admin/login", "name"), ("/nonesuch", "q")]
            pages = [client.get(path, params={name: attack}).text for path, name in fields]
            pages += [client.get(f"/papers/{kind}/{quote(attack)}").text for kind in ("date", "week", "month")]
            pages.append(client.get(f"/{quote(attack)}").text)
            assert "1337" not in "".join(pages)
            assert "<script>alert" not in "".join(pages)
        assert client.get("/api/stats").json()["papers"] == 145


def test_a_name_that_is_not_ours_gets_nothing(served: Served) -> None:
    where, _ = served
    for host in (EVIL, f"{EVIL}:80", f"papers.example.org.{EVIL}", f"localhost.{EVIL}", f"x@{EVIL}", ""):
        assert raw(where, f"GET /admin HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).split(b" ", 2)[1] == b"400", host
    for host in ("papers.example.org", "papers.example.org:8443", "localhost", "[::1]:8000"):
        answer = httpx.get(f"{where}/admin", headers={"Host": host, "X-Forwarded-Host": EVIL})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/login"), host


def test_other_methods_do_nothing(served: Served) -> None:
    paths = ("/admin", "/admin/login", "/static/site.css", "/api/papers", "/api/subscribers", "/healthz")
    methods = ("TRACE", "TRACK", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND")
    for method, path in product(methods, paths):
        answer = httpx.request(method, served[0] + path, headers={"X-Told": "echoed"})
        assert answer.status_code == 405, (method, path)
        assert "echoed" not in answer.text + str(answer.headers)
        assert "access-control-allow-origin" not in answer.headers


def test_too_much_is_turned_away_before_it_is_read(served: Served) -> None:
    where, _ = served
    head = "POST /admin/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    for length in (LARGEST_BODY + 1, 10**12):
        # Nothing of it is ever sent, and yet there is an answer.
        said = raw(where, f"{head}Content-Length: {length}\r\n\r\n".encode())
        assert said.split(b" ", 2)[1] == b"413"
        assert b"content-security-policy" in said
    assert raw(where, f"{head}Content-Length: -5\r\n\r\n".encode()).split(b" ", 2)[1] == b"400"
    # So is who does not say how much, with the first piece or before it.
    for piece in (b"", b"1\r\na\r\n"):
        said = whole(where, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + piece)
        assert said.split(b" ", 2)[1] == b"411"
        assert b"connection: close" in said.lower()
        assert b"content-security-policy" in said
    fits = httpx.post(f"{where}/admin/login", content=b"token=" + b"a" * (LARGEST_BODY - 6))
    assert fits.status_code == 403


def test_slow_uploads_of_one_network_do_not_keep_others_out(served: Served) -> None:
    where, _ = served
    host, _, port = where.removeprefix("http://").partition(":")

    def begin(stack: ExitStack, network: int, sent: int) -> socket.socket:
        connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
        head = f"POST /subscribe HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.{network}.1\r\n"
        connection.sendall(f"{head}Content-Length: 300000\r\n\r\n".encode() + b"x" * sent)
        return connection

    def upload(network: int) -> int:
        headers = {"X-Forwarded-For": f"192.0.{network}.9"}
        return httpx.post(f"{where}/subscribe", files={"library": ("a", b"x" * 200_000)}, headers=headers).status_code

    with ExitStack() as stack:
        for _ in range(10):
            begin(stack, 1, sent=10)  # Has only said that it will be large.
        assert upload(1) == 422
        for _ in range(2):
            begin(stack, 1, LARGEST_BODY + 1)
        time.sleep(0.5)  # Until these have arrived.
        assert begin(stack, 1, LARGEST_BODY + 1).recv(12).endswith(b"503")
        assert upload(2) == 422
        for network in (2, 2, 3, 3, 4, 4):
            begin(stack, network, LARGEST_BODY + 1)
        time.sleep(0.5)
        assert begin(stack, 5, LARGEST_BODY + 1).recv(12).endswith(b"503")
    # The places are free again as soon as the clients are gone.
    wait_until(lambda: upload(5) == 422)


CHUNKED = "Transfer-Encoding: chunked"
UNCLEAR = [
    # What of a request a proxy may end elsewhere than we do.
    ("1.1", f"Content-Length: 6\r\n{CHUNKED}", "0\r\n\r\n"),
    ("1.1", f"{CHUNKED}\r\nContent-Length: 6", "0\r\n\r\n"),
    ("1.0", CHUNKED, "0\r\n\r\n"),
    ("1.1", "Content-Length: 6\r\nContent-Length: 5", "token="),
    ("1.1", "Content-Length: 6, 5", "token="),
    ("1.1", "Content-Length: +6", "token="),
    ("1.1", "Content-Length: 0x6", "token="),
    ("1.1", "Content-Length: 6_0", "token="),
    ("1.1", "Content-Length: ", "token="),
    ("1.1", f"Content-Length: {'9' * 5000}", ""),
    ("1.1", "Transfer-Encoding: xchunked", "0\r\n\r\n"),
    ("1.1", "Transfer-Encoding: identity", ""),
    ("1.1", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
    ("1.1", f"{CHUNKED}\r\n{CHUNKED}", "0\r\n\r\n"),
    ("1.1", "Transfer-Encoding : chunked", "0\r\n\r\n"),
    ("1.1", "Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
    ("1.1", CHUNKED, "-1\r\n\r\n"),
    ("1.1", CHUNKED, "f" * 30 + "\r\n"),
    ("1.1", CHUNKED, "1\r\naXX0\r\n\r\n"),
    ("1.1", CHUNKED, "0\r\n\r\n"),
    ("1.1", f"Content-Length: 6\r\nHost: {EVIL}", "token="),
    ("1.1", "X: a\0b", ""),
    ("1.1", "X: a\rb", ""),
    ("1.1", f"X: {'a' * 70_000}", ""),
    ("1.1", "X: a\r\n" * 20_000 + "X: a", ""),
]


@pytest.mark.parametrize("unclear", range(len(UNCLEAR)))
def test_no_request_hides_in_another(served: Served, unclear: int) -> None:
    where, _ = served
    version, headers, body = UNCLEAR[unclear]
    hidden = "GET /static/site.css HTTP/1.1\r\nHost: localhost\r\n\r\n"
    sent = f"POST /admin/login HTTP/{version}\r\nHost: localhost\r\n{headers}\r\n\r\n{body}{hidden}"
    said = whole(where, sent.encode())
    # Too large where it came at once, and given up where it did not.
    status = said.split(b" ", 2)[1]
    is_clear = (headers, body) == (CHUNKED, "0\r\n\r\n") and version == "1.1"
    assert status == (b"411" if is_clear else b"400") or (len(headers) > 16_384 and status == b"431")
    assert said.count(b"HTTP/1.1") == 1
    assert b"connection: close" in said.lower()


def whole(where: str, sent: bytes) -> bytes:
    """All that the server says to some bytes, until it closes."""
    host, _, port = where.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        said = b""
        # It may have closed before it took everything.
        with suppress(ConnectionError):
            connection.sendall(sent)
        with suppress(ConnectionError):
            while more := connection.recv(65536):
                said += more
    return said


def test_slow_and_garbled_requests_keep_nobody_else_waiting(served: Served) -> None:
    where, _ = served
    port = int(where.rpartition(":")[2])
    begun = [
        b"GET / HTTP/1.1\r\nHost: loc",
        b"POST /admin/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\ntok",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 100_000,
    ]
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    try:
        for number, connection in enumerate(held):
            connection.sendall(begun[number % len(begun)])
        assert httpx.get(f"{where}/healthz").status_code == 200
        assert httpx.get(f"{where}/admin/login").status_code == 200
    finally:
        for connection in held:
            connection.close()
    assert httpx.get(f"{where}/healthz").status_code == 200


def test_an_error_tells_nothing_of_what_is_inside(served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample()
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as store, store:
        store.execute("DROP TABLE operators")
        store.execute("ALTER TABLE papers RENAME COLUMN title TO taken")
    pages = newsletter.folder / "templates" / "pages"
    pages.mkdir(parents=True)
    broken = [httpx.get(f"{where}/api/papers"), httpx.post(f"{where}/admin/login", data={"name": "x"})]
    (pages / "error.html").write_text("{{ nonesuch }} {{ site.name }}")
    with behind(newsletter) as again:
        broken += [httpx.get(f"{again}/api/papers"), httpx.get(f"{again}/nonesuch")]
    assert {one.status_code for one in broken} == {500, 503}
    for answer in broken:
        for inside in ("Traceback", "sqlite", "SELECT", "no such", ".py", ".html", str(newsletter.folder), "Undefined"):
            assert inside not in answer.text, (answer.url, inside)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
