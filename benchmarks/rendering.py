"""Messages a second on one core, rendered and serialised to bytes: ours and others. ``make bench-rendering``.

Ten papers of the sample corpus each. Ours compiles MJML once, renders a paper's card once per edition, and encodes the
parts itself. The peers get our MJML and our values: ``mjml`` and ``mrml`` compile it for each message; yagmail and
nodemailer compose a message from finished HTML and text, which is less work than ours.
"""

import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import mrml
from jinja2 import Environment, StrictUndefined
from mjml import mjml_to_html
from yagmail.message import prepare_message

from newsletter.audience.signed_links import Links, TokenPurpose
from newsletter.config.settings import Site
from newsletter.model import Digest, DigestItem, Interest, Paper, Preferences, Subscriber, SubscriberState
from newsletter.rendering.message import make_message
from newsletter.rendering.mime import alternative
from newsletter.rendering.template import load_templates
from newsletter.rendering.template_context import PersonalLinks, digest_context
from newsletter.services.demo import SAMPLE_PAPERS
from newsletter.sources.jsonl import read_lines

SECONDS = 3.0
SITE = Site.model_validate(
    {"name": "Papers", "url": "https://p.example.org", "from": "p@example.org", "postal_address": "1 Test Street"}
)
SIGNED = Links("https://p.example.org", "a key of some length")
NOW = datetime(2025, 11, 28, 9, tzinfo=UTC)
NODE_FOLDER = Path("var/bench/node")
NODEMAILER = """
const Composer = require("nodemailer/lib/mail-composer"), fs = require("fs");
const html = fs.readFileSync("digest.html", "utf8"), text = fs.readFileSync("digest.txt", "utf8");
(async () => {
  let made = 0;
  const start = process.hrtime.bigint(), seconds = () => Number(process.hrtime.bigint() - start) / 1e9;
  while (seconds() < 3) {
    const mail = { from: "p@example.org", to: `reader${made}@example.org`, subject: "Papers", html, text };
    await new Composer(mail).compile().build();
    made += 1;
  }
  console.log(made / seconds());
})();
"""
PAPERS = [
    replace(paper, row=row, url="https://arxiv.org/abs/2501.00001", pdf_url="https://arxiv.org/pdf/2501.00001")
    for row, paper in enumerate(read_lines(SAMPLE_PAPERS.read_text(), "sample"), 1)
    if isinstance(paper, Paper) and row <= 10
]


def subscriber(number: int) -> Subscriber:
    preferences = Preferences(
        email=f"reader{number}@example.org", name=f"Reader {number}", interests=(Interest(name="Goals"),)
    )
    return Subscriber(preferences=preferences, state=SubscriberState.ACTIVE, row=number)


def links_of(number: int) -> PersonalLinks:
    """Return the reader's own links, each signed."""
    page = SIGNED.url(TokenPurpose.UNSUBSCRIBE, number)
    return PersonalLinks(
        SIGNED.url(TokenPurpose.PREFERENCES, number),
        page,
        "mailto:p@example.org",
        one_click=page,
        browser=SIGNED.digest_url(number, date(2025, 11, 28)),
        judge=partial(SIGNED.feedback_url, number),
        save=partial(SIGNED.save_url, number),
    )


def digest(number: int) -> Digest:
    """Return ten papers, with reasons that no other subscriber has."""
    choices = tuple(
        DigestItem(
            paper, rank, 0.9, "Goals" if rank < 8 else "Trending", f"pareto fronts {number}; like “Looms {rank}”"
        )
        for rank, paper in enumerate(PAPERS, 1)
    )
    return Digest(edition=date(2025, 11, 28), choices=choices, considered=131, since=NOW, seen_row=1)


def ours() -> Callable[[int], bytes]:
    templates = load_templates(None)
    return lambda number: (
        make_message(
            SITE, templates, subscriber(number), digest(number), links_of(number), f"<{number}@example.org>", NOW
        ).content
    )


def compiled_each_time(compile_: Callable[[str], str]) -> Callable[[int], bytes]:
    """Fill the MJML with Jinja2, then compile it, as most senders do."""
    templates = load_templates(None)
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    source = environment.from_string("\n".join(line.text for line in templates.html.lines))
    headers = [b"From: p@example.org\r\nTo: reader@example.org\r\nSubject: Papers\r\n"]

    def make(number: int) -> bytes:
        values = digest_context(SITE, templates, subscriber(number), digest(number), links_of(number))
        text = templates.text.template.render(values)
        return alternative(headers, text, compile_(source.render(values)), "=_boundary")

    return make


def yagmails_own() -> Callable[[int], bytes]:
    html = ours_html()
    return lambda number: bytes(
        prepare_message(
            user="p@example.org",
            useralias="p@example.org",
            addresses={"To": f"reader{number}@example.org", "recipients": [f"reader{number}@example.org"]},
            subject="Papers",
            contents=[html],
            attachments=None,
            headers=None,
            encoding="utf-8",
            prettify_html=False,
        ).as_bytes()
    )


def ours_html() -> str:
    templates = load_templates(None)
    return templates.html.template.render(digest_context(SITE, templates, subscriber(1), digest(1), links_of(1)))


def a_second(make: Callable[[int], bytes]) -> tuple[float, int]:
    """Return messages per second, and the bytes of one."""
    size, made = len(make(0)), 0
    start = time.process_time()
    while (spent := time.process_time() - start) < SECONDS:
        made += 1
        make(made)
    return made / spent, size


def nodemailers() -> float | None:
    """Return nodemailer's messages per second, None without Node.js."""
    if shutil.which("npm") is None:
        return None
    NODE_FOLDER.mkdir(parents=True, exist_ok=True)
    (NODE_FOLDER / "bench.cjs").write_text(NODEMAILER)
    (NODE_FOLDER / "digest.html").write_text(ours_html())
    (NODE_FOLDER / "digest.txt").write_text("Text. " * 1000)
    if not (NODE_FOLDER / "node_modules").exists():
        subprocess.run(["npm", "install", "--silent", "nodemailer@7"], cwd=NODE_FOLDER, check=True)
    ran = subprocess.run(["node", "bench.cjs"], cwd=NODE_FOLDER, check=True, capture_output=True, text=True)
    return float(ran.stdout)


def main() -> None:
    print(f"{platform.machine()}, one core, Python {platform.python_version()}; ten papers a message")
    rate, size = a_second(ours())
    print(f"{'ours':34}{rate:>8.0f} a second  {size / 1000:.0f} kB each", flush=True)
    peers: dict[str, Callable[[], Callable[[int], bytes]]] = {
        "mjml for each message": lambda: compiled_each_time(lambda source: str(mjml_to_html(source).html)),
        "mrml for each message": lambda: compiled_each_time(lambda source: str(mrml.to_html(source).content)),
        "yagmail's own composing": yagmails_own,
    }
    for name, peer in peers.items():
        theirs, _ = a_second(peer())
        print(f"{name:34}{theirs:>8.0f} a second  ours is {rate / theirs:.1f} times that", flush=True)
    node = nodemailers()
    result = (
        f"{node:>8.0f} a second  ours is {rate / node:.1f} times that" if node else "  skipped: npm is not installed"
    )
    print(f"{'nodemailer composing':34}{result}")


if __name__ == "__main__":
    main()
