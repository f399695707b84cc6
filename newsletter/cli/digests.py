"""Commands that show what a subscriber would get."""

import json as jsonlib
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from newsletter.audience import membership
from newsletter.choosing import preview_digest, rank_again, rank_papers
from newsletter.cli.common import Json, bring_index_up_to_date, open_for, print_json, print_table, say, warn
from newsletter.clock import parse_day
from newsletter.desk import Desk, identify, render_message, render_pages
from newsletter.errors import UserError
from newsletter.model import Digest, Subscriber
from newsletter.rendering.picture import picture
from newsletter.rendering.view import percent
from newsletter.store import reading

_HIDDEN_SHOWN = 5
_FORMATS = ("html", "text", "eml", "json", "png")
_ENDINGS = {".html": "html", ".htm": "html", ".txt": "text", ".eml": "eml", ".json": "json", ".png": "png"}


def rank(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="For whom.")],
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    edition: Annotated[
        str | None, typer.Option(metavar="DAY", help="As it was ranked for the digest of that day.")
    ] = None,
    json: Json = False,
) -> None:
    """Rank the new papers for a subscriber, and say why."""
    day = parse_day(edition, "--edition") if edition is not None else None
    desk = open_for(context)
    subscriber = _subscriber(desk, email)
    bring_index_up_to_date(desk)
    result = rank_again(desk, subscriber, day, top) if day else rank_papers(desk, subscriber, top)
    found = result.choices
    if json:
        if not found:
            warn(f"nothing for {subscriber.email}: {result.nothing}")
        print_json(
            {
                "rank": choice.rank,
                "paper_id": choice.paper.id,
                "title": choice.paper.title,
                "score": round(choice.score, 6),
                "interest": choice.section,
                "because": choice.because,
            }
            for choice in found
        )
        return
    if not found:
        say(f"Nothing for {subscriber.email}: {result.nothing}.")
        return
    rows = [
        (choice.rank, f"{percent(choice.score)}%", choice.section, (choice.paper.title, f"  {choice.because}"))
        for choice in found
    ]
    print_table((("", "right"), ("score", "right"), ("interest", "narrow"), ("title, and why", "wide")), rows)
    for paper, word in result.hidden[:_HIDDEN_SHOWN]:
        say(f"Hidden by never “{word}”: {paper.title}")
    if len(result.hidden) > _HIDDEN_SHOWN:
        say(f"{len(result.hidden) - _HIDDEN_SHOWN} more are hidden by never-words.")


def preview(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="Whose.")],
    format: Annotated[str | None, typer.Option(help="html, text, eml, json or png.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write there; its ending tells the format.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Show the HTML in a browser.")] = False,
    width: Annotated[int, typer.Option(min=200, max=2000, help="Of a png, in pixels; 375 is a phone.")] = 800,
    dark: Annotated[bool, typer.Option("--dark", help="A png in dark mode.")] = False,
) -> None:
    """Render a subscriber's email of today as it would be sent, without sending it."""
    chosen = format or (_ENDINGS.get(output.suffix.lower()) if output else None) or "html"
    if chosen not in _FORMATS:
        raise UserError(f"--format: {chosen!r} is none of {', '.join(_FORMATS)}")
    desk = open_for(context)
    subscriber = _subscriber(desk, email)
    bring_index_up_to_date(desk)
    digest, nothing = preview_digest(desk, subscriber)
    if digest is None or not digest.choices:
        warn(f"nothing would be sent to {subscriber.email}: {nothing}")
        if chosen == "json":
            considered = digest.considered if digest else 0
            edition = digest.edition.isoformat() if digest else None
            row: dict[str, Any] = {
                "email": subscriber.email,
                "edition": edition,
                "considered": considered,
                "papers": [],
            }
            print_json([{**row, "reason": nothing}])
        return
    content = _rendered(desk, subscriber, digest, chosen)
    if chosen == "png":
        content = picture(content.decode(), width, dark)
    if output is None and (open_browser or (chosen in ("html", "png") and sys.stdout.isatty())):
        output = Path(tempfile.mkdtemp(prefix="newsletter-")) / f"preview.{chosen if chosen != 'text' else 'txt'}"
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise UserError(f"{output}: {error.strerror}; choose another file") from None
    say(f"Written to {output}.")
    if open_browser and not webbrowser.open(output.absolute().as_uri()):
        warn(f"no browser could be opened; open {output} yourself")


def _rendered(desk: Desk, subscriber: Subscriber, digest: Digest, format: str) -> bytes:
    if format == "eml":
        identity = identify(desk, subscriber, digest.edition)
        return render_message(desk, {}, subscriber, digest, identity).content
    if format == "json":
        return (jsonlib.dumps(_digest_json(subscriber, digest), ensure_ascii=False) + "\n").encode()
    html, text = render_pages(desk, {}, subscriber, digest)
    return (text if format == "text" else html).encode()


def _digest_json(subscriber: Subscriber, digest: Digest) -> dict[str, Any]:
    return {
        "email": subscriber.email,
        "edition": digest.edition.isoformat(),
        "considered": digest.considered,
        "papers": [
            {
                "id": choice.paper.id,
                "rank": choice.rank,
                "score": round(choice.score, 6),
                "section": choice.section,
                "title": choice.paper.title,
                "because": choice.because,
            }
            for choice in digest.choices
        ],
        "reason": None,
    }


def _subscriber(desk: Desk, email: str) -> Subscriber:
    with reading(desk.engine) as connection:
        return membership.require(connection, email)
