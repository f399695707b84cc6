import gzip
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate

import httpx
import pytest
import trustme
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.sources.bounds import MAX_RESPONSE_BYTES
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, user_agent
from tests.helpers.hostile_servers import HostileServer, RawHandler, answering, head, saying, silent

from .conftest import AGENT, LOOPBACK, network


def test_the_user_agent_says_who_asks_and_whom_to_write_to(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/papers").respond_with_data("fine")
    http.get(httpserver.url_for("/papers"))
    agent = httpserver.log[0][0].headers["User-Agent"]
    assert agent == "newsletter/0.1.0 (+https://papers.example.org; mailto:papers@example.org)"


def test_a_user_agent_of_other_letters_can_be_sent() -> None:
    agent = user_agent("https://papers.example.org/ü", "jürgen (he) <j@example.org>")
    assert agent.isascii()
    assert agent.count("(") == agent.count(")") == 1


def test_params_become_the_query(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/papers", query_string={"date": "2025-11-25", "p": "0"}).respond_with_data("fine")
    answer = http.get(httpserver.url_for("/papers"), {"date": "2025-11-25", "p": 0})
    assert answer.content == b"fine"


def test_a_failure_of_the_server_is_tried_again(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_ordered_request("/papers").respond_with_data("no", status=500)
    httpserver.expect_ordered_request("/papers").respond_with_data("fine")
    assert http.get(httpserver.url_for("/papers")).content == b"fine"


def test_a_failure_for_ever_is_told_with_the_number_of_tries(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/papers").respond_with_data("no", status=500)
    with pytest.raises(SourceError) as error:
        http.get(httpserver.url_for("/papers"))
    assert str(error.value) == f"GET {httpserver.url_for('/papers')}: status 500 (tried 3 times)"
    assert error.value.status == 500
    assert len(httpserver.log) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418])
def test_a_refusal_is_not_tried_again(httpserver: HTTPServer, http: HttpClient, status: int) -> None:
    httpserver.expect_request("/papers").respond_with_data("no", status=status)
    with pytest.raises(SourceError, match=rf"status {status} \(tried once\)"):
        http.get(httpserver.url_for("/papers"))


def test_the_server_says_how_long_to_wait(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_ordered_request("/papers").respond_with_data("", status=429, headers={"Retry-After": "1"})
    httpserver.expect_ordered_request("/papers").respond_with_data("fine")
    began = time.monotonic()
    assert http.get(httpserver.url_for("/papers")).content == b"fine"
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize("value", ["0", "soon", "-5", "", "Wed, 21 Oct 2015 07:28:00 GMT", "²"])
def test_a_wait_that_is_over_or_unreadable_is_no_wait(httpserver: HTTPServer, http: HttpClient, value: str) -> None:
    httpserver.expect_ordered_request("/papers").respond_with_data(
        "", status=503, headers={"Retry-After": value.encode("utf-8").decode("latin-1")}
    )
    httpserver.expect_ordered_request("/papers").respond_with_data("fine")
    assert http.get(httpserver.url_for("/papers")).content == b"fine"


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_who_asks_for_a_long_wait_is_left_alone(httpserver: HTTPServer, http: HttpClient, as_date: bool) -> None:
    value = formatdate(time.time() + 3600, usegmt=True) if as_date else "3600"
    httpserver.expect_request("/papers").respond_with_data("", status=429, headers={"Retry-After": value})
    with pytest.raises(SourceError, match=r"status 429, retry after 3\d\d\d s \(tried once\)"):
        http.get(httpserver.url_for("/papers"))


def test_a_server_that_says_nothing_is_not_waited_for(raw_server: Callable[[RawHandler], str]) -> None:
    url = raw_server(lambda _: time.sleep(0.4))
    with (
        HttpClient(network(timeout_seconds=0.1, attempts=2), AGENT, urls=LOOPBACK) as http,
        pytest.raises(SourceError) as error,
    ):
        http.get(url)
    assert str(error.value) == f"GET {url}: no response within 0.1 s (tried 2 times)"


def _drip(start: bytes, drop: bytes) -> RawHandler:
    def talk(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(2000):
            connection.sendall(drop)
            time.sleep(0.02)

    return talk


@pytest.mark.parametrize(
    "talk",
    [
        _drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        _drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        _drip(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    ],
    ids=["body", "body to the end of the connection", "header"],
)
def test_a_slow_drip_has_an_end(raw_server: Callable[[RawHandler], str], talk: RawHandler) -> None:
    url = raw_server(talk)
    began = time.monotonic()
    with (
        HttpClient(network(timeout_seconds=0.2, attempts=1), AGENT, urls=LOOPBACK) as http,
        pytest.raises(SourceError) as error,
    ):
        http.get(url)
    assert str(error.value) == f"GET {url}: no complete response within 2 s (tried once)"
    assert time.monotonic() - began < 20  # The whole would take 40 seconds.


def test_a_body_that_breaks_off_is_not_taken(raw_server: Callable[[RawHandler], str], http: HttpClient) -> None:
    head = b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 1000\r\n\r\n"
    url = raw_server(lambda connection: connection.sendall(head + b"only this"))
    with pytest.raises(SourceError) as error:
        http.get_if_changed(url)
    assert str(error.value) == f"GET {url}: the response ended after 9 bytes (tried 3 times)"
    assert http.validators_seen == {}


def test_a_connection_that_is_closed_at_once(raw_server: Callable[[RawHandler], str], http: HttpClient) -> None:
    url = raw_server(lambda _: None)
    with pytest.raises(SourceError, match=r"the response ended after 0 bytes \(tried 3 times\)"):
        http.get(url)


def test_what_is_no_http_is_told(raw_server: Callable[[RawHandler], str], http: HttpClient) -> None:
    url = raw_server(lambda connection: connection.sendall(b"220 mail.example.org ESMTP\r\n"))
    with pytest.raises(SourceError, match="GET http"):
        http.get(url)


def test_nobody_listens(http: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceError) as error:
        http.get(f"http://127.0.0.1:{port}/")
    assert str(error.value) == f"GET http://127.0.0.1:{port}/: connection refused (tried 3 times)"


PAGE = b'[{"paper": {}}]'


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (
            answering("429 X"),
            "status 429 (tried 3 times); too many requests; the next fetch tries again; if it happens",
        ),
        (answering("429 X", "Retry-After: 7200"), "retry after 7200 s (tried once); the server asks to wait until 20"),
        (answering("503 X"), "status 503 (tried 3 times); the server has a problem; the next fetch tries again"),
        (answering("401 X"), "status 401 (tried once); the server refuses access; check the URL, the settings, and"),
        (answering("404 X"), "status 404 (tried once); nothing is at this URL; check the source's settings"),
        (answering("400 X"), "status 400 (tried once); the server rejects the request; check the source's settings"),
        (
            lambda connection: connection.sendall(head(len(PAGE)) + PAGE[:9]),
            "the response ended after 9 bytes (tried 3 times); the connection was cut; the next fetch tries again",
        ),
        (
            silent,
            "no response within 0.2 s (tried 3 times); the server is slow or down; the next fetch tries again; if",
        ),
        (saying(b"<html>"), "not JSON; it begins with '<html>'; the next fetch tries again; if it stays so, check its"),
    ],
)
def test_each_failure_says_what_to_do(talk: RawHandler, said: str) -> None:
    with HostileServer(talk) as url, HttpClient(network(timeout_seconds=0.2), AGENT, urls=LOOPBACK) as http:
        with pytest.raises(SourceError) as error:
            http.get(url).json()
        assert said in error.value.explained
        assert http.requests == [f"GET {url}"]


def test_a_host_that_is_not_found(http: HttpClient) -> None:
    with pytest.raises(SourceError) as error:
        http.get("https://no-such-host.invalid/feed")
    assert "host not found (tried 3 times); check its name in config.yaml and the DNS" in error.value.explained


def test_a_certificate_that_nobody_vouches_for(http: HttpClient) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with HTTPServer(ssl_context=context) as server, pytest.raises(SourceError) as error:
        http.get(server.url_for("/papers"))
    said = "its TLS certificate is not valid: unable to get local issuer certificate (tried 3 times); check the host's"
    assert said in error.value.explained


def test_tls_where_there_is_none(httpserver: HTTPServer, http: HttpClient) -> None:
    with pytest.raises(SourceError, match=r"no TLS connection: .*SSL"):
        http.get(httpserver.url_for("/papers").replace("http:", "https:"))


def test_unchanged(httpserver: HTTPServer, http_knowing: Callable[..., HttpClient]) -> None:
    moment = "Tue, 25 Nov 2025 07:00:00 GMT"

    def answer(request: Request) -> Response:
        if request.headers.get("If-None-Match") == '"one"' and request.headers.get("If-Modified-Since") == moment:
            return Response(status=304)
        return Response("papers", headers={"ETag": '"one"', "Last-Modified": moment})

    httpserver.expect_request("/papers").respond_with_handler(answer)
    url = httpserver.url_for("/papers")
    first = http_knowing({})
    got = first.get_if_changed(url, {"p": 0})
    assert got is not None
    assert got.content == b"papers"
    assert first.validators_seen == {f"{url}?p=0": ('"one"', moment)}

    second = http_knowing(first.validators_seen)
    assert second.was_asked(url, {"p": 0})
    assert not second.was_asked(url, {"p": 1})
    assert second.get_if_changed(url, {"p": 0}) is None
    assert second.get_if_changed(url, {"p": 1}) is not None
    assert second.get(url, {"p": 0}).content == b"papers"
    assert "If-None-Match" not in httpserver.log[-1][0].headers


def test_unchanged_though_it_was_not_asked(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/papers").respond_with_data("", status=304)
    for ask in (http.get, http.get_if_changed):
        with pytest.raises(SourceError, match="status 304 to an unconditional request") as error:
            ask(httpserver.url_for("/papers"))
        assert error.value.status == 304
    assert http.validators_seen == {}


def test_a_pause_lies_between_calls_and_tries(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_ordered_request("/papers").respond_with_data("", status=500)
    httpserver.expect_ordered_request("/papers").respond_with_data("fine")
    httpserver.expect_ordered_request("/papers").respond_with_data("fine")
    began = time.monotonic()
    http.get(httpserver.url_for("/papers"), pause_seconds=0.2)
    http.get(httpserver.url_for("/papers"), pause_seconds=0.2)
    assert time.monotonic() - began >= 0.4


def test_redirects_are_followed_on_the_web_only(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/old").respond_with_data(status=301, headers={"Location": "/papers"})
    httpserver.expect_request("/papers").respond_with_data("fine")
    assert http.get(httpserver.url_for("/old")).content == b"fine"

    httpserver.expect_request("/file").respond_with_data(status=302, headers={"Location": "file:///etc/passwd"})
    with pytest.raises(SourceError, match=r"redirected to a URL that is not http or https \(tried once\)"):
        http.get(httpserver.url_for("/file"))

    httpserver.expect_request("/round").respond_with_data(status=302, headers={"Location": "/round"})
    with pytest.raises(SourceError, match=r"too many redirects \(tried once\)"):
        http.get(httpserver.url_for("/round"))


def test_an_answer_without_end_is_refused(httpserver: HTTPServer, http: HttpClient) -> None:
    bomb = gzip.compress(bytes(MAX_RESPONSE_BYTES + 1))
    httpserver.expect_request("/papers").respond_with_data(bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(SourceError, match=r"the response is larger than 50 MB \(tried once\)"):
        http.get(httpserver.url_for("/papers"))


def test_compressed_answers_are_read_and_broken_ones_told(httpserver: HTTPServer, http: HttpClient) -> None:
    headers = {"Content-Encoding": "gzip"}
    httpserver.expect_request("/good").respond_with_data(gzip.compress(b"fine"), headers=headers)
    httpserver.expect_request("/bad").respond_with_data(b"not gzip", headers=headers)
    assert http.get(httpserver.url_for("/good")).content == b"fine"
    with pytest.raises(SourceError, match="could not be decompressed"):
        http.get(httpserver.url_for("/bad"))


def test_secrets_in_a_url_are_not_told(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/papers").respond_with_data("", status=403)
    url = httpx.URL(httpserver.url_for("/papers")).copy_with(username="me", password="geheim", query=b"api_key=k1&p=2")
    with pytest.raises(SourceError) as error:
        http.get_if_changed(str(url))
    assert "geheim" not in str(error.value)
    assert "k1" not in str(error.value)
    assert "p=2" in str(error.value)


def test_passwords_are_not_kept_with_validators(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/papers").respond_with_data("fine", headers={"ETag": "x"})
    http.get_if_changed(httpserver.url_for("/papers").replace("http://", "http://me:geheim@"))
    assert list(http.validators_seen) == [httpserver.url_for("/papers")]


@pytest.mark.parametrize("body", [b"<html>sorry</html>", b"", b"\xff\xfe\x00", b"[" * 100_000, b"1" * 5000])
def test_an_answer_that_is_no_json(httpserver: HTTPServer, http: HttpClient, body: bytes) -> None:
    httpserver.expect_request("/papers").respond_with_data(body)
    answer = http.get(httpserver.url_for("/papers"))
    with pytest.raises(SourceError, match=r"the response is not JSON; it begins with '"):
        answer.json()


SECRET = "P9NiFoyLeZu2bZNvvuQPDWsd"


def test_headers_are_sent_and_answers_other_than_success_are_returned_if_accepted(
    httpserver: HTTPServer, http: HttpClient
) -> None:
    httpserver.expect_request(
        "/items", headers={"Zotero-API-Key": SECRET, "If-Modified-Since-Version": "7"}
    ).respond_with_data("", status=304, headers={"Last-Modified-Version": "7"})
    headers = {"Zotero-API-Key": SECRET, "If-Modified-Since-Version": "7"}
    answer = http.get(httpserver.url_for("/items"), headers=headers, accepted=(304,))
    assert (answer.status, answer.headers["last-modified-version"]) == (304, "7")
    with pytest.raises(SourceError, match="status 304 to an unconditional request") as error:
        http.get(httpserver.url_for("/items"), headers=headers)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_request_with_headers_follows_no_redirect(httpserver: HTTPServer, http: HttpClient, status: int) -> None:
    elsewhere = httpserver.url_for("/stolen").replace("127.0.0.1", "localhost")
    httpserver.expect_request("/items").respond_with_data("", status=status, headers={"Location": elsewhere})
    httpserver.expect_request("/stolen").respond_with_data("thanks")
    for ask in (
        lambda: http.get(httpserver.url_for("/items"), headers={"Zotero-API-Key": SECRET}),
        lambda: http.post_json(httpserver.url_for("/items"), [1], headers={"Zotero-API-Key": SECRET}),
    ):
        with pytest.raises(SourceError, match=f"status {status}: a redirect") as error:
            ask()
        assert SECRET not in str(error.value)
    assert {request.path for request, _ in httpserver.log} == {"/items"}


def test_json_is_sent_with_the_same_limits_and_attempts(httpserver: HTTPServer, http: HttpClient) -> None:
    value = [{"title": "Größe"}]
    httpserver.expect_ordered_request("/items", method="POST", json=value).respond_with_data("busy", status=503)
    httpserver.expect_ordered_request("/items", method="POST", json=value).respond_with_json({"done": True})
    httpserver.expect_ordered_request("/items", method="POST").respond_with_data("no", status=412)
    httpserver.expect_ordered_request("/items", method="POST").respond_with_data("no", status=412)
    httpserver.expect_ordered_request("/items", method="POST").respond_with_data(b"0" * (MAX_RESPONSE_BYTES + 1))
    url = httpserver.url_for("/items")
    assert http.post_json(url, value).json() == {"done": True}
    assert http.post_json(url, value, accepted=(412,)).status == 412
    with pytest.raises(SourceError) as error:
        http.post_json(url, value)
    assert str(error.value) == f"POST {url}: status 412 (tried once)"
    with pytest.raises(SourceError, match="larger than 50 MB"):
        http.post_json(url, value)
    with pytest.raises(SourceError, match="is a private address"):
        http.post_json("http://10.0.0.1/items", value)


def test_what_is_stored_about_a_url_has_no_key(httpserver: HTTPServer, http_knowing: Callable[..., HttpClient]) -> None:
    httpserver.expect_request("/feed").respond_with_data("x", headers={"ETag": '"1"'})
    url = httpserver.url_for("/feed?key=s3cret&page=1")
    client = http_knowing({})
    client.get_if_changed(url)
    ((stored, validators),) = client.validators_seen.items()
    assert "s3cret" not in stored
    assert "page=1" in stored
    assert validators == ('"1"', None)
    again = http_knowing(client.validators_seen)
    assert again.was_asked(url)
    assert not again.was_asked(httpserver.url_for("/feed?key=other&page=1"))
    again.get_if_changed(url)
    assert httpserver.log[-1][0].headers["If-None-Match"] == '"1"'
    assert httpserver.log[-1][0].args["key"] == "s3cret"
