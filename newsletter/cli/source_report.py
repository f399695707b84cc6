"""Prints what a source returned in a test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from newsletter.cli.common import say, say_wrapped, warn
from newsletter.model import Notice, Paper
from newsletter.rendering.plain_text import shorten
from newsletter.services.paper_json import paper_json
from newsletter.sources.errors import none_readable

if TYPE_CHECKING:
    from newsletter.services.source_check import SourceCheck


PAPERS = 5
_LINES = 5
_AUTHORS = 4
_ABSTRACT = 230
_NOT_STORED = ("id", "sources", "first_seen")
"""Keys of a paper that only the store fills."""


def print_check(name: str, kind: str, check: SourceCheck) -> None:
    """Print the requests, the first papers, what was cut and skipped, and the error."""
    say(f"{name} ({kind}): {_summary(check)} in {check.seconds:.1f} s")
    for request in check.requests[:_LINES]:
        say(f"  {request}")
    if len(check.requests) > _LINES:
        say(f"  and {len(check.requests) - _LINES} more requests")
    if (days := _about_days(check)) is not None:
        say_wrapped(days)
    for number, paper in enumerate(check.papers[:PAPERS], 1):
        say("")
        say_wrapped(f"{number}. {paper.title}", "", "   ")
        for line in _described(paper):
            say_wrapped(line, "   ", "     ")
    _print_lines([f"notice: {_noticed(notice)}" for notice in check.notices])
    _print_lines([f"cut: {line}" for one in check.read for line in one.cut])
    _print_lines([f"skipped: {bad.where}: {bad.why}" for bad in check.skipped])
    if check.error is not None:
        warn(f"{name}: {check.error}")
    elif check.unreadable:
        warn(f"{name}: {none_readable(check.skipped)}")


def check_json(name: str, kind: str, check: SourceCheck) -> dict[str, Any]:
    """Convert the result of a test to the values of a JSON object."""
    return {
        "source": name,
        "kind": kind,
        "since": check.window.since.isoformat() if check.window.since else None,
        "until": check.window.until.isoformat(),
        "earlier": check.earlier,
        "requests": list(check.requests),
        "seconds": round(check.seconds, 3),
        "papers": [
            {key: value for key, value in paper_json(paper).items() if key not in _NOT_STORED}
            for paper in check.papers[:PAPERS]
        ],
        "notices": [
            {"kind": notice.kind, "of": list(notice.of), "day": notice.day.isoformat() if notice.day else None}
            for notice in check.notices
        ],
        "bad": [{"where": bad.where, "why": bad.why} for bad in check.skipped],
        "cut": [line for one in check.read for line in one.cut],
        "error": check.error,
    }


def failed(check: SourceCheck) -> bool:
    """Return whether a test failed: with an error, or since nothing could be read."""
    return check.error is not None or check.unreadable


def _summary(check: SourceCheck) -> str:
    if check.error is not None and not check.read:
        return "failed"
    counts = {"paper": len(check.papers), "notice": len(check.notices)}
    parts = [f"{number} {what}{'' if number == 1 else 's'}" for what, number in counts.items() if number]
    skipped = [f"{len(check.skipped)} skipped"] if check.skipped else []
    return ", ".join([*(parts or ["no papers"]), *skipped])


def _about_days(check: SourceCheck) -> str | None:
    """Say which days were asked for, if that is not what a fetch asks for; None if it is and there were papers."""
    since, until = check.window.since, check.window.until
    if check.error is not None:
        return None
    if not check.read:
        if check.earlier:
            return f"Nothing new now, and no papers since {since}; check its settings if there should be some."
        return "It has no papers now. That is no error; a fetch stores none." if since is None else None
    return f"Nothing new now, so these are from {since} to {until}." if check.earlier else None


def _described(paper: Paper) -> Iterator[str]:
    if paper.authors or paper.author_count:
        named, more = paper.authors[:_AUTHORS], max(paper.author_count or 0, len(paper.authors)) - _AUTHORS
        rest = f" and {more} more" if named and more > 0 else "" if named else f"{paper.author_count} (not named)"
        yield f"authors: {', '.join(named)}{rest}"
    days = (("published", paper.published), ("listed", paper.listed_on), ("in", paper.venue), ("", paper.status))
    if known := ", ".join(f"{label} {value}".strip() for label, value in days if value):
        yield known
    version = f"v{paper.version}" if paper.version and paper.arxiv_id else ""
    ids = [f"arXiv {paper.arxiv_id}{version}" if paper.arxiv_id else "", f"doi {paper.doi}" if paper.doi else ""]
    yield f"identifiers: {', '.join(filter(None, (*ids, *paper.other_ids))) or 'none'}"
    for link in filter(None, (paper.url, paper.pdf_url, paper.code_url, paper.project_url, *paper.links)):
        yield f"link: {link}"
    if paper.categories:
        yield f"categories: {', '.join(paper.categories)}"
    yield f"abstract: {shorten(paper.abstract, _ABSTRACT)}" if paper.abstract else "no abstract"


def _noticed(notice: Notice) -> str:
    when = f" on {notice.day}" if notice.day else ""
    where = notice.doi or notice.url or notice.venue
    return f"{', '.join(notice.of)}: {notice.kind}{when}{f' ({where})' if where else ''}"


def _print_lines(lines: list[str]) -> None:
    if lines:
        say("")
    for line in lines[:_LINES]:
        say_wrapped(line, "", "  ")
    if len(lines) > _LINES:
        say(f"and {len(lines) - _LINES} more; see all with --json")
