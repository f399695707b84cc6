"""MathML as LaTeX, so that formulas of all sources are stored in one form.

Presentation elements are those of chapter 3 of MathML 3 (https://www.w3.org/TR/MathML3/chapter3.html).
"""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from xml.etree import ElementTree

from newsletter.support.text import to_single_line

_TAG = re.compile(r"<(/?)(?:[A-Za-z][\w.-]*:)?([A-Za-z][\w.-]*)(?:\s[^<>]*?)?(/?)>|<!--.*?-->|[^<]+|<", re.DOTALL)
_TEX = re.compile(r"<(?:\w+:)?annotation\b[^<>]*encoding\s*=\s*[\"']application/x-tex[\"'][^<>]*>([^<]*)<")
_STRUCTURE = re.compile(r"[\\^_{}]")
_SPECIAL = re.compile(r"[%&#$_{}]")
_FUNCTIONS = frozenset(
    ["arg", "cos", "det", "exp", "inf", "lim", "ln", "log", "max", "min", "sin", "sup", "tan", "tanh"]
)
_ACCENTS = {
    "¯": "bar",
    "‾": "bar",
    "^": "hat",
    "ˆ": "hat",
    "~": "tilde",
    "˜": "tilde",
    "→": "vec",
    "˙": "dot",
    "¨": "ddot",
}
_NOTHING = frozenset(["annotation", "annotation-xml", "mphantom", "none", "mprescripts"])
_DEEPEST = 30
_LONGEST = 50_000


def to_latex(content: str) -> str:
    """Convert the content of a ``math`` element: ``$x^{2}$``, or text without dollar signs if it has no structure.

    Broken or very long content gives its text. Never raises.
    """
    found = _TEX.search(content)
    formula = to_single_line(html.unescape(found[1])) if found else _formula(content)
    return f"${formula}$" if _STRUCTURE.search(formula) else formula


def _formula(content: str) -> str:
    if len(content) <= _LONGEST:
        try:
            root = ElementTree.fromstring(f"<math>{''.join(map(_plain_xml, _TAG.finditer(content)))}</math>")  # noqa: S314 - without a DTD
            return to_single_line(_latex(root, 0))
        except (ElementTree.ParseError, ValueError, RecursionError):
            pass
    return to_single_line(html.unescape(re.sub(r"<[^<>]*>", "", content)))


def _plain_xml(token: re.Match[str]) -> str:
    """Return a tag without prefix and attributes, whose names may be undeclared; text without named entities."""
    if token[2]:
        return f"<{token[1]}{token[2]}{token[3]}>"
    return "" if token[0].startswith("<!--") else html.escape(html.unescape(token[0]), quote=False)


def _latex(element: ElementTree.Element, depth: int) -> str:
    if element.tag in _NOTHING:
        return ""
    if depth > _DEEPEST:
        return _escaped("".join(element.itertext()))
    if not len(element):
        return _token(element.tag, "".join(element.itertext()).strip())
    parts = [_latex(child, depth + 1) for child in element]
    if element.tag == "semantics":
        return parts[0]
    if element.tag == "mmultiscripts":
        return _multiscripts([child.tag for child in element], parts)
    build, arguments = _BUILDERS.get(element.tag, (None, 0))
    if build and len(parts) == arguments:
        return build(*parts)
    return ("; " if element.tag == "mtable" else " " if element.tag == "mtr" else "").join(parts)


def _token(tag: str, text: str) -> str:
    if tag == "mspace":
        return " "
    if tag in ("mtext", "ms"):
        return f"\\text{{{_escaped(text)}}}" if text else " "
    if tag == "mi" and len(text) > 1 and text.isalpha():
        return f"\\{text} " if text in _FUNCTIONS else f"\\mathrm{{{text}}}"
    return f" {text} " if tag == "mo" and text in ("<", ">", "=", "≤", "≥", "≈", "∼") else _escaped(text)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text)


def _multiscripts(tags: Sequence[str], parts: Sequence[str]) -> str:
    """Return a base with scripts on both sides, as in the symbols of isotopes."""
    middle = tags.index("mprescripts") if "mprescripts" in tags else len(parts)
    before, after = parts[middle + 1 :], parts[1:middle]
    return _scripts(before) + parts[0] + _scripts(after)


def _scripts(pairs: Sequence[str]) -> str:
    low, high = "".join(pairs[::2]), "".join(pairs[1::2])
    return (f"_{{{low}}}" if low else "") + (f"^{{{high}}}" if high else "")


def _over(base: str, sign: str) -> str:
    accent = _ACCENTS.get(sign.strip())
    return f"\\{accent}{{{base}}}" if accent else f"{base}^{{{sign}}}"


_BUILDERS: Mapping[str, tuple[Callable[..., str], int]] = {
    "msup": ("{}^{{{}}}".format, 2),
    "msub": ("{}_{{{}}}".format, 2),
    "msubsup": ("{}_{{{}}}^{{{}}}".format, 3),
    "munder": ("{}_{{{}}}".format, 2),
    "munderover": ("{}_{{{}}}^{{{}}}".format, 3),
    "mover": (_over, 2),
    "mfrac": ("\\frac{{{}}}{{{}}}".format, 2),
    "mroot": ("\\sqrt[{1}]{{{0}}}".format, 2),
    "msqrt": ("\\sqrt{{{}}}".format, 1),
}
