"""Fields that BibTeX and RIS have in common: arXiv ids and venues."""

import re
from collections.abc import Iterable

from newsletter.support import identifiers
from newsletter.support.text import to_single_line

_ARXIV_NAMED = re.compile(
    r"^\W*(?=[^\d]*(?:arxiv|corr|print))"
    r"(?:(?:available|posted|online|here|at|as|on|from|with|id|identifier|number|no|version|https?|www"
    r"|(?:export\.)?arxiv(?:\.org)?|corr|e-?prints?|preprint|abs|pdf)\b\W*)+"
    r"((?:\d{4}\.\d{4,5}|[a-z-]+(?:\.[a-z-]+)?/\d{7})(?:v\d{1,3})?)(?!\d)",
    re.IGNORECASE,
)
_PREPRINT_SERVER = re.compile(
    r"\W*(?:(?:e-?prints?|preprint)\b[\s:]*(?:(?:at|in|on|from)\s+)?)?"
    r"(?:[a-z]*r[xχ]iv(?:\.org)?\b|corr(?:$|[,:]|\s+abs\b)|osf preprints|social science research network"
    r"|computing research repository|research square\b|ssrn\b|preprints?\.org|preprints?\W*$)",
    re.IGNORECASE,
)


def find_arxiv_id(texts: Iterable[str]) -> tuple[str, int | None] | None:
    """Return the arXiv id and version that one of some texts is, or begins with after the name of arXiv, as in
    "arXiv preprint arXiv:1706.03762 [cs]" or "CoRR abs/1706.03762".
    """
    for text in texts:
        named = _ARXIV_NAMED.match(text)
        if found := identifiers.arxiv_id(named[1] if named else text):
            return found
    return None


def venue(text: str) -> str | None:
    """Return the name of a journal or a conference; None for a server of preprints, which is no venue."""
    name = to_single_line(text)
    return None if not name or _PREPRINT_SERVER.match(name) else name
