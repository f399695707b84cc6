"""Citations as BibTeX, in ASCII as far as there is a macro for a character that reference managers read back.

The format is described in Oren Patashnik's "BibTeXing" (1988), the fields ``eprint``, ``archivePrefix`` and
``primaryClass`` in https://info.arxiv.org/help/hypertex/bibstyles.
"""

import logging
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from urllib.parse import quote

from bibtexparser.entrypoint import write_string
from bibtexparser.library import Library
from bibtexparser.model import Entry, Field
from bibtexparser.writer import BibtexFormat
from pylatexenc.latex2text import LatexNodes2Text  # type: ignore[import-untyped]
from pylatexenc.latexencode import UnicodeToLatexEncoder  # type: ignore[import-untyped]

from newsletter.rendering.citations.citation import Citation, CitationKind
from newsletter.support.latex.stored_text import decode_field
from newsletter.support.person_names import WrittenName

_TYPES = {
    CitationKind.ARTICLE: "article",
    CitationKind.CONFERENCE: "inproceedings",
    CitationKind.PREPRINT: "misc",
    CitationKind.OTHER: "misc",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_ENCODER = UnicodeToLatexEncoder(
    replacement_latex_protection="braces-all", unknown_char_policy="keep", unknown_char_warning=False
)
_DECODER = LatexNodes2Text(math_mode="text")
# Of macros that the decoder does not know.
logging.getLogger("pylatexenc.latex2text").addHandler(logging.NullHandler())

_ASCII = str.maketrans(
    {
        "\\": r"{\textbackslash}",
        # BibTeX counts the braces of \{ and \}, which need not balance in a text.
        "{": r"{\ensuremath{\lbrace}}",
        "}": r"{\ensuremath{\rbrace}}",
        "<": r"{\ensuremath{<}}",
        ">": r"{\ensuremath{>}}",
        "~": r"{\textasciitilde}",
        "^": r"{\textasciicircum}",
        # Otherwise parsers may take it for the beginning of an entry.
        "@": "{@}",
        **{sign: f"\\{sign}" for sign in "$%&#_"},
    }
)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# LaTeX would join two of them to a dash or a quotation mark.
_LIGATURE = re.compile(r"(?<=-)-|(?<=')'|(?<=`)`")
# BibTeX styles write titles in small letters: capitals inside of a word are part of a name, as in "GFlowNets".
_INNER_CAPITAL = re.compile(r"\w[\w'’-]*")
# BibTeX separates names at the word "and", and the parts of one at commas; parsers differ in how they read a word of a
# name that begins with an escaped sign.
_SPLITS_NAMES = re.compile(r"\band\b|[^\w\s.'’()-]", re.IGNORECASE)


def to_bibtex(citation: Citation) -> str:
    """Return the entry of a citation, with an empty line after it.

    Titles protect words with capitals inside; what is set as a formula is written as its characters, not as TeX.
    """
    fields = [Field(name, value) for name, value in _fields(citation)]
    layout = BibtexFormat()  # type: ignore[no-untyped-call]
    layout.indent, layout.trailing_comma, layout.block_separator = "  ", True, "\n"
    entry = Entry(_TYPES[citation.kind], citation.key, fields)
    written: str = write_string(Library([entry]), unparse_stack=[], bibtex_format=layout)
    return f"{written}\n"


def _fields(citation: Citation) -> Iterator[tuple[str, str]]:
    yield "title", f"{{{_title(citation.title)}}}"
    if citation.authors:
        names = [*map(_name, citation.authors), *(["others"] if citation.more_authors else [])]
        yield "author", f"{{{' and '.join(names)}}}"
    if citation.venue is not None:
        yield "booktitle" if citation.kind is CitationKind.CONFERENCE else "journal", f"{{{_latex(citation.venue)}}}"
    if citation.day is not None:
        yield "year", f"{{{citation.day.year}}}"
        yield "month", _MONTHS[citation.day.month - 1]
    if citation.arxiv_id is not None:
        yield "eprint", f"{{{citation.arxiv_id}}}"
        yield "archivePrefix", "{arXiv}"
    if citation.arxiv_category is not None:
        yield "primaryClass", f"{{{citation.arxiv_category}}}"
    if citation.repository is not None and citation.arxiv_id is None:
        yield "howpublished", f"{{{_latex(citation.repository)}}}"
    if citation.doi is not None:
        yield "doi", f"{{{_verbatim(citation.doi)}}}"
    if citation.url is not None:
        yield "url", f"{{{_verbatim(citation.url)}}}"
    if citation.note:
        yield "note", f"{{{_latex(citation.note)}}}"
    if citation.abstract:
        yield "abstract", f"{{{_latex(citation.abstract)}}}"
    if citation.keywords:
        # A list that is one item in braces would be read as a list in double braces, which others write.
        keywords = ", ".join(map(_keyword, citation.keywords))
        yield "keywords", f"{{{{{keywords}}}}}" if len(citation.keywords) == 1 else f"{{{keywords}}}"


def _latex(text: str) -> str:
    """Return a text in LaTeX."""
    composed = unicodedata.normalize("NFC", text)
    apart = _LIGATURE.sub(lambda found: f"\0{found[0]}\1", composed).translate(_ASCII)
    apart = apart.replace("\0", "{").replace("\1", "}")
    return _NOT_ASCII.sub(lambda found: _macro(found[0]), apart)


@cache
def _macro(character: str) -> str:
    """Return the macro of a character; the character itself where reading it back would give another one."""
    macro: str = _ENCODER.unicode_to_latex(character)
    return macro if _DECODER.latex_to_text(macro) == character == decode_field(macro) else character


def _title(title: str) -> str:
    parts, end = list[str](), 0
    for word in _INNER_CAPITAL.finditer(title):
        protected = any(letter.isupper() for letter in word[0][1:])
        parts += [_latex(title[end : word.start()]), f"{{{_latex(word[0])}}}" if protected else _latex(word[0])]
        end = word.end()
    return "".join([*parts, _latex(title[end:])])


def _name(name: WrittenName) -> str:
    if not name.given:
        # In braces, so that it stays in one piece.
        return f"{{{_latex(name.family)}}}"
    return ", ".join(map(_name_part, filter(None, (name.family, name.suffix, name.given))))


def _name_part(part: str) -> str:
    return f"{{{_latex(part)}}}" if _SPLITS_NAMES.search(part) else _latex(part)


def _keyword(keyword: str) -> str:
    # Braces keep a keyword with a separator in one piece.
    return f"{{{_latex(keyword)}}}" if re.search("[,;]", keyword) else _latex(keyword)


def _verbatim(address: str) -> str:
    """Return a DOI or URL, which LaTeX does not read as text; only braces and backslashes would end the field."""
    return re.sub(r"[\\{}]", lambda found: quote(found[0]), address)
