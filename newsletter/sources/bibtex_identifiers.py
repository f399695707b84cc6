"""Identifiers and addresses in BibTeX entries, which may be in any of a dozen fields."""

import html
import re
from collections.abc import Iterator, Mapping, Sequence

from newsletter.sources.latex_fields import plain
from newsletter.support import identifiers
from newsletter.support.latex.stored_text import decode_latex

_ESCAPED = re.compile(r"\\([_%&#~$])")
_LINKED = re.compile(r"\\href\s*\{([^{}]*)\}")
_VERBATIM = re.compile(r"\\(?:url|path|nolinkurl)(?=\s*\{)")
_NAMED_DOI = re.compile(r"\W*(?:https?://\S*10\.\S+|doi\b\W*(?:https?://)?\S*10\.\S+)", re.IGNORECASE)
_SERIAL_NUMBER = re.compile(r"\d{7}(?:v\d{1,3})?")
_NOTES = ("howpublished", "note", "annote", "annotation", "eid", "number", "pages", "volume", "publisher", "series")
_DIGITS = re.compile(r"\d{1,9}")

_Fields = Mapping[str, str]


def addresses(text: str) -> list[str]:
    r"""Return the URLs or identifiers of a field, which may be wrapped in ``\url`` and have signs escaped."""
    bare = _ESCAPED.sub(r"\1", _VERBATIM.sub("", _LINKED.sub(r"\1 ", text)))
    if "\\" in bare or "$" in bare:
        bare = decode_latex(bare).replace("∼", "~")
    bare = html.unescape(bare) if "&amp;" in bare else bare
    parts = (part.strip("{}<>").rstrip(",;") for part in bare.replace("{", "").replace("}", "").split())
    return [part for part in parts if part]


def link_addresses(text: str) -> list[str]:
    """Return the URLs or identifiers of a field: what comes first, and whatever looks like one after it."""
    parts = addresses(text)
    return parts[:1] + [part for part in parts[1:] if "/" in part]


def arxiv_names(fields: _Fields, links: Sequence[str]) -> Iterator[str]:
    """Yield what may be the arXiv id, or begin with it: ``eprint`` counts for arXiv or for no named archive."""
    archive = fields.get("archiveprefix") or fields.get("eprinttype") or "arxiv"
    if archive.strip("{} \n").lower() in ("arxiv", "arxiv.org"):
        eprint = "".join(addresses(fields.get("eprint", ""))[:1])
        yield eprint
        if _SERIAL_NUMBER.fullmatch(eprint):  # The archive is in a field of its own.
            subject = plain(fields.get("primaryclass") or fields.get("eprintclass") or "")
            yield f"{subject.partition('.')[0]}/{eprint}"
    for name in ("arxivid", "arxiv", "doi"):
        yield from addresses(fields.get(name, ""))
    yield from links
    journal = plain(fields.get("journal") or fields.get("journaltitle") or fields.get("booktitle") or "")
    yield from (journal, f"{journal} {plain(fields.get('volume', ''))}", f"{journal} {plain(fields.get('number', ''))}")
    yield from (plain(text) for name in _NOTES if (text := fields.get(name)))


def find_doi(fields: _Fields, links: Sequence[str]) -> tuple[str, int | None] | None:
    """Return the DOI of an entry, and the version of the preprint if a link names it."""
    texts = [*addresses(fields.get("doi", "")), *links, *addresses(fields.get("eprint", ""))[:1]]
    notes = (_NAMED_DOI.match(plain(text)) for name in _NOTES if (text := fields.get(name)))
    texts += [found[0] for found in notes if found]
    all_found = list(filter(None, map(identifiers.versioned_doi, texts)))
    if not all_found:
        return None
    doi = all_found[0][0]
    return doi, next((version for name, version in all_found if name == doi and version), None)


def pubmed_link(fields: _Fields) -> str | None:
    """Return the page of a paper on PubMed, by the id in ``pmid``, or in ``eprint``; None without one."""
    number = fields.get("pmid", "")
    if not number and (fields.get("eprinttype") or fields.get("archiveprefix") or "").strip().lower() == "pubmed":
        number = fields.get("eprint", "")
    written = plain(number)
    pmid = written if _DIGITS.fullmatch(written) else identifiers.pmid(written)
    return f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/" if pmid else None
