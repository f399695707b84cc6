"""Identifiers of libraries, people, institutions and cited papers, as subscribers write them."""

import re

from newsletter.model import LibraryKind, LibraryRef
from newsletter.support.identifiers import arxiv_id, doi

_ORCID = re.compile(r"(?:https?://)?(?:www\.)?(?:orcid\.org/)?(\d{4}-?\d{4}-?\d{4}-?\d{3}[\dXx])/?", re.ASCII)
_ROR = re.compile(r"(?:https?://)?(?:www\.)?(?:ror\.org/)?(0[a-hj-km-np-tv-z0-9]{6}\d{2})/?", re.ASCII | re.IGNORECASE)
_OPENALEX = re.compile(
    r"(?:https?://)?(?:(?:www|api)\.)?(?:openalex\.org/)?(?:authors/)?(A\d{1,19})/?", re.ASCII | re.IGNORECASE
)
_ZOTERO = re.compile(r"zotero:(users?|groups?)/(\S+)", re.IGNORECASE)
_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LIBRARY_FILES = (".bib", ".ris")


def valid_orcid(text: str) -> str:
    """Return an ORCID iD in its bare form, ``0000-0002-1825-0097``.

    Its last character is a check digit (ISO 7064, MOD 11-2; https://support.orcid.org/hc/en-us/articles/360006897674).

    Raises:
        ValueError: it is not one.
    """
    found = _ORCID.fullmatch(text.strip())
    if found is None:
        raise ValueError("is not an ORCID iD; write it like 0000-0002-1825-0097")
    digits = found[1].replace("-", "").upper()
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    if digits[-1] != "0123456789X"[(12 - total % 11) % 11]:
        raise ValueError("is not an ORCID iD: its check digit is wrong; check it for a typo")
    return "-".join(digits[start : start + 4] for start in range(0, 16, 4))


def valid_ror(text: str) -> str:
    """Return a ROR id in its bare form, such as ``05a28rw58``.

    Raises:
        ValueError: it is not one.
    """
    found = _ROR.fullmatch(text.strip())
    if found is None:
        raise ValueError("is not a ROR id; find it on https://ror.org and write it like https://ror.org/05a28rw58")
    return found[1].lower()


def valid_openalex_author(text: str) -> str:
    """Return an OpenAlex author id in its bare form, such as ``A5023888391``.

    Raises:
        ValueError: it is not one.
    """
    found = _OPENALEX.fullmatch(text.strip())
    if found is None:
        raise ValueError("is not an OpenAlex author id; find it on https://openalex.org and write it like A5023888391")
    return found[1].upper()


def valid_zotero_id(text: str) -> str:
    """Return the number of a Zotero user or group.

    Raises:
        ValueError: it is not one.
    """
    cleaned = text.strip()
    if not re.fullmatch(r"[1-9]\d{0,11}", cleaned, re.ASCII):
        raise ValueError(
            "is not a Zotero ID; it is a number, shown on https://www.zotero.org/settings/keys for you, and in the "
            "address of a group's page"
        )
    return cleaned


STORED_KEY = "stored"
"""The place of a key that is in the store or nowhere, as for a library that was added on the site: the keys of the
environment and keyring are the operator's.
"""


def valid_key_place(text: str) -> str:
    """Return where a key is: empty, ``env:NAME``, ``keyring`` or ``stored``.

    Raises:
        ValueError: it is something else, such as the key itself; the message does not repeat it.
    """
    cleaned = text.strip()
    if cleaned and cleaned not in ("keyring", STORED_KEY) and not _VARIABLE.fullmatch(cleaned):
        raise ValueError(
            "a key does not belong in this file; write 'env:' with the name of an environment variable that has it, or "
            "'keyring', or leave it out and run 'newsletter library add', which stores the key encrypted"
        )
    return cleaned


def valid_cited(text: str) -> str:
    """Return the DOI or arXiv id of a paper, in its bare form.

    Raises:
        ValueError: it is neither.
    """
    known = arxiv_id(text)
    found = known[0] if known is not None else doi(text)
    if found is None:
        raise ValueError("is neither a DOI nor an arXiv id; write it like 10.1000/xyz123 or 2402.01310")
    return found


def parse_library(text: str) -> LibraryRef:
    """Parse a library in one word, as :attr:`newsletter.model.LibraryRef.address` writes it; a file may be given by its
    path alone, and a person by an ORCID iD alone.

    Raises:
        ValueError: it names no library.
    """
    word = text.strip()
    kind, _, rest = word.partition(":")
    if zotero := _ZOTERO.fullmatch(word):
        user = zotero[1].lower().startswith("user")
        return LibraryRef(
            kind=LibraryKind.ZOTERO_USER if user else LibraryKind.ZOTERO_GROUP, id=valid_zotero_id(zotero[2])
        )
    if kind.lower() == "orcid" or _ORCID.fullmatch(word):
        return LibraryRef(kind=LibraryKind.ORCID, id=valid_orcid(rest if kind.lower() == "orcid" else word))
    if kind.lower() == "openalex":
        return LibraryRef(kind=LibraryKind.OPENALEX, id=valid_openalex_author(rest))
    if kind.lower() == "upload" and rest.strip():
        return LibraryRef(kind=LibraryKind.UPLOAD, id=rest.strip())
    path = rest if kind.lower() == "file" else word
    if not path.lower().endswith(_LIBRARY_FILES):
        raise ValueError(
            "is not a library; write a .bib or .ris file, zotero:user/123, zotero:group/456, "
            "orcid:0000-0002-1825-0097 or openalex:A5023888391"
        )
    return LibraryRef(kind=LibraryKind.FILE, id=path)
