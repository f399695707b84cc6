"""Records of PubMed: articles, books and notices (https://www.nlm.nih.gov/bsd/licensee/elements_descriptions.html)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from xml.etree.ElementTree import Element, ParseError, iterparse
from xml.parsers import expat

from newsletter.model import EventKind, Notice, Paper, PaperStatus, SkippedPaper
from newsletter.sources.base import Found
from newsletter.sources.bibliographic_fields import venue
from newsletter.sources.errors import SourceError
from newsletter.sources.pubmed_dates import published_on
from newsletter.sources.text import excerpt, from_html
from newsletter.support import identifiers
from newsletter.support.text import to_single_line

_NOTICE_TYPES = frozenset(
    ("retraction of publication", "retraction notice", "published erratum", "expression of concern")
)
_EVENTS = {
    "RetractionOf": EventKind.RETRACTED,
    "PartialRetractionOf": EventKind.CORRECTED,
    "ErratumFor": EventKind.CORRECTED,
    "ExpressionOfConcernFor": EventKind.CONCERN,
}
_PREPRINT_SOURCE = re.compile(r"\W*(?:\w*rxiv\b|res(?:earch)? sq|ssrn\b|preprints\b)", re.IGNORECASE)
_DOI_IN_SOURCE = re.compile(r"\bdoi:\s*(10\.\S+)", re.IGNORECASE)
_CHECK_TAGS = frozenset(
    (
        "adolescent", "adult", "aged", "aged, 80 and over", "animals", "child", "child, preschool", "female", "humans",
        "infant", "infant, newborn", "male", "middle aged", "pregnancy", "young adult",
    )
)  # fmt: skip
"""Headings that nearly every record has (https://www.nlm.nih.gov/bsd/indexing/training/CHK_010.html)."""

_NO_LABEL = frozenset(("unlabelled", "unlabeled", "unassigned"))
_NO_TITLE = frozenset(("not available", "in process citation"))
_CUT_NOTE = re.compile(r"\s*\(ABSTRACT TRUNCATED AT \d+ WORDS\)\s*$")
_PLACE = re.compile(r"\s+\([^()]*,[^()]*\)$")
"""What tells journals of the same name apart: "Science (New York, N.Y.)"."""

_ABBREVIATION = re.compile(r"(?:\b[^\W\d_]\.[^\W\d_]|\.)\.$")
_INLINE = frozenset(("b", "i", "sub", "sup", "u"))
_MATHML = "{http://www.w3.org/1998/Math/MathML}"
_ANNOTATIONS = frozenset(("mml:annotation", "mml:annotation-xml"))
_BARE_AMPERSAND = re.compile(r"&(?!(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z]\w{1,30});)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """What a record with a PubMed number says."""

    pmid: str
    items: tuple[Found, ...]


def records_in(content: bytes, asked: str) -> Iterator[Record]:
    """Yield the records of a response, those before a fault too.

    Args:
        content: XML; each record is forgotten once it is read.
        asked: the request, for errors.

    Raises:
        SourceError: the response is not XML with records, or PubMed says why there are none.
    """
    _refuse_entities(content, asked)
    root: Element | None = None
    try:
        for event, element in iterparse(BytesIO(content), ("start", "end")):  # noqa: S314 - without entities
            if root is None:
                root = element
            if event == "start":
                continue
            if element.tag == "ERROR":
                raise SourceError(f"{asked}: PubMed says: {to_single_line(''.join(element.itertext()))}")
            if element.tag in ("PubmedArticle", "PubmedBookArticle", "DeleteCitation"):
                yield from _records(element)
                root.clear()
    except ParseError as error:
        began = excerpt(content[:200].decode("utf-8", "replace"))
        raise SourceError(f"{asked}: the response is not XML ({error}); it begins with {began}") from None
    if root is not None and root.tag not in ("PubmedArticleSet", "PubmedBookArticleSet"):
        raise SourceError(f"{asked}: PubmedArticleSet: missing; the response has {excerpt(root.tag)} instead")


class _PrologRead(Exception):
    """The root element begins."""


def _refuse_entities(content: bytes, asked: str) -> None:
    """Refuse XML that declares entities: PubMed never does, and they may grow without limit or name files."""

    def declared(*_: object) -> None:
        raise SourceError(f"{asked}: the response declares XML entities, which PubMed never does")

    def begins(*_: object) -> None:
        raise _PrologRead

    parser = expat.ParserCreate()
    parser.EntityDeclHandler, parser.StartElementHandler = declared, begins
    try:
        parser.Parse(content, True)
    except (_PrologRead, expat.ExpatError):
        return  # what is wrong is reported by the parser that reads it all


def _records(element: Element) -> Iterator[Record]:
    if element.tag == "DeleteCitation":
        yield from (Record(_plain(one), ()) for one in element.iter("PMID"))
        return
    is_book = element.tag == "PubmedBookArticle"
    citation = element.find("BookDocument" if is_book else "MedlineCitation")
    pmid = identifiers.pmid(f"PMID:{_plain(citation.find('PMID'))}") if citation is not None else None
    if citation is None or pmid is None:
        where = f"a {element.tag} of PubMed"
        yield Record("", (SkippedPaper(where, "PMID: missing, or not a number"),))
        return
    yield Record(pmid, _found(citation, element, pmid, is_book=is_book))


def _found(citation: Element, record: Element, pmid: str, *, is_book: bool) -> tuple[Found, ...]:
    """Return the paper, and a notice for each other article that the record is about; no paper for a mere notice."""
    article = citation if is_book else citation.find("Article")
    if article is None:
        return (SkippedPaper(f"PMID {pmid}", "Article: missing"),)
    path = "PublicationType" if is_book else "PublicationTypeList/PublicationType"
    types = {_plain(one).lower() for one in article.iterfind(path)}
    paper = _paper(citation, article, record, pmid, types)
    if isinstance(paper, SkippedPaper):
        return () if types & _NOTICE_TYPES else (paper,)
    notices = tuple(_notices(citation, paper))
    return notices if types & _NOTICE_TYPES else (paper, *notices)


def _paper(citation: Element, article: Element, record: Element, pmid: str, types: set[str]) -> Paper | SkippedPaper:
    book = article.find("Book")
    title = _title(article) or (_clean_title(_text(book.find("BookTitle"))) if book is not None else "")
    if not title:
        return SkippedPaper(f"PMID {pmid}", "ArticleTitle: missing")
    data = record.find("PubmedBookData" if book is not None else "PubmedData")
    dois, pmc, arxiv_id, version = _ids(article, data)
    authors, complete = _authors(article)
    is_preprint = "preprint" in types
    return Paper(
        title=title,
        abstract=_abstract(article),
        authors=authors,
        author_count=len(authors) or None if complete else None,
        venue=None if is_preprint else _venue(article, book, title),
        arxiv_id=arxiv_id,
        version=version,
        doi=dois[0] if dois else None,
        other_ids=tuple(dict.fromkeys((f"pmid:{pmid}", *dois[1:], *_same_work(citation, is_preprint)))),
        status=_status(citation, types),
        published=_published(article, book, data),
        categories=_headings(citation),
        url=f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/",
        links=(f"https://pmc.ncbi.nlm.nih.gov/articles/{pmc}/",) if pmc else (),
        keywords=_texts(citation.iterfind("KeywordList/Keyword")),
    )


def _published(article: Element, book: Element | None, data: Element | None) -> date | None:
    issue = book.find("PubDate") if book is not None else article.find("Journal/JournalIssue/PubDate")
    online = article.findall("ContributionDate" if book is not None else "ArticleDate")
    return published_on(issue, online, data.iterfind("History/PubMedPubDate") if data is not None else ())


def _status(citation: Element, types: set[str]) -> PaperStatus | None:
    retracted = "retracted publication" in types or any(
        one.get("RefType") == "RetractionIn" for one in citation.iterfind("CommentsCorrectionsList/CommentsCorrections")
    )
    return PaperStatus.RETRACTED if retracted else None


def _notices(citation: Element, notice: Paper) -> Iterator[Notice]:
    """Yield what the record says became of other articles."""
    for target in citation.iterfind("CommentsCorrectionsList/CommentsCorrections"):
        kind, of = _EVENTS.get(target.get("RefType", "")), _ids_of(target)
        if kind is not None and of:
            yield Notice(kind=kind, of=of, day=notice.published, doi=notice.doi, url=notice.url)


def _same_work(citation: Element, is_preprint: bool) -> Iterator[str]:
    """Yield the identifiers of a preprint's article, or of an article's preprint.

    An update may also be a new edition of a review, which is another work: one of the two must be a preprint.
    """
    for other in citation.iterfind("CommentsCorrectionsList/CommentsCorrections"):
        kind, ids = other.get("RefType"), _ids_of(other)
        if (kind == "UpdateIn" and is_preprint) or (kind == "UpdateOf" and _is_to_preprint(other, ids)):
            yield from ids


def _is_to_preprint(target: Element, ids: Iterable[str]) -> bool:
    """Return whether a reference is to a preprint, by its DOI or the name of the server."""
    source = target.findtext("RefSource") or ""
    return bool(_PREPRINT_SOURCE.match(source)) or any(map(identifiers.is_preprint_doi, ids))


def _ids_of(target: Element) -> tuple[str, ...]:
    """Return the identifiers of an article that a record refers to."""
    found = [identifiers.normal_id(f"PMID:{_plain(target.find('PMID'))}")]
    if (doi := _DOI_IN_SOURCE.search(target.findtext("RefSource") or "")) is not None:
        found.append(identifiers.normal_id(doi[1].rstrip(".,;")))
    return tuple(one for one in found if one)


def _ids(article: Element, data: Element | None) -> tuple[list[str], str | None, str | None, int | None]:
    """Return the DOIs, the PMC id, and the arXiv id with its version. The references have ids too, elsewhere."""
    places = [one for one in article.iterfind("ELocationID") if one.get("ValidYN") != "N"]
    given = [(one.get("EIdType", ""), _plain(one)) for one in places]
    lists = [article.find("ArticleIdList"), data.find("ArticleIdList") if data is not None else None]
    given += [(one.get("IdType", ""), _plain(one)) for ids in lists if ids is not None for one in ids]
    dois = [found for kind, text in given if kind == "doi" and (found := identifiers.doi(text))]
    pmc = next((text for kind, text in given if kind == "pmc" and re.fullmatch(r"PMC\d{1,12}", text)), None)
    named = (text for kind, text in given if kind == "doi" or text.lower().startswith("arxiv:"))
    arxiv = next((one for text in named if (one := identifiers.arxiv_id(text))), None)
    return list(dict.fromkeys(dois)), pmc, *(arxiv or (None, None))


def _title(article: Element) -> str:
    for name in ("ArticleTitle", "VernacularTitle"):
        title = _clean_title(_text(article.find(name)))
        if title and title.lower() not in _NO_TITLE:
            return title
    return ""


def _clean_title(title: str) -> str:
    """Remove the brackets around a translated title, and the full stop that PubMed puts after each title."""
    plain = _without_stop(title)
    if plain.startswith("[") and _closing(plain) == len(plain) - 1:
        plain = _without_stop(plain[1:-1].strip())
    return plain or title


def _without_stop(title: str) -> str:
    """Remove a full stop at the end, unless it is that of an abbreviation ("U.S.") or an ellipsis."""
    return title if _ABBREVIATION.search(title) else title.removesuffix(".")


def _closing(text: str) -> int | None:
    """Return the place of the bracket that closes the first one."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if depth == 0:
            return place
    return None


def _abstract(article: Element) -> str:
    parts = []
    for part in article.iterfind("Abstract/AbstractText"):
        text, label = _text(part), to_single_line(part.get("Label", "")).rstrip(":")
        if text:
            parts.append(f"{label}: {text}" if label and label.lower() not in _NO_LABEL else text)
    return _CUT_NOTE.sub("", " ".join(parts))


def _venue(article: Element, book: Element | None, title: str) -> str | None:
    name = _text(article.find("Journal/Title") if book is None else book.find("BookTitle"))
    name = _PLACE.sub("", name.removesuffix("."))
    return venue(name) if name != title else None


def _authors(article: Element) -> tuple[tuple[str, ...], bool]:
    """Return the names, and whether all are there."""
    lists = [one for one in article.iterfind("AuthorList") if one.get("Type") != "editors"]
    people = [one for listed in lists for one in listed.iterfind("Author") if one.get("ValidYN") != "N"]
    names = dict.fromkeys(name for name in map(_name, people) if name)
    return tuple(names), all(listed.get("CompleteYN") != "N" for listed in lists)


def _name(author: Element) -> str:
    family = _text(author.find("LastName"))
    if not family:
        return _text(author.find("CollectiveName"))
    initials = _text(author.find("Initials"))
    given = _text(author.find("ForeName")) or initials
    if given == initials and given.isalpha() and given.isupper():
        given = " ".join(given)
    parts = (f"{part}." if len(part) == 1 and part.isupper() else part for part in given.split())
    return " ".join(filter(None, (*parts, family, _text(author.find("Suffix")))))


def _headings(citation: Element) -> tuple[str, ...]:
    """Return the main headings of MeSH."""
    named = _texts(citation.iterfind("MeshHeadingList/MeshHeading/DescriptorName"))
    return tuple(name for name in named if name.lower() not in _CHECK_TAGS)


def _texts(elements: Iterable[Element]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in map(_text, elements) if text))


def _plain(element: Element | None) -> str:
    return to_single_line(element.text or "") if element is not None else ""


def _text(element: Element | None) -> str:
    """Return the visible text of an element."""
    return from_html(_markup(element)) if element is not None else ""


def _markup(element: Element) -> str:
    """Return the content of an element as HTML. Not recursive, since elements may be nested very deeply."""
    parts = [_escaped(element.text)]
    open_elements = [(iter(element), "")]
    while open_elements:
        children, end = open_elements[-1]
        child = next(children, None)
        if child is None:
            parts.append(end)
            open_elements.pop()
            continue
        name = child.tag.replace(_MATHML, "mml:")
        if name in _ANNOTATIONS:
            parts.append(_escaped(child.tail))
            continue
        start, finish = (f"<{name}>", f"</{name}>") if name in _INLINE or name.startswith("mml:") else ("", "")
        parts += (start, _escaped(child.text))
        open_elements.append((iter(child), finish + _escaped(child.tail)))
    return "".join(parts)


def _escaped(text: str | None) -> str:
    """Escape a text for HTML. References and tags in it stay, since publishers often escape texts twice."""
    return _BARE_AMPERSAND.sub("&amp;", text or "")
