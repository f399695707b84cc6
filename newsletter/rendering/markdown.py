"""Markdown to HTML for emails, with styles in line, since many mail programs ignore style sheets.

Jinja2 tags stay as they are, for each reader to be filled in. HTML in the text is shown as text.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import BaseModel, ConfigDict

from newsletter.config.yaml import check, parse
from newsletter.errors import UserError
from newsletter.rendering.template import with_stand_ins, without_stand_ins

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?P<yaml>.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_ALLOWED_LINK = re.compile(r"https?://|mailto:|jinja\d+tag", re.IGNORECASE)
_ALLOWED_IMAGE = re.compile(r"https?://|jinja\d+tag", re.IGNORECASE)
_CODE_BLOCK = re.compile(r"<pre>.*?</pre>", re.DOTALL)
_BLOCK_TAGS_ALONE = re.compile(r"<p [^<>]*>((?:\s*jinja\d+tag)+\s*)</p>")

_BREAKS = "overflow-wrap:anywhere;word-break:break-word"
_CODE = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:14px"
_STYLES = {
    "heading_open": f"margin:18px 0 8px;line-height:1.25;font-weight:700;{_BREAKS}",
    "paragraph_open": f"margin:0 0 14px;{_BREAKS}",
    "link_open": "color:{{ colour.link }};text-decoration:underline",
    "bullet_list_open": "margin:0 0 14px;padding-left:24px",
    "ordered_list_open": "margin:0 0 14px;padding-left:24px",
    "list_item_open": "margin:0 0 6px",
    "blockquote_open": "margin:0 0 14px;padding:0 0 0 14px;border-left:3px solid {{ colour.line }}",
    "code_inline": _CODE,
    "code_block": _CODE,
    "fence": f"{_CODE};white-space:pre-wrap",
    "image": "max-width:100%;height:auto;border:0",
    "table_open": "border-collapse:collapse;margin:0 0 14px",
    "th_open": "padding:4px 10px;text-align:left;border-bottom:2px solid {{ colour.line }}",
    "td_open": "padding:4px 10px;border-bottom:1px solid {{ colour.line }}",
    "hr": "border:0;border-top:1px solid {{ colour.line }};margin:18px 0",
}
_SIZES = {"h1": "23px", "h2": "19px"}


class FrontMatter(BaseModel):
    """What a Markdown file may say before its text, between lines of ``---``.

    Attributes:
        subject: the subject line. ``preheader``: what mail programs show after the subject.
    """

    model_config = ConfigDict(extra="forbid")

    subject: str = ""
    preheader: str = ""


def split_front_matter(source: str, shown: str) -> tuple[FrontMatter, str]:
    """Return the front matter of a file and its text; the text has as many lines as the file.

    Args:
        shown: the file's name, for errors.

    Raises:
        UserError: the front matter has an error; the message names the line.
    """
    found = _FRONT_MATTER.match(source)
    if found is None:
        return FrontMatter(), source
    # With the line before it, so that errors have the line of the file.
    said = check(parse("\n" + found["yaml"], shown), FrontMatter)
    return said, "\n" * found[0].count("\n") + source[found.end() :]


def first_heading(text: str) -> str | None:
    """Return the text of the first ``# heading``, None if there is none."""
    tokens = _parser().parse(text)
    for one, following in pairwise(tokens):
        if one.type == "heading_open" and one.tag == "h1":
            return "".join(child.content for child in following.children or ()).strip() or None
    return None


def markdown_to_html(text: str, shown: str) -> str:
    """Convert Markdown (CommonMark with tables and strikethrough) to HTML.

    Raises:
        UserError: a link or an image leads elsewhere than the web or an email; the message names the line.
    """
    plain, tags = with_stand_ins(text)
    parser = _parser()
    tokens = parser.parse(plain)
    for token, line in _with_lines(tokens):
        _check_link(token, f"{shown}:{line}", tags)
        style = _STYLES.get(token.type)
        if style is not None:
            size = _SIZES.get(token.tag)
            token.attrSet("style", f"{style};font-size:{size}" if size else style)
    html = _CODE_BLOCK.sub(_with_breaks, parser.renderer.render(tokens, parser.options, {}))
    return without_stand_ins(_BLOCK_TAGS_ALONE.sub(lambda found: _unwrapped(found, tags), html), tags)


def _with_breaks(found: re.Match[str]) -> str:
    """Write the lines of code as HTML: MJML joins lines and drops their indentation."""
    lines = found[0].replace("\n</code>", "</code>").split("\n")
    indented = (re.sub("^ +", lambda spaces: "&nbsp;" * len(spaces[0]), line) for line in lines)
    return "<br />".join(indented)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True}).enable(["table", "strikethrough"])
    # Otherwise a link that is not allowed would be shown as source, without a word to the author.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser


def _with_lines(tokens: list[Token]) -> Iterator[tuple[Token, int]]:
    """Yield all tokens, each with the line (from 1) of its block."""
    line = 1
    for token in tokens:
        line = token.map[0] + 1 if token.map else line
        yield token, line
        for child in token.children or ():
            yield child, line


def _check_link(token: Token, where: str, tags: list[str]) -> None:
    for name, allowed in (("href", _ALLOWED_LINK), ("src", _ALLOWED_IMAGE)):
        url = str(token.attrGet(name) or "")
        if token.attrGet(name) is not None and not allowed.match(url):
            kinds = "https or mailto" if name == "href" else "https"
            raise UserError(f"{where}: {without_stand_ins(url, tags)!r} does not work in an email; use {kinds}")


def _unwrapped(found: re.Match[str], tags: list[str]) -> str:
    """Remove the paragraph around tags that show nothing themselves, such as ``{% if %}`` on a line of its own."""
    named = [tags[int(number)] for number in re.findall(r"jinja(\d+)tag", found[1])]
    return found[1] if all(tag.startswith(("{%", "{#")) for tag in named) else found[0]
