"""Remains of markup in a text that was converted to plain text already, and citations."""

import html
import re

# Of HTML and JATS; other words in angle brackets are the authors' own, as "<think>" is.
_TAGS = (
    r"(?:b|i|em|strong|su[bp]|p|br|span|div|a|u|tt|code|pre|title|sec|[ou]l|li|h\d|italic|bold|sc|"
    r"(?:jats|mml):[a-z-]{1,20})"
)
_TAG = re.compile(rf"</?{_TAGS}(?:\s[^<>]{{0,200}})?/?>", re.IGNORECASE)
_LINK = re.compile(r"\[([^\[\]\n]{1,200})\]\([^()\s]{1,300}\)")
_STRONG = re.compile(r"(?<![\w*])(\*{1,3})(?=\S)([^*\n]{1,200}?)(?<=\S)\1(?![\w*])")
_EMPHASIS = re.compile(r"(?<!\w)(_{1,2})(?=\S)([^_\n]{1,200}?)(?<=\S)\1(?!\w)")
_CODE = re.compile(r"`+([^`\n]{1,200})`+")
_YEAR = r"(?:19|20)\d\d[a-z]?"
_CITATION = re.compile(
    rf"\s*(?:\((?:see |e\.g\.,? |cf\. )?[A-Z][^()]{{1,160}},? {_YEAR}\)|"
    rf"\[\d{{1,3}}(?:\s*[,–-]\s*\d{{1,3}}){{0,12}}\]|\[[A-Z][^\[\]]{{1,160}} {_YEAR}\])"
)
_ADDRESS_ASIDE = re.compile(r"\s*\((?:[^()]{0,80}\s)?(?:https?://|www\.)[^()\s]{1,300}(?:\s[^()]{0,60})?\)")
_SPACE_BEFORE = re.compile(r"\s+(?=[,.;:!?](?:\s|$))")

_DEBRIS = re.compile(
    r"""\\ | [\^`] | [_^]\{ | \$(?!\ ?\d) | (?<!\w)_(?=\w) | \*\*
    | \{(?![^{}]{1,40},[^{}]{1,40}\}) | ^[^{]*\}
    | \d(?:times|approx|geq|leq|cdot|pm)\b | \b(?:approx|sim|geq|leq|pm)\d
    | &(?:[a-z]{2,8}|\#\d{1,5}); | </?"""
    + _TAGS
    + "/?>",
    re.VERBOSE | re.IGNORECASE,
)
_PERHAPS = re.compile(r"[\\^`_$*{}&<\d]")  # All debris has one of these, and few sentences have.
_SCRIPT = re.compile(r"[_^]\{([^{}]{0,100})\}")
_GLUED = {"times": "×", "approx": "≈", "geq": "≥", "leq": "≤", "cdot": "·", "pm": "±", "sim": "∼"}
_AFTER_NUMBER = re.compile(r"(?<=\d)(?:times|approx|geq|leq|cdot|pm)\b", re.IGNORECASE)
_BEFORE_NUMBER = re.compile(r"\b(?:approx|sim|geq|leq|pm)(?=\d)", re.IGNORECASE)
_REST = re.compile(rf"[\\^`{{}}]+|\*\*+|\$(?! ?\d)|(?<!\w)_+(?=\w)|</?{_TAGS}/?>|&+(?=[a-z#])", re.IGNORECASE)
_ANY_MARK = re.compile(r"[\\^`{}$<>&_*]")
_ROUNDS = 4


def without_markup(text: str) -> str:
    """Return a text in one line without the marks of Markdown and HTML, citations and addresses in parentheses.

    The result is never longer than the text.
    """
    if "<" in text or "&" in text:
        text = _TAG.sub("", html.unescape(text))
    if "[" in text or "(" in text:
        text = _ADDRESS_ASIDE.sub("", _CITATION.sub("", _LINK.sub(r"\1", text)))
    if "*" in text or "_" in text or "`" in text:
        text = _CODE.sub(r"\1", _EMPHASIS.sub(r"\2", _STRONG.sub(r"\2", text)))
    return _SPACE_BEFORE.sub("", " ".join(text.split()))


def has_debris(text: str) -> bool:
    r"""Return whether a text has remains of markup: ``\times``, ``_{``, ``x^*``, ``2.33times``."""
    return _PERHAPS.search(text) is not None and _DEBRIS.search(text) is not None


def without_debris(text: str) -> str:
    """Return a text without any remains of markup; readable, but a formula in it may have lost its form."""
    for _ in range(_ROUNDS):
        text = _SCRIPT.sub(r"(\1)", text)
        for pattern in (_AFTER_NUMBER, _BEFORE_NUMBER):
            text = pattern.sub(lambda found: _GLUED[found[0].lower()], text)
        text = _REST.sub("", text)
        if not has_debris(text):
            break
    else:
        text = _BEFORE_NUMBER.sub("", _AFTER_NUMBER.sub("", _ANY_MARK.sub(" ", text)))
    return " ".join(text.split())
