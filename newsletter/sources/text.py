"""Clean text and links from sources: one line, no invisible characters, no HTML, and only links to the web."""

import html
import re
from urllib.parse import urlsplit

from newsletter.support.text import strip_invisible, to_single_line

_MATH = re.compile(r"\$[^$\n]{1,300}\$")
_BLOCKS = "address|article|blockquote|br|dd|div|dl|dt|h[1-6]|hr|li|ol|p|pre|section|table|td|th|tr|ul"
_INLINE = "a|abbr|b|cite|code|del|em|font|i|img|ins|kbd|mark|q|s|small|span|strike|strong|style|sub|sup|tt|u|var"
_OTHERS = r"body|head|html|jats:\w++|mml:\w++|tbody|thead"
_ATTRIBUTES = r"""(?:[\s/](?:[^<>=]|=\s*+(?:"[^"<]*+"|'[^'<]*+')?+)*+)?+"""
_MARKUP = re.compile(
    rf"<!--.*?(?:-->|\Z)"
    rf"|<(?P<raw>script|style){_ATTRIBUTES}>.*?(?:</(?P=raw)\s*>|\Z)"
    rf"|</?(?:(?P<block>{_BLOCKS})|script|{_INLINE}|{_OTHERS}){_ATTRIBUTES}>",
    re.IGNORECASE | re.DOTALL,
)
_LONG_NUMBER = re.compile(r"&#(?:[0-9]{20,}|[xX][0-9a-fA-F]{20,});?")


def from_html(text: str) -> str:
    """Return the visible text of a piece of HTML, in one line.

    An angle bracket that does not start an HTML tag is text, so ``a < b`` and ``<think>`` stay, and so does everything
    between two dollar signs. Scripts, styles and comments are removed with their contents.

    Tags are removed one by one, in time proportional to the length. A parser that builds a tree takes quadratic time
    for deeply nested tags, and text needs no tree.
    """
    text = _MATH.sub(_with_brackets_escaped, strip_invisible(text))
    text = _MARKUP.sub(lambda tag: " " if tag["block"] else "", text)
    return to_single_line(html.unescape(_LONG_NUMBER.sub("\N{REPLACEMENT CHARACTER}", text)))


def _with_brackets_escaped(math: re.Match[str]) -> str:
    # Two prices in one sentence are not a formula: the text between them may contain tags.
    if "</" in math[0]:
        return math[0]
    return math[0].replace("<", "&lt;").replace(">", "&gt;")


def web_link(text: str | None) -> str | None:
    """Return a link if it is a complete http(s) URL; None for anything else."""
    link = (text or "").strip()
    if strip_invisible(link) != link or any(character.isspace() for character in link):
        return None
    try:
        parts = urlsplit(link)
        good = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return None
    return link if good else None


def paper_link(arxiv_id: str | None, doi: str | None) -> str | None:
    """Return a paper's web page, by its identifiers; None without any."""
    if arxiv_id:
        return f"https://arxiv.org/abs/{arxiv_id}"
    return f"https://doi.org/{doi}" if doi else None


def pdf_link(arxiv_id: str | None) -> str | None:
    """Return the PDF of a paper on arXiv; None without an id."""
    return f"https://arxiv.org/pdf/{arxiv_id}" if arxiv_id else None


def excerpt(text: object, most: int = 60) -> str:
    """Return the beginning of a value, in quotes and in one line, for an error."""
    line = to_single_line(str(text))
    return repr(line if len(line) <= most else line[: most - 1] + "…")
