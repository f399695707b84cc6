"""Which hosts sources may lead to: real servers on addresses of loopback, real names in a network of their own."""

import json
import os
import shlex
import socket
import ssl
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.sources.address_policy import AddressPolicy, PrivateAddressError, is_public
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient
from tests.helpers.hostile_servers import RawHandler
from tests.helpers.newsletter import Newsletter

from .conftest import AGENT, network

NAMED = ["http://localhost/"]
FEED = (
    '<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title><entry><id>x</id><title>A paper</title></entry></feed>'
)


def getting(url: str, **changes: object) -> bytes:
    with HttpClient(network(attempts=1, **changes), AGENT, urls=NAMED) as http:  # type: ignore[arg-type]
        return http.get(url).content


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.2.1",
        "198.18.0.1", "198.51.100.1", "203.0.113.1",
        "::", "::1", "fe80::1", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1", "4000::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1",
        "2002:7f00:1::1", "2002:a00:1::1", "2002:c0a8:101::1", "2001:0:7f00:1::1", "2606:4700::5efe:a00:1",
        "2606:4700::200:5efe:7f00:1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_on_the_internet(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(PrivateAddressError, match=r"network\.allow_private"):
        AddressPolicy(["https://papers.example.org"], []).addresses(address, 80)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1",
     "::ffff:8.8.8.8"],
)  # fmt: skip
def test_addresses_on_the_internet(address: str) -> None:
    assert is_public(ip_address(address))
    assert AddressPolicy([], []).addresses(address, 80)


@pytest.fixture
def other() -> "HTTPServer":
    """A server on another address, which no configuration names."""
    with HTTPServer(host="127.0.0.2") as server:
        server.expect_request("/secret").respond_with_data("secret")
        yield server


def writings(port: int) -> list[str]:
    hosts = ["127.0.0.2", "2130706434", "0x7f000002", "0177.0.0.2", "017700000002", "127.2", "0x7f.2", "127.0.2",
             "[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "１２７.0.0.2", "127.0.0.2."]  # fmt: skip
    return [f"http://{host}:{port}/secret" for host in hosts]


@pytest.mark.parametrize("which", range(12))
def test_a_redirect_to_a_private_address_is_not_followed(httpserver: HTTPServer, other: HTTPServer, which: int) -> None:
    target = writings(other.port)[which]
    httpserver.expect_request("/feed").respond_with_data(
        status=302, headers={"Location": target.encode().decode("latin-1")}
    )
    with pytest.raises(SourceError) as error:
        getting(httpserver.url_for("/feed"))
    assert "127.0.0.2" in str(error.value) or "no connection" in str(error.value) or "host" in str(error.value)
    assert other.log == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "a.localhost", "[::1]", "0.0.0.0", "0", "[::]"])
def test_a_redirect_to_this_machine_is_not_followed(httpserver: HTTPServer, host: str) -> None:
    target = f"http://{host}:{httpserver.port}/secret"
    httpserver.expect_request("/feed").respond_with_data(status=302, headers={"Location": target})
    httpserver.expect_request("/secret").respond_with_data("secret")
    with pytest.raises(SourceError):
        getting(httpserver.url_for("/feed"))
    assert [request.path for request, _ in httpserver.log] == ["/feed"]


READS = """
import sys
from newsletter.config.settings import Network
from newsletter.sources.http import HttpClient

with HttpClient(Network(attempts=1), "x", urls=[sys.argv[1]]) as http:
    print(http.get(sys.argv[1]).content.decode())
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_the_body_of_a_redirect_is_not_read(httpserver: HTTPServer) -> None:
    headers = {"Location": "/there", "Content-Encoding": "gzip, gzip"}
    bomb = zipped(zipped(bytes(1_000_000) for _ in range(300)))
    httpserver.expect_request("/feed").respond_with_data(b"".join(bomb), 302, headers)
    httpserver.expect_request("/there").respond_with_data("followed")
    ran = subprocess.run(
        [sys.executable, "-c", READS, httpserver.url_for("/feed")],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    content, kilobytes = ran.stdout.splitlines()
    assert content == "followed"
    assert int(kilobytes) < 200_000


def zipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


def test_a_refusal_says_what_to_do(httpserver: HTTPServer, other: HTTPServer) -> None:
    httpserver.expect_request("/feed").respond_with_data(
        status=302, headers={"Location": f"http://127.0.0.2:{other.port}/secret"}
    )
    with pytest.raises(SourceError) as error:
        getting(httpserver.url_for("/feed"))
    assert str(error.value) == (
        f"GET {httpserver.url_for('/feed')}: 127.0.0.2 is a private address, which the configuration does not allow; "
        "if it is correct, add 127.0.0.2 to network.allow_private (tried once)"
    )


@pytest.mark.parametrize("allowed", ["127.0.0.2", "127.0.0.0/8", "127.0.0.2/32"])
def test_a_private_address_that_is_allowed(httpserver: HTTPServer, other: HTTPServer, allowed: str) -> None:
    httpserver.expect_request("/feed").respond_with_data(status=302, headers={"Location": other.url_for("/secret")})
    assert getting(httpserver.url_for("/feed"), allow_private=[allowed]) == b"secret"


def test_a_name_of_this_network_that_the_configuration_names(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/feed").respond_with_data("fine")
    url = f"http://localhost:{httpserver.port}/feed"
    with HttpClient(network(), AGENT, urls=[url]) as http:
        assert http.get(url).content == b"fine"
    assert httpserver.log[0][0].headers["Host"] == f"localhost:{httpserver.port}"
    with HttpClient(network(attempts=1), AGENT) as http, pytest.raises(SourceError, match=r"network\.allow_private"):
        http.get(url)


def test_passwords_go_to_the_configured_host_alone(httpserver: HTTPServer, other: HTTPServer) -> None:
    seen: list[str | None] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get("Authorization"))
        return Response("fine")

    other.expect_request("/there").respond_with_handler(answer)
    httpserver.expect_request("/feed").respond_with_data(status=302, headers={"Location": other.url_for("/there")})
    getting(httpserver.url_for("/feed").replace("//", "//me:geheim@"), allow_private=["127.0.0.2"])
    assert "Authorization" in httpserver.log[0][0].headers
    assert seen == [None]


def test_nothing_comes_from_the_environment(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password geheim\n")
    for name, value in {
        "HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1",
        "NETRC": str(tmp_path / ".netrc"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    httpserver.expect_request("/feed").respond_with_data("fine")
    assert getting(httpserver.url_for("/feed")) == b"fine"
    assert "Authorization" not in httpserver.log[0][0].headers


def test_a_proxy_that_is_configured_looks_names_up(raw_server: Callable[[RawHandler], str]) -> None:
    asked: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        asked.append(b"")
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")

    through = raw_server(proxy).removesuffix("/papers")
    with pytest.raises(SourceError, match=r"169\.254\.169\.254 is a private address"):
        getting("http://papers.example.org/feed", proxy=through)
    assert len(asked) == 1  # The first request went through it, the second was not made.


def test_a_certificate_is_checked_for_the_name_though_the_address_is_connected_to(
    newsletter: Newsletter, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with HTTPServer(host="127.0.0.1", ssl_context=context) as server:
        server.expect_request("/feed").respond_with_data(FEED)
        sources = {
            name: {"kind": "feed", "url": f"https://{host}:{server.port}/feed"}
            for name, host in {"named": "localhost", "wrong": "127.0.0.1"}.items()
        }
        newsletter.configure(sources=sources)
        process = newsletter.start("fetch", "--json", SSL_CERT_FILE=str(tmp_path / "ca.pem"))
        printed, _ = process.communicate(timeout=60)
    named, wrong = (json.loads(line) for line in printed.splitlines())
    assert (named["papers"], named["error"]) == (1, None)
    assert "certificate" in wrong["error"]


IN_A_NETWORK_OF_ITS_OWN = """
import dns.message, dns.rrset, http.server, socket, sys, threading
from newsletter.config.settings import Network
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient

answers = {"private.example.org.": ["127.0.0.1"], "rebinds.example.org.": ["9.9.9.9", "127.0.0.1"]}
asked = {}

def names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        query, whom = server.recvfrom(4096)
        message = dns.message.from_wire(query)
        reply, (question,) = dns.message.make_response(message), message.question
        name = question.name.to_text()
        if question.rdtype == 1 and name in answers:
            asked[name] = asked.get(name, -1) + 1
            address = answers[name][min(asked[name], len(answers[name]) - 1)]
            reply.answer.append(dns.rrset.from_text(question.name, 0, "IN", "A", address))
        server.sendto(reply.to_wire(), whom)

class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"secret")

threading.Thread(target=names, daemon=True).start()
pages = http.server.HTTPServer(("127.0.0.1", 8080), Pages)
threading.Thread(target=pages.serve_forever, daemon=True).start()
for host, allowed in (("private", []), ("private", ["private.example.org"]), ("rebinds", [])):
    url = f"http://{host}.example.org:8080/"
    with HttpClient(Network(attempts=1, timeout_seconds=2, allow_private=allowed), "x", urls=[url]) as http:
        try:
            print(http.get(url).content.decode())
        except SourceError as error:
            print(error)
"""


def test_a_name_with_a_private_address_and_one_whose_address_changes(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    (tmp_path / "try.py").write_text(textwrap.dedent(IN_A_NETWORK_OF_ITS_OWN))
    mount = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf"
    inside = f"ip link set lo up && {mount} && exec {shlex.quote(sys.executable)} {tmp_path}/try.py"
    ran = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "--net", "sh", "-c", inside],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    refused, allowed, changed = ran.stdout.splitlines()
    assert refused == (
        "GET http://private.example.org:8080/: private.example.org has the private address 127.0.0.1, which the "
        "configuration does not allow; if it is correct, add private.example.org to network.allow_private (tried once)"
    )
    assert allowed == "secret"
    # The address that was checked is the one that is connected to, and there is no way to it from here.
    assert "no connection" in changed or "no answer" in changed
