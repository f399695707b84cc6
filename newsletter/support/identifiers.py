"""Identifiers of papers: arXiv ids, DOIs and titles in a normal form, so that they can be compared."""

import hashlib
import re
import unicodedata
from urllib.parse import unquote

_ARCHIVES = (
    "acc-phys|adap-org|alg-geom|ao-sci|astro-ph|atom-ph|bayes-an|chao-dyn|chem-ph|cmp-lg|comp-gas|cond-mat|cs|dg-ga|funct-an"
    "|gr-qc|hep-ex|hep-lat|hep-ph|hep-th|math|math-ph|mtrl-th|nlin|nucl-ex|nucl-th|patt-sol|physics|plasm-ph|q-alg|q-bio"
    "|quant-ph|solv-int|supr-con"
)
"""The archives of ids before April 2007 (https://info.arxiv.org/help/arxiv_identifier.html)."""

# Proxies of libraries append their name to that of a host, "arxiv.org.proxy.example", or write dots as hyphens.
_PROXY = r"(?:\.[\w.-]+)?(?::\d+)?"
_ARXIV_ADDRESS = rf"""(?:[\w-]+\.)*(?:
      (?:arxiv[.-]org|alphaxiv\.org|ar5iv\.(?:org|labs\.arxiv\.org)|lanl\.gov){_PROXY}
          /(?:abs|e-print|format|html|overview|pdf|ps|src)
    | (?:huggingface\.co|hf\.co)/(?:\w\w/)?papers | semanticscholar\.org(?:/arxiv)? | scirate\.com/arxiv
    )/"""
_ARXIV = re.compile(
    rf"""^(?:(?:https?:)?//)?(?:{_ARXIV_ADDRESS})?
        (?:oai:arxiv\.org:|(?:info:|urn:)?arxiv(?:\.org)?(?:\s*:\s*|[./]|\s+)|abs/)*
        (?:(?P<id>\d{{4}}\.\d{{4,5}})|(?P<archive>{_ARCHIVES})(?:\.[a-z][a-z-]{{1,10}})?/(?P<number>\d{{7}}))
        (?:v(?P<version>\d{{1,3}}))?(?:\.(?:pdf|ps|gz|html?))*/?(?:[?#].*|\s*[\[(][a-z-]+(?:\.[a-z-]+)?[\])])?$""",
    re.VERBOSE | re.IGNORECASE,
)
_DOI_PREFIX = re.compile(
    r"(?:(?:(?:https?:)?//)?(?:[\w-]+\.){0,4}doi[.-]org[^\s/]*/|(?:(?:info|urn):)?doi(?![\w-])[\s:=：/.]*)+",
    re.IGNORECASE,
)
_BARE_DOI = re.compile(r"10\.\d{4,9}(?:\.\d+)*/\S+")
_OTHER_DOIS = re.compile(r"(?:\s+(?:doi:\s*|https?://|10\.)\S*)*", re.IGNORECASE)
_DOI_IN_ADDRESS = re.compile(r"(?:https?:)?//\S*?[/=:](?=10\.\d{4,9}(?:\.\d+)*/)", re.IGNORECASE)
_NEXT_DOI = re.compile(r"[;,|](?=(?:doi:|https?://|10\.\d{4,9}/))|</", re.IGNORECASE)
# What sites append to a DOI for the forms of a paper.
_FORM = re.compile(
    r"(?:\.(?:full|abstract|short|long|full-text|article-info|figures-only|supplementary-material)|\.(?:e?pdf|html?|xml|epub)(?:\+html)?"
    r"|/(?:abstract|full|fulltext|full-text|full/html|e?pdf|pdfft|epub|html|htm|meta|summary|references|figures|tables|metrics))/?$",
    re.IGNORECASE,
)
_OUP = re.compile(r"academic\.oup\.com/\S*?(10\.1093/[^/\s]+/[^/\s]+)/\d+", re.IGNORECASE)
_PREPRINT_VERSION = re.compile(r"(10\.(?:1101|64898)/(?:\d{4}\.\d\d\.\d\d\.)?\d{6,8})v(\d{1,3})")
"""bioRxiv and medRxiv: their pages have the version after the DOI, which is that of all versions."""

_OPENING = {")": "(", "]": "[", "}": "{", ">": "<"}
_PMID = re.compile(
    r"(?:(?:pubmed\s*)?(?:info:)?pmid(?:\s*[:=/]\s*|\s+)|(?:https?://)?(?:[\w-]+\.)*ncbi\.nlm\.nih\.gov(?:/m)?/(?:pubmed/)?(?:\?term=)?"
    r"|(?:https?://)?pubmed\.gov/|(?:https?://)?(?:www\.)?europepmc\.org/(?:article|abstract)/med/)"
    r"0*(?P<id>[1-9]\d{0,8})/?(?:\[(?:uid|pmid)\])?(?:[?#].*)?[.;,]?",
    re.IGNORECASE | re.ASCII,
)
_PMCID = re.compile(
    r"(?:(?:pmcid(?:\s*[:=/]\s*|\s+))?|(?:https?://)?(?:[\w-]+\.)*(?:ncbi\.nlm\.nih\.gov|europepmc\.org)/(?:pmc/)?articles?/(?:pmc/)?)"
    r"(?P<id>PMC[1-9]\d{0,8})(?:\.\d+)?/?(?:[?#].*|pdf/\S*)?[.;,]?",
    re.IGNORECASE | re.ASCII,
)
# The prefixes of preprint servers. bioRxiv and medRxiv share theirs with the journals of Cold Spring Harbor Laboratory,
# whose DOIs have letters; the servers of the Open Science Framework have many, each with its name in the DOI.
_PREPRINT_DOI = re.compile(
    r"""10\.(?:
        1101/(?:\d{4}\.\d\d\.\d\d\.)?\d{6,}
        |64898/                             # openRxiv
        |48550/arxiv\.
        |21203/rs\.                         # Research Square
        |20944/preprints
        |26434/                             # ChemRxiv
        |2139/ssrn\.
        |36227/techrxiv
        |22541/                             # Authorea and ESS Open Archive
        |1002/essoar\.
        |\d{4,9}/osf\.io/
        |31223/                             # EarthArXiv
        |32942/                             # EcoEvoRxiv
        |51094/jxiv
        |1590/scielopreprints
        |7287/peerj\.preprints
        |5194/(?:egusphere-20|[a-z]+-discuss|[a-z]+-\d{4}-\d+$)   # discussion papers of Copernicus
        |12688/[a-z]+\.\d+\.1$              # F1000 and its likes, before their review
        |14293/(?:s2199-1006|pr2199)        # ScienceOpen
        |32388/                             # Qeios
    )""",
    re.VERBOSE,
)
_OPENREVIEW = re.compile(
    r"^(?:openreview:\s*|https?://(?:www\.)?openreview\.net/(?:forum|pdf|attachment|revisions)/?\?(?:[^#\s]*&)?id=)"
    r"(?P<forum>[\w-]{6,40})(?:[&#]\S*)?$",
    re.IGNORECASE | re.ASCII,
)
_LONGEST_TEXT = 2_000
"""Characters of a text that may be an identifier."""

_LONGEST_KEY = 2_000
"""In bytes; the limit for a PostgreSQL index is 2,704."""

_ARXIV_DOI = re.compile(r"^10\.48550/arxiv\.(.+)$", re.IGNORECASE)


def arxiv_id(text: str) -> tuple[str, int | None] | None:
    """Parse a text that is an arXiv id: bare, with a version, an ``arXiv:`` or OAI name, a DOI of arXiv or a URL.

    Returns:
        The id without its version and subject class, in lower case ("math/0309136" for "math.GT/0309136"), and the
        version if given; None if the text is something else.
    """
    text = text.strip().strip("<>\"'").rstrip(".,;")
    if (written := _written_doi(text)) is not None:
        arxiv_doi = _ARXIV_DOI.match(written)
        return arxiv_id(arxiv_doi[1]) if arxiv_doi else None
    match = _ARXIV.match(text) or _ARXIV.match(unquote(text))
    if match is None:
        return None
    name = match["id"] or f"{match['archive']}/{match['number']}".lower()
    return name, int(match["version"]) if match["version"] else None


def doi(text: str) -> str | None:
    """Parse a text that is a DOI, in lower case: bare, after ``doi:``, or in the URL of doi.org or a publisher.

    DOIs are case-insensitive (ISO 26324). What sites append is left out: ``/full``, ``.pdf``, the version of a preprint
    on bioRxiv. Of several the first counts. None for anything else, and for an arXiv DOI: its arXiv id is the better
    identifier.
    """
    found = versioned_doi(text)
    return found[0] if found else None


def versioned_doi(text: str) -> tuple[str, int | None] | None:
    """Parse a DOI as :func:`doi` does, with the version of a preprint if the text names it: 2 in ``…123456v2.full``."""
    written = _written_doi(text)
    if written is None or _ARXIV_DOI.match(written):
        return None
    versioned = _PREPRINT_VERSION.fullmatch(written)
    return (versioned[1], int(versioned[2])) if versioned else (written, None)


def pmid(text: str) -> str | None:
    """Parse a text that is a PubMed id: ``PMID: 123`` or a URL of PubMed. A bare number is none."""
    match = _PMID.fullmatch(text.strip())
    return match["id"] if match else None


def pmcid(text: str) -> str | None:
    """Parse a text that is an id of PubMed Central, "PMC123", or a URL with one."""
    match = _PMCID.fullmatch(text.strip())
    return match["id"].upper() if match else None


def _written_doi(text: str) -> str | None:
    """Return the DOI that a text is, in lower case, without what does not belong to it."""
    text = text.strip().lstrip("<>\"'“(")
    if len(text) > _LONGEST_TEXT or ("10." not in text and "%" not in text):
        return None
    address = "//" in text[:12] or "doi.org/" in text
    if address and (oup := _OUP.search(text)):
        text, address = oup[1], False
    if address and not _DOI_IN_ADDRESS.match(text.partition("?")[0]) and not _DOI_PREFIX.match(text):
        text = text.partition("#")[0].partition("&")[0]  # in the query: "article?id=10.1371/journal.pone.1"
    elif address:
        text = re.split(r"[?#]", text, maxsplit=1)[0]
    while (decoded := unquote(text)) != text and re.search("%(?:25)*2f|%(?:25)*3[ce]|%(?:25)*28", text, re.IGNORECASE):
        text = decoded
    text = unquote(text)
    prefix = _DOI_PREFIX.match(text) or _DOI_IN_ADDRESS.match(text)
    match = _BARE_DOI.match(text, prefix.end() if prefix else 0)
    if match is None or not _OTHER_DOIS.fullmatch(text, match.end()):
        return None
    return _trimmed(_NEXT_DOI.split(match[0], maxsplit=1)[0].lower())


def _trimmed(written: str) -> str | None:
    """Return a DOI without punctuation after it, brackets that it does not open, and the form of the paper."""
    while True:
        last = written[-1:]
        if last in ".,;:!?'\"”’»…" or (last in _OPENING and written.count(last) > written.count(_OPENING[last])):
            shorter = written[:-1]
        else:
            shorter = _FORM.sub("", written).rstrip("/")
        if shorter == written:
            return written if _BARE_DOI.fullmatch(written) else None
        written = shorter


def is_preprint_doi(doi: str) -> bool:
    """Return whether a DOI (in lower case) is one that a preprint server assigns."""
    return _PREPRINT_DOI.match(doi) is not None


def openreview_id(text: str) -> str | None:
    """Parse a text that names a paper of OpenReview, as "openreview:HrJk7lMno3" or by its address there; return its id.

    Capitals count.
    """
    match = _OPENREVIEW.match(text.strip())
    return match["forum"] if match else None


def normal_id(text: str) -> str | None:
    """Return an identifier in the form in which it is stored: a DOI in lower case, an arXiv id without its version, a
    PubMed number as ``pmid:123``, or the id of OpenReview as ``openreview:HrJk7lMno3``; None for anything else.
    """
    if found := arxiv_id(text):
        return found[0]
    if number := pmid(text):
        return f"pmid:{number}"
    forum = openreview_id(text)
    return f"openreview:{forum}" if forum else doi(text)


def title_key(title: str) -> str:
    """Return a key that all spellings of a title share: letters and digits, case-folded, compatibility forms unified.

    A title without a letter or digit is its own key, spaces collapsed, so that two such titles stay different. A key
    too long for an index ends in a digest of the whole.
    """
    folded = unicodedata.normalize("NFKC", title).casefold()
    key = "".join(character for character in folded if character.isalnum()) or " ".join(title.split())
    encoded = key.encode(errors="replace")
    if len(encoded) <= _LONGEST_KEY:
        return key
    return encoded[: _LONGEST_KEY - 64].decode(errors="ignore") + hashlib.sha256(encoded).hexdigest()


def title_id(title: str) -> str:
    """Create a short public id for a paper without another identifier, from its title's key."""
    return "t-" + hashlib.sha256(title_key(title).encode()).hexdigest()[:12]
