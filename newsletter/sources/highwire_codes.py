"""Codes that bioRxiv and medRxiv leave in abstracts where their pages have labels, small capitals, lists and figures.

They are not documented; these are the ones that the details API returns. Other services pass them on.
"""

import re

from newsletter.support.latex import macros

_ANY = re.compile(r"[OoCM]_[A-Z]{2}|org\.highwire\.|_HPS_")
_FIGURE = re.compile(
    r"(?:(?:graphical|visual) abstract|(?:graphical )?TOC(?: graphic)?)?[\s:]*"
    r"O_(?P<kind>FIG|TBL|INLINEFIG|TABLECAPTION|FLOATNO)(?:(?!O_(?P=kind)).){0,20000}?C_(?P=kind)",
    re.DOTALL | re.IGNORECASE,
)
_DEBRIS = re.compile(
    r"O_LINKSMALLFIG[^>]{0,500}>|View larger version \(\d+K\):|View this table:|org\.highwire\.[\w.]{1,60}?@[0-9a-f]+"
    r"|_HPS_FORMAT_FIGEXP|[OCM]_(?:FIG|TBL|INLINEFIG|TABLECAPTION|FLOATNO)"
)
_LABEL = re.compile(r"O_ST_ABS\s*([^\n]{0,100}?)\s*[:.]?\s*C_ST_ABS[:.]?")
_SMALL_CAPITALS = re.compile(r"[OC]_SCP(?:LOW|CAP)")
_LABEL_IN_CAPITALS = re.compile(r"^[^\S\n]{0,9}([A-Z])O_SCPLOW([A-Z ]{2,30})C_SCPLOW[\s:.]*", re.MULTILINE)
_LIST = re.compile(r"[OoCc]_(?:LI|LST|QD|TEXTBOX|ST_ABS)")
_WORDS = (
    "abstract|aims?|author summary|background|conclusions?|discussion|findings?|funding|highlights?|importance"
    "|interpretation|introduction|(?:materials? and )?methods?|methodology|motivation|objectives?|purpose|rationale"
    "|results?|significance|summary"
)
_LABEL_WORDS = re.compile(_WORDS, re.IGNORECASE)
# A label that lost even its code: a paragraph that begins with "BackgroundSingle-cell".
_GLUED_LABEL = re.compile(rf"^[^\S\n]{{0,9}}((?i:{_WORDS}))(?=[A-Z][a-z]|[A-Z]{{2,}}[a-z]?\s|[A-Z] )", re.MULTILINE)
_UNTITLED = frozenset(["abstract", "summary"])

_SYMBOL = re.compile(
    r"(?P<word>(?<![\w-])[A-Za-z]?[a-z]+)?(?:\{(?P<name>[A-Za-z]{2,18}|\+/-|middle dot)\}"
    r"|\[(?P<sign>[^\[\]\w\s]|&?[a-z]{2,9};?|-(?:>|&gt;)|<-|&lt;-)\])"
)
_NAMES = {"+/-": "±", "middle dot": "·", "degrees": "°", "degree": "°", "micro": "µ", "plusmn": "±", "square": "²"}
_SIGNS = {
    "ge": "≥", "le": "≤", "isin": "∈", "ap": "≈", "asymp": "≈", "approx": "≈", "sim": "∼", "rarr": "→", "larr": "←",
    "harr": "↔", "uarr": "↑", "darr": "↓", "infin": "∞", "cong": "≅", "equiv": "≡", "ne": "≠", "->": "→", "<-": "←",
    "gt": ">", "lt": "<", "sum": "∑", "radic": "√", "empty": "∅", "cap": "∩", "cup": "∪",
}  # fmt: skip
_ENTITY_MARKS = re.compile(r"^&|;$")


def without_codes(text: str) -> str:
    """Return a text without codes and what remains of figures and tables; labels of sections end in a colon.

    The text still has its white space: labels are recognised at the beginning of a paragraph.
    """
    if not _ANY.search(text):
        return text
    text = _DEBRIS.sub(" ", _FIGURE.sub(" ", text))
    text = _LABEL_IN_CAPITALS.sub(_in_capitals, text)
    text = _LABEL.sub(lambda found: f"\n{_label(found[1])}", _SMALL_CAPITALS.sub("", text))
    return with_labels(_LIST.sub(" ", text))


def with_labels(text: str) -> str:
    """Return a text in which labels of sections that run into their paragraph end in a colon."""
    return _GLUED_LABEL.sub(lambda found: _label(found[1]), text)


def with_symbols(text: str) -> str:
    """Return a text with characters for the names that bioRxiv writes: ``{beta}``, ``{+/-}``, ``[&ge;]``, ``[~]``."""
    return _SYMBOL.sub(_symbol, text) if "{" in text or "[" in text else text


def _label(label: str) -> str:
    label = " ".join(label.split()).rstrip(":.")
    return "" if label.lower() in _UNTITLED or not label else f"{label}: "


def _in_capitals(found: re.Match[str]) -> str:
    label = f"{found[1]}{found[2]}"
    return _label(label) if _LABEL_WORDS.fullmatch(label) else found[0]


def _symbol(found: re.Match[str]) -> str:
    word, name, sign = found["word"] or "", found["name"], found["sign"]
    if name:
        character = _NAMES.get(name) or macros.sign(name)
        # The space between a word and a symbol is lost: "identity{tau} within".
        ends = found.string[found.end() : found.end() + 1]
        word += " " if len(word) > 1 and name not in _NAMES and (not ends or ends in " ,.;:)") else ""
    else:
        bare = sign.replace("&gt;", ">").replace("&lt;", "<")
        character = _SIGNS.get(_ENTITY_MARKS.sub("", bare)) or (bare if len(bare) == 1 and not bare.isalnum() else None)
    return f"{word}{character}" if character and len(character) == 1 else found[0]
