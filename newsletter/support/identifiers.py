"""Identifiers of papers: arXiv ids, DOIs and titles in a normal form, so that they can be compared."""

import hashlib
import re
import unicodedata
from urllib.parse import unquote

_ARXIV = re.compile(
    r"""^(?:https?://)?(?:www\.|export\.)?
        (?:arxiv\.org/(?:abs|pdf|html|format)/|huggingface\.co/papers/|hf\.co/papers/|oai:arxiv\.org:|arxiv:\s*)?
        (?:(?P<id>\d{4}\.\d{4,5})|(?P<archive>[a-z][a-z-]+)(?:\.[a-z]{2})?/(?P<number>\d{7}))
        (?:v(?P<version>\d{1,3}))?(?:\.pdf)?/?(?:[?#].*)?$""",
    re.VERBOSE | re.IGNORECASE,
)
_DOI = re.compile(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?(?P<doi>10\.\d{4,9}/\S+)$", re.IGNORECASE)
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
_PMID = re.compile(
    r"^(?:pmid:?\s*|https?://(?:www\.)?(?:pubmed\.ncbi\.nlm\.nih\.gov|ncbi\.nlm\.nih\.gov/pubmed)/)(?P<number>[1-9]\d{0,8})/?$",
    re.IGNORECASE | re.ASCII,
)
_OPENREVIEW = re.compile(
    r"^(?:openreview:\s*|https?://(?:www\.)?openreview\.net/(?:forum|pdf|attachment|revisions)/?\?(?:[^#\s]*&)?id=)"
    r"(?P<forum>[\w-]{6,40})(?:[&#]\S*)?$",
    re.IGNORECASE | re.ASCII,
)
_LONGEST_KEY = 2_000
"""In bytes; the limit for a PostgreSQL index is 2,704."""

_ARXIV_DOI = re.compile(r"^10\.48550/arxiv\.(.+)$", re.IGNORECASE)


def arxiv_id(text: str) -> tuple[str, int | None] | None:
    """Parse a text that is an arXiv id: bare, with a version, an ``arXiv:`` or OAI name, or a URL.

    Returns:
        The id without its version and subject class, in lower case ("math/0309136" for "math.GT/0309136"), and the
        version if given; None if the text is something else.
    """
    text = text.strip()
    if doi_match := _DOI.match(text):
        arxiv_doi = _ARXIV_DOI.match(doi_match["doi"])
        return arxiv_id(arxiv_doi[1]) if arxiv_doi else None
    match = _ARXIV.match(text)
    if match is None:
        return None
    name = match["id"] or f"{match['archive']}/{match['number']}".lower()
    return name, int(match["version"]) if match["version"] else None


def doi(text: str) -> str | None:
    """Parse a text that is a DOI (bare, ``doi:`` or a URL), in lower case; None for anything else.

    DOIs are case-insensitive (ISO 26324). For an arXiv DOI this returns None: its arXiv id is the better identifier.
    """
    match = _DOI.match(unquote(text.strip()))
    if match is None or _ARXIV_DOI.match(match["doi"]):
        return None
    return match["doi"].rstrip(".,;").lower()


def is_preprint_doi(doi: str) -> bool:
    """Return whether a DOI (in lower case) is one that a preprint server assigns."""
    return _PREPRINT_DOI.match(doi) is not None


def pmid(text: str) -> str | None:
    """Parse a text that names an article of PubMed, as "PMID: 123" or by its address there; return its number."""
    match = _PMID.match(text.strip())
    return match["number"] if match else None


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
