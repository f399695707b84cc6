"""Plain text from the fields of a BibTeX file, which mix LaTeX, HTML and text."""

from newsletter.sources.text import without_markup
from newsletter.support.latex.stored_text import decode_field


def plain(latex: str) -> str:
    """Convert a field to text in one line: decode macros, accents and HTML, drop braces, keep formulas."""
    return without_markup(without_latex(latex))


def without_latex(latex: str) -> str:
    """Do the same but leave HTML and white space."""
    return decode_field(latex)
