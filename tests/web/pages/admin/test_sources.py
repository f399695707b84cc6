"""The sources in the admin site: what hostile sources say, and the test of one."""

import threading
import time
from html import unescape

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.model import Role
from newsletter.web.pages.admin import sources as page_of_sources
from tests.helpers.admin import audited, operator_of
from tests.helpers.newsletter import Newsletter
from tests.helpers.web import serving

FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>Journal</title>
{items}</channel></rss>"""
HOSTILE = "&lt;script&gt;alert(1)&lt;/script&gt; \u202eevil"


def feed(number: int) -> str:
    one = "<item><title>{title} {n}</title><link>https://journal.example/{n}</link><guid>{n}</guid></item>"
    return FEED.format(items="".join(one.format(title=HOSTILE, n=n) for n in range(number)))


def test_a_test_shows_five_papers_or_the_error(newsletter: Newsletter, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/good").respond_with_data(feed(7), content_type="application/rss+xml")
    bad = "<h1>Gone fishing</h1><script>alert(2)</script>"
    httpserver.expect_request("/bad").respond_with_data(bad, status=500, content_type="text/html")
    names = {name: {"kind": "feed", "url": httpserver.url_for(f"/{name}")} for name in ("good", "bad")}
    newsletter.configure(sources=names)
    newsletter.run("fetch", code=None)
    with serving(newsletter) as where, operator_of(where, newsletter) as editor:
        page = editor.get("/admin/sources").text
        assert ("Fails." in page, "Works." in page, "<script>alert" in page) == (True, True, False)
        good = editor.post("/admin/sources/good/test")
        assert (good.status_code, good.text.count("<li><b")) == (200, 5)
        assert "<script>alert" not in good.text
        failed = editor.post("/admin/sources/bad/test")
        assert ("500" in unescape(failed.text), "<script>alert" in failed.text) == (True, False)
        for wrong in ("nothing", "..%2f", "x" * 300, "%E2%80%AE"):
            assert editor.post(f"/admin/sources/{wrong}/test").status_code == 404
        with operator_of(where, newsletter, Role.VIEWER, "vera") as viewer:
            assert "/test" not in viewer.get("/admin/sources").text
            assert viewer.post("/admin/sources/good/test").status_code == 403
    assert audited(newsletter) == [("ed", "source.test", "good", {}), ("ed", "source.test", "bad", {})]


def test_a_test_ends_in_time_and_one_runs_at_once(
    newsletter: Newsletter, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, go_on = threading.Event(), threading.Event()

    def never(request: Request) -> Response:
        called.set()
        go_on.wait(20)
        return Response("late")

    httpserver.expect_request("/slow").respond_with_handler(never)
    newsletter.configure(sources={"slow": {"kind": "feed", "url": httpserver.url_for("/slow")}})
    monkeypatch.setattr(page_of_sources, "_SECONDS", 4.0)
    answers = []
    with serving(newsletter) as where, operator_of(where, newsletter) as editor:
        began = time.monotonic()
        first = threading.Thread(target=lambda: answers.append(editor.post("/admin/sources/slow/test")))
        first.start()
        assert called.wait(15)
        with operator_of(where, newsletter, name="eve") as other:
            busy = other.post("/admin/sources/slow/test")
        assert (busy.status_code, "Another test is running." in busy.text) == (409, True)
        first.join(20)
        assert time.monotonic() - began < 15
        go_on.set()
    assert (answers[0].status_code, 'role="alert"' in answers[0].text) == (200, True)
