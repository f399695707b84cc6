"""Repositories of preprints, recognised by the DOIs that they register."""

import re

from newsletter.model import Paper

# Repositories whose preprints have DOIs of a form that nothing else has. 10.1101 was the prefix of Cold Spring Harbor
# Laboratory, which has journals too: only preprints have a number, maybe after a date. It has six digits in bioRxiv and
# eight in medRxiv. Since December 2025, both have the prefix 10.64898 of openRxiv
# (https://connect.biorxiv.org/news/2025/11/18/preprint_dois).
_BY_DOI = (
    (re.compile(r"10\.(?:1101|64898)/(?:\d{4}\.\d{2}\.\d{2}\.)?\d{6}"), "bioRxiv"),
    (re.compile(r"10\.(?:1101|64898)/(?:\d{4}\.\d{2}\.\d{2}\.)?\d{8}"), "medRxiv"),
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
    """Return the name of the repository that a preprint is in: by its DOI or, without one, arXiv by its arXiv id; None
    for what is not a preprint.
    """
    if paper.doi is None:
        return "arXiv" if paper.arxiv_id is not None else None
    return next((name for pattern, name in _BY_DOI if pattern.fullmatch(paper.doi)), None)
