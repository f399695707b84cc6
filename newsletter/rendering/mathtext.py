"""Titles and abstracts as mail can show them: LaTeX as plain text in Unicode."""

import re

from newsletter.rendering.latex import read_latex

_ANY_LATEX = re.compile(r"[\\$~`]|--|\^\{")
_REFERENCES = (
    r"[cC]ite\w{0,12}|(?:paren|text|auto|foot|no|full)cite|(?:page|name|auto|eq|[cC])?ref|label|index|bibliography"
)
_REFERENCE = rf"\\(?:{_REFERENCES})\*?(?:\[[^\[\]]{{0,200}}\]){{0,2}}\{{[^{{}}]*\}}"
_REFERRING = re.compile(rf"(?<![\s~])[\s~]*(?:\({_REFERENCE}\)|\[{_REFERENCE}\]|{_REFERENCE})(?P<on>\w?)")
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


def plain(text: str) -> str:
    r"""A text without its LaTeX, for people to read: "$r$ to $Q^*$" as "r to Q*".

    Formulas become Unicode as far as fonts have it (x², ℝᵈ, but O(n) for ``\mathcal{O}(n)``), accents letters, ``--`` a
    dash. A macro that nobody knows leaves what stands in its braces, or else its name; citations, references and lines
    of comment go. What is no LaTeX stays as it is, money, paths, code and addresses, and so does LaTeX that is broken,
    with all its words.

    A text without backslashes, dollar signs and braces stays the same when it is read a second time. So does what
    authors write with them, unless it spells out LaTeX's own signs, as ``\$x\$`` and ``\textbackslash alpha`` do.
    It takes time in proportion to the length, whatever the text.
    """
    if not _ANY_LATEX.search(text):
        return text
    if "\\" in text:
        text = _REFERRING.sub(_without_reference, _COMMENT_LINE.sub("", text))
    return _with_signs_of_print(read_latex(text))


def _without_reference(match: re.Match[str]) -> str:
    return f" {match['on']}" if match["on"] else ""


def _with_signs_of_print(text: str) -> str:
    """Quotes, dashes and ties as print has them, where they are TeX's."""
    text = _DOUBLE_QUOTED.sub(lambda match: f"“{match['quoted']}”" if match["quoted"] else match[0], text)
    text = _QUOTED.sub(lambda match: f"‘{match['quoted']}’" if match["quoted"] else match[0], text)
    return _JOINED.sub(lambda match: {"em": "—", "en": "–", "tie": " "}.get(match.lastgroup or "", match[0]), text)
