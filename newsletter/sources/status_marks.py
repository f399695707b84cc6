"""What the texts of a paper say about its status: "RETRACTED: …" before a title, "This paper has been withdrawn …" in
an abstract. Publishers and repositories write it there, whatever their data say.
"""

import re

from newsletter.model import PaperStatus

_LONGEST_TITLE = 2_000
_LONGEST_ABSTRACT = 20_000

_PERHAPS = re.compile("withdr|retract|remov", re.IGNORECASE)
"""What every mark contains; most texts do not, and are done after this one look."""

_RETRACTED = "retracted"
_STATUS = rf"(?P<status>{_RETRACTED}|withdrawn|removed|temporar(?:y|ily) remov(?:al|ed))"
_KIND = r"(?: (?:article|chapter|letter|manuscript|paper|preprint|publication|review|submission))?"
_END = r"[*_]*\s*[:：]\s*|\s+[–—-]+\s+|[–—]+\s+"
"""Ends a mark. A hyphen counts between spaces only: "Withdrawn-state dynamics" is a title."""

_BEFORE = (
    re.compile(rf"\W*[\[(<{{【]\s*{_STATUS}{_KIND}\s*[\])>}}】](?:{_END}|\s*)", re.IGNORECASE),
    re.compile(rf"\W*{_STATUS}{_KIND}(?:{_END}|\W*$)", re.IGNORECASE),
)
_AFTER = (
    re.compile(rf"\s*[\[(]\s*{_STATUS}{_KIND}\b[^\])]{{0,200}}[\])]?\W*$", re.IGNORECASE),
    # Without brackets only in capitals: "Features removed" is a title.
    re.compile(
        r"(?:\s*[:：]\s*|\s+[–—-]+\s+)(?P<status>RETRACTED|WITHDRAWN|REMOVED)(?: (?:ARTICLE|CHAPTER|PAPER))?\W*$"
    ),
)

_NOTICE_OF = (
    r"(?:(?:author|publisher|editor|editorial|partial)(?:['’]?s)? )?"
    r"(?:correction|corrigendum|corrigenda|erratum|errata|addendum|retraction|withdrawal|removal|expressions? of "
    r"(?:editorial )?concern|editorial expression of concern)"
)
_NOTICE = re.compile(
    # "Retraction: A title", "Correction to: A title", "Erratum", "Corrigendum to “A title”".
    rf"\W*(?:{_NOTICE_OF}s?(?: (?:note|notice|statement))?(?:(?: (?:to|for|on|of))?\s*(?:[:：“\"„«‘]|\s[–—-]+\s|\W*$))"
    # None of these begins the title of a paper.
    r"|(?:corrigendum|corrigenda|erratum|errata) (?:to|for)\b|(?:retraction|withdrawal|removal) notice\b"
    r"|expression of (?:editorial )?concern (?:to|for|on|regarding|about)\b)",
    re.IGNORECASE,
)

_SELF = (
    r"(?:this|the present|the current) "
    r"(?:\w+ )?(?:article|chapter|document|e-?print|letter|manuscript|note|paper|preprint|publication|report|review|"
    r"submission|version|work)"
)
_GONE = r"(?:withdrawn|retracted|removed)"
_SENTENCE = r"(?:^\W*|(?<=[.!?:;] )|(?<=[.!?:;] [(\[*]))"
_WITHDRAWN = re.compile(
    rf"{_SENTENCE}{_SELF}(?: \([^()]{{1,100}}\))?(?: (?:has|have) (?:now |since )?been| is| was)"
    rf"(?: \w+ly| hereby| now| being)* {_GONE}\b(?! (?:from|into|in part|if|when)\b)"
    rf"|{_SENTENCE}(?:the |all )?authors? (?:has|have|hereby|wish to|would like to|want to|are)(?: \w+ly| now)* "
    rf"(?:withdrawn?|withdrawing|retracted?|retracting|removed?) "
    r"(?:this|the present|their) (?:\w+ )?"
    r"(?:article|e-?print|letter|manuscript|note|paper|preprint|report|submission|version|work)\b"
    rf"|{_SENTENCE}we (?:have |hereby )?(?:withdrawn|withdrew|withdraw|retracted|retract) this "
    r"(?:article|e-?print|manuscript|paper|preprint|submission|work)\b"
    rf"|^\W*(?:paper |article |manuscript |submission )?{_GONE}"
    r"(?:\W*$|[.:;\])]| by (?:the |its )?(?:corresponding )?(?:authors?|arxiv|submitter|editors?|publisher)\b"
    r"| due to | because )",
    re.IGNORECASE,
)


def split_status(title: str) -> tuple[str, PaperStatus | None]:
    """Return a title without a mark such as "RETRACTED:" or "[Withdrawn]", and the status that the mark means.

    A title that is nothing but a mark is kept. A notice about another paper ("Retraction notice to …") and a paper
    about retracted ones have no mark.
    """
    if len(title) > _LONGEST_TITLE or not _PERHAPS.search(title):
        return title, None
    for pattern in _BEFORE:
        if found := pattern.match(title):
            return title[found.end() :].strip() or title, _meant(found)
    for pattern in _AFTER:
        if found := pattern.search(title):
            return title[: found.start()].strip() or title, _meant(found)
    return title, None


def _meant(found: re.Match[str]) -> PaperStatus:
    return PaperStatus.RETRACTED if found["status"].lower() == _RETRACTED else PaperStatus.WITHDRAWN


def withdrawn_by_text(abstract: str) -> bool:
    """Return whether an abstract, or a comment of the authors, says that the paper itself was withdrawn."""
    text = abstract[:_LONGEST_ABSTRACT]
    return _PERHAPS.search(text) is not None and _WITHDRAWN.search(text) is not None


def is_notice_title(title: str) -> bool:
    """Return whether a title is that of a notice about another paper: a correction, a retraction or the like."""
    return _NOTICE.match(title) is not None
