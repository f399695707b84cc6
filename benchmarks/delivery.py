"""Messages per second through the whole pipeline: rank, render, compose, log and send. ``make bench-delivery``.

Ours runs as ``newsletter send`` in separate processes, to Postfix's smtp-sink, with ten papers per message; its time
includes the start of the program. The peers send one finished message of the same size repeatedly: they rank, render
and log nothing. All take turns, and the medians count. Then ours with a rate limit, to a server that waits before each
reply.
"""

import argparse
import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

import aiosmtplib
import yagmail
from sqlalchemy import insert

from benchmarks import corpus, monitoring, programs
from benchmarks.ranking_speed import open_at
from benchmarks.rendering import ours_html
from benchmarks.results import FOLDER as RESULTS
from benchmarks.results import LeftOut, Results, fail, label, parser, rounded, show
from newsletter.model import Interest, Paper, Preferences, SubscriberState
from newsletter.rendering.mime import alternative
from newsletter.services.index import current_index
from newsletter.store import open_store, paper_upsert, schema, subscribers, writing
from newsletter.store.preferences import to_json

FOLDER = RESULTS / "delivery"
NEW = 1_500
OLD, TODAY = datetime(2025, 11, 1, tzinfo=UTC), datetime(2025, 11, 28, 6, tzinfo=UTC)
NOW = "2025-11-28T09:00"
SEND = ("newsletter", "--now", NOW, "send")
CONFIG = """\
site: {{name: Bench, url: http://localhost:8000, from: bench@newsletter.example, postal_address: nowhere}}
smtp: {{host: 127.0.0.1, port: {port}, security: none, sessions: {sessions}, messages_per_session: 10000{limit}}}
ranking: {{refit_days: 36500}}
engine: {engine}
"""
FEW, MANY = 10_000, 100_000
SESSIONS = 8
OUR_SESSIONS = 16
LATENCY, LIMIT, LIMITED_SESSIONS = 0.05, 100, 40
ENGINES = {"ours_one_process": "here", "ours_two_processes": "processes:2"}
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


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    papers: int
    readers: int
    peer_messages: int
    limited_readers: int
    rounds: int


SMALL = Sizes(papers=5_000, readers=10_000, peer_messages=2_000, limited_readers=1_000, rounds=1)
FULL = Sizes(papers=20_000, readers=20_000, peer_messages=2_000, limited_readers=6_000, rounds=3)


def configured(port: int, sessions: int = 1, engine: str = "here", limit: str = "") -> str:
    return CONFIG.format(port=port, sessions=sessions, engine=engine, limit=limit)


def prepare_papers(papers: int) -> Path:
    """Create a newsletter with papers and a new day of them, indexed. Created once, and kept."""
    made = FOLDER / f"{papers}-papers"
    if not (made / "done").exists():
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        (made / "config.yaml").write_text(configured(1))
        for day, count, seed in ((OLD, papers, 1), (TODAY, NEW, 2)):
            context = open_at(made, day)
            found = (readable(paper) for paper, _ in corpus.papers(count, seed=seed))
            while block := list(islice(found, 5_000)):
                with writing(context.engine) as connection:
                    paper_upsert.upsert(connection, block, "bench", day)
            current_index(context)
            context.engine.dispose()
        (made / "done").touch()
    return made


def prepare(papers: int, readers: int, row: Callable[[int], dict[str, object]]) -> Path:
    """Create a newsletter with papers and subscribers, given by their rows, and nothing sent."""
    folder = FOLDER / f"{readers}-readers"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(prepare_papers(papers), folder)
    context = open_at(folder, TODAY)
    with writing(context.engine) as connection:
        for start in range(0, readers, 1_000):
            rows = [row(number) for number in range(start, min(start + 1_000, readers))]
            connection.execute(insert(schema.subscribers), rows)
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


@contextmanager
def sink() -> Iterator[int]:
    """Run Postfix's smtp-sink on a free port; it accepts everything.

    Exits with code 2 where there is none.
    """
    try:
        program = programs.debian_program("smtp-sink", "postfix")
    except LeftOut as error:
        fail(f"Messages are sent to Postfix's smtp-sink, which is missing: {error}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        # Only root has to name a user to run it as.
        [program, *(["-u", "nobody"] if os.geteuid() == 0 else []), "-c", f"127.0.0.1:{port}", "1000"],
        stdout=subprocess.DEVNULL,
        env=programs.environment(),
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


def ours(sizes: Sizes, engine: str) -> monitoring.Ran:
    """Send one edition to new readers."""
    folder = prepare(sizes.papers, sizes.readers, reader)
    store = open_store(f"sqlite:///{folder.resolve()}/var/newsletter.db")
    try:
        with sink() as port:
            (folder / "config.yaml").write_text(configured(port, OUR_SESSIONS, engine))
            return monitoring.run(SEND, folder, store)
    finally:
        store.dispose()


def ours_limited(sizes: Sizes) -> float:
    """Send with a rate limit, to a slow server, which records when it accepted each message; return the rate."""
    folder = prepare(sizes.papers, sizes.limited_readers, reader)
    command = [sys.executable, "-m", "benchmarks.delivery", "--slow-server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, ThreadPoolExecutor(1) as listening:
        said = server.stdout
        assert said is not None
        port = int(said.readline())
        times = listening.submit(lambda: [float(line) for line in said])
        (folder / "config.yaml").write_text(configured(port, LIMITED_SESSIONS, limit=f", per_second: {LIMIT}"))
        monitoring.run(SEND, folder)
        server.kill()
        taken = times.result()
    return (len(taken) - 1) / (taken[-1] - taken[0])


def message() -> bytes:
    """Return one of our messages, for the peers."""
    parts = (b"From: p@example.org\r\nTo: reader@example.org\r\nSubject: Papers\r\n",)
    return alternative(parts, "Text. " * 1_500, ours_html() * 2, "=_bench")


def rate(send: Callable[[int, int], None], messages: int) -> float:
    """Run a peer against its own sink; return its messages per second."""
    with sink() as port:
        start = time.monotonic()
        send(port, messages)
        return messages / (time.monotonic() - start)


def yagmails(port: int, messages: int) -> None:
    """Send with ``yagmail.send``, which connects for each message."""
    client = yagmail.Client(user="p@example.org", host="127.0.0.1", port=port, smtp_skip_login=True, smtp_ssl=False,
                            smtp_starttls=False, soft_email_validation=False)  # fmt: skip
    html = ours_html() * 2
    for number in range(messages):
        client.send(f"reader{number}@example.org", "Papers", [html], prettify_html=False)


def aiosmtplibs(port: int, messages: int) -> None:
    """Send with aiosmtplib over eight open sessions."""
    content = message()

    async def session() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False) as smtp:
            for _ in range(messages // SESSIONS):
                await smtp.sendmail("p@example.org", ["reader@example.org"], content)

    async def all_sessions() -> None:
        await asyncio.gather(*(session() for _ in range(SESSIONS)))

    asyncio.run(all_sessions())


def smtp_sources(port: int, messages: int) -> None:
    """Send with Postfix's smtp-source: the upper limit of the wire."""
    program = programs.debian_program("smtp-source", "postfix")
    size = str(len(message()))
    command = [program, "-s", str(SESSIONS), "-l", size, "-m", str(messages), "-d", f"127.0.0.1:{port}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=programs.environment())


def nodemailers(messages: int) -> float:
    """Send with nodemailer's pool of eight sessions; return its messages per second, as it measures them."""
    folder = programs.npm_folder("peers")
    (folder / "delivery.cjs").write_text(NODEMAILER)
    (folder / "digest.html").write_text(ours_html() * 2)
    (folder / "digest.txt").write_text("Text. " * 1_500)
    with sink() as port:
        command = ["node", "delivery.cjs", str(port), str(messages), str(SESSIONS)]
        ran = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return float(ran.stdout)


def compare(sizes: Sizes, full: bool) -> None:
    """Compare ours with the others."""
    results = Results("delivery", full, {**vars(sizes), "new_papers": NEW, "papers_per_message": 10})
    ran: dict[str, list[monitoring.Ran]] = {name: [] for name in ENGINES}

    def our_rate(name: str) -> float:
        ran[name].append(ours(sizes, ENGINES[name]))
        return sizes.readers / ran[name][-1].seconds

    runs: dict[str, Callable[[], float]] = {name: partial(our_rate, name) for name in ENGINES}
    runs |= {
        "yagmail": partial(rate, yagmails, sizes.peer_messages),
        "aiosmtplib": partial(rate, aiosmtplibs, sizes.peer_messages),
        "nodemailer": partial(nodemailers, sizes.peer_messages),
        "smtp_source": partial(rate, smtp_sources, sizes.peer_messages),
    }
    rates = results.interleave(runs, sizes.rounds)
    firsts = {name: [one.first_message_seconds or one.seconds for one in each] for name, each in ran.items()}
    results.figures = {
        "messages_per_second": rates,
        "ours_one_process_times_as_fast_as": show("messages per second", rates, "ours_one_process"),
        "first_message_seconds": {name: rounded(median(each)) for name, each in firsts.items()},
        "peak_mb": {name: round(max(one.peak_mb[0] for one in each)) for name, each in ran.items()},
        "cpu_seconds": {name: rounded(median(one.cpu_seconds for one in each)) for name, each in ran.items()},
    }
    for name in ENGINES:
        first, peak = (results.figures[kind][name] for kind in ("first_message_seconds", "peak_mb"))  # type: ignore[index]
        print(f"  {label(name)}: {first} s to the first message, {peak} MB in its largest process")
    limited = rounded(ours_limited(sizes))
    print(f"  with a limit of {LIMIT} per second and {LATENCY * 1000:.0f} ms per reply: {limited} per second")
    results.figures["with_rate_limit_messages_per_second"] = {"limit": LIMIT, "ours": limited}
    results.write()


def compare_memory() -> None:
    """Print the peak memory for few readers and for many."""
    sizes = [Sizes(FULL.papers, readers, 0, 0, 1) for readers in (FEW, MANY)]
    few, many = (ours(one, "here").peak_mb[0] for one in sizes)
    print(f"{MANY:,} readers take {many:.0f} MB, {many / few:.2f} times the memory of {FEW:,}")


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("--memory", action="store_true", help=f"only the peak memory for {FEW:,} and {MANY:,} readers")
    asked.add_argument("--slow-server", action="store_true", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.slow_server:
        asyncio.run(serve_slowly())
    elif given.memory:
        compare_memory()
    else:
        compare(FULL if given.full else SMALL, given.full)


if __name__ == "__main__":
    main()
