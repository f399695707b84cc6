"""Messages per second through the whole pipeline: rank, render, compose, log and send. ``make bench-delivery``.

Ours runs as ``newsletter send`` in separate processes, to Postfix's smtp-sink, with ten papers per message. The peers
send one finished message of the same size repeatedly: they rank, render and log nothing. Then ours with a rate limit,
to a server that waits before each reply; and, with the argument ``memory``, the peak memory of ours.
"""

import asyncio
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import aiosmtplib
import psutil
import yagmail
from sqlalchemy import insert

from benchmarks import corpus
from benchmarks.ranking_speed import open_at
from benchmarks.rendering import NODE_FOLDER, ours_html
from newsletter.model import Interest, Paper, Preferences, SubscriberState
from newsletter.rendering.mime import alternative
from newsletter.services.index import current_index
from newsletter.store import paper_upsert, schema, subscribers, writing
from newsletter.store.preferences import to_json

FOLDER = Path("var/bench/delivery")
STORE, NEW = 20_000, 1_500
OLD, TODAY = datetime(2025, 11, 1, tzinfo=UTC), datetime(2025, 11, 28, 6, tzinfo=UTC)
NOW = "2025-11-28T09:00"
CONFIG = """\
site: {{name: Bench, url: http://localhost:8000, from: bench@newsletter.example, postal_address: nowhere}}
smtp: {{host: 127.0.0.1, port: {port}, security: none, sessions: {sessions}, messages_per_session: 10000{limit}}}
ranking: {{refit_days: 36500}}
engine: {engine}
"""
READERS = 20_000
FEW, MANY = 10_000, 100_000
SESSIONS = 8
OUR_SESSIONS = 16
LATENCY, LIMIT, LIMITED_SESSIONS, LIMITED_READERS = 0.05, 100, 40, 6_000
PEER_MESSAGES = 2_000
NODEMAILER = """
const nodemailer = require("nodemailer"), fs = require("fs");
const [port, messages, sessions] = process.argv.slice(2).map(Number);
const html = fs.readFileSync("digest.html", "utf8"), text = fs.readFileSync("digest.txt", "utf8");
const pool = nodemailer.createTransport({host: "127.0.0.1", port, ignoreTLS: true, pool: true,
  maxConnections: sessions, maxMessages: 10000});
(async () => {
  const start = process.hrtime.bigint();
  await Promise.all(Array.from({length: messages}, (_, number) =>
    pool.sendMail({from: "p@example.org", to: `reader${number}@example.org`, subject: "Papers", html, text})));
  console.log(messages / (Number(process.hrtime.bigint() - start) / 1e9));
  pool.close();
})();
"""


def configured(port: int, sessions: int = 1, engine: str = "here", limit: str = "") -> str:
    return CONFIG.format(port=port, sessions=sessions, engine=engine, limit=limit)


def prepare(readers: int) -> Path:
    """Create a newsletter with papers, a new day and subscribers; nothing sent. Papers are created once."""
    made = FOLDER / "papers"
    if not (made / "done").exists():
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        (made / "config.yaml").write_text(configured(1))
        for day, count, seed in ((OLD, STORE, 1), (TODAY, NEW, 2)):
            context = open_at(made, day)
            found = (readable(paper) for paper, _ in corpus.papers(count, seed=seed))
            while block := list(islice(found, 5_000)):
                with writing(context.engine) as connection:
                    paper_upsert.upsert(connection, block, "bench", day)
            current_index(context)
            context.engine.dispose()
        (made / "done").touch()
    folder = FOLDER / f"{readers}-readers"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made, folder)
    context = open_at(folder, TODAY)
    with writing(context.engine) as connection:
        rows = [reader(number) for number in range(readers)]
        for start in range(0, readers, 1_000):
            connection.execute(insert(schema.subscribers), rows[start : start + 1_000])
    context.engine.dispose()
    return folder


def readable(paper: Paper) -> Paper:
    """Complete a synthetic paper with what a card shows: sentences, authors and links."""
    words = paper.abstract.split()
    text = ". ".join(" ".join(words[start : start + 22]).capitalize() for start in range(0, len(words), 22))
    return Paper(
        title=paper.title.capitalize(),
        abstract=f"{text}.",
        authors=("Ada Lovelace", "Grace Hopper", "Emmy Noether", "Mary Somerville"),
        categories=("cs.LG", "cs.AI"),
        url=f"https://arxiv.org/abs/{paper.row}",
        pdf_url=f"https://arxiv.org/pdf/{paper.row}",
        code_url=f"https://github.com/example/{paper.row}",
    )


def reader(number: int) -> dict[str, object]:
    """Return a row of a subscriber with one to three interests, each of some words of a topic."""
    own, _ = TOPICS
    interests = tuple(
        Interest(name=f"Topic {topic}", text=" ".join(corpus.word(one) for one in own[topic][:12]))
        for topic in ((number * 7 + step * 13) % corpus.TOPICS for step in range(1 + number % 3))
    )
    email = f"reader{number}@example.org"
    preferences = Preferences(email=email, name=f"Reader {number}", interests=interests)
    return {
        "email": email,
        "email_key": subscribers.email_key(email),
        "state": SubscriberState.ACTIVE.value,
        "consent": "bench",
        "preferences": to_json(preferences),
        "seen_row": 0,
        "created_at": TODAY,
        "state_since": TODAY,
    }


TOPICS = corpus.topics()


def program(name: str) -> str:
    """Return the path of one of Postfix's programs."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    return found or sys.exit(f"make bench-delivery needs {name}; install Debian's postfix")


@contextmanager
def sink() -> Iterator[int]:
    """Run Postfix's smtp-sink on a free port; it accepts everything."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [program("smtp-sink"), "-u", "nobody", "-c", f"127.0.0.1:{port}", "1000"], stdout=subprocess.DEVNULL
    ) as run:
        try:
            for _ in range(100):
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.05)
            yield port
        finally:
            run.kill()


async def serve_slowly() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reply, data = b"220 slow", False
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(LATENCY)
                writer.write(reply + b"\r\n")
                await writer.drain()
                if data:
                    await reader.readuntil(b"\r\n.\r\n")
                line = b"" if data else (await reader.readline()).upper()
                if data:
                    print(time.monotonic(), flush=True)
                reply, data = (b"354 go on", True) if line.startswith(b"DATA") else (b"250 taken", False)
                if line.startswith(b"QUIT") or (not line and reader.at_eof()):
                    writer.close()
                    return

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=10_000_000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def ours(readers: int, engine: str) -> float:
    """Send to the given number of readers and print the rate; return the megabytes of the largest process."""
    folder = prepare(readers)
    with sink() as port:
        (folder / "config.yaml").write_text(configured(port, OUR_SESSIONS, engine))
        seconds, peak = run(folder)
    more = f"  {readers:,} in {seconds:.1f} s, {peak:.0f} MB"
    report(f"ours, engine {engine}", readers / seconds, more)
    return peak


def ours_limited() -> None:
    """Send with a rate limit, to a slow server, which records when it accepted each message."""
    folder = prepare(LIMITED_READERS)
    command = [sys.executable, "-m", "benchmarks.delivery", "slow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, ThreadPoolExecutor(1) as listening:
        said = server.stdout
        assert said is not None
        port = int(said.readline())
        times = listening.submit(lambda: [float(said.readline()) for _ in range(LIMITED_READERS)])
        (folder / "config.yaml").write_text(configured(port, LIMITED_SESSIONS, limit=f", per_second: {LIMIT}"))
        run(folder)
        taken = times.result()
        server.kill()
    name = f"ours, limit of {LIMIT}, {LATENCY * 1000:.0f} ms a reply"
    report(name, (len(taken) - 1) / (taken[-1] - taken[0]), f"  {LIMITED_SESSIONS} sessions")


def run(folder: Path) -> tuple[float, float]:
    """Run 'newsletter send'; return the time (seconds) and the memory of the largest process (MB)."""
    command = [sys.executable, "-m", "newsletter", "--now", NOW, "send"]
    start = time.monotonic()
    peaks: dict[int, float] = {}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as sending:
        while sending.poll() is None:
            peaks |= dict(largest(psutil.Process(sending.pid)))
            time.sleep(0.2)
    seconds = time.monotonic() - start
    if sending.returncode:
        sys.exit(f"newsletter send ended with {sending.returncode}")
    return seconds, max(peaks.values())


def largest(parent: psutil.Process) -> Iterator[tuple[int, float]]:
    """Yield the peak resident memory (MB) of a process and of its children, by process id."""
    with suppress(psutil.Error, OSError):
        for one in (parent, *parent.children(recursive=True)):
            found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{one.pid}/status").read_text())
            if found:
                yield one.pid, int(found[1]) / 1024


def message() -> bytes:
    """Return one of our messages, for the peers."""
    parts = (b"From: p@example.org\r\nTo: reader@example.org\r\nSubject: Papers\r\n",)
    return alternative(parts, "Text. " * 1_500, ours_html() * 2, "=_bench")


def rate(name: str, send: Callable[[int], None]) -> None:
    """Run a peer against its own sink, and print its messages per second."""
    with sink() as port:
        start = time.monotonic()
        send(port)
        report(name, PEER_MESSAGES / (time.monotonic() - start))


def report(name: str, a_second: float, more: str = "") -> None:
    print(f"{name:44}{a_second:>8.0f} a second{more}", flush=True)


def yagmails(port: int) -> None:
    """Send with ``yagmail.send``, which connects for each message."""
    client = yagmail.Client(user="p@example.org", host="127.0.0.1", port=port, smtp_skip_login=True, smtp_ssl=False,
                            smtp_starttls=False, soft_email_validation=False)  # fmt: skip
    html = ours_html() * 2
    for number in range(PEER_MESSAGES):
        client.send(f"reader{number}@example.org", "Papers", [html], prettify_html=False)


def aiosmtplibs(port: int) -> None:
    """Send with aiosmtplib over eight open sessions."""
    content = message()

    async def session() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False) as smtp:
            for _ in range(PEER_MESSAGES // SESSIONS):
                await smtp.sendmail("p@example.org", ["reader@example.org"], content)

    async def all_sessions() -> None:
        await asyncio.gather(*(session() for _ in range(SESSIONS)))

    asyncio.run(all_sessions())


def smtp_sources(port: int) -> None:
    """Send with Postfix's smtp-source: the upper limit of the wire."""
    size = str(len(message()))
    command = [program("smtp-source"), "-s", str(SESSIONS), "-l", size, "-m", str(PEER_MESSAGES), f"127.0.0.1:{port}"]
    subprocess.run([*command[:-1], "-d", command[-1]], check=True, stdout=subprocess.DEVNULL)


def nodemailers() -> None:
    """Send with nodemailer's pool of eight sessions."""
    if shutil.which("npm") is None:
        print(f"{'nodemailer, a pool':44}  skipped: npm is not installed")
        return
    (NODE_FOLDER / "delivery.cjs").write_text(NODEMAILER)
    (NODE_FOLDER / "digest.html").write_text(ours_html() * 2)
    (NODE_FOLDER / "digest.txt").write_text("Text. " * 1_500)
    with sink() as port:
        command = ["node", "delivery.cjs", str(port), str(PEER_MESSAGES), str(SESSIONS)]
        ran = subprocess.run(command, cwd=NODE_FOLDER, check=True, capture_output=True, text=True)
        report("nodemailer, a pool", float(ran.stdout))


def main() -> None:
    if sys.argv[1:] != ["slow"]:
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    match sys.argv[1:]:
        case ["slow"]:
            asyncio.run(serve_slowly())
        case ["memory"]:
            few, many = (ours(readers, "here") for readers in (FEW, MANY))
            print(f"{MANY:,} readers take {many / few:.2f} times the memory of {FEW:,}")
        case _:
            compare()


def compare() -> None:
    """Compare ours with the others."""
    for engine in ("here", "processes"):
        ours(READERS, engine)
    ours_limited()
    rate("yagmail.send", yagmails)
    rate("aiosmtplib", aiosmtplibs)
    nodemailers()
    rate("smtp-source", smtp_sources)


if __name__ == "__main__":
    main()
