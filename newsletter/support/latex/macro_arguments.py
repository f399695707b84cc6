"""Macros with arguments of their own, such as fractions, roots and links."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from newsletter.support.latex import macros
from newsletter.support.latex.scripts import as_script, typed_script
from newsletter.support.latex.syntax import Call, Mode, Purpose, Reader, Reading

_DEGREE = re.compile(r"\s?\[([^\[\]{}]{1,20})\]")
_ENVIRONMENT = re.compile(r"\{([A-Za-z]{1,30})\*?\}(?:\[[^\[\]{}]{0,30}\])?(?:\{[lcrp|@ .\d]{1,30}\})?")
_VERBATIM = re.compile(r"([^\sA-Za-z*])(.{1,300}?)\1")

# Numerators and denominators that need no parentheses. In a denominator, "2n" would read as half of n.
_ABOVE = re.compile(r"[\w.∂∇⁺⁻₊₋′]+|\w*\([^()]*\)|√\w+|\|[^|]+\|")
_BELOW = re.compile(r"\d[\d.]*[⁰-⁹¹²³⁻]*|(?:[^\W\d]|[∂∇⁺⁻₊₋′])+|\w*\([^()]*\)|√\w+|\|[^|]+\|")


# Macros of bibliographies whose argument is for sorting alone.
_SORT_KEYS = ("noopsort", "NOOPSORT", "SortNoop", "sortnoop", "noop", "printfirst")


def _two(reader: Reader, call: Call, mode: Mode | None = None) -> tuple[str, str, int]:
    first, at = reader.argument(call.at, call.within, mode)
    second, at = reader.argument(at, call.within, mode)
    return first.strip(), second.strip(), at


def _fraction(reader: Reader, call: Call) -> Reading:
    above, below, at = _two(reader, call, Mode.MATH)
    if not above or not below:
        return above or below or call.name, at
    above = above if _ABOVE.fullmatch(above) else f"({above})"
    below = below if _BELOW.fullmatch(below) else f"({below})"
    left = " " if call.within.math and call.before.isalnum() else ""
    right = " " if call.within.math and reader.text[at : at + 1].isalnum() else ""
    return f"{left}{above}/{below}{right}", at


def _root(reader: Reader, call: Call) -> Reading:
    degree = _DEGREE.match(reader.text, call.at, call.within.end)
    said, at = reader.argument(degree.end() if degree else call.at, call.within, Mode.MATH)
    said = said.strip()
    index = degree[1].strip() if degree else "2"
    root = {"2": "√", "3": "∛", "4": "∜"}.get(index) or f"{macros.raised(index) or index + '-'}√"
    return root + (said if not said or _ABOVE.fullmatch(said) else f"({said})"), at


def _binomial(reader: Reader, call: Call) -> Reading:
    above, below, at = _two(reader, call, Mode.MATH)
    return f"({above} choose {below})" if above and below else above or below or call.name, at


def _stacked(reader: Reader, call: Call) -> Reading:
    script, base, at = _two(reader, call)
    return base + as_script("_" if call.name == "underset" else "^", script, reader.text[at : at + 1]), at


def _placed(reader: Reader, call: Call) -> Reading:
    said, at = reader.argument(call.at, call.within)
    if reader.purpose is not Purpose.DISPLAY and not call.within.math:
        return typed_script(call.before, said) if call.name == "textsuperscript" else said, at
    return as_script("^" if call.name == "textsuperscript" else "_", said, reader.text[at : at + 1]), at


def _modulo(reader: Reader, call: Call) -> Reading:
    said, at = reader.argument(call.at, call.within)
    return f"{call.space}(mod {said})", at


def _negated(reader: Reader, call: Call) -> Reading:
    if not call.within.math:
        return call.name, call.at
    said, at = reader.argument(call.at, call.within)
    return macros.negated(said), at


def _link(reader: Reader, call: Call) -> Reading:
    address, at = reader.raw_argument(call.at, call.within)
    closing = reader.closing_brace(at, call.within)
    shown = reader.read(at + 1, call.within.inside(closing)) if closing is not None else ""
    at = at if closing is None else closing + 1
    if shown and reader.purpose is Purpose.FIELD:
        return shown, at
    if not shown or address.removesuffix("/").endswith(shown.removesuffix("/")):
        return address or call.name, at
    return f"{shown} ({address})" if address else shown, at


def _address(reader: Reader, call: Call) -> Reading:
    said, at = reader.raw_argument(call.at, call.within)
    return said or call.name, at


def _verbatim(reader: Reader, call: Call) -> Reading:
    match = _VERBATIM.match(reader.text, call.at, call.within.end)
    return (match[2], match.end()) if match else (call.name, call.at)


def _footnote(reader: Reader, call: Call) -> Reading:
    said, at = reader.argument(call.at, call.within)
    return f"{call.space}({said.strip()})" if said.strip() else "", at


def _second(reader: Reader, call: Call) -> Reading:
    """Return the second of two arguments, such as the text shown in a colour."""
    first, at = reader.argument(call.at, call.within)
    return (first, at) if reader.closing_brace(at, call.within) is None else reader.argument(at, call.within)


def _dropped(reader: Reader, call: Call) -> Reading:
    _, at = reader.raw_argument(call.at, call.within)
    return "", at if call.space else reader.after_space(at, call.within)


def _gap(reader: Reader, call: Call) -> Reading:
    _, at = reader.raw_argument(call.at, call.within)
    return call.space, reader.after_space(at, call.within)


def _environment(reader: Reader, call: Call) -> Reading:
    match = _ENVIRONMENT.match(reader.text, call.at, call.within.end)
    if not match:
        return call.name, call.at
    bracket = macros.BRACKETS.get(match[1], "  ")[call.name == "end"].strip()
    after = reader.after_space(match.end(), call.within)
    if call.within.math:
        return bracket, after if call.name == "begin" else match.end()
    return call.space if after < call.within.end else "", after


def _bracketed(reader: Reader, call: Call) -> Reading:
    said, at = reader.argument(call.at, call.within, Mode.MATH)
    brackets = macros.BRACKETS[call.name]
    return brackets[0] + said + brackets[1] if said else call.name, at


def _bullet(reader: Reader, call: Call) -> Reading:
    return f"{call.space}• ", reader.after_space(call.at, call.within)


HANDLERS: Mapping[str, Callable[[Reader, Call], Reading]] = {
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac", "nicefrac", "sfrac", "textfrac"), _fraction),
    **dict.fromkeys(("binom", "dbinom", "tbinom"), _binomial),
    **dict.fromkeys(("overset", "underset", "stackrel"), _stacked),
    **dict.fromkeys(("textsuperscript", "textsubscript"), _placed),
    **dict.fromkeys(("url", "nolinkurl", "path"), _address),
    **dict.fromkeys(("textcolor", "colorbox", "texorpdfstring", "scalebox"), _second),
    **dict.fromkeys(_SORT_KEYS, _dropped),
    **dict.fromkeys(("color", "thanks", "phantom", "hphantom", "vphantom", "tag"), _dropped),
    **dict.fromkeys(("ket", "bra", "abs", "norm", "ceil", "floor"), _bracketed),
    **dict.fromkeys(("vspace", "hspace"), _gap),
    **dict.fromkeys(("begin", "end"), _environment),
    **dict.fromkeys(("footnote", "footnotetext"), _footnote),
    "sqrt": _root,
    "pmod": _modulo,
    "not": _negated,
    "href": _link,
    "verb": _verbatim,
    "item": _bullet,
}


@lru_cache(maxsize=1024)
def is_known(name: str) -> bool:
    """Return whether this is the name of a standard LaTeX macro, or of one that many define alike."""
    if name in HANDLERS or name in macros.ABBREVIATIONS or macros.SPACES.fullmatch(name):
        return True
    if name in macros.NOTHING or name in macros.ESCAPED or macros.is_accent(name):
        return True
    return macros.is_font(name) or macros.is_switch(name, inside=True) or macros.sign(name) is not None
