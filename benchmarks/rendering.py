"""Messages a second on one core, rendered and serialised to bytes: ours and others. ``make bench-rendering``.

Ten papers of the sample corpus each. Ours compiles MJML once, renders a paper's card once per edition, and encodes the
parts itself. The peers get our MJML and our values: ``mjml`` and ``mrml`` compile it for each message; yagmail and
nodemailer compose a message from finished HTML and text, which is less work than ours. All take turns, and the
medians count.
"""

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial

import mrml
from jinja2 import Environment, StrictUndefined
from mjml import mjml_to_html
from yagmail.message import prepare_message

from benchmarks.programs import npm_folder
from benchmarks.results import Results, parser, show
from newsletter.audience.signed_links import Links, TokenPurpose
from newsletter.config.settings import Site
from newsletter.model import Digest, DigestItem, Interest, Paper, Preferences, Subscriber, SubscriberState
from newsletter.rendering.message import make_message
from newsletter.rendering.mime import alternative
from newsletter.rendering.template import load_templates
from newsletter.rendering.template_context import PersonalLinks, digest_context
from newsletter.services.demo import SAMPLE_PAPERS
from newsletter.sources.jsonl import read_lines

SECONDS, ROUNDS = 1.0, 3
FULL_SECONDS, FULL_ROUNDS = 3.0, 5
SITE = Site.model_validate(
    {"name": "Papers", "url": "https://p.example.org", "from": "p@example.org", "postal_address": "1 Test Street"}
)
SIGNED = Links("https://p.example.org", "a key of some length")
NOW = datetime(2025, 11, 28, 9, tzinfo=UTC)
NODEMAILER = """
const Composer = require("nodemailer/lib/mail-composer"), fs = require("fs");
const html = fs.readFileSync("digest.html", "utf8"), text = fs.readFileSync("digest.txt", "utf8");
(async () => {
  let made = 0;
  const start = process.cpuUsage();
  const seconds = () => { const used = process.cpuUsage(start); return (used.user + used.system) / 1e6; };
  while (seconds() < Number(process.argv[2])) {
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


def a_second(make: Callable[[int], bytes], seconds: float) -> float:
    """Return messages per second of processor time."""
    make(0)
    made, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        made += 1
        make(made)
    return made / spent


def nodemailers(seconds: float) -> float:
    """Return nodemailer's messages per second."""
    folder = npm_folder("peers")
    (folder / "rendering.cjs").write_text(NODEMAILER)
    (folder / "digest.html").write_text(ours_html())
    (folder / "digest.txt").write_text("Text. " * 1000)
    command = ["node", "rendering.cjs", str(seconds)]
    return float(subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    full = parser(__doc__).parse_args().full
    seconds, rounds = (FULL_SECONDS, FULL_ROUNDS) if full else (SECONDS, ROUNDS)
    results = Results("rendering", full, {"papers_per_message": len(PAPERS), "seconds_each": seconds, "rounds": rounds})
    mine = ours()
    makers = {
        "ours": mine,
        "mjml_for_each_message": compiled_each_time(lambda source: str(mjml_to_html(source).html)),
        "mrml_for_each_message": compiled_each_time(lambda source: str(mrml.to_html(source).content)),
        "yagmail_composing": yagmails_own(),
    }
    runs: dict[str, Callable[[], float]] = {name: partial(a_second, make, seconds) for name, make in makers.items()}
    runs["nodemailer_composing"] = partial(nodemailers, seconds)
    rates = results.interleave(runs, rounds)
    results.figures = {
        "messages_per_second": rates,
        "ours_times_as_fast_as": show("messages per second, on one core", rates, "ours"),
        "message_bytes": {"ours": len(mine(0))},
    }
    results.write()


if __name__ == "__main__":
    main()
