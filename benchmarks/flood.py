"""A flood of 1,200 connections to the site of ``newsletter run --web``, during an edition for 120 readers.

``make bench-flood``. The process may open 1,024 files. For each kind of flood
(``tests/helpers/flood.py``) it measures how often the site answers another client meanwhile and how soon afterwards,
how many digests arrive, and the size of the log. All traffic stays on loopback; each flood lasts 20 seconds.
"""

import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

from newsletter.services.demo import SAMPLE_PAPERS, LoopbackServer
from tests.helpers.flood import flood
from tests.helpers.newsletter import free_port
from tests.helpers.smtp import Mailbox

READERS, SECONDS, FILES = 120, 20, 1024
FLOODS = [("head", 1), ("head", 250), ("silent", 250), ("body", 250), ("unread", 250), ("idle", 250), ("garbage", 1)]
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


def measure(kind: str, sources: int) -> str:
    """Run one flood during one edition; return a line of the table."""
    flooded = threading.Event()

    def slow(_: str) -> None:
        flooded.wait(60)
        time.sleep(0.05)

    mail, port = Mailbox(), free_port()
    mail.on_data = slow
    with tempfile.TemporaryDirectory() as made, LoopbackServer(mail, enable_SMTPUTF8=True) as smtp:
        folder = Path(made)
        prepare(folder, port, smtp.port)
        with (folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "newsletter", "run", "--web"]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        while not answers(port):
            time.sleep(0.1)
        end = time.monotonic() + SECONDS
        tried = answered = 0
        with flood(port, kind, sources=sources, seconds=SECONDS):
            time.sleep(2)
            flooded.set()
            while time.monotonic() < end:
                tried += 1
                answered += answers(port)
                time.sleep(0.5)
        ended = time.monotonic()
        while not answers(port):
            time.sleep(0.02)
        after = time.monotonic() - ended
        while len(mail.accepted) < READERS and time.monotonic() - ended < 60:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        size = (folder / "log").stat().st_size
    return f"{kind:8}{sources:>10}{answered:>8} of {tried:<3}{after:>12.2f}{len(mail.accepted):>10}{size / 1000:>10.1f}"


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {FILES} files")
    print(f"{'flood':8}{'addresses':>10}{'answered':>15}{'after, s':>12}{'digests':>10}{'log, kB':>10}")
    for kind, sources in FLOODS:
        print(measure(kind, sources), flush=True)


if __name__ == "__main__":
    main()
