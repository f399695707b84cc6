"""A flood of 1,200 connections to the site of ``newsletter run --web``, during an edition for 120 readers.

``make bench-flood``. The process may open 1,024 files. For each kind of flood
(``tests/helpers/flood.py``) it measures how often the site answers another client meanwhile and how soon afterwards,
how many digests arrive, and the size of the log. The peer is uvicorn alone, with a page that says nothing: what the
site would be without our limits. All traffic stays on loopback.
"""

import argparse
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from benchmarks.results import Results, label, parser, rounded
from newsletter.services.demo import SAMPLE_PAPERS, LoopbackServer
from tests.helpers.flood import flood
from tests.helpers.newsletter import free_port
from tests.helpers.smtp import Mailbox

READERS, FILES = 120, 1024
SECONDS, FLOODS = 8, [("head", 250), ("body", 250), ("idle", 250)]
FULL_SECONDS = 20
FULL_FLOODS = [
    ("head", 1),
    ("head", 250),
    ("silent", 250),
    ("body", 250),
    ("unread", 250),
    ("idle", 250),
    ("garbage", 1),
]
Figures = dict[str, float | None]
CONFIG = """\
site: {{name: Flood, url: "http://localhost:{web}", from: flood@newsletter.example, postal_address: nowhere}}
smtp: {{host: 127.0.0.1, port: {smtp}, security: none}}
web: {{port: {web}}}
schedule: {{tick_seconds: 1}}
ranking: {{max_age_days: 3650}}
"""
READER = "email: r{number}@example.org\nschedule: {{days: daily, time: '00:00'}}\ninterests: [language models]\n"


def prepare(folder: Path, web: int, smtp: int) -> None:
    """Create a newsletter with the sample papers, and readers who are all due."""
    (folder / "config.yaml").write_text(CONFIG.format(web=web, smtp=smtp))
    (folder / "subscribers").mkdir()
    for number in range(READERS):
        (folder / "subscribers" / f"r{number}.yaml").write_text(READER.format(number=number))
    for arguments in (["import", str(SAMPLE_PAPERS)], ["subscribers", "list"]):
        command = [sys.executable, "-m", "newsletter", "--now", "2025-03-01T00:00", *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def answers(port: int, seconds: float = 2) -> bool:
    """Return whether the site answers a client at another address in time."""
    try:
        with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"), timeout=seconds) as client:
            return client.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def limited(process: subprocess.Popen[bytes], port: int) -> None:
    """Limit the files of a server, and wait until it answers."""
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
    while not answers(port):
        if process.poll() is not None:
            sys.exit(f"the server ended with {process.returncode}")
        time.sleep(0.1)


def flooded(port: int, kind: str, sources: int, seconds: int, on_begun: Callable[[], None]) -> Figures:
    """Run a flood; return the share of requests of another client that were answered, and the seconds until one was
    answered afterwards (None: not within a minute).
    """
    end = time.monotonic() + seconds
    tried = answered = 0
    with flood(port, kind, sources=sources, seconds=seconds):
        time.sleep(2)
        on_begun()
        while time.monotonic() < end:
            tried += 1
            answered += answers(port)
            time.sleep(0.5)
    ended = time.monotonic()
    while not (back := answers(port)) and time.monotonic() - ended < 60:
        time.sleep(0.02)
    after = rounded(time.monotonic() - ended, 3) if back else None
    return {"answered_share": rounded(answered / max(1, tried), 3), "answers_after_seconds": after}


def ours(kind: str, sources: int, seconds: int) -> Figures:
    """Run one flood during one edition."""
    begun = threading.Event()

    def slow(_: str) -> None:
        begun.wait(60)
        time.sleep(0.05)

    mail, port = Mailbox(), free_port()
    mail.on_data = slow
    with tempfile.TemporaryDirectory() as made, LoopbackServer(mail, enable_SMTPUTF8=True) as smtp:
        folder = Path(made)
        prepare(folder, port, smtp.port)
        with (folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "newsletter", "run", "--web"]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        limited(process, port)
        figures = flooded(port, kind, sources, seconds, begun.set)
        ended = time.monotonic()
        while len(mail.accepted) < READERS and time.monotonic() - ended < 60:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        log_kb = rounded((folder / "log").stat().st_size / 1000)
    return {**figures, "digests_delivered_share": len(mail.accepted) / READERS, "log_kb": log_kb}


async def page(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with an empty page, after its body."""
    while scope["type"] == "http" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def uvicorn_alone(kind: str, sources: int, seconds: int) -> Figures:
    """Run one flood against uvicorn without our limits."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.flood", "--peer", str(port)]
    # It writes megabytes about the files that it cannot open.
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            limited(process, port)
            return flooded(port, kind, sources, seconds, lambda: None)
        finally:
            process.kill()


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("--peer", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.peer:
        uvicorn.run(page, host="127.0.0.1", port=given.peer, log_level="critical", lifespan="off")
        return
    seconds, floods = (FULL_SECONDS, FULL_FLOODS) if given.full else (SECONDS, FLOODS)
    results = Results(
        "flood", given.full, {"connections": 1_200, "seconds_each": seconds, "readers": READERS, "open_files": FILES}
    )
    for kind, sources in floods:
        name = f"{kind}_from_{sources}_addresses" if sources > 1 else f"{kind}_from_one_address"
        print(f"\n{label(name)}", flush=True)
        for who, run in (("ours", ours), ("uvicorn", uvicorn_alone)):
            for figure, value in run(kind, sources, seconds).items():
                by_flood = results.figures.setdefault(figure, {})
                by_flood.setdefault(name, {})[who] = value  # type: ignore[attr-defined]
                print(f"  {who}, {label(figure):30}{'never' if value is None else format(value, 'g')}", flush=True)
    results.write()


if __name__ == "__main__":
    main()
