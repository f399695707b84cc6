"""Messages a second on the whole road: ranked, rendered, composed, logged and sent. ``make bench-delivery``.

Ours goes by ``newsletter send`` in a process of its own, to Postfix's smtp-sink, with ten papers a message. The peers
carry one finished message of the same size over and over: they rank, render and log nothing.
"""

import asyncio
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import aiosmtplib
import yagmail
from sqlalchemy import func, insert, select

from benchmarks import corpus
from benchmarks.ranking_speed import desk_of
from benchmarks.rendering import NODE_FOLDER, ours_html
from newsletter.indexing import current_index
from newsletter.model import Interest, Paper, Preferences, SubscriberState
from newsletter.rendering.mime import alternative
from newsletter.store import papers, reading, schema, subscribers, writing
from newsletter.store.preferences import to_json

FOLDER = Path("var/bench/delivery")
STORE, NEW = 20_000, 1_500
OLD, TODAY = datetime(2025, 11, 1, tzinfo=UTC), datetime(2025, 11, 28, 6, tzinfo=UTC)
NOW = "2025-11-28T09:00"
CONFIG = """\
site: {{name: Bench, url: http://localhost:8000, from: bench@newsletter.example, postal_address: nowhere}}
smtp: {{host: 127.0.0.1, port: {port}, security: none, sessions: {sessions}, messages_per_session: 10000}}
ranking: {{refit_days: 36500, min_score: 0}}
"""
READERS = 10_000
SESSIONS = 8
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


def lay_out(readers: int) -> Path:
    """A newsletter with papers, a new day, and so many subscribers; nothing sent. The papers are made once."""
    made = FOLDER / "papers"
    if not (made / "done").exists():
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        (made / "config.yaml").write_text(CONFIG.format(port=1, sessions=1))
        for day, count, seed in ((OLD, STORE, 1), (TODAY, NEW, 2)):
            desk = desk_of(made, day)
            found = (readable(paper) for paper, _ in corpus.papers(count, seed=seed))
            while block := list(islice(found, 5_000)):
                with writing(desk.engine) as connection:
                    papers.keep(connection, block, "bench", day)
            current_index(desk)
            desk.engine.dispose()
        (made / "done").touch()
    folder = FOLDER / f"{readers}-readers"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made, folder)
    desk = desk_of(folder, TODAY)
    with writing(desk.engine) as connection:
        rows = [reader(number) for number in range(readers)]
        for start in range(0, readers, 1_000):
            connection.execute(insert(schema.subscribers), rows[start : start + 1_000])
    desk.engine.dispose()
    return folder


def readable(paper: Paper) -> Paper:
    """A made-up paper with what makes a card: sentences, authors and links."""
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
    """A row of a subscriber with one to three interests, each some words of a topic."""
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
    """Where one of Postfix's programs is."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    return found or sys.exit(f"make bench-delivery needs {name}; install Debian's postfix")


@contextmanager
def sink() -> Iterator[int]:
    """Postfix's smtp-sink on a free port: it takes whatever comes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [program("smtp-sink"), "-u", "nobody", "-c", f"127.0.0.1:{port}", "1000"], stdout=subprocess.DEVNULL
    ) as run:
        for _ in range(100):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.05)
        yield port
        run.kill()


def ours(readers: int, sessions: int, processes: int) -> None:
    folder = lay_out(readers)
    with sink() as port:
        (folder / "config.yaml").write_text(CONFIG.format(port=port, sessions=sessions))
        start = time.monotonic()
        command = [sys.executable, "-m", "newsletter", "--now", NOW, "send"]
        running = [subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) for _ in range(processes)]
        peaks = []
        for one in running:
            _, status, usage = os.wait4(one.pid, 0)
            one.returncode = os.waitstatus_to_exitcode(status)
            peaks.append(usage.ru_maxrss / 1024)
            if one.returncode:
                sys.exit(f"newsletter send ended with {one.returncode}")
        seconds = time.monotonic() - start
    desk = desk_of(folder, TODAY)
    with reading(desk.engine) as connection:
        sent = connection.execute(select(func.count()).where(schema.sends.c.state == "sent")).scalar_one()
    more = f"  {sent:,} sent in {seconds:.1f} s, {', '.join(f'{peak:.0f} MB' for peak in peaks)}"
    report(f"ours, {processes} process{'es' if processes > 1 else ''}, {sessions} sessions each", sent / seconds, more)


def message() -> bytes:
    """One of our messages, for the peers."""
    parts = (b"From: p@example.org\r\nTo: reader@example.org\r\nSubject: Papers\r\n",)
    return alternative(parts, "Text. " * 1_500, ours_html() * 2, "=_bench")


def rate(name: str, send: Callable[[int], None]) -> None:
    """Run a peer against a sink of its own, and tell its messages a second."""
    with sink() as port:
        start = time.monotonic()
        send(port)
        report(name, PEER_MESSAGES / (time.monotonic() - start))


def report(name: str, a_second: float, more: str = "") -> None:
    print(f"{name:44}{a_second:>8.0f} a second{more}", flush=True)


def yagmails(port: int) -> None:
    """``yagmail.send``, which connects for each message."""
    client = yagmail.Client(user="p@example.org", host="127.0.0.1", port=port, smtp_skip_login=True, smtp_ssl=False,
                            smtp_starttls=False, soft_email_validation=False)  # fmt: skip
    html = ours_html() * 2
    for number in range(PEER_MESSAGES):
        client.send(f"reader{number}@example.org", "Papers", [html], prettify_html=False)


def aiosmtplibs(port: int) -> None:
    """aiosmtplib over eight open sessions."""
    content = message()

    async def session() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False) as smtp:
            for _ in range(PEER_MESSAGES // SESSIONS):
                await smtp.sendmail("p@example.org", ["reader@example.org"], content)

    async def all_sessions() -> None:
        await asyncio.gather(*(session() for _ in range(SESSIONS)))

    asyncio.run(all_sessions())


def smtp_sources(port: int) -> None:
    """Postfix's smtp-source: the wire's limit."""
    size = str(len(message()))
    command = [program("smtp-source"), "-s", str(SESSIONS), "-l", size, "-m", str(PEER_MESSAGES), f"127.0.0.1:{port}"]
    subprocess.run([*command[:-1], "-d", command[-1]], check=True, stdout=subprocess.DEVNULL)


def nodemailers() -> None:
    """nodemailer's pool of eight sessions."""
    if shutil.which("npm") is None:
        print(f"{'nodemailer, a pool':44}  left out: no npm here")
        return
    (NODE_FOLDER / "delivery.cjs").write_text(NODEMAILER)
    (NODE_FOLDER / "digest.html").write_text(ours_html() * 2)
    (NODE_FOLDER / "digest.txt").write_text("Text. " * 1_500)
    with sink() as port:
        command = ["node", "delivery.cjs", str(port), str(PEER_MESSAGES), str(SESSIONS)]
        ran = subprocess.run(command, cwd=NODE_FOLDER, check=True, capture_output=True, text=True)
        report("nodemailer, a pool", float(ran.stdout))


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for processes in (1, 2):
        ours(READERS, SESSIONS, processes)
    rate("yagmail.send", yagmails)
    rate("aiosmtplib", aiosmtplibs)
    nodemailers()
    rate("smtp-source", smtp_sources)


if __name__ == "__main__":
    main()
