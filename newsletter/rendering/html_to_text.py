"""Plain text of the HTML of an email, for its text part.

Jinja2 tags in the HTML stay in the text, so that a text is made once and filled for each reader. Each block is a line,
which :func:`wrap_lines` breaks after it was filled.
"""

import re
from html.parser import HTMLParser
from textwrap import wrap

_WIDTH = 72
_SKIPPED = frozenset({"head", "style", "script", "title"})
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr"})
_BLOCKS = frozenset({"p", "div", "table", "tr", "td", "th", "blockquote", "pre", "ul", "ol", "li"})
_CELLS = frozenset({"td", "th"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_START = re.compile(r"^(?P<start> *(?:\* |\d+\. |> )?)(?P<text>.*)$")
_CODE = "    "


def html_to_text(html: str) -> str:
    """Convert HTML to text, one line a block, with an empty line between paragraphs; links as ``words <address>``."""
    reader = _TextReader()
    reader.feed(html)
    reader.close()
    return reader.text()


def wrap_lines(text: str) -> str:
    """Break long lines between words, with the further lines of a list item below its text, and drop repeated empty
    lines. Lines of code, with four spaces, stay.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        # A single space is what a tag at the beginning leaves.
        line = re.sub(r"^ (?! )", "", line.rstrip())
        found = _START.match(line)
        if found is None or line.startswith(_CODE) or len(line) <= _WIDTH:
            lines.append(line)
            continue
        start = found["start"]
        further = start if start.endswith("> ") else " " * len(start)
        lines += wrap(
            found["text"],
            _WIDTH,
            initial_indent=start,
            subsequent_indent=further,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


class _TextReader(HTMLParser):
    """Collects the text of a document."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._words: list[str] = []
        self._start = ""
        self._hidden: list[str] = []
        self._lists: list[int | None] = []
        self._links: list[tuple[str, int]] = []
        self._layout: list[bool] = []
        self._quotes = self._code = 0

    def text(self) -> str:
        """Return what was collected."""
        self._end_line()
        return "\n".join(self._lines)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        values = dict(attrs)
        if self._hidden or tag in _SKIPPED or _HIDDEN.search(values.get("style") or ""):
            if tag not in _VOID:
                self._hidden.append(tag)
            return
        if tag == "br":
            self._end_line()
        elif tag == "hr":
            self._paragraph()
            self._lines.append("-" * 20)
            self._paragraph()
        elif tag == "img":
            self._words.append(values.get("alt") or "")
        elif tag == "a":
            self._links.append((values.get("href") or "", len(self._words)))
        elif tag in ("ul", "ol"):
            self._list(1 if tag == "ol" else None)
        elif tag == "li":
            self._item()
        elif tag == "table":
            self._layout.append(values.get("role") == "presentation")
            self._end_line()
        elif tag in _BLOCKS | _HEADINGS:
            self._block(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Treat ``<br/>`` like ``<br>``."""
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if self._hidden:
            if tag in self._hidden:
                while self._hidden.pop() != tag:
                    pass
            return
        if tag == "a" and self._links:
            self._end_link(*self._links.pop())
        elif tag in ("ul", "ol") and self._lists:
            self._end_line()
            self._lists.pop()
            self._start = ""
            if not self._lists:
                self._paragraph()
        elif tag in _BLOCKS | _HEADINGS and not self._is_cell(tag):
            self._end_block(tag)

    def handle_data(self, data: str) -> None:
        """Add text."""
        if self._hidden:
            return
        if not self._code:
            self._words.append(data)
            return
        first, *others = data.split("\n")
        self._words.append(first)
        for line in others:
            self._end_line()
            self._words.append(line)

    def _block(self, tag: str) -> None:
        if self._is_cell(tag):
            # The cells of a row are on one line.
            self._words.append(" | " if "".join(self._words).strip() else "")
            return
        self._end_line()
        if tag in _HEADINGS and self._lines:
            self._paragraph()
        self._quotes += tag == "blockquote"
        self._code += tag == "pre"

    def _end_block(self, tag: str) -> None:
        self._end_line()
        self._quotes -= tag == "blockquote"
        self._code -= tag == "pre"
        if tag == "li":
            self._start = ""
        is_data = tag == "table" and bool(self._layout) and not self._layout.pop()
        if (is_data or tag in _HEADINGS | {"p", "pre", "blockquote"}) and not self._lists:
            self._paragraph()

    def _is_cell(self, tag: str) -> bool:
        """Return whether a tag is a cell of a table of data: the tables of MJML are there for the layout."""
        return tag in _CELLS and bool(self._layout) and not self._layout[-1]

    def _list(self, first: int | None) -> None:
        self._end_line()
        if not self._lists:
            self._paragraph()
        self._lists.append(first)

    def _item(self) -> None:
        self._end_line()
        number = self._lists[-1] if self._lists else None
        self._start = "  " * (len(self._lists) - 1) + (f"{number}. " if number is not None else "* ")
        if number is not None:
            self._lists[-1] = number + 1

    def _end_link(self, href: str, since: int) -> None:
        words = " ".join("".join(self._words[since:]).split())
        if href and not href.startswith("#") and words not in (href, href.removeprefix("mailto:")):
            self._words.append(f" <{href}>" if words else href)

    def _paragraph(self) -> None:
        """Leave an empty line before what comes."""
        self._end_line()
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def _end_line(self) -> None:
        said = "".join(self._words)
        self._words = []
        line = said.replace("\u00a0", " ").rstrip() if self._code else " ".join(said.split())
        if not line and not self._code:
            return
        start = _CODE if self._code else "> " * min(self._quotes, 1) + self._start
        self._lines.append(start + line)
        self._start = " " * len(self._start)
