"""Titles and abstracts for email: LaTeX as plain Unicode text, and long texts shortened."""

import re
from unicodedata import category, combining

from newsletter.support.latex.latex_to_text import read_latex
from newsletter.support.latex.lost_backslashes import restore_backslashes
from newsletter.support.latex.references import without_references

_ANY_LATEX = ("\\", "$", "~", "`", "--", "^{")
_COMMENT_LINE = re.compile(r"^[^\S\n]*%.*\n", re.MULTILINE)

_AS_IT_IS = r"(?:https?://|www\.)\S+"
_DOUBLE_QUOTED = re.compile(rf"""{_AS_IT_IS}|`{{3,}}|(?<!`)``(?P<quoted>[^`\s](?:[^`]|`(?!`)){{0,400}}?)(?:''|")""")
_QUOTED = re.compile(rf"{_AS_IT_IS}|(?<![\w`])`(?P<quoted>[^`'\s\])](?:[^`'\n]{{0,200}}[^`'\s])?)'(?![\w'`])")
_JOINED = re.compile(
    rf"{_AS_IT_IS}"
    r"|(?P<em>(?<=[^\s\-—<!|])---(?!-)|(?<=[^\s\-—<!|] )---(?=[^\-|>]))"
    r"|(?P<en>(?<=[\w.,)\]}%\"'’”])--(?=[\w(\[\"'“‘])|(?<=[^\s\-–—|] )--(?= [^\s\-|]))"
    r"|(?P<tie>(?:(?<=[^\W\d_]{2})|(?<=[^\W\d_][.,;:])|(?<=\d)(?!~\d))~(?=[\w(\[“‘\"'])(?![A-Z]\w{0,20}\())"
)

_LOOSE_END = re.compile(r"[\s,;:–—-]+\Z")
# Zero-width joiners, skin tones and the tags of flags.
_JOINERS = frozenset(["\u200c", "\u200d", *map(chr, range(0x1F3FB, 0x1F400)), *map(chr, range(0xE0020, 0xE0080))])
_VIRAMA = 9
_HANGUL = re.compile(
    "[\u1100-\u115f][\u1100-\u11a7\uac00-\ud7a3]|[\u1160-\u11a7\uac00-\ud7a3][\u1160-\u11ff]|[\u11a8-\u11ff]{2}"
)


def latex_to_text(text: str) -> str:
    r"""Convert LaTeX in a text to readable text: "$r$ to $Q^*$" becomes "r to Q*".

    Formulas become Unicode as far as fonts support it (x², ℝᵈ, but O(n) for ``\mathcal{O}(n)``), accents become
    letters, ``--`` becomes a dash. An unknown macro is replaced by the contents of its braces, or else its name;
    citations, references and comment lines are removed. Anything that is not LaTeX stays as it is (money, paths, code
    and addresses), and so does broken LaTeX, with all its words.

    A text without backslashes, dollar signs and braces does not change when it is converted again. Neither does what
    authors write with them, unless it spells out LaTeX's own characters, as ``\$x\$`` and ``\textbackslash alpha`` do.
    The time is proportional to the length, whatever the text.
    """
    if not any(sign in text for sign in _ANY_LATEX):
        return text
    if "\\" in text:
        text = without_references(_COMMENT_LINE.sub("", text))
    return _with_signs_of_print(read_latex(text))


def readable(text: str) -> str:
    r"""Convert LaTeX in a text like :func:`latex_to_text`, also where its backslashes were lost.

    "2.33times" becomes "2.33×", and "tau^*" becomes "τ*". For texts from sites that lose them.
    """
    return latex_to_text(restore_backslashes(text))


def _with_signs_of_print(text: str) -> str:
    """Replace TeX's quotes, dashes and ties with typographic ones."""
    text = _DOUBLE_QUOTED.sub(lambda match: f"“{match['quoted']}”" if match["quoted"] else match[0], text)
    text = _QUOTED.sub(lambda match: f"‘{match['quoted']}’" if match["quoted"] else match[0], text)
    return _JOINED.sub(lambda match: {"em": "—", "en": "–", "tie": " "}.get(match.lastgroup or "", match[0]), text)


def shorten(text: str, limit: int) -> str:
    """Shorten a text to ``limit`` characters, between words, with an ellipsis for what is left out.

    A word too long for that is cut itself, but never between a letter and its combining marks, or inside an emoji.

    Raises:
        ValueError: the limit is less than 1.
    """
    if limit < 1:
        raise ValueError(f"a text cannot be shortened to {limit} characters")
    if len(text) <= limit:
        return text
    cut = limit - 1
    space = next((at for at in range(cut, limit // 2, -1) if text[at].isspace()), 0)
    while not space and _joined(text, cut):
        cut -= 1
    return _LOOSE_END.sub("", text[: space or cut]) + "…"


def _joined(text: str, at: int) -> bool:
    """Return whether the characters before and after a position are displayed as one."""
    if at <= 0:
        return False
    before, after = text[at - 1], text[at]
    if category(after)[0] == "M" or after in _JOINERS or before == "\u200d" or combining(before) == _VIRAMA:
        return True
    if _is_flag(before) and _is_flag(after):
        run = next((n for n in range(at) if not _is_flag(text[at - 1 - n])), at)
        return run % 2 == 1
    return _HANGUL.match(before + after) is not None or (
        "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff"
    )


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
