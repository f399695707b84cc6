"""Commands that show what would be sent to a subscriber."""

from __future__ import annotations

import json as jsonlib
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.common import (
    Json,
    bring_index_up_to_date,
    open_context_for,
    options,
    print_json,
    print_table,
    say,
    say_wrapped,
    suggestion,
    warn,
)
from newsletter.errors import UserError
from newsletter.model import Digest, DigestItem, Layout, Subscriber
from newsletter.support.clock import parse_day
from newsletter.support.files import write_private

if TYPE_CHECKING:
    from newsletter.services.context import AppContext
    from newsletter.services.paper_place import PaperPlace


_HIDDEN_SHOWN = 5
_FORMATS = ("html", "text", "eml", "json", "png")
_ENDINGS = {".html": "html", ".htm": "html", ".txt": "text", ".eml": "eml", ".json": "json", ".png": "png"}


def rank(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Subscriber's email address.")],
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Number of papers.")] = 10,
    edition: Annotated[str | None, typer.Option(metavar="DAY", help="Replay the ranking of this day's digest.")] = None,
    why: Annotated[
        str | None, typer.Option(metavar="PAPER", help="Explain the place or absence of this paper in today's digest.")
    ] = None,
    json: Json = False,
) -> None:
    """Rank the papers for a subscriber's digest, with the reason for each.

    New papers come first, then those of the last days that were not sent yet.
    """
    from newsletter.services.recommend import rank_papers
    from newsletter.services.replay import replay_ranking

    if why is not None and edition is not None:
        raise UserError("--why explains the digest of today; remove --edition")
    day = parse_day(edition, "--edition") if edition is not None else None
    context = open_context_for(ctx)
    subscriber = _subscriber(context, email)
    bring_index_up_to_date(context)
    if why is not None:
        _explain(context, subscriber, why, json)
        return
    result = replay_ranking(context, subscriber, day, top) if day else rank_papers(context, subscriber, top)
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
                "earlier": choice.earlier,
                "in_digest": choice.paper.row in result.in_digest,
            }
            for choice in found
        )
        return
    if not found:
        say(f"Nothing for {subscriber.email}: {result.nothing}.")
        return
    columns = (("", "right"), ("match", "right"), ("digest", "left"), ("interest", "narrow"))
    wide = ("title and reason", "wide")
    print_table((*columns, wide), [_rank_row(choice, choice.paper.row in result.in_digest) for choice in found])
    for paper, word in result.hidden[:_HIDDEN_SHOWN]:
        say(f"Hidden by never “{word}”: {paper.title}")
    if len(result.hidden) > _HIDDEN_SHOWN:
        say(f"{len(result.hidden) - _HIDDEN_SHOWN} more hidden by never-words.")


def _explain(context: AppContext, subscriber: Subscriber, named: str, json: bool) -> None:
    """Say why a paper is in the subscriber's digest of today, or why it is not."""
    from newsletter.rendering.template_context import percent
    from newsletter.services.paper_place import find_place

    found = find_place(context, subscriber, named)
    if json:
        print_json([_place_json(found)])
        return
    if found.paper is not None:
        say(f"{found.paper.title} ({found.paper.id})")
    say_wrapped(found.explanation)
    if len(found.matches) > 1:
        each = ", ".join(f"{name} {percent(score)}%" for name, score in found.matches)
        say_wrapped(f"Its match with each interest: {each}.")


def _place_json(found: PaperPlace) -> dict[str, object]:
    item = found.item
    return {
        "paper_id": found.paper.id if found.paper else None,
        "title": found.paper.title if found.paper else None,
        "reason": found.reason.value,
        "explanation": found.explanation,
        "place": item.rank or None if item else None,
        "rank": found.standing,
        "score": round(item.score, 6) if item else None,
        "interest": item.section if item else None,
        "because": item.because if item else None,
        "matches": {name: round(score, 6) for name, score in found.matches},
    }


def _rank_row(choice: DigestItem, in_digest: bool) -> tuple[object, ...]:
    from newsletter.digest.composer import EARLIER, WITHOUT_MATCH
    from newsletter.rendering.template_context import percent

    match = "" if choice.section in WITHOUT_MATCH else f"{percent(choice.score)}%"
    notes = "; ".join(note for note in (EARLIER if choice.earlier else "", choice.because) if note)
    return choice.rank, match, "yes" if in_digest else "", choice.section, (choice.paper.title, f"  {notes}")


def preview(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Subscriber's email address.")],
    format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="Output format: html, text, eml, json or png.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Output file; its extension sets the format.")
    ] = None,
    open_browser: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open it in a browser (default: at a terminal)."),
    ] = None,
    width: Annotated[
        int, typer.Option(metavar="N", min=200, max=2000, help="PNG width in pixels, 200 to 2000 (375 = phone).")
    ] = 800,
    dark: Annotated[bool, typer.Option("--dark", help="Render the PNG in dark mode.")] = False,
    layout: Annotated[
        Layout | None,
        typer.Option(metavar="LAYOUT", help="Show it in this layout: full, compact or titles (default: as sent)."),
    ] = None,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Serve a live preview that reloads on changes."),
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="N", help="Port for --serve (default: 8100 or a free one).")
    ] = None,
) -> None:
    """Render a subscriber's email as it would be sent today, without sending it.

    At a terminal it opens in your browser. If the store has no papers, sample papers are used.
    """
    at_terminal = sys.stdout.isatty()
    if serve:
        if format is not None or output is not None:
            raise UserError("--serve shows every format; remove --format and --output")
        _serve(ctx, email, port, at_terminal if open_browser is None else open_browser, layout)
        return
    if port is not None:
        raise UserError("--port only works with --serve; add --serve")
    chosen = format or (_ENDINGS.get(output.suffix.lower()) if output else None) or "html"
    if chosen not in _FORMATS:
        fix = suggestion(chosen, _FORMATS, f"choose from {', '.join(_FORMATS)}")
        raise UserError(f"--format: {chosen!r} is not a format; {fix}")
    opens = (at_terminal and format is None and output is None) if open_browser is None else open_browser
    content = _previewed(ctx, email, chosen, layout)
    if content is None:
        return
    if chosen == "png":
        from newsletter.rendering.screenshot import screenshot

        content = screenshot(content.decode(), width, dark)
    if output is None and (opens or (chosen in ("html", "png") and at_terminal)):
        output = Path(tempfile.mkdtemp(prefix="newsletter-")) / f"preview.{chosen if chosen != 'text' else 'txt'}"
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    write_private(output, content)
    say(f"Written to {output}.")
    if opens:
        _open(output.absolute().as_uri(), str(output))


def _open(url: str, shown: str) -> None:
    if not webbrowser.open(url):
        warn(f"cannot open a browser; open {shown} yourself")


def _serve(ctx: typer.Context, email: str, port: int | None, opens: bool, layout: Layout | None) -> None:
    from newsletter.services.sample_data import context_with_papers
    from newsletter.web.preview import app
    from newsletter.web.preview.snapshot import watched_files

    context = open_context_for(ctx)
    subscriber = _subscriber(context, email)
    with tempfile.TemporaryDirectory(prefix="newsletter-") as folder:
        scratch = Path(folder)
        with context_with_papers(context, scratch) as (filled, _):
            bring_index_up_to_date(filled)
        path = options(ctx).config.absolute()
        bench = app.LivePreview(
            path, context.clock, subscriber, scratch, watched_files(path, context.config, subscriber), layout
        )
        secret = app.secret_path(context.links.key, subscriber.email)
        with app.listen(port) as listener:
            url = f"http://{app.HOST}:{listener.getsockname()[1]}/{secret}/"
            say(f"{subscriber.email}: {url}")
            say("Reloads when a template, the configuration or the interests change. Press Ctrl-C to stop.")
            sys.stdout.flush()
            if opens:
                # In a thread: opening a browser in the terminal blocks until the user quits it.
                threading.Thread(target=_open, args=(url, url), daemon=True).start()
            app.serve(app.make_app(bench, secret), listener)


def _previewed(ctx: typer.Context, email: str, chosen: str, layout: Layout | None) -> bytes | None:
    """Render the message in a format (HTML for a picture); None, with a warning, if nothing would be sent."""
    from newsletter.services.email_images import logo_warning
    from newsletter.services.messages import with_layout
    from newsletter.services.recommend import preview_digest
    from newsletter.services.sample_data import SAMPLE_SHOWN, context_with_papers

    context = open_context_for(ctx)
    subscriber = _subscriber(context, email)
    if lost := logo_warning(context.config):
        warn(lost)
    with (
        tempfile.TemporaryDirectory(prefix="newsletter-") as scratch,
        context_with_papers(context, Path(scratch)) as (filled, sample),
    ):
        if sample:
            warn(SAMPLE_SHOWN)
        bring_index_up_to_date(filled)
        found = preview_digest(filled, subscriber)
        digest = found.digest
        if not found.is_sent:
            warn(f"nothing would be sent to {subscriber.email}: {found.nothing}")
        elif digest is not None and digest.updates and found.nothing:
            warn(f"{subscriber.email} would get only updates on papers: {found.nothing}")
        elif found.nothing:
            warn(f"{subscriber.email} would get an email that there is nothing new: {found.nothing}")
        if chosen == "json":
            row = _digest_json(subscriber, digest, found.nothing or None, sample)
            return (jsonlib.dumps(row, ensure_ascii=False) + "\n").encode()
        if digest is None or not found.is_sent:
            return None
        return _rendered(filled, with_layout(subscriber, layout) if layout else subscriber, digest, chosen)


def _rendered(context: AppContext, subscriber: Subscriber, digest: Digest, format: str) -> bytes:
    from newsletter.rendering.folding import candidates_in_full
    from newsletter.services.messages import new_message_id, render_message, render_pages
    from newsletter.services.thumbnails import fetch_missing_thumbnails

    fetch_missing_thumbnails(context, [choice.paper for choice in candidates_in_full(digest.choices)])
    if format == "eml":
        identity = new_message_id(context, subscriber, digest.edition)
        return render_message(context, {}, subscriber, digest, identity).content
    html, text = render_pages(context, {}, subscriber, digest)
    return (text if format == "text" else html).encode()


def _digest_json(subscriber: Subscriber, digest: Digest | None, nothing: str | None, sample: bool) -> dict[str, Any]:
    from newsletter.services.paper_json import update_json

    return {
        "email": subscriber.email,
        "edition": digest.edition.isoformat() if digest else None,
        "considered": digest.considered if digest else 0,
        "papers": [
            {
                "id": choice.paper.id,
                "rank": choice.rank,
                "score": round(choice.score, 6),
                "section": choice.section,
                "title": choice.paper.title,
                "because": choice.because,
                "earlier": choice.earlier,
            }
            for choice in (digest.choices if digest else ())
        ],
        "updates": [update_json(one) for one in (digest.updates if digest else ())],
        "reason": nothing,
        "sample": sample,
    }


def _subscriber(context: AppContext, email: str) -> Subscriber:
    from newsletter.audience import subscriptions
    from newsletter.store import reading

    with reading(context.engine) as connection:
        return subscriptions.get_subscriber(connection, email)
