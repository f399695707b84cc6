"""Text and links as sources hand them on: one line, nothing unseen in it, no HTML, and only links to the web."""

import html
import re
from urllib.parse import urlsplit

from newsletter.support.text import strip_invisible, to_single_line

_MATH = re.compile(r"\$[^$\n]{1,300}\$")
_BLOCKS = "address|article|blockquote|br|dd|div|dl|dt|h[1-6]|hr|li|ol|p|pre|section|table|td|th|tr|ul"
_INLINE = "a|abbr|b|cite|code|del|em|font|i|img|ins|kbd|mark|q|s|small|span|strike|strong|style|sub|sup|tt|u|var"
_OTHERS = r"body|head|html|jats:\w++|tbody|thead"
_ATTRIBUTES = r"""(?:[\s/](?:[^<>=]|=\s*+(?:"[^"<]*+"|'[^'<]*+')?+)*+)?+"""
_MARKUP = re.compile(
    rf"<!--.*?(?:-->|\Z)"
    rf"|<(?P<raw>script|style){_ATTRIBUTES}>.*?(?:</(?P=raw)\s*>|\Z)"
    rf"|</?(?:(?P<block>{_BLOCKS})|script|{_INLINE}|{_OTHERS}){_ATTRIBUTES}>",
    re.IGNORECASE | re.DOTALL,
)
_LONG_NUMBER = re.compile(r"&#(?:[0-9]{20,}|[xX][0-9a-fA-F]{20,});?")


def from_html(text: str) -> str:
    """What a reader sees of a piece of HTML, in one line.

    An angle bracket that opens no tag of HTML is text, so ``a < b`` and ``<think>`` stay, and so does all between two
    dollar signs. Scripts, styles and comments go with what is in them.

    Tags are taken out one by one, in time proportional to the length. A parser that builds a tree takes quadratic time
    where tags are nested deeply, and no tree is needed for text.
    """
    text = _MATH.sub(_with_brackets_escaped, strip_invisible(text))
    text = _MARKUP.sub(lambda tag: " " if tag["block"] else "", text)
    return to_single_line(html.unescape(_LONG_NUMBER.sub("\N{REPLACEMENT CHARACTER}", text)))


def _with_brackets_escaped(math: re.Match[str]) -> str:
    # Two prices in one sentence are no formula: what stands between them may have tags of its own.
    if "</" in math[0]:
        return math[0]
    return math[0].replace("<", "&lt;").replace(">", "&gt;")


def web_link(text: str | None) -> str | None:
    """A link when it is a whole http(s) URL in one piece; None for anything else."""
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
    """Where a paper can be read about, by its identifiers; None without any."""
    if arxiv_id:
        return f"https://arxiv.org/abs/{arxiv_id}"
    return f"https://doi.org/{doi}" if doi else None


def pdf_link(arxiv_id: str | None) -> str | None:
    """The PDF of a paper on arXiv; None without an id."""
    return f"https://arxiv.org/pdf/{arxiv_id}" if arxiv_id else None


def excerpt(text: object, most: int = 60) -> str:
    """The beginning of a value, in quotes and in one line, for an error."""
    line = to_single_line(str(text))
    return repr(line if len(line) <= most else line[: most - 1] + "…")
