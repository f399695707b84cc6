"""The pages of the documentation and the code blocks in them."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {str(path.relative_to(ROOT)): path for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))}

_BLOCK = re.compile(
    r"^(?P<indent> *)(?:<!-- (?P<marker>not \w+):(?P<reason>.*?)-->\n *)?```(?P<language>\w+)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        line: where it starts in the page, from 1.
        marker: ``not run`` or ``not loaded``, if a comment above it says so, with the reason.
    """

    line: int
    language: str
    text: str
    marker: str | None
    reason: str


def blocks(page: str, *languages: str) -> list[Block]:
    """The code blocks of a page in some languages, in order."""
    text = PAGES[page].read_text()
    return [
        Block(
            line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"],
            text=textwrap.dedent(found["text"]),
            marker=found["marker"],
            reason=(found["reason"] or "").strip(),
        )
        for found in _BLOCK.finditer(text)
        if found["language"] in languages
    ]
