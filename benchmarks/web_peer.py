"""The peer of the site: a plain site of the same store, as one would write it with Starlette, Jinja2 and SQLite's FTS5.

It has pages of days, of papers and of searches, in a process for each core. It does less: no similar papers, no authors
in searches, no LaTeX, no limits for clients, no cache.
"""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

_PAGE = Environment(autoescape=True).from_string("""<!doctype html><title>{{ title }}</title><h1>{{ title }}</h1>
{% for one in papers %}<article><h2><a href="/papers/{{ one.id }}">{{ one.title }}</a></h2>
<p>{{ one.abstract[:320] if papers | length > 1 else one.abstract }}</p><p>{{ one.day }} {{ one.upvotes or "" }}
<a href="{{ one.url }}">Abstract</a> <a href="{{ one.pdf_url }}">PDF</a></p></article>
{% endfor %}""")
_local = threading.local()


@contextmanager
def serving(store: Path, port: int, processes: int) -> Iterator[str]:
    """Run the peer with a copy of the store that has a full-text index."""
    copy = store.with_name("peer.db")
    with closing(sqlite3.connect(store)) as own, closing(sqlite3.connect(copy)) as made:
        own.backup(made)
        made.execute("DROP TABLE IF EXISTS words")
        made.execute("CREATE VIRTUAL TABLE words USING fts5(title, abstract, content='papers', content_rowid='row')")
        made.execute("INSERT INTO words (words) VALUES ('rebuild')")
        made.execute("CREATE INDEX of_peer ON papers (day, upvotes)")
        made.commit()
    where = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "benchmarks.web_peer:app", "--port", str(port), "--no-access-log"]
    command += ["--workers", str(processes), "--log-level", "warning"]
    with subprocess.Popen(command, env={**os.environ, "PEER": str(copy)}) as server:
        try:
            for _ in range(600):
                try:
                    httpx.get(f"{where}/papers", timeout=60)
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield where
        finally:
            server.terminate()
    copy.unlink()


def _answer(title: str, query: str, *given: object) -> HTMLResponse:
    if not hasattr(_local, "store"):
        _local.store = sqlite3.connect(os.environ["PEER"])
        _local.store.row_factory = sqlite3.Row
    columns = "id, papers.title, papers.abstract, day, upvotes, url, pdf_url"
    found = _local.store.execute(f"SELECT {columns} FROM papers {query}", given).fetchall()
    return HTMLResponse(_PAGE.render(title=title, papers=found), 200 if found else 404)


def _searched(request: Request) -> HTMLResponse:
    words = " OR ".join(request.query_params.get("q", "").split())
    query = "JOIN words ON words.rowid = row WHERE words MATCH ? ORDER BY bm25(words) LIMIT 20"
    return _answer(words, query, words) if words else _answer("Papers", "ORDER BY row DESC LIMIT 50")


def _of_days(request: Request) -> HTMLResponse:
    given, page = request.path_params["when"], int(request.query_params.get("page", 1)) - 1
    first = (
        f"date({given!r})"
        if "W" not in given
        else f"date('{given[:4]}-01-04', 'weekday 1', '{int(given[6:]) - 2} weeks')"
    )
    last = first if "W" not in given else first.replace(" weeks'", " weeks', '6 days'")
    query = f"WHERE day BETWEEN {first} AND {last} ORDER BY coalesce(upvotes, 0) DESC LIMIT 50 OFFSET ?"
    return _answer(given, query, 50 * page)


def _one(request: Request) -> HTMLResponse:
    return _answer("Paper", "WHERE id = ?", request.path_params["paper"])


app = Starlette(
    routes=[
        Route("/papers", _searched),
        Route("/papers/date/{when}", _of_days),
        Route("/papers/week/{when}", _of_days),
        Route("/papers/{paper}", _one),
    ]
)
