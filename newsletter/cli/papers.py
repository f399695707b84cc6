"""Commands that fetch, import, list and search papers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import (
    Json,
    bring_index_up_to_date,
    err,
    open_context_for,
    print_json,
    print_table,
    say,
    stoppable,
    warn,
)
from newsletter.errors import UserError
from newsletter.model import Paper, SkippedPaper
from newsletter.support.clock import parse_day
from newsletter.support.text import escape_for_terminal

if TYPE_CHECKING:
    from newsletter.services.context import AppContext
    from newsletter.services.fetch import FetchResult, OnProgress
    from newsletter.services.search import SearchResult


_BAD_SHOWN = 5
_STOPPED = 130
"""The exit code of a command that was interrupted."""
NONE_YET = "No papers yet; add some with 'newsletter fetch' or 'newsletter import'."


def fetch(
    ctx: typer.Context,
    source: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE", help="Sources in config.yaml (default: all).")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="First day to fetch.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Last day to fetch (default: today).")] = None,
    json: Json = False,
) -> None:
    """Fetch new papers from the sources."""
    from newsletter.services.fetch import fetch_papers
    from newsletter.sources.base import DateRange

    context = open_context_for(ctx, files=False)
    today = context.clock().date()
    window = DateRange(
        parse_day(since, "--since") if since is not None else None,
        parse_day(until, "--until") if until is not None else today,
    )
    if window.since and window.since > window.until:
        raise UserError(f"--since {window.since} is after --until {window.until}; swap them")
    # Printed at the end: the progress bar would erase lines printed before.
    with stoppable() as stopped, _progress() as on_progress:
        results = list(fetch_papers(context, source or [], window, on_progress, stopped.is_set))
    order = {name: place for place, name in enumerate(context.config.sources)}
    # OpenAlex, which is asked for what alerts need, comes last.
    for result in sorted(results, key=lambda result: order.get(result.source, len(order))):
        _report(result, json)
    if stopped.is_set():
        warn("interrupted; papers fetched so far are stored, and the next fetch gets the rest")
        raise typer.Exit(_STOPPED)
    if any(result.error is not None for result in results):
        raise typer.Exit(1)


def import_files(
    ctx: typer.Context,
    file: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Saved Daily Papers pages (.txt), .jsonl, .bib, .ris or saved feeds."),
    ],
    as_of: Annotated[
        str | None, typer.Option(metavar="DAY", help="Day on which a page was saved (default: today).")
    ] = None,
    json: Json = False,
) -> None:
    """Import papers from files.

    A saved Daily Papers page has a date without a year; the latest year that --as-of allows is used.
    """
    from newsletter.services.fetch import import_file
    from newsletter.store import papers, reading

    context = open_context_for(ctx, files=False)
    day = parse_day(as_of, "--as-of") if as_of is not None else context.clock().date()
    results: list[tuple[Path, FetchResult]] = []
    problems: list[str] = []
    with _progress() as on_progress:
        for path in file:
            try:
                results.append((path, import_file(context.engine, context.clock, path, day, on_progress(path.name))))
            except UserError as error:
                problems.extend(error.lines)
    for path, result in results:
        _report(result, json)
        if not result.papers:
            problems.append(f"{path}: no papers found; check that its content matches its file extension")
    with reading(context.engine) as connection:
        held = papers.count(connection)
    if not json:
        say(f"The store has {_papers(held)}.")
    if problems:
        raise UserError(*problems)
    if any(result.error is not None for _, result in results):
        raise typer.Exit(2)


def _report(result: FetchResult, json: bool) -> None:
    if json:
        print_json(
            [
                {
                    "source": result.source,
                    "papers": result.papers,
                    "new": result.new,
                    "changed": result.changed,
                    "updates": result.events,
                    "bad": [{"where": bad.where, "why": bad.why} for bad in result.bad],
                    "cut": list(result.cut),
                    "error": result.error,
                }
            ]
        )
        return
    counts = f"{_papers(result.papers)}, {result.new} new"
    name = result.source.removeprefix("file:")
    failed = "failed; " if result.error else ""
    became = f", {result.events} update{'' if result.events == 1 else 's'} on papers" if result.events else ""
    say(f"{name}: {failed}{counts}{f', {result.changed} updated' if result.changed else ''}{became}")
    for bad in result.bad[:_BAD_SHOWN]:
        # Of a file, "where" has its name.
        warn(f"{'' if result.source != name else f'{name}: '}{_bad(bad)}")
    if len(result.bad) > _BAD_SHOWN:
        warn(f"{name}: {len(result.bad) - _BAD_SHOWN} more could not be read; see all with --json")
    for line in result.cut[:_BAD_SHOWN]:
        warn(f"{name}: {line}")
    if len(result.cut) > _BAD_SHOWN:
        warn(f"{name}: {len(result.cut) - _BAD_SHOWN} more were shortened to the limits; see all with --json")
    if result.error:
        warn(f"{name}: {result.error}")


def _bad(bad: SkippedPaper) -> str:
    return f"{bad.where}: skipped: {bad.why}"


def _papers(number: int) -> str:
    return f"{number} paper{'' if number == 1 else 's'}"


@contextmanager
def _progress() -> Iterator[Callable[[str], OnProgress]]:
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.completed:.0f} papers"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True, disable=not err.is_terminal) as bar:

        def on_progress(name: str) -> OnProgress:
            task = bar.add_task(escape_for_terminal(name), total=None)
            return lambda count: bar.update(task, completed=count)

        yield on_progress


Source = Annotated[str | None, typer.Option(metavar="NAME", help="Only from this source.")]
Category = Annotated[str | None, typer.Option(metavar="NAME", help="Only in this category, like cs.LG.")]
Since = Annotated[str | None, typer.Option(metavar="DAY", help="Listed or published on this day or later.")]
Until = Annotated[str | None, typer.Option(metavar="DAY", help="Listed or published on this day or earlier.")]


def list_papers(
    ctx: typer.Context,
    source: Source = None,
    category: Category = None,
    since: Since = None,
    until: Until = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Only with this text in the title.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Maximum number of results (default: 20; no limit with --json)."),
    ] = None,
    json: Json = False,
) -> None:
    """List the papers in the store, newest first."""
    from newsletter.services.paper_json import papers_json
    from newsletter.store import papers, reading

    context = open_context_for(ctx, files=False)
    wanted = papers.PaperFilter(source, _day(since, "--since"), _day(until, "--until"), title, category)
    most = limit if limit is not None or json else 20
    with reading(context.engine) as connection:
        found = papers.listing(connection, wanted, most)
        if json:
            print_json(papers_json(connection, found))
            return
        rows = [
            (paper.id, paper.listed_on or paper.published, _talk(paper.upvotes, paper.comments), _title(paper))
            for paper in found
        ]
        held = papers.count(connection)
    if not rows:
        say("No matching papers." if held else NONE_YET)
        return
    print_table((("id", "left"), ("day", "left"), ("votes", "right"), ("title", "wide")), rows)
    if limit is None and len(rows) == most:
        say(f"Showing the first {most} of {_papers(held)}; see more with --limit.")


def search_papers(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(metavar="WORD", help="Words, an author, an arXiv id, a DOI or a phrase in quotation marks."),
    ],
    source: Source = None,
    category: Category = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Maximum number of results.")] = 10,
    subscriber: Annotated[
        str | None,
        typer.Option(metavar="EMAIL", help="Mark the papers that are in a library of this subscriber."),
    ] = None,
    json: Json = False,
) -> None:
    """Search all papers by words, author, identifier or "phrase", best match first."""
    from newsletter.services.search import search
    from newsletter.store import papers

    context = open_context_for(ctx, files=False)
    wanted = papers.PaperFilter(source, _day(since, "--since"), _day(until, "--until"), category=category)
    held = _in_libraries(context, subscriber) if subscriber is not None else None
    bring_index_up_to_date(context)
    _print_found(context, search(context, " ".join(words), wanted, limit), json, held)


def _in_libraries(context: AppContext, email: str) -> set[int]:
    """Return the rows of the papers that a subscriber has in a library."""
    from newsletter.audience.subscriptions import get_subscriber
    from newsletter.store import libraries, reading

    with reading(context.engine) as connection:
        row = get_subscriber(connection, email).row
        return libraries.held_papers(connection, [row]).get(row, set())


def similar_papers(
    ctx: typer.Context,
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="Paper's id, arXiv id, DOI, URL or title.")],
    source: Source = None,
    category: Category = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Maximum number of results.")] = 10,
    json: Json = False,
) -> None:
    """Find the papers most similar to one in the store."""
    from newsletter.services.search import similar
    from newsletter.store import papers, reading

    context = open_context_for(ctx, files=False)
    wanted = papers.PaperFilter(source, _day(since, "--since"), _day(until, "--until"), category=category)
    with reading(context.engine) as connection:
        found = papers.find(connection, paper)
    if found is None:
        raise UserError(f"No paper matches {paper!r}; search with 'newsletter papers search WORDS'")
    bring_index_up_to_date(context)
    _print_found(context, similar(context, found, wanted, limit), json)


def _print_found(context: AppContext, found: list[SearchResult], json: bool, held: Set[int] | None = None) -> None:
    """Print what was found; ``held`` has the rows of papers to mark as in a library, None for no marks."""
    from newsletter.rendering.template_context import percent
    from newsletter.store import papers, reading

    if json:
        print_json(
            {
                "rank": rank,
                "paper_id": one.paper.id,
                "title": one.paper.title,
                "status": one.paper.status,
                "score": round(one.score, 6),
                "day": _paper_day(one.paper),
                "because": one.because,
                **({"in_library": one.paper.row in held} if held is not None else {}),
            }
            for rank, one in enumerate(found, 1)
        )
        return
    if not found:
        with reading(context.engine) as connection:
            number = papers.count(connection)
        say("No matching papers." if number else NONE_YET)
        return
    rows = [
        (
            rank,
            f"{percent(one.score)}%",
            one.paper.id,
            f"{_title(one.paper)}\n  {_notes(one, held or frozenset())}".rstrip(),
        )
        for rank, one in enumerate(found, 1)
    ]
    columns = (("", "right"), ("score", "right"), ("id", "narrow"), ("title and reason", "wide"))
    print_table(columns, rows)


def _title(paper: Paper) -> str:
    return f"[{paper.status.capitalize()}] {paper.title}" if paper.status is not None else paper.title


def _notes(found: SearchResult, held: Set[int]) -> str:
    return "; ".join(filter(None, ("in your library" if found.paper.row in held else "", found.because)))


def _paper_day(paper: Paper) -> str | None:
    """Return the day a paper was listed or, if unknown, published."""
    day = paper.listed_on or paper.published
    return day.isoformat() if day else None


def _day(text: str | None, option: str) -> date | None:
    return parse_day(text, option) if text is not None else None


def _talk(upvotes: int | None, comments: int | None) -> str:
    return str((upvotes or 0) + (comments or 0) or "")


def show_paper(
    ctx: typer.Context,
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="Paper's id, arXiv id, DOI, URL or title.")],
    json: Json = False,
) -> None:
    """Show one paper."""
    from newsletter.rendering.event_words import event_line
    from newsletter.services.paper_json import event_json, paper_json
    from newsletter.store import paper_events, papers, reading

    context = open_context_for(ctx, files=False)
    with reading(context.engine) as connection:
        found = papers.find(connection, paper)
        events = paper_events.history(connection, found.row) if found is not None else []
    if found is None:
        raise UserError(f"No paper matches {paper!r}; search with 'newsletter papers list --title WORD'")
    if json:
        print_json([{**paper_json(found), "history": [event_json(one) for one in events]}])
        return
    for key, value in paper_json(found).items():
        if value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            say(f"{key.replace('_', ' ')}: {text}")
    for event in events:
        line = event_line(event, most=10)
        on = "" if event.day else f", seen on {event.seen_at:%Y-%m-%d}"
        say(f"history: {line.words}{on}{f', {line.url}' if line.url else ''}")
        for label, text in line.details:
            say(f"  {label}: {text}")
