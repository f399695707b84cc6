"""The command that exports papers for reference managers and LaTeX."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.common import open_context_for, say, suggestion
from newsletter.cli.papers import Category, Since, Source, Until
from newsletter.errors import UserError
from newsletter.support.clock import parse_day
from newsletter.support.files import atomic_write_private

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from newsletter.model import Paper
    from newsletter.rendering.citations.formats import CitationFormat
    from newsletter.store.papers import PaperFilter


def export_papers(
    ctx: typer.Context,
    format: Annotated[
        str | None,
        typer.Option(metavar="bibtex|ris|csljson", help="Output format (default: by the name of the file)."),
    ] = None,
    saved: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Only papers that this subscriber saved, last saved first.")
    ] = None,
    source: Source = None,
    category: Category = None,
    since: Since = None,
    until: Until = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Only with this text in the title.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None,
) -> None:
    """Export papers as BibTeX, RIS or CSL-JSON.

    Without filters, all papers in the store are exported, newest first.
    """
    from newsletter.rendering.citations.formats import write_citations
    from newsletter.store import papers, reading

    kind = _format(format, output)
    first, last = (
        (parse_day(day, option) if day else None) for day, option in ((since, "--since"), (until, "--until"))
    )
    wanted = papers.PaperFilter(source, first, last, title, category)
    context = open_context_for(ctx, files=saved is not None)
    with reading(context.engine) as connection:
        parts = write_citations(kind, _papers(connection, wanted, saved))
        if output is None:
            sys.stdout.writelines(parts)
            return
        with atomic_write_private(output) as file:
            file.writelines(part.encode() for part in parts)
    say(f"Written to {output}.")


def _format(format: str | None, output: Path | None) -> CitationFormat:
    """Return the format that an option names, or else the extension of a file.

    Raises:
        UserError: neither names one.
    """
    from newsletter.rendering.citations.formats import FILE_TYPES, CitationFormat

    names = [one.value for one in CitationFormat]
    if format is not None:
        if format not in names:
            raise UserError(
                f"--format: {format!r} is not a format; {suggestion(format, names, 'use bibtex, ris or csljson')}"
            )
        return CitationFormat(format)
    if output is None:
        raise UserError("--format: missing; use bibtex, ris or csljson")
    by_extension = {kind.extension: one for one, kind in FILE_TYPES.items()}
    found = by_extension.get(output.suffix.lower())
    if found is None:
        raise UserError(f"--output: {output}: unknown file type; name it .bib, .ris or .json, or add --format")
    return found


def _papers(connection: Connection, wanted: PaperFilter, saved: str | None) -> Iterator[Paper]:
    from newsletter.audience import subscriptions
    from newsletter.store import papers, saved_papers

    if saved is None:
        return papers.listing(connection, wanted)
    subscriber = subscriptions.get_subscriber(connection, saved)
    rows = [one.paper for one in saved_papers.of(connection, subscriber.row)]
    passing = papers.passing(connection, rows, wanted)
    found = papers.by_rows(connection, passing)
    return (found[row] for row in passing)
