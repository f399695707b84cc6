"""Repositories of preprints, recognised by the DOIs that they register."""

import re
from urllib.parse import urlsplit

from newsletter.model import Paper

ARXIV, _MEDRXIV = "arXiv", "medRxiv"

# The prefixes of repositories that register all or a distinct part of their DOIs for preprints. Cold Spring Harbor
# Laboratory uses 10.1101 for its journals as well; only preprints have a date or a bare number after it.
# 10.64898 is that of openRxiv, which runs bioRxiv and medRxiv since 2025.
_BY_DOI = (
    (re.compile(r"10\.(?:1101|64898)/(?:\d{4}\.\d{2}\.\d{2}\.)?\d{6,8}(?:v\d+)?"), "bioRxiv"),
    (re.compile(r"10\.21203/rs\..+"), "Research Square"),
    (re.compile(r"10\.2139/ssrn\..+"), "SSRN"),
    (re.compile(r"10\.26434/chemrxiv.+"), "ChemRxiv"),
    (re.compile(r"10\.31234/osf\.io/.+"), "PsyArXiv"),
    (re.compile(r"10\.31235/osf\.io/.+"), "SocArXiv"),
    (re.compile(r"10\.31219/osf\.io/.+"), "OSF Preprints"),
    (re.compile(r"10\.31223/.+"), "EarthArXiv"),
    (re.compile(r"10\.20944/preprints.+"), "Preprints.org"),
    (re.compile(r"10\.36227/techrxiv\..+"), "TechRxiv"),
)


def repository_of(paper: Paper) -> str | None:
    """Return the name of the repository of preprints that has a paper: by its DOI, or else arXiv by its arXiv id; None
    if it is in none.
    """
    if paper.doi is not None:
        named = next((name for pattern, name in _BY_DOI if pattern.fullmatch(paper.doi)), None)
        if named is not None:
            return _MEDRXIV if named == "bioRxiv" and _is_medrxiv(paper) else named
    return ARXIV if paper.arxiv_id is not None else None


def _is_medrxiv(paper: Paper) -> bool:
    # Both register DOIs of the same form; the page of a preprint tells them apart.
    hosts = ((urlsplit(url).hostname or "") for url in (paper.url, paper.pdf_url) if url)
    return any(f".{host}".endswith(".medrxiv.org") for host in hosts)
