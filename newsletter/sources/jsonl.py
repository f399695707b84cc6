"""JSON lines, one paper per line, with the keys that the program itself writes."""

import json
import re
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from newsletter.model import Paper, PaperStatus, SkippedPaper
from newsletter.sources.author_names import split_authors
from newsletter.sources.json_fields import Count, Day, Fields, Link, Text, Texts, Title, first_problem
from newsletter.sources.text import excerpt, from_latex, paper_link, pdf_link
from newsletter.support import identifiers

_WORD = re.compile(r"\w+")


class _Line(Fields):
    title: Title
    id: Text | None = None
    abstract: Text | None = None
    authors: Texts = None
    author_count: Count | None = None
    organization: Text | None = None
    venue: Text | None = None
    arxiv_id: Text | None = None
    version: Count | None = None
    doi: Text | None = None
    other_ids: Texts = None
    status: PaperStatus | None = None
    published: Day = None
    listed_on: Day = None
    categories: Texts = None
    url: Link = None
    pdf_url: Link = None
    code_url: Link = None
    code_stars: Count | None = None
    project_url: Link = None
    links: list[Link] | None = None
    summary: Text | None = None
    summary_by: Text | None = None
    thumbnail_url: Link = None
    keywords: Texts = None
    upvotes: Count | None = None
    comments: Count | None = None


def read_lines(text: str, shown: str) -> Iterator[Paper | SkippedPaper]:
    """Yield the papers of a text in JSON lines; blank lines and unknown keys are ignored.

    ``sources`` is ignored too, since the caller knows where the papers come from.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _paper(line.strip(), f"{shown}:{number}")


def _paper(line: str, where: str) -> Paper | SkippedPaper:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        return SkippedPaper(where, f"not JSON: {error.msg[0].lower()}{error.msg[1:]} at column {error.colno}")
    except (ValueError, RecursionError):
        return SkippedPaper(where, "JSON that cannot be parsed: a number is too long, or it is nested too deeply")
    if not isinstance(data, dict):
        return SkippedPaper(where, f"expected a JSON object, got {excerpt(line)}")
    try:
        return _from_line(_Line.model_validate(data), where)
    except ValidationError as error:
        return SkippedPaper(where, first_problem(error))


def _from_line(line: _Line, where: str) -> Paper | SkippedPaper:
    found = identifiers.arxiv_id(line.arxiv_id or line.id or "")
    if line.arxiv_id and found is None:
        return SkippedPaper(where, f"arxiv_id: {excerpt(line.arxiv_id)} is not an arXiv id")
    doi = identifiers.doi(line.doi or line.id or "")
    if line.doi and doi is None and identifiers.arxiv_id(line.doi) is None:
        return SkippedPaper(where, f"doi: {excerpt(line.doi)} is not a DOI")
    arxiv_id, version = found or (line.doi and identifiers.arxiv_id(line.doi)) or (None, None)
    authors = tuple(dict.fromkeys(name for written in line.authors or () for name in _names(written)))
    return Paper(
        title=from_latex(line.title),
        abstract=from_latex(line.abstract or ""),
        authors=authors,
        author_count=line.author_count or len(authors) or None,
        organization=line.organization or None,
        venue=line.venue or None,
        arxiv_id=arxiv_id,
        version=version or line.version,
        doi=doi,
        other_ids=tuple(filter(None, map(identifiers.normal_id, line.other_ids or ()))),
        status=line.status,
        published=line.published,
        listed_on=line.listed_on,
        categories=tuple(line.categories or ()),
        url=line.url or paper_link(arxiv_id, doi),
        pdf_url=line.pdf_url or pdf_link(arxiv_id),
        code_url=line.code_url,
        code_stars=line.code_stars,
        project_url=line.project_url,
        links=tuple(filter(None, line.links or ())),
        summary=from_latex(line.summary or "") or None,
        summary_by=(line.summary_by or None) if line.summary else None,
        thumbnail_url=line.thumbnail_url,
        keywords=tuple(line.keywords or ()),
        upvotes=line.upvotes,
        comments=line.comments,
    )


def _names(written: str) -> Sequence[str]:
    """Return the names in an item of the authors. One name stays as it is written, since the newsletter writes such
    lists itself, in which a family name may be first ("Smith, Ada").
    """
    names = split_authors(written)
    same = len(names) == 1 and sorted(_WORD.findall(names[0])) == sorted(_WORD.findall(written))
    return (written,) if same else names
