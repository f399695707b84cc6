"""What is asked over HTTP: sources and the site, real servers on loopback."""

import email.utils
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from newsletter.config.mail import Bounces
from newsletter.config.settings import Config
from newsletter.doctor.http import site, source, unsubscribing
from newsletter.doctor.result import CheckSkipped, CheckState
from newsletter.store.source_status import SourceStatus
from tests.helpers.hostile_servers import RawHandler

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
FEED = """<rss version="2.0"><channel><title>x</title>
<item><title>A paper</title><link>https://papers-lab.org/1</link></item></channel></rss>"""


def config(url: str, **changes: object) -> Config:
    """A newsletter whose site, and one feed, are at ``url``."""
    about = {"name": "x", "url": url, "from": "Papers <papers@papers-lab.org>", "postal_address": "x"}
    return Config.model_validate(
        {"site": about, "sources": {"feed": {"kind": "feed", "url": f"{url}/feed"}}, **changes}
    )


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}"


def record(**changes: object) -> SourceStatus:
    return SourceStatus(name="feed", last_try=NOW, **{"last_success": NOW - timedelta(hours=3), **changes})


@pytest.mark.parametrize(
    ("known", "state", "found", "fix"),
    [
        (None, CheckState.OK, "answers; not fetched yet", ""),
        (record(), CheckState.OK, "answers; last fetched 2026-11-21 06:00 UTC", ""),
        (
            record(error="status 503"),
            CheckState.WARNING,
            "the last fetch failed: status 503",
            "'newsletter fetch feed'",
        ),
        (
            record(last_success=NOW - timedelta(days=5)),
            CheckState.WARNING,
            "2026-11-16",
            "'newsletter fetch' every day",
        ),
    ],
)
def test_a_source_that_answers(
    httpserver: HTTPServer, known: SourceStatus | None, state: CheckState, found: str, fix: str
) -> None:
    httpserver.expect_request("/feed").respond_with_data(FEED, content_type="application/rss+xml")
    finding = source(config(httpserver.url_for("").rstrip("/")), "feed", known, NOW, [])
    assert (finding.name, finding.state) == ("source feed", state)
    assert found in finding.found
    assert fix in finding.fix
    assert len(httpserver.log) == 1


def test_sources_that_do_not_answer_rightly(httpserver: HTTPServer, nobody: str) -> None:
    url = httpserver.url_for("").rstrip("/")
    httpserver.expect_oneshot_request("/feed").respond_with_data("", status=503)
    finding = source(config(url), "feed", record(), NOW, [])
    assert (finding.state, "status 503 (tried once)" in finding.found) == (CheckState.BAD, True)
    assert "sources.feed" in finding.fix
    httpserver.expect_oneshot_request("/feed").respond_with_data("<html>log in</html>")
    assert "neither RSS nor Atom" in source(config(url), "feed", None, NOW, []).found
    httpserver.expect_oneshot_request("/feed").respond_with_data(FEED.replace("A paper", ""))
    nothing = source(config(url), "feed", None, NOW, [])
    assert (nothing.state, "entry 1: title: missing" in nothing.found) == (CheckState.WARNING, True)
    assert "connection refused" in source(config(nobody), "feed", None, NOW, []).found


def test_a_servers_time_is_heard(raw_server: Callable[[RawHandler], str]) -> None:
    def late(connection: socket.socket) -> None:
        date = email.utils.format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        connection.sendall(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nAge: 600\r\nContent-Length: 0\r\n\r\n".encode())

    ahead: list[float] = []
    assert site(config(raw_server(late)), False, ahead).state is CheckState.OK
    assert ahead[0] == pytest.approx(4200, abs=30)


def test_the_site_while_it_has_no_pages(httpserver: HTTPServer) -> None:
    url = httpserver.url_for("").rstrip("/")
    httpserver.expect_oneshot_request("/").respond_with_data("", status=404)
    finding = site(config(url), False, [])
    assert (finding.state, finding.found) == (
        CheckState.OK,
        f"{url} answers with status 404; no link in a message leads there yet",
    )
    httpserver.expect_oneshot_request("/").respond_with_data("", status=502)
    finding = site(config(url), False, [])
    assert (finding.state, "status 502" in finding.found) == (CheckState.WARNING, True)


def test_the_site_when_it_has_pages(httpserver: HTTPServer, nobody: str) -> None:
    url = httpserver.url_for("").rstrip("/")
    httpserver.expect_oneshot_request("/healthz").respond_with_data("well")
    assert site(config(url), True, []).found == f"{url} answers; readers unsubscribe there"
    httpserver.expect_oneshot_request("/healthz").respond_with_data("", status=404)
    for at, why in ((url, "/healthz: status 404"), (nobody, "connection refused")):
        finding = site(config(at), True, [])
        assert (finding.state, why in finding.found) == (CheckState.BAD, True)
        assert "readers unsubscribe there" in finding.fix


def test_a_site_that_leads_no_reader_anywhere(nobody: str) -> None:
    with pytest.raises(CheckSkipped, match="on this machine only"):
        site(config(nobody), False, [])
    with pytest.raises(CheckSkipped, match=r"an example URL.*set site\.url to your own"):
        site(config("https://papers.example.org"), False, [])


def test_how_a_reader_unsubscribes() -> None:
    plain = config("https://papers-lab.org")
    assert unsubscribing(plain, False).state is CheckState.WARNING
    assert "set bounces.imap or bounces.maildir" in unsubscribing(plain, False).fix
    bounces = Bounces(address="bounces@papers-lab.org", maildir=Path("Maildir"))
    read = plain.model_copy(update={"bounces": bounces})
    assert (
        unsubscribing(read, False).found == "email to bounces@papers-lab.org, which 'newsletter run' reads from Maildir"
    )
    assert unsubscribing(plain, True).found == "one click at https://papers-lab.org, or email"
