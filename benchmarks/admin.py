"""Response times of the admin site, the API and ``/metrics`` with 100,000 subscribers. ``make bench-admin``.

A generated store of a month (``benchmarks/filled_store.py``), in SQLite, and with ``--postgresql`` in PostgreSQL, too;
``newsletter serve`` as a process, and one browser, which asks for one page after the other. Besides the time of a page
it measures the CPU time of the site's process: other work on the machine slows the first down, hardly the second. The
result is printed, and written to ``var/bench/admin.json``.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import httpx
from fastapi.routing import APIRoute

from benchmarks import filled_store
from benchmarks.filled_store import EDITIONS, NOW
from newsletter.config.loader import load_config
from newsletter.model import Role, Scope
from newsletter.services.context import open_context
from newsletter.store import copying, open_store, operators, tokens, writing
from newsletter.support.clock import frozen_clock
from newsletter.web.app import make_app
from tests.helpers.newsletter import free_port
from tests.helpers.postgresql import PostgreSQL

FOLDER = Path("var/bench")
REPEATS = 5
CONFIG = """\
site: {{name: Bench, url: "http://localhost:{port}", from: bench@newsletter.example, postal_address: nowhere}}
smtp: {{host: 127.0.0.1, port: 1, security: none}}
web: {{port: {port}, api_per_minute: 100000}}
store: {{url: "{store}"}}
webhooks:
  endpoints:
    crm: {{url: "https://crm.example.com/events"}}
    warehouse: {{url: "https://warehouse.example.com/events"}}
"""
SECRET = "whsec_" + "QUJD" * 8
_TEXTS = ("text/html", "application/json", "text/plain")


@dataclass(frozen=True, slots=True)
class Times:
    """Times of a page in milliseconds, and its size in bytes.

    Attributes:
        cpu_ms: the CPU time that the site's process used, on average.
    """

    median_ms: float
    min_ms: float
    max_ms: float
    cpu_ms: float
    size: int


def pages(subscribers: int) -> list[str]:
    """Return the pages that are timed: each route, and what an operator asks a list for."""
    last = subscribers - 20
    middle, recent = subscribers // 2, NOW.date() - timedelta(days=1)
    people, api = "/admin/subscribers", "/api"
    return [
        "/admin",
        people,
        f"{people}?after={middle}",
        f"{people}?after={last}",
        f"{people}?q=lovelace",
        f"{people}?q=lovelace{last}",
        f"{people}?q=reader-nobody-has",
        f"{people}?q=ab",
        f"{people}?q=@lab.example.net&after={middle}",
        f"{people}?state=bounced",
        f"{people}?state=pending&after={last}",
        f"{people}?tag=europe",
        f"{people}?tag=chemistry&after={middle}",
        f"{people}?tag=europe&state=pending&q=wu",
        f"{people}/1",
        f"{people}/{last}",
        f"{people}/new",
        "/admin/announcements",
        "/admin/announcements/1",
        "/admin/announcements/new",
        "/admin/queue",
        "/admin/sources",
        "/admin/templates",
        "/admin/templates/source/digest.mjml",
        "/admin/templates/message?email=first@example.org",
        "/admin/webhooks",
        "/admin/settings",
        "/admin/audit",
        f"/admin/audit?before={middle}",
        "/admin/audit?actor=ada",
        "/admin/audit?actor=nobody",
        "/admin/accounts",
        "/admin/accounts/1",
        "/admin/tokens",
        f"{api}/subscribers",
        f"{api}/subscribers?limit=100&after={middle}",
        f"{api}/subscribers?state=pending&limit=100",
        f"{api}/subscribers?email=first@example.org",
        f"{api}/subscribers/1",
        f"{api}/editions?limit=100",
        f"{api}/sends",
        f"{api}/sends?subscriber=1",
        f"{api}/sends?state=failed",
        f"{api}/sends?state=unsure",
        f"{api}/sends?edition={recent}&state=failed",
        f"{api}/sends?edition={recent}&limit=100",
        f"{api}/sends?paper=bench:{(EDITIONS - 2) * filled_store.DAILY_PAPERS}",
        f"{api}/stats",
        "/metrics",
    ]


def prepare(subscribers: int, url: str) -> Path:
    """Fill a store unless it is filled, and return the newsletter's folder.

    Args:
        url: of an empty database for the store; without one, the store is a file, which is kept for the next time.
    """
    folder = FOLDER / f"admin-{subscribers}"
    kept = folder / "store.db"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        filled_store.fill(open_store(f"sqlite:///{kept}"), subscribers)
        (folder / "done").touch()
    if url:
        copying.copy(open_store(f"sqlite:///{kept}"), open_store(url), lambda *_: None)
    return folder


@contextmanager
def serving(folder: Path, url: str) -> Iterator[tuple[httpx.Client, int]]:
    """Run the site in a process; yield a client that is logged in and has a token, and the number of the process."""
    port = free_port()
    (folder / "config.yaml").write_text(
        CONFIG.format(port=port, store=url or f"sqlite:///{(folder / 'store.db').resolve()}")
    )
    engine = open_store(url or f"sqlite:///{folder / 'store.db'}")
    with writing(engine) as connection:
        if operators.by_name(connection, "ada") is None:
            operators.add(connection, "ada", Role.OWNER, "nobody logs in by password", NOW)
        found = operators.by_name(connection, "ada")
        assert found is not None
        cookie = operators.begin_session(connection, found.row, NOW, NOW + timedelta(days=1))
        tokens.revoke(connection, filled_store.TOKEN_NAME)
        token = tokens.create(connection, filled_store.TOKEN_NAME, list(Scope), NOW, None, "ada")
    engine.dispose()
    secrets = {f"NEWSLETTER_WEBHOOK_{name.upper()}_SECRET": SECRET for name in filled_store.ENDPOINTS}
    command = [sys.executable, "-m", "newsletter", "--now", NOW.isoformat(), "serve"]
    where = f"http://localhost:{port}"
    headers = {"Authorization": f"Bearer {token}", "Cookie": f"operator={cookie}"}
    with subprocess.Popen(command, cwd=folder, env={**os.environ, **secrets}, stdout=subprocess.DEVNULL) as server:
        try:
            with httpx.Client(base_url=where, headers=headers, timeout=120) as client:
                _wait_for(client, server)
                yield client, server.pid
        finally:
            server.terminate()


def _wait_for(client: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    for _ in range(3_000):
        if server.poll() is not None:
            sys.exit("newsletter serve ended")
        try:
            client.get("/healthz")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    sys.exit("newsletter serve does not answer")


def measure(client: httpx.Client, process: int, path: str, repeats: int) -> Times:
    """Request a page repeatedly, after once to warm up."""
    took, size = [], len(_get(client, path))
    before = _cpu_seconds(process)
    for _ in range(repeats):
        began = time.perf_counter()
        size = len(_get(client, path))
        took.append((time.perf_counter() - began) * 1000)
    used = (_cpu_seconds(process) - before) * 1000 / repeats
    return Times(statistics.median(took), min(took), max(took), used, size)


def _get(client: httpx.Client, path: str) -> bytes:
    answer = client.get(path)
    if answer.status_code != 200 or not answer.headers["content-type"].startswith(_TEXTS):
        sys.exit(f"{path}: status {answer.status_code}: {answer.text[:300]}")
    return answer.content


def _cpu_seconds(process: int) -> float:
    """Return the CPU time that a process used, with threads that ended (proc(5): fields 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def not_timed(folder: Path, timed: list[str]) -> set[str]:
    """Return the GET routes of the admin site and of the operators' API that no timed page belongs to."""
    app = make_app(open_context(load_config(folder / "config.yaml"), frozen_clock(NOW)))
    routes = [one for one in app.routes if isinstance(one, APIRoute) and "GET" in (one.methods or ())]
    bare = {path.partition("?")[0] for path in timed}
    ours = [one for one in routes if one.path.startswith("/admin") or "operators" in one.tags]
    return {one.path for one in ours if not any(one.path_regex.fullmatch(path) for path in bare)}


def run(subscribers: int, url: str, repeats: int, engine: str) -> dict[str, Times]:
    """Time all pages of a store, and print them."""
    began = time.monotonic()
    folder = prepare(subscribers, url)
    print(f"\n{engine}: {subscribers:,} subscribers, prepared in {time.monotonic() - began:.0f} s", flush=True)
    found = {}
    with serving(folder, url) as (client, process):
        print(f"{'page':62}{'median ms':>10}{'min':>8}{'max':>8}{'CPU':>8}{'kB':>8}")
        for path in pages(subscribers):
            found[path] = one = measure(client, process, path, repeats)
            figures = f"{one.median_ms:>10.0f}{one.min_ms:>8.0f}{one.max_ms:>8.0f}{one.cpu_ms:>8.0f}"
            print(f"{path:62}{figures}{one.size / 1000:>8.0f}", flush=True)
    for path in sorted(not_timed(folder, list(found))):
        print(f"not timed: {path}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--postgresql", action="store_true", help="time a store in PostgreSQL, too")
    given = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(machine)
    written = {"machine": machine, "subscribers": given.subscribers}
    with ExitStack() as stack:
        engines = {"sqlite": ""}
        if given.postgresql:
            engines["postgresql"] = stack.enter_context(PostgreSQL(carefree=False)).fresh()
        for name, url in engines.items():
            found = run(given.subscribers, url, given.repeats, name)
            as_written = {
                path: {key: round(value, 1) for key, value in asdict(one).items()} for path, one in found.items()
            }
            written["pages" if name == "sqlite" else f"pages_{name}"] = as_written
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "admin.json").write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
