"""Live-shaped sources, through the command: servers that answer as arXiv, Hugging Face and bioRxiv do, and fail."""

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.helpers.hostile_servers import RawHandler
from tests.helpers.newsletter import Newsletter, wait_until

HF = [
    {
        "paper": {
            "id": "2511.00001",
            "authors": [{"name": "Ada Lovelace"}, {"name": "Hidden One", "hidden": True}],
            "publishedAt": "2025-11-26T17:08:18.000Z",
            "submittedOnDailyAt": "2025-11-28T03:55:12.777Z",
            "title": "Weaving several goals at once",
            "summary": "A multi-objective reinforcement learning loom finds its Pareto front.",
            "upvotes": 10,
            "githubRepo": "https://github.com/ada/loom",
            "githubStars": 9,
            "projectPage": "https://loom.example",
            "ai_summary": "A loom for many goals.",
            "ai_keywords": ["Pareto front"],
            "organization": {"name": "looms", "fullname": "Looms Ltd"},
        },
        "title": "Weaving several goals at once",
        "numComments": 2,
    }
]

ATOM = """<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/" \
xmlns="http://www.w3.org/2005/Atom">
  <id>http://rss.arxiv.org/atom/cs.LG</id>
  <title>cs.LG updates</title>
  <updated>2025-11-28T05:00:00Z</updated>
  <entry>
    <id>oai:arXiv.org:2511.00001v1</id>
    <title>Weaving several goals at once</title>
    <updated>2025-11-28T05:00:00Z</updated>
    <link href="https://arxiv.org/abs/2511.00001" rel="alternate" type="text/html"/>
    <summary>arXiv:2511.00001v1 Announce Type: new
Abstract: A loom with a Pareto front of its own.</summary>
    <category term="cs.LG"/>
    <published>2025-11-28T00:00:00-04:00</published>
    <arxiv:announce_type>new</arxiv:announce_type>
    <dc:creator>Ada Lovelace</dc:creator>
  </entry>
</feed>
"""

BIORXIV = {
    "messages": [{"status": "ok", "cursor": 0, "count": 1, "total": "1"}],
    "collection": [
        {
            "title": "Cells that weave",
            "authors": "Lovelace, A.; Hopper, G.",
            "doi": "10.1101/2025.11.27.000001",
            "date": "2025-11-27",
            "version": "1",
            "category": "cell biology",
            "abstract": "Cells weave robustly under distribution shift.",
            "server": "bioRxiv",
        }
    ],
}


@pytest.fixture
def served(newsletter: Newsletter, httpserver: HTTPServer) -> HTTPServer:
    """Sources of three kinds, all served from here."""
    newsletter.configure(
        network={"timeout_seconds": 1.0, "attempts": 2, "wait_seconds": 0.01},
        sources={
            "hf": {"kind": "huggingface", "endpoint": httpserver.url_for("/hf")},
            "arxiv": {"kind": "arxiv", "categories": ["cs.LG"], "feed_url": httpserver.url_for("/atom")},
            "biorxiv": {"kind": "biorxiv", "api_url": httpserver.url_for("/details")},
        },
    )
    return httpserver


def all_good(server: HTTPServer) -> None:
    server.expect_request("/hf/api/daily_papers", query_string="date=2025-11-28&limit=100&p=0").respond_with_json(HF)
    server.expect_request("/hf/api/daily_papers").respond_with_json([])
    server.expect_request("/atom/cs.LG").respond_with_data(ATOM, content_type="application/atom+xml")
    server.expect_request("/details/biorxiv/2025-11-27/2025-11-28/0/json").respond_with_json(BIORXIV)


def test_three_services_give_two_papers_and_a_digest(newsletter: Newsletter, served: HTTPServer, reader: str) -> None:
    all_good(served)
    ran = newsletter.run("fetch", "--json")
    assert [(row["source"], row["papers"], row["error"]) for row in ran.rows] == [
        ("hf", 1, None),
        ("arxiv", 1, None),
        ("biorxiv", 1, None),
    ]
    # Two of them have the same paper; it is new to whichever is read first.
    assert [row["new"] for row in ran.rows] in ([1, 0, 1], [0, 1, 1])
    rows = newsletter.run("papers", "list", "--json").rows
    loom = next(row for row in rows if row["id"] == "2511.00001")
    assert loom["sources"] == ["arxiv", "hf"]
    assert (loom["upvotes"], loom["comments"], loom["organization"]) == (10, 2, "Looms Ltd")
    assert (loom["code_url"], loom["code_stars"]) == ("https://github.com/ada/loom", 9)
    assert (loom["summary"], loom["keywords"]) == ("A loom for many goals.", ["Pareto front"])
    assert (loom["authors"], loom["listed_on"]) == (["Ada Lovelace"], "2025-11-28")
    text = newsletter.run("preview", reader, "--format", "text").out
    assert "Weaving several goals at once" in text
    assert "Code (9 stars): https://github.com/ada/loom" in text

    again = newsletter.run("fetch", "--json")
    assert [(row["new"], row["changed"]) for row in again.rows] == [(0, 0)] * 3
    assert newsletter.run("papers", "list", "--json").rows == rows
    assert "mailto:papers@example.org" in served.log[0][0].headers["User-Agent"]


def test_one_that_fails_stops_no_other_and_is_shown(newsletter: Newsletter, served: HTTPServer) -> None:
    all_good(served)
    newsletter.run("fetch")
    served.clear()
    served.expect_request("/hf/api/daily_papers").respond_with_data("oops", status=500)
    served.expect_request("/atom/cs.LG").respond_with_data(ATOM[:-30], content_type="application/atom+xml")
    served.expect_request("/details/biorxiv/2025-11-28/2025-11-29/0/json").respond_with_json(
        {"messages": [{"status": "no posts found"}], "collection": []}
    )
    ran = newsletter.run("fetch", code=1, now="2025-11-29T09:00")
    assert "warning: hf: GET" in ran.err
    assert "status 500 (tried 2 times)" in ran.err
    assert "warning: arxiv: " in ran.err
    assert "biorxiv: 0 papers, 0 new" in ran.out
    rows = {row["name"]: row for row in newsletter.run("sources", "--json").rows}
    assert rows["hf"]["last_success"] == "2025-11-28T09:00:00+00:00"
    assert rows["hf"]["last_try"] == "2025-11-29T09:00:00+00:00"
    assert "status 500" in rows["hf"]["error"]
    assert (rows["hf"]["papers"], rows["biorxiv"]["papers"], rows["biorxiv"]["error"]) == (1, 0, None)
    assert len(newsletter.run("papers", "list", "--json").rows) == 2
    assert all(len(line.rstrip()) <= 80 for line in newsletter.run("sources").out.splitlines())


def test_timeouts_truncated_bodies_and_one_bad_answer_are_got_over(
    newsletter: Newsletter, served: HTTPServer, raw_server: Callable[[RawHandler], str]
) -> None:
    calls = {"hf": 0, "atom": 0, "bio": 0}

    def slow_once(request: Request) -> Response:
        calls["hf"] += 1
        if calls["hf"] == 1:
            time.sleep(1)
        return Response(json.dumps(HF if request.args["date"] == "2025-11-28" else []))

    def cut_once(connection: socket.socket) -> None:
        calls["atom"] += 1
        body = ATOM.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/atom+xml\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + (body[:500] if calls["atom"] == 1 else body))

    def error_once(request: Request) -> Response:
        calls["bio"] += 1
        return Response("busy", status=503) if calls["bio"] == 1 else Response(json.dumps(BIORXIV))

    served.expect_request("/hf/api/daily_papers").respond_with_handler(slow_once)
    newsletter.configure(
        sources={"arxiv": {"kind": "arxiv", "categories": ["cs.LG"], "feed_url": raw_server(cut_once)}}
    )
    served.expect_request("/details/biorxiv/2025-11-27/2025-11-28/0/json").respond_with_handler(error_once)
    # The server answers one at a time, so that the others wait while it sleeps.
    newsletter.configure(network={"attempts": 6})
    ran = newsletter.run("fetch", "--json")
    assert [(row["papers"], row["error"]) for row in ran.rows] == [(1, None)] * 3
    assert min(calls.values()) >= 2


def test_what_has_not_changed_is_not_sent_again(newsletter: Newsletter, served: HTTPServer) -> None:
    asked: list[str | None] = []

    def conditional(request: Request) -> Response:
        asked.append(request.headers.get("If-None-Match"))
        if asked[-1] == '"v1"':
            return Response(status=304)
        return Response(ATOM, headers={"ETag": '"v1"'}, content_type="application/atom+xml")

    served.expect_request("/atom/cs.LG").respond_with_handler(conditional)
    assert newsletter.run("fetch", "arxiv", "--json").rows[0]["papers"] == 1
    assert newsletter.run("fetch", "arxiv", "--json").rows[0]["papers"] == 0
    assert asked == [None, '"v1"']
    assert newsletter.run("sources", "--json").rows[1]["error"] is None


def test_unchanged_is_no_answer_to_who_has_nothing_yet(newsletter: Newsletter, served: HTTPServer) -> None:
    served.expect_request("/atom/cs.LG").respond_with_data("", status=304)
    ran = newsletter.run("fetch", "arxiv", code=1)
    assert "status 304 to an unconditional request (tried once)" in ran.err


def test_a_cut_answer_is_asked_for_again_next_time(newsletter: Newsletter, served: HTTPServer) -> None:
    headers = {"ETag": '"v1"'}
    served.expect_ordered_request("/atom/cs.LG").respond_with_data(ATOM[:-30], headers=headers)
    served.expect_ordered_request("/atom/cs.LG").respond_with_handler(
        lambda request: Response(status=304) if "If-None-Match" in request.headers else Response(ATOM, headers=headers)
    )
    newsletter.run("fetch", "arxiv", code=1)
    assert newsletter.run("fetch", "arxiv", "--json").rows[0]["papers"] == 1


def test_catching_up_asks_for_the_days(newsletter: Newsletter, served: HTTPServer) -> None:
    served.expect_request("/details/biorxiv/2025-11-01/2025-11-05/0/json").respond_with_json(BIORXIV)
    ran = newsletter.run("fetch", "biorxiv", "--since", "2025-11-01", "--until", "2025-11-05", "--json")
    assert ran.rows[0]["papers"] == 1


@pytest.fixture
def full() -> Iterator[int]:
    """The port of a server whose queue is full: a connection to it is never made, and never refused."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def attempts(port: int) -> int:
    """How many connections to a port are being made just now, as the kernel tells."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2] == f"0100007F:{port:04X}" and row[3] == "02" for row in rows)


@pytest.mark.system
@pytest.mark.parametrize("arguments", [["run"], ["run", "--once"], ["fetch"]], ids=" ".join)
def test_sources_that_hang_do_not_hold_up_a_stop(
    newsletter: Newsletter, raw_server: Callable[[RawHandler], str], full: int, arguments: list[str]
) -> None:
    answering, refusing = threading.Event(), threading.Event()

    def hang(_: socket.socket) -> None:
        answering.set()
        time.sleep(60)

    newsletter.configure(
        network={"timeout_seconds": 60, "wait_seconds": 60, "attempts": 4},
        sources={
            "connects": {"kind": "feed", "url": f"http://127.0.0.1:{full}/papers"},
            "answers": {"kind": "feed", "url": raw_server(hang)},
            "retries": {"kind": "feed", "url": raw_server(lambda _: refusing.set())},
        },
    )
    before = attempts(full)
    process = newsletter.start(*arguments)
    wait_until(lambda: answering.is_set() and refusing.is_set() and attempts(full) > before, process)
    time.sleep(0.5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert time.monotonic() - began < 30  # What they wait for lasts 60 seconds.
    assert process.returncode == (130 if arguments == ["fetch"] else 0)
    assert "Traceback" not in err
    assert "failed" not in out
    assert [row["error"] for row in newsletter.run("sources", "--json").rows] == [None] * 3
