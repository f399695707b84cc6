"""Public pages are kept for some seconds, and no other ones."""

import socket
import threading
import time
from contextlib import ExitStack

import httpx
from fastapi import FastAPI
from fastapi.responses import Response, StreamingResponse

from newsletter.config.web import Web
from newsletter.web.middleware.cache import PUBLIC, PageCache
from newsletter.web.server import listen
from newsletter.web.server import serving as serve_beside
from tests.helpers.newsletter import Newsletter, free_port
from tests.web.pages.test_papers import Served, take_in, titles


def test_a_public_page_is_kept_and_known_by_its_mark(served: Served) -> None:
    where, newsletter = served
    take_in(newsletter, {"title": "First", "listed_on": "2025-11-28"})
    first = httpx.get(f"{where}/papers")
    assert first.headers["Cache-Control"] == "public, max-age=60"
    take_in(newsletter, {"title": "Second", "listed_on": "2025-11-28"})
    assert httpx.get(f"{where}/papers").content == first.content
    mark = first.headers["ETag"]
    for given in (mark, f'"other", W/{mark}', "*"):
        same = httpx.get(f"{where}/papers", headers={"If-None-Match": given})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["ETag"] == mark
        assert "Content-Security-Policy" in same.headers
    assert httpx.get(f"{where}/papers", headers={"If-None-Match": '"other"'}).status_code == 200
    head = httpx.head(f"{where}/papers")
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(first.content)))
    # Another query is another page.
    assert titles(httpx.get(f"{where}/papers?x").text) == ["First", "Second"]


def test_what_is_not_there_is_not_kept(served: Served) -> None:
    where, newsletter = served
    assert httpx.get(f"{where}/papers/2511.00001").status_code == 404
    take_in(newsletter, {"title": "First", "arxiv_id": "2511.00001"})
    assert httpx.get(f"{where}/papers/2511.00001").status_code == 200
    assert httpx.post(f"{where}/papers").status_code == 405


def test_a_crowd_is_answered_all_alike(served: Served) -> None:
    where, newsletter = served
    newsletter.with_sample()
    answers: list[httpx.Response] = []
    crowd = [threading.Thread(target=lambda: answers.append(httpx.get(f"{where}/papers?q=energy"))) for _ in range(20)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len({answer.content for answer in answers}) == 1


def test_nothing_is_kept_where_the_settings_say_so(newsletter: Newsletter) -> None:
    from tests.helpers.web import serving

    newsletter.configure(web={"keep_seconds": 0})
    with serving(newsletter) as where:
        for number, title in enumerate(("First", "Second"), 1):
            take_in(newsletter, {"title": title, "listed_on": "2025-11-28"})
            assert len(titles(httpx.get(f"{where}/papers").text)) == number


def test_who_does_not_read_keeps_nobody_else_waiting() -> None:
    app, web = FastAPI(), Web(port=free_port())

    @app.get("/papers")
    def page() -> Response:
        return Response("page", headers=PUBLIC)

    @app.get("/papers/{paper}")
    def nothing(paper: str) -> Response:
        return StreamingResponse((b"x" * 5_000_000 for _ in range(3)), 404)

    app.add_middleware(PageCache, seconds=15.0)
    with listen(web) as listener, serve_beside(app, listener, web), ExitStack() as held:
        where = f"http://127.0.0.1:{web.port}"
        for number in range(8):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", web.port), timeout=10))
            connection.sendall(b"GET /papers/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number)
        time.sleep(1)
        assert httpx.get(f"{where}/papers", timeout=10).text == "page"
        # Who does read gets all of it, in its order.
        missing = httpx.get(f"{where}/papers/9", timeout=10)
        assert (missing.status_code, len(missing.content)) == (404, 15_000_000)


def test_a_page_that_fails_halfway_is_an_error_and_not_half_a_page() -> None:
    app, web = FastAPI(), Web(port=free_port())

    @app.get("/papers/{paper}")
    def half(paper: str) -> Response:
        def parts():  # type: ignore[no-untyped-def]
            yield b"half"
            raise ValueError("a mistake")

        return StreamingResponse(parts())

    app.add_middleware(PageCache, seconds=15.0)
    with listen(web) as listener, serve_beside(app, listener, web):
        assert httpx.get(f"http://127.0.0.1:{web.port}/papers/1", timeout=10).status_code == 500
