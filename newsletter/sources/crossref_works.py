"""The works of Crossref: papers, and notices of what became of other papers
(https://github.com/CrossRef/rest-api-doc/blob/master/api_format.md).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, ValidationError

from newsletter.model import EventKind, Notice, Paper, PaperStatus, SkippedPaper
from newsletter.sources.author_names import tidy_authors
from newsletter.sources.base import Found
from newsletter.sources.bibliographic_fields import venue
from newsletter.sources.crossref_dates import Span, first_day, to_span
from newsletter.sources.json_fields import Fields, Text, first_problem
from newsletter.sources.status_marks import is_notice_title
from newsletter.sources.text import excerpt, from_html, paper_link, web_link
from newsletter.support import identifiers
from newsletter.support.text import to_single_line

_SAME_WORK = frozenset(
    f"{begin}-{what}{end}"
    for what in ("preprint", "version", "manuscript", "format")
    for begin, end in (("is", "-of"), ("has", ""))
) | {"is-same-as", "is-identical-to", "is-replaced-by", "replaces"}
"""Relations whose works are one paper; others, such as reviews, data and translations, are not."""

_VERSION = re.compile(r"[/.-]v(\d{1,3})$", re.IGNORECASE | re.ASCII)
"""At the end of the DOI of a preprint of Research Square, ChemRxiv, Preprints.org and others."""

_KINDS = (
    ("retract", EventKind.RETRACTED),
    ("withdraw", EventKind.WITHDRAWN),
    ("removal", EventKind.WITHDRAWN),
    ("removed", EventKind.WITHDRAWN),
    ("temporary", EventKind.WITHDRAWN),
    ("concern", EventKind.CONCERN),
    ("expression", EventKind.CONCERN),
    ("new", EventKind.REVISED),
    ("partial", EventKind.CORRECTED),
    ("correct", EventKind.CORRECTED),
    ("corrigend", EventKind.CORRECTED),
    ("errat", EventKind.CORRECTED),
    ("addend", EventKind.CORRECTED),
    ("clarif", EventKind.CORRECTED),
)
"""How the types of updates begin (https://www.crossref.org/documentation/register-maintain-records/#updates); some
publishers and Retraction Watch write them in their own way."""

_STATUS = {EventKind.RETRACTED: PaperStatus.RETRACTED, EventKind.WITHDRAWN: PaperStatus.WITHDRAWN}
_REINSTATED = "reinstate"

_NO_PAPER = re.compile(
    r"\W*(?:(?:front|back|inside|outside|inner)(?: (?:front|back))? (?:cover|matter)"
    r"|cover(?: (?:image|picture|story|art))?"
    r"|editorial (?:board|committee|team|advisory board)|issue (?:information|editorial masthead|highlights)|masthead"
    r"|(?:table of |graphical |list of )?contents(?: list)?|title page|half title|copyright(?: page| notice)?"
    r"|frontispiece|imprint|impressum|titelbild|inhalt(?:sverzeichnis)?|(?:author|subject|volume|keyword) index|index"
    r"|(?:instructions|information|guidelines|notes?) (?:to|for) (?:authors|contributors|readers|subscribers)"
    r"|(?:list of|acknowledge?ments? (?:of|to)|thanks to(?: our)?|our) (?:reviewers|referees)"
    r"|reviewers?(?:['’]s?)? (?:list|acknowledge?ments?)"
    r"|publication information|publisher['’]?s? information|subscription (?:information|page)|society information"
    r"|aims (?:and|&) scope|calendar(?: of events)?|announcements?|advertisements?|blank page|\[?titre\]?)"
    r"(?:\W*$|\s*:\s|\s*\(|\s+[–—‐-]+\s|,? (?:vol(?:ume|\.)|issue|no\.) ?\d.*$)",
    re.IGNORECASE,
)
"""Parts of an issue that have a DOI."""


def _listed(value: object) -> object:
    """Read a list without what is null in it; some members send one text instead of a list."""
    if isinstance(value, list):
        return [one for one in value if one is not None]
    return [] if value is None else [value]


def _objects(value: object) -> object:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _object(value: object) -> object:
    return value if isinstance(value, Mapping) else {}


Texts = Annotated[list[Text], BeforeValidator(_listed)]
Objects = Annotated[list[Mapping[str, Any]], BeforeValidator(_objects)]
Object = Annotated[Mapping[str, Any], BeforeValidator(_object)]
SpanOfDays = Annotated[Span | None, BeforeValidator(to_span)]


class _Work(Fields):
    doi: Text = Field(alias="DOI")
    type: Text | None = None
    title: Texts = Field(default_factory=list)
    subtitle: Texts = Field(default_factory=list)
    original_title: Texts = Field(default_factory=list, alias="original-title")
    abstract: Text | None = None
    author: Objects = Field(default_factory=list)
    container: Texts = Field(default_factory=list, alias="container-title")
    short_container: Texts = Field(default_factory=list, alias="short-container-title")
    event: Object = Field(default_factory=dict)
    subject: Texts = Field(default_factory=list)
    resource: Object = Field(default_factory=dict)
    link: Objects = Field(default_factory=list)
    relation: Object = Field(default_factory=dict)
    update_to: Objects = Field(default_factory=list, alias="update-to")
    updated_by: Objects = Field(default_factory=list, alias="updated-by")
    update_by: Objects = Field(default_factory=list, alias="update-by")
    printed: SpanOfDays = Field(default=None, alias="published-print")
    online: SpanOfDays = Field(default=None, alias="published-online")
    posted: SpanOfDays = None
    published: SpanOfDays = None
    issued: SpanOfDays = None
    created: SpanOfDays = None


class _Update(NamedTuple):
    """A change of a paper.

    Attributes:
        doi: of the other work, which was changed or is the notice of the change.
        type: as Crossref has it, without spaces and in lower case.
    """

    doi: str | None
    type: str
    day: date | None
    by_publisher: bool

    @property
    def kind(self) -> EventKind | None:
        return next((kind for begin, kind in _KINDS if self.type.startswith(begin)), None)


def read_work(item: Any, where: str, types: Collection[str]) -> Iterator[Found]:
    """Yield the paper that a work is, or what it says about others if it is a notice.

    Nothing is yielded for other types of works, for covers, lists of editors and the like, and for notices that do not
    name their paper.
    """
    try:
        work = _Work.model_validate(item)
    except ValidationError as error:
        yield SkippedPaper(where, first_problem(error))
        return
    own = identifiers.doi(work.doi)
    notices = [one for one in _notices(work) if one.of != (own,) and one.kind is not EventKind.REVISED]
    if notices:
        yield from notices
        return
    if work.type is not None and work.type not in types:
        return
    title = _title(work)
    if not title or own is None:
        yield SkippedPaper(where, f"DOI: {excerpt(work.doi)} is not a DOI" if own is None else "title: missing")
    elif not is_notice_title(title) and not _NO_PAPER.match(title):
        yield _paper(work, title, own)


def notices_of(item: Any) -> Iterator[Notice]:
    """Yield what a work says became of others, or of itself; nothing for one that cannot be read."""
    try:
        yield from _notices(_Work.model_validate(item))
    except ValidationError:
        return


def _notices(work: _Work) -> Iterator[Notice]:
    own = identifiers.doi(work.doi)
    latest: dict[tuple[str, EventKind], _Update] = {}
    for update in _updates(work.update_to):
        if update.doi is None or (kind := update.kind) is None:
            continue
        # Of a publisher and Retraction Watch, the publisher says it first.
        if (key := (update.doi, kind)) not in latest or (update.by_publisher and not latest[key].by_publisher):
            latest[key] = update
    for (of, kind), update in latest.items():
        day = update.day or (work.created.first if work.created else None)
        yield Notice(kind=kind, of=(of,), day=day, doi=own, url=paper_link(None, own))


def _updates(entries: Iterable[Mapping[str, Any]]) -> list[_Update]:
    found = []
    for entry in entries:
        doi, kind, span = identifiers.doi(str(entry.get("DOI") or "")), entry.get("type"), to_span(entry.get("updated"))
        if isinstance(kind, str):
            plain = re.sub(r"[\s-]+", "_", kind.strip().lower())
            found.append(_Update(doi, plain, span.first if span else None, entry.get("source") == "publisher"))
    return found


def _paper(work: _Work, title: str, doi: str) -> Paper:
    authors = _authors(work.author)
    is_preprint = work.type == "posted-content"
    version = _VERSION.search(doi) if is_preprint else None
    page = web_link(str(_object_in(work.resource, "primary").get("URL") or ""))
    return Paper(
        title=title,
        abstract=from_html(work.abstract or ""),
        authors=authors,
        author_count=len(authors) or None,
        venue=None if is_preprint else _venue(work),
        doi=doi,
        version=int(version[1]) if version else None,
        version_day=work.posted.first if version and work.posted else None,
        other_ids=_other_ids(work, doi),
        status=_status(work, doi),
        published=first_day([work.printed, work.issued, work.published], [work.posted, work.online], work.created),
        categories=tuple(dict.fromkeys(filter(None, map(from_html, work.subject)))),
        url=paper_link(None, doi),
        pdf_url=_pdf(work.link),
        links=(page,) if page else (),
    )


def _title(work: _Work) -> str:
    title = next(filter(None, map(from_html, [*work.title, *work.original_title])), "")
    subtitle = next(filter(None, map(from_html, work.subtitle)), "")
    if not title or not subtitle or identifiers.title_key(subtitle) in identifiers.title_key(title):
        return title
    return f"{title} {subtitle}" if title[-1] in "?!:.…–—" else f"{title}: {subtitle}"


def _authors(people: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of people and organisations, the first author first."""
    ordered = sorted(people, key=lambda person: person.get("sequence") != "first")
    return tidy_authors(map(_name, ordered))


def _name(person: Mapping[str, Any]) -> str:
    parts = [from_html(part) for key in ("given", "family", "suffix") if isinstance(part := person.get(key), str)]
    return " ".join(filter(None, parts)) or from_html(str(person.get("name") or ""))


def _venue(work: _Work) -> str | None:
    """Return the journal or conference; of a paper in a book of a series the book, which comes after the series."""
    in_book = work.type in ("proceedings-article", "book-chapter")
    names = [name for title in work.container if (name := from_html(title))]
    event = from_html(str(work.event.get("name") or ""))
    short = next(filter(None, map(from_html, work.short_container)), "")
    return venue((names[-1] if in_book else names[0]) if names else event or short)


def _other_ids(work: _Work, own: str) -> tuple[str, ...]:
    versions = [update for update in _updates(work.update_to) if update.kind is EventKind.REVISED]
    found = [update.doi for update in versions if update.doi is not None]
    for name, others in work.relation.items():
        if name.strip().lower() not in _SAME_WORK or not isinstance(others, list):
            continue
        for other in filter(lambda one: isinstance(one, Mapping), others):
            kind, text = str(other.get("id-type") or "").lower(), to_single_line(str(other.get("id") or ""))
            if kind in ("doi", "arxiv", "pmid") and (
                one := identifiers.normal_id(text) or identifiers.normal_id(f"{kind}:{text}")
            ):
                found.append(one)
    return tuple(one for one in dict.fromkeys(found) if one != own)


def _status(work: _Work, own: str) -> PaperStatus | None:
    """Return the status after all that became of the paper; a notice may have the DOI of the paper itself."""
    on_itself = [update for update in _updates(work.update_to) if update.doi == own]
    updates = _updates([*work.updated_by, *work.update_by]) + on_itself
    status = None
    for update in sorted(updates, key=lambda one: one.day or date.min):
        if update.type.startswith(_REINSTATED):
            status = None
        elif update.kind in _STATUS and status is not PaperStatus.RETRACTED:
            status = _STATUS[update.kind]
    return status


def _pdf(links: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the PDF for readers; those for checks of plagiarism are only open to these."""
    found: list[tuple[bool, str]] = []
    for link in links:
        url, purpose = web_link(str(link.get("URL") or "")), str(link.get("intended-application") or "")
        is_pdf = link.get("content-type") == "application/pdf" or (url or "").lower().partition("?")[0].endswith(".pdf")
        if url and is_pdf and purpose != "similarity-checking":
            found.append((purpose == "text-mining", url))
    return min(found, key=lambda one: one[0])[1] if found else None


def _object_in(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = value.get(key)
    return inner if isinstance(inner, Mapping) else {}
