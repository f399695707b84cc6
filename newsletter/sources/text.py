"""Clean text and links from sources: one line, no invisible characters, no HTML, and only links to the web."""

import re
from urllib.parse import urlsplit

from newsletter.sources.highwire_codes import without_codes
from newsletter.sources.markup import markup_to_text
from newsletter.support.latex.stored_text import decode_latex
from newsletter.support.text import strip_invisible, to_single_line

# UTF-8 that was decoded as Latin-1 or Windows-1252, and control characters that are punctuation in the latter.
_PERHAPS_GARBLED = re.compile("[\x80-\x9f]|[Â-ôĂăĎďĹĺĽľÎî][\xa0-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_LIGATURE = re.compile("[ﬀ-ﬆ]")


def from_html(text: str) -> str:
    """Return the visible text of HTML, JATS or plain text that may contain LaTeX, in one line; formulas stay.

    See :func:`newsletter.sources.markup.markup_to_text` and :func:`newsletter.support.latex.stored_text.decode_latex`.
    The time is proportional to the length.
    """
    return to_single_line(decode_latex(without_markup(text)))


def from_latex(text: str) -> str:
    """Do the same for plain text, in which tags and entities are what the authors wrote."""
    return to_single_line(decode_latex(repaired(text)))


def without_markup(text: str) -> str:
    """Do the same for text without LaTeX."""
    return markup_to_text(without_codes(repaired(text)))


def repaired(text: str) -> str:
    """Return a text with garbled characters as they were, and with letters for typographic ligatures.

    Garbled are those that were encoded in UTF-8 and decoded in another encoding: "KÃ¶hler" for Köhler.
    """
    if text.isascii():
        return text
    if _PERHAPS_GARBLED.search(text):
        from ftfy import fix_encoding  # needed for few texts, and it takes long to import

        text = fix_encoding(text)
    return _LIGATURE.sub(lambda found: _LIGATURES[found[0]], text)


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
