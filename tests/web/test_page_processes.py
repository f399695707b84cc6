"""Public pages that other processes render: the same pages, whatever happens to the processes."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

import httpx
import pytest

from newsletter.config.web import Web
from newsletter.services.context import AppContext, open_context
from newsletter.support.clock import frozen_clock, parse_moment
from newsletter.web.app import make_app
from newsletter.web.page_processes import PageProcesses
from newsletter.web.server import listen
from newsletter.web.server import serving as serve_beside
from tests.helpers.newsletter import NOW, Newsletter, free_port, wait_until
from tests.web.pages.test_papers import take_in, titles


@contextmanager
def with_processes(newsletter: Newsletter, number: int) -> Iterator[tuple[str, PageProcesses]]:
    """Serve the site of a newsletter with processes for pages; yield its URL and the processes."""
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    web = Web(port=free_port())
    app = make_app(context, processes=number)
    with listen(web) as listener, serve_beside(app, listener, web):
        yield f"http://127.0.0.1:{web.port}", app.state.processes
    context.engine.dispose()


get = partial(httpx.get, timeout=60)


def crowd(where: str, paths: list[str]) -> list[httpx.Response]:
    """Request some pages at the same time."""
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda path=path: answers.append(get(where + path))) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def started(where: str, processes: PageProcesses) -> int:
    """Request pages until there is a process for them; return its id."""
    numbers = count()

    def pids() -> list[int]:
        if not processes.pids:
            crowd(where, [f"/papers?q=energy+{next(numbers)}" for _ in range(12)])
        return processes.pids

    wait_until(pids)
    (pid,) = processes.pids
    return pid


def ended(pid: int) -> bool:
    """Return whether a process is gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_pages_are_the_same_from_another_process_and_when_it_is_killed(newsletter: Newsletter) -> None:
    newsletter.configure(web={"keep_seconds": 0})
    newsletter.with_sample()
    paths = ["/papers", "/papers/date/2025-11-25", "/papers?q=energy", "/papers/trending", "/feeds/papers.atom"]
    with with_processes(newsletter, 1) as (where, processes):
        first = {path: get(where + path) for path in paths}
        assert processes.pids == []  # Visitors who come one after the other need none.
        pid = started(where, processes)
        for path, former in first.items():
            again = get(where + path)
            assert (again.status_code, again.text) == (200, former.text)
            assert {**again.headers, "date": ""} == {**former.headers, "date": ""}
            assert get(where + path, headers={"If-None-Match": former.headers["ETag"]}).status_code == 304
            assert httpx.head(where + path, timeout=60).headers["Content-Length"] == str(len(former.content))
        assert get(f"{where}/papers/nothing").status_code == 404
        assert get(f"{where}/papers?page=0").status_code in (200, 404)
        counted = get(f"{where}/metrics").text
        assert 'route="/papers/date/{day}",status="200"' in counted
        # A new paper is on the next page, whoever makes it.
        take_in(newsletter, {"title": "Quite new", "listed_on": "2025-11-28"})
        assert "Quite new" in titles(get(f"{where}/papers").text)
        os.kill(pid, signal.SIGKILL)
        answers = crowd(where, [f"/papers/date/2025-11-25?number={number}" for number in range(12)])
        assert [answer.status_code for answer in answers] == [200] * 12
        assert pid not in processes.pids
    assert ended(pid)


def test_processes_end_with_the_site(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    with with_processes(newsletter, 1) as (where, processes):
        pid = started(where, processes)
        assert not ended(pid)
    wait_until(lambda: ended(pid))


@pytest.fixture
def context(newsletter: Newsletter) -> Iterator[AppContext]:
    found = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    yield found
    found.engine.dispose()


def test_a_process_that_does_not_start_is_not_tried_all_the_time(
    context: AppContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("newsletter.web.page_processes.sys.executable", "/bin/false")
    scope = {"path": "/papers", "raw_path": b"/papers", "query_string": b""}

    async def ask() -> None:
        processes = PageProcesses(context, 2)
        for _ in range(20):
            assert await processes.ask(scope, busy=True) is None
            await asyncio.sleep(0.02)
        processes.close()

    asyncio.run(ask())
    assert [record.message.partition(" (")[0] for record in caplog.records] == ["a process for pages did not start"]
