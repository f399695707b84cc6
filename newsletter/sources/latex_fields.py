"""Plain text from the fields of a BibTeX file, which mix LaTeX, HTML and text."""

from newsletter.sources.text import without_markup
from newsletter.support.latex.stored_text import decode_field


def plain(latex: str) -> str:
    """Convert a field to text in one line: decode macros, accents and HTML, drop braces, keep formulas."""
    return without_markup(decode_field(latex))
