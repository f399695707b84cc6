"""HTML and JATS, the XML of journals (https://jats.nlm.nih.gov), as plain text with formulas in LaTeX.

Tags are read one by one, in time proportional to the length. A parser that builds a tree takes quadratic time for
deeply nested tags, and text needs no tree.
"""

import html
import re
from html.entities import html5

from newsletter.sources.mathml import to_latex
from newsletter.support.latex.scripts import typed_script
from newsletter.support.text import strip_invisible, to_single_line


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BLOCKS = _names(
    """
    address article blockquote br dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p pre section table td th tr ul
    """
)
_INLINE = _names(
    """
    a abbr b body cite code del em font head html i img ins kbd mark q s script small span strike strong style
    sub sup tbody thead tt u var
    """
)
# Elements of JATS, and of publishers. Some are also words that people write in angle brackets.
_JATS_BLOCKS = _names(
    """
    abstract abstracttext boxed-text break caption def-item def-list disp-formula disp-quote label list
    list-item para sec simple-para title
    """
)
_JATS_INLINE = _names(
    """
    alternatives bold email ext-link fn inf inline-formula inline-graphic institution italic math monospace
    named-content roman sans-serif sc scp styled-content tex-math underline uri xref
    """
)
_HIDDEN = frozenset(["fig", "graphic", "object-id", "script", "style", "supplementary-material", "table-wrap"])
_HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6", "title"])
_EMPHASIS = frozenset(["b", "bold", "strong", "i", "italic", "em", "p", "u"])

_MATH = re.compile(r"\$[^$\n]{1,300}\$")
_ATTRIBUTES = r"""(?:[\s/](?:[^<>=]|=\s*+(?:"[^"<]*+"|'[^'<]*+')?+)*+)?+"""
_NAME = r"(?:(?P<prefix>jats|mml|m|ce|sb|xhtml|html|ali|ns\d)\s*:)?(?P<name>[A-Za-z][\w-]*+)"
_TAG = re.compile(rf"<!--.*?(?:-->|\Z)|<(?P<end>/?){_NAME}(?P<attributes>{_ATTRIBUTES})>|<!\[CDATA\[|\]\]>", re.DOTALL)
_CITATION = re.compile(r"[\d\s,;()\[\]*†–-]{1,20}</(?:\w+:)?xref\s*>")
_DOCUMENT = re.compile(r"\\begin\s*\{document\}(.*?)(?:\\end\s*\{document\}|\Z)", re.DOTALL)
_FENCES = "$ \n\t"
_LABELS = re.compile(
    r"(?:abstract|aims?|availability|background|case(?: presentation| report)?|conclusions?|context|data"
    r"|(?:study )?design|discussion|(?:principal )?findings?|funding|goals?|highlights|implications?|importance"
    r"|interpretation|introduction|keywords|limitations?|main results?|materials?|measurements?|methods?|methodology"
    r"|motivation|objectives?|outcomes?|participants|patients|purposes?|question|rationale|registration|results?|scope|settings?"
    r"|significance|subjects|summary)(?:(?:,? and|,| &(?:amp;)?| ?/| of| for) ?[a-z]+){0,4}",
    re.IGNORECASE,
)
_UNTITLED = frozenset(["abstract", "summary", "graphical abstract"])
_LONGEST_LABEL = 60
_BREAK = "\n"
_BEFORE_LABELS = frozenset(["", _BREAK, *".:?!"])
_PUNCTUATED = tuple(".:?!;–—-")
_TWICE_ESCAPED = re.compile(
    r"\s*&lt;((?:jats:)?(?:p|div|h[1-6]|sec|title|section|span|ul|ol|b|i|em|strong))\b[^<>]*?&gt;"
)
_ENTITY = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]{1,31};|(?:lt|gt|amp|quot|nbsp)(?![\w=;]))")
_MOST_DIGITS = 20


def markup_to_text(text: str) -> str:
    """Return the visible text of a piece of HTML or JATS, in one line.

    An angle bracket that does not start a tag is text, so ``a < b`` and ``<think>`` stay, and so does everything
    between two dollar signs. Scripts, figures and comments are removed with their contents. Labels of sections end in a
    colon, formulas in TeX or MathML become ``$...$``.
    """
    text = strip_invisible(text)
    if "<" in text or "&" in text:
        twice = "<" not in text and _TWICE_ESCAPED.match(text)
        if twice and f"&lt;/{twice[1]}&gt;" in text:
            text = decode_entities(text)
        text = decode_entities(_Reader(_MATH.sub(_with_brackets_escaped, text)).read())
    return to_single_line(text)


def decode_entities(text: str) -> str:
    """Decode the entities of HTML, once. Without a semicolon, only those that are never words: "AT&T" has none."""
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(entity: re.Match[str]) -> str:
    name = entity[0][1:]
    if name.startswith("#"):
        return html.unescape(entity[0]) if len(name) <= _MOST_DIGITS else "\N{REPLACEMENT CHARACTER}"
    return html5.get(name if name.endswith(";") else f"{name};", entity[0])


def _with_brackets_escaped(math: re.Match[str]) -> str:
    # Two prices in one sentence are not a formula: the text between them may contain tags.
    if "</" in math[0]:
        return math[0]
    return math[0].replace("<", "&lt;").replace(">", "&gt;")


class _Reader:
    """Reads a text tag by tag; ``shown`` is what is visible so far."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._shown = list[str]()
        self._opened = dict[str, int]()
        self._ends = dict[str, re.Match[str] | None]()
        self._without_tex = 0

    def read(self) -> str:
        at = 0
        while tag := _TAG.search(self._text, at):
            self._shown.append(self._text[at : tag.start()])
            at = self._tag(tag)
        self._shown.append(self._text[at:])
        return "".join(self._shown)

    def _tag(self, tag: re.Match[str]) -> int:
        """Read a tag; return the place where the text continues."""
        if not tag["name"]:
            return tag.end()
        name = tag["name"].lower()
        if not self._is_markup(tag, name):
            self._shown.append(tag[0])
        elif tag["end"]:
            self._close(name, tag.end())
        elif not tag["attributes"].endswith("/"):
            return self._open(name, tag)
        elif name in _BLOCKS or name in _JATS_BLOCKS:
            self._shown.append(_BREAK)
        return tag.end()

    def _is_markup(self, tag: re.Match[str], name: str) -> bool:
        attributes = tag["attributes"].strip(" /\t\n")
        if tag["prefix"]:
            return True
        if attributes and "=" not in attributes:
            return False  # "i <b and c> d"
        if name in _BLOCKS or name in _INLINE:
            return True
        if name not in _JATS_BLOCKS and name not in _JATS_INLINE and name not in _HIDDEN:
            return False
        if tag["end"]:
            return name in self._opened
        return tag["attributes"].endswith("/") or self._closing(name, tag.end()) is not None

    def _open(self, name: str, tag: re.Match[str]) -> int:
        closing = self._closing(name, tag.end()) if name in _HIDDEN or name in ("math", "tex-math") else None
        if name in _HIDDEN:
            if closing is None and name not in ("script", "style"):
                return tag.end()
            return closing.end() if closing else len(self._text)
        if closing:
            content = self._text[tag.end() : closing.start()]
            self._shown.append(to_latex(content) if name == "math" else _tex(content))
            return closing.end()
        if name == "alternatives" and (formula := self._alternative(tag.end())):
            return formula
        if name == "xref" and "bibr" in tag["attributes"] and (citation := _CITATION.match(self._text, tag.end())):
            return citation.end()
        if name in _BLOCKS or name in _JATS_BLOCKS:
            self._shown.append(_BREAK)
        self._opened[name] = len(self._shown)
        return tag.end()

    def _alternative(self, at: int) -> int | None:
        """Show the formula in TeX among several forms of one; return where they end."""
        if at < self._without_tex or (end := self._closing("alternatives", at)) is None:
            return None
        content = self._text[at : end.start()]
        found = re.search(r"<(?:\w+:)?tex-math\b[^<>]*>(.*?)</(?:\w+:)?tex-math\s*>", content, re.DOTALL)
        if found is None:
            self._without_tex = end.start()
            return None
        self._shown.append(_tex(found[1]))
        return end.end()

    def _close(self, name: str, end: int) -> None:
        start = self._opened.pop(name, None)
        if start is not None and name == "sup":
            self._shown[start:] = [typed_script(self._before(start, ""), "".join(self._shown[start:]))]
        elif start is not None and (name in _HEADINGS or name in _EMPHASIS):
            self._shown[start:] = [self._label("".join(self._shown[start:]), start, end, heading=name in _HEADINGS)]
        if name in _BLOCKS or name in _JATS_BLOCKS:
            self._shown.append(_BREAK)

    def _label(self, content: str, start: int, end: int, *, heading: bool) -> str:
        """Return the label of a section with a colon; what is none as it is. The label "Abstract" is left out."""
        label = to_single_line(content)
        if not label or len(label) > _LONGEST_LABEL or not (heading or _LABELS.fullmatch(label.rstrip(":. "))):
            return content
        if self._before(start, " ") not in _BEFORE_LABELS:
            return content
        if label.rstrip(":. ").lower() in _UNTITLED:
            return _BREAK
        following = self._text[end : end + 10].lstrip()
        return content if label.endswith(_PUNCTUATED) or following.startswith(_PUNCTUATED) else f"{label}: "

    def _before(self, start: int, ignored: str) -> str:
        """Return the last character before a piece; "" for none nearby."""
        pieces = (
            piece.rstrip(ignored) if ignored else piece for piece in reversed(self._shown[max(0, start - 5) : start])
        )
        return next((piece[-1] for piece in pieces if piece), "")

    def _closing(self, name: str, at: int) -> re.Match[str] | None:
        """Return the next end tag of an element. It is remembered, so that no text is searched twice."""
        found = self._ends.get(name)
        if name not in self._ends or (found and found.start() < at):
            found = re.compile(rf"</(?:\w+:)?{name}\s*>", re.IGNORECASE).search(self._text, at)
            self._ends[name] = found
        return found


def _tex(content: str) -> str:
    document = _DOCUMENT.search(content)
    formula = (document[1] if document else content).replace("<![CDATA[", "").replace("]]>", "").strip(_FENCES)
    return f"${to_single_line(formula)}$" if formula else ""
