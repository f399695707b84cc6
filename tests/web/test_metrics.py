"""What machines ask: /metrics and /healthz, and that the site runs beside the scheduler."""

import signal
import socket
import sqlite3
from contextlib import closing

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.helpers.newsletter import Newsletter, free_port
from tests.helpers.smtp import Mailbox

Served = tuple[str, Newsletter]
SCOPES = ("read", "metrics")


def figures(text: str) -> dict[tuple[str, ...], float]:
    """The figures by their name and the values of their labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_what_the_store_knows_and_what_was_asked(mail: Mailbox, reader: str, served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample().run("send")
    newsletter.run("subscribe", "grace@example.org", "--no-file")
    for path in ("/api/papers/nonesuch", "/api/papers/another", "/nonesuch", "/api/stats"):
        httpx.get(where + path)
    known = figures(httpx.get(f"{where}/metrics").text)
    assert known["newsletter_store_up",] == 1
    assert known["newsletter_subscribers", "active"] == 2
    assert known["newsletter_subscribers", "bounced"] == 0
    assert known["newsletter_sends_today", "sent"] == 1
    assert known["newsletter_queue",] == known["newsletter_queue_oldest_seconds",] == known["newsletter_unsure",] == 0
    ((_, state, worker),) = (key for key in known if key[0] == "newsletter_worker_sends_total")
    assert worker.startswith(f"{socket.gethostname()}/")
    assert known["newsletter_worker_sends_total", state, worker] == 1 and state == "sent"
    # By the route's template: what a reader asked for makes no series of its own.
    assert known["newsletter_http_requests_total", "GET", "/api/papers/{id}", "404"] == 2
    assert known["newsletter_http_requests_total", "GET", "none", "404"] == 1
    assert known["newsletter_http_requests_total", "GET", "/api/stats", "401"] == 1
    assert known["newsletter_http_request_seconds_count", "GET", "/api/papers/{id}"] == 2


def test_whoever_comes_by_a_proxy_needs_a_token_for_metrics(served: Served) -> None:
    where, newsletter = served
    public = {"Host": "papers.example.org"}
    for headers in (
        public,
        {"X-Forwarded-For": "192.0.2.7"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"Forwarded": "for=127.0.0.1"},
        {**public, "Authorization": "Bearer nonesuch"},
    ):
        assert httpx.get(f"{where}/metrics", headers=headers).status_code == 401, headers
    reads, token = (newsletter.run("token", "create", scope, "--scope", scope).out.strip() for scope in SCOPES)
    refused = httpx.get(f"{where}/metrics", headers={**public, "Authorization": f"Bearer {reads}"})
    assert refused.status_code == 403
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="metrics"'
    good = {**public, "X-Forwarded-For": "192.0.2.7", "Authorization": f"Bearer {token}"}
    assert "newsletter_subscribers" in httpx.get(f"{where}/metrics", headers=good).text


def test_health_is_that_of_the_store(served: Served) -> None:
    where, newsletter = served
    assert (httpx.get(f"{where}/healthz").status_code, httpx.head(f"{where}/healthz").status_code) == (200, 200)
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as store, store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
    answer = httpx.get(f"{where}/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "the store does not answer"})
    with closing(sqlite3.connect(newsletter.folder / "var" / "newsletter.db")) as store, store:
        store.execute("DROP TABLE alembic_version")
        store.execute("DROP TABLE rate_limits")
    assert httpx.get(f"{where}/healthz").status_code == 503
    assert figures(httpx.get(f"{where}/metrics").text)["newsletter_store_up",] == 0


def test_the_site_runs_beside_the_scheduler_and_both_stop(mail: Mailbox, newsletter: Newsletter) -> None:
    port = free_port()
    newsletter.configure(web={"port": port})
    process = newsletter.start("run", "--web")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    assert "event='serving' host='127.0.0.1'" in lines[0], (lines, process.poll())
    assert "event='started'" in lines[1]
    assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "event='stopped'" in out


def test_a_port_that_is_taken_is_told(newsletter: Newsletter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        newsletter.configure(web={"port": port})
        for command in ("run --web", "serve"):
            ran = newsletter.run(*command.split(), code=2)
            assert ran.err == f"error: web.port: 127.0.0.1:{port}: Address already in use; choose another port\n"
    assert "mutually exclusive" in newsletter.run("run", "--web", "--once", code=2).err
