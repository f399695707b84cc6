"""Notes of OpenReview that are submissions. In API v2 each value is in an object, in v1 it is bare."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote, urljoin

from newsletter.model import Paper, PaperStatus, SkippedPaper
from newsletter.sources.author_names import tidy_authors
from newsletter.sources.bounds import sane_day
from newsletter.sources.text import excerpt, from_latex, web_link
from newsletter.support import identifiers
from newsletter.support.text import to_single_line

_SITE = "https://openreview.net"
_SUMMARY_BY = "the authors"
_SUMMARIES = ("TLDR", "TL;DR", "tldr", "one-sentence_summary", "one_sentence_summary")
_WITHDRAWN = re.compile(r"withdrawn|desk[_ ]?reject", re.IGNORECASE)
_NO_VENUE = re.compile(
    r"^(?:submitted to|under review|withdrawn|rejected|desk[- ]reject)|\b(?:submission|rejected|withdrawn)s?$",
    re.IGNORECASE,
)
_ACCEPTED = re.compile(r"^accepted (?:by|at|to|for)\s+(?:the\s+)?", re.IGNORECASE)
_OWN_ID = re.compile(r"doi|arxiv|preprint|eprint|^html$|_bibtex", re.IGNORECASE)
"""The names of fields with other addresses of the same paper."""

_IDS = re.compile(r"https?://[^\s\"{}<>]+|\b10\.\d{4,9}/[^\s\"{}<>,]+|\barxiv:\s*[^\s\"{}<>,]+", re.IGNORECASE)
_BARE_ARXIV = re.compile(r"\b(?:eprint|arxiv)\s*=\s*[{\"]([^}\"]+)", re.IGNORECASE)
_CODE = ("code", "code_url", "code_link", "software")
_PROJECT = ("project_page", "website", "homepage")


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission: its paper, the id of its forum, its venue id, which says what was decided, and its last change."""

    paper: Paper
    forum: str
    venue_id: str
    changed: date | None


def read_submission(note: Any, where: str, venue: str) -> Submission | SkippedPaper:
    """Read a note.

    Args:
        where: it is, for errors.
        venue: the id of the venue; a paper with another one is not accepted there.
    """
    content = note.get("content") if isinstance(note, Mapping) else None
    if not isinstance(content, Mapping):
        return SkippedPaper(where, "content: missing, or not an object")
    values = {name: _value(value) for name, value in content.items()}
    forum, title = _line(note.get("forum") or note.get("id")), _line(values.get("title"))
    if identifiers.openreview_id(f"openreview:{forum}") is None:
        return SkippedPaper(where, f"forum: not an id of OpenReview, got {excerpt(forum)}")
    if not title:
        return SkippedPaper(where, "content.title: missing")
    venue_id = _line(values.get("venueid"))
    paper = _paper(note, values, forum, title, is_accepted=venue_id == venue)
    return Submission(paper, forum, venue_id, _first_day(note, "tmdate", "mdate"))


def _paper(note: Mapping[str, Any], values: Mapping[str, Any], forum: str, title: str, *, is_accepted: bool) -> Paper:
    authors = tidy_authors(_authors(values.get("authors")))
    summary = next((text for name in _SUMMARIES if (text := _line(values.get(name)))), None)
    own = list(dict.fromkeys(_own_ids(values)))
    arxiv = next((one for text in own if (one := identifiers.arxiv_id(text))), None)
    doi = next((found for text in own if (found := identifiers.doi(text))), None)
    withdrawn = _WITHDRAWN.search(_line(values.get("venueid"))) or values.get("withdrawal") == "Confirmed"
    area = _line(values.get("primary_area"))
    return Paper(
        title=from_latex(title),
        abstract=from_latex(_line(values.get("abstract"))),
        authors=authors,
        author_count=len(authors) or None,
        venue=_venue(_line(values.get("venue"))) if is_accepted else None,
        arxiv_id=arxiv[0] if arxiv else None,
        version=arxiv[1] if arxiv else None,
        doi=doi,
        other_ids=(f"openreview:{forum}",),
        status=PaperStatus.WITHDRAWN if withdrawn else None,
        published=_first_day(note, "pdate", "odate", "cdate", "tcdate"),
        categories=(area,) if area else (),
        url=f"{_SITE}/forum?id={quote(forum)}",
        pdf_url=_link(values.get("pdf")),
        code_url=next((link for name in _CODE if (link := _link(values.get(name)))), None),
        project_url=next((link for name in _PROJECT if (link := _link(values.get(name)))), None),
        summary=from_latex(summary) if summary else None,
        summary_by=_SUMMARY_BY if summary else None,
        keywords=tuple(dict.fromkeys(_items(values.get("keywords")))),
    )


def _value(field: Any) -> Any:
    return field.get("value") if isinstance(field, Mapping) and "value" in field else field


def _line(value: Any) -> str:
    return to_single_line(value) if isinstance(value, str) else ""


def _items(value: Any) -> Iterator[str]:
    """Yield the texts of a list, or of a text with separators as older venues have it."""
    items = re.split(r"[;,]", value) if isinstance(value, str) else value if isinstance(value, list) else ()
    return (text for one in items if (text := from_latex(_line(one))))


def _authors(value: Any) -> Iterator[str]:
    """Yield the names; none of a paper under blind review, whose authors may become known later."""
    for one in value if isinstance(value, list) else _items(value):
        name = _line(
            next((one[key] for key in ("fullname", "name") if one.get(key)), "") if isinstance(one, Mapping) else one
        )
        if name and not name.lower().startswith("anonymous") and not name.startswith("~"):
            yield name


def _venue(words: str) -> str | None:
    """Return the venue as an accepted paper names it: "ICLR 2026 Oral", "TMLR" for "Accepted by TMLR"."""
    if not words or _NO_VENUE.search(words):
        return None
    return _ACCEPTED.sub("", words)


def _own_ids(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the addresses and identifiers of the paper elsewhere that its fields have."""
    for name, value in values.items():
        if isinstance(value, str) and _OWN_ID.search(name):
            text = value[:20_000]
            yield text.strip()
            yield from (found.rstrip(".,;)") for found in _IDS.findall(text))
            yield from _BARE_ARXIV.findall(text)


def _link(value: Any) -> str | None:
    """Return an address, complete: files of the site are given by their path."""
    text = value.strip() if isinstance(value, str) else ""
    return web_link(urljoin(f"{_SITE}/", text)) if text.startswith("/") else web_link(text)


def _first_day(note: Mapping[str, Any], *names: str) -> date | None:
    """Return the day (UTC) of the first time, in milliseconds since 1970, that there is and that can be right."""
    for name in names:
        value = note.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            try:
                return sane_day(datetime.fromtimestamp(value / 1_000, UTC).date())
            except (ValueError, OverflowError, OSError):
                continue
    return None
