"""Removes from a text with names what belongs to no name: mail addresses, links, footnotes, affiliations, titles."""

import html
import re
from collections.abc import Iterator

from newsletter.sources.latex_fields import without_latex
from newsletter.sources.text import from_html
from newsletter.support.text import to_single_line

_LINE_ENDS = re.compile(r"<(?:br|/p|/li|/div|/tr)\b[^<>]{0,200}>", re.IGNORECASE)
_SEPARATED = re.compile(r"[,;|&，、；،]|\band\b", re.IGNORECASE)
_EMAIL = re.compile(r"[<(\[]?(?:mailto:)?(?<![\w.+-])[\w.+-]{1,64}@[^\s<>()\[\],;@]{1,255}[>)\]]?", re.IGNORECASE)
_LINK = re.compile(
    r"[<(\[]?(?:https?://|www\.)[^\s<>()\[\],;]{1,500}[>)\]]?"
    r"|[<(\[]?\borcid(?:\s?id)?[\s:]{1,3}(?:\d{4}-){3}\d{3}[\dX][>)\]]?|[<(\[]?\b(?:\d{4}-){3}\d{3}[\dX][>)\]]?"
    r"|\borcid(?:\s?id)?\b(?:\s?logo)?",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"^\W*(?:(?:(?:written|posted|edited|submitted)\s)?by\b(?![-'’])|authors?\s?:|作者\s?[:：])\s?:?\s?", re.IGNORECASE
)
_AND_OTHERS = re.compile(
    r"[,;]?\s?(?<!\w)(?:(?:and|&|und|et)\s)?(?:et\.?\s?al(?:ii|\b\.?)|(?:\d{1,5}\s)?(?:(?:other|additional)\sauthors|others|more)|"
    r"co-?workers|u\.\s?a\.|и др\.)(?=\s?(?:$|[,;()]))|等\s?$|\s?(?:\.\.\.|…)(?=\s?(?:$|[,;]))",
    re.IGNORECASE,
)
_GROUP_WORDS = "collaborations?|consortium|group|team|network|investigators|committee|initiative|project|task force"
_BEHALF = re.compile(
    r"[\s,;]{0,3}(?<!\w)(?:(?:on behalf of|for)(?: the)?|representing the)\s"
    rf"(?=[^\s,;()][^,;()]{{0,150}}\b(?:{_GROUP_WORDS})\b)",
    re.IGNORECASE,
)
_GROUP = re.compile(r"\b(?:collaborations?|consortium)\s?$", re.IGNORECASE)
_SUPERSCRIPTS = "⁰¹²³⁴-⁹ᵃ-ᶻ"
_FOOTNOTES = re.compile(
    r"\$?\^(?:\{[^{}]{0,40}\}|\S)\$?" rf"|[{_SUPERSCRIPTS}](?:\s?[,˒]?\s?[{_SUPERSCRIPTS}])*" r"|[*∗†‡§¶‖#✉]+"
)
_OPENING, _CLOSING = "([（【", ")]）】"
_BRACKET = re.compile(r"[(\[（【)\]）】]")
_SEPARATOR = re.compile("[,;]")
_NUMBERED = re.compile(r"\W*\d{1,3}\s?[)\]]")

_TITLE = re.compile(
    r"^(?:(?:assoc(?:iate|\.)?|asst\.?|assistant|apl\.?|univ\.-?)\s?)?"
    r"(?:professor|prof\b\.?|dr\b\.?|mrs?\b\.?|ms\b\.|mx\b\.|dipl\.-\w{1,5}\.)(?:-ing\.)?\s?"
    r"(?:(?:h\.\s?c\.|rer\.\s?nat\.|med\.|phil\.|ing\.|habil\.)\s?)*(?=\S+\s?\S)",
    re.IGNORECASE,
)
_DEGREE = (
    r"(?:ph\.?\s?d|m\.?d|d\.?phil|d\.?sc|m\.?sc|b\.?sc|m\.?b\.?a|m\.?p\.?h|mbbs|mbchb|pharm\.?d|dvm|esq|frs|frcp|fracp|"
    r"dr\.?\s?ph|ll\.?m|r\.?n)\.?"
)
_DEGREES = re.compile(_DEGREE, re.IGNORECASE)
_LAST_DEGREE = re.compile(r"(?<=[^\W\d_.][^\W\d_.])\s(?:Ph\.?\s?D|M\.D|D\.?Phil|M\.Sc|MSc|MBBS|PharmD|MPH)\.?$")
_FULL_STOP = re.compile(r"(?<=[^\W\d_]{3})(?<!\b(?:inc|ltd|llc|plc))(?<!\bcorp)(?<!\bgmbh)\.$", re.IGNORECASE)
_AROUND = " ,;:·-–—/'\"“”«»_"


def plain_names(text: str) -> str:
    """Return a text with names as plain text in one line, without what belongs to no name.

    Lines become a list separated by semicolons if nothing else separates the names.
    """
    text = _in_one_line(_LINE_ENDS.sub("\n", text))
    if "@" in text:
        text = _EMAIL.sub(" ", text)
    if "//" in text or "www." in text or "-" in text or "rcid" in text.lower():
        text = _LINK.sub(" ", text)
    text = _LABEL.sub("", _FOOTNOTES.sub("", text))
    if _BRACKET.search(text):
        text = "".join(_without_brackets(text))
    return to_single_line(_BEHALF.sub(", ", _AND_OTHERS.sub("", text)))


def _in_one_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and not _SEPARATED.search(text) and all(1 < len(line.split()) < 6 for line in lines):
        text = ";".join(lines)
    if "^" in text:
        text = _FOOTNOTES.sub("", text)
    if "\\" in text:
        text = without_latex(text)
    return html.unescape(from_html(text))


def _without_brackets(text: str) -> Iterator[str]:
    """Yield the parts of a text outside brackets, and those in brackets that are all there is of a name, as in
    "(Ada Smith), (Bo Jones)", or name whom the author speaks for. A bracket that stays open ends with the name.
    """
    depth, end, start = 0, 0, 0
    separated = True  # Nothing but white space since the last separator.
    for bracket in _BRACKET.finditer(text):
        if bracket[0] in _OPENING:
            if depth == 0:
                yield (before := text[end : bracket.start()])
                separated = not before.strip(" ") if before.strip() == "" and separated else _ends_open(before)
                start = bracket.end()
            depth += 1
            continue
        if depth == 0:
            yield text[end : bracket.start()] + " "
        elif depth == 1:
            yield _bracketed(text[start : bracket.start()], separated)
        depth = max(depth - 1, 0)
        if depth == 0:
            end = bracket.end()
    if depth == 0:
        yield text[end:]
        return
    open_end = text[start:]
    rest = _SEPARATOR.search(open_end)
    if separated:
        yield f" {open_end}"
    elif rest:
        yield open_end[rest.start() :]


def _ends_open(before: str) -> bool:
    return before.rstrip().endswith((",", ";", "；", "，", " and", "&"))


def _bracketed(content: str, is_name: bool) -> str:
    if _BEHALF.match(content):
        return f", {_BEHALF.sub('', content)}"
    if _GROUP.search(content):
        return f", {content}, "
    if is_name and not _NUMBERED.match(content) and any(map(str.isalpha, content)):
        return f" {content} "
    return " "


def without_titles(name: str) -> str:
    """Return one name without titles and degrees ("Prof. Dr.", "PhD"), and without marks at its ends."""
    bare = name.strip(_AROUND).lstrip(".")
    while title := _TITLE.match(bare):
        bare = bare[title.end() :]
    return _FULL_STOP.sub("", _LAST_DEGREE.sub("", bare)).strip(_AROUND)


def is_degree(text: str) -> bool:
    """Return whether a text is an academic degree alone, such as "Ph.D."."""
    return _DEGREES.fullmatch(text) is not None
