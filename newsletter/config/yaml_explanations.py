"""Explains YAML syntax errors in terms of the line that was written, and how to write it instead."""

import re
from collections.abc import Callable, Sequence

from ruamel.yaml.error import MarkedYAMLError

from newsletter.support.text import shorten_middle

_KEY_AND_VALUE = re.compile(
    r"(?P<start>\s*(?:-\s+)*)(?P<key>[^\s:#'\"\[{][^:#]*?):\s+(?P<value>\S.*?)(?P<comment>\s+#.*)?"
)
_ITEM = re.compile(r"(?P<start>\s*-\s+)(?P<value>\S.*?)(?P<comment>\s+#.*)?")
_NO_SPACE = re.compile(r"\s*(?:-\s+)?(?P<key>[A-Za-z_][\w-]*):(?P<value>[^\s:/].*)")
_LONGEST_LINE = 120
_STARTS = {
    "@": "is reserved",
    "`": "is reserved",
    "%": "is reserved",
    "*": "refers to another value",
    "&": "names a value",
    "!": "sets a type",
    "[": "starts a list",
    "{": "starts a mapping",
    ">": "starts a text of several lines",
    "|": "starts a text of several lines",
    '"': "starts a quoted text",
    "'": "starts a quoted text",
}
"""What the first character of a value means in YAML."""


def explain(error: MarkedYAMLError, lines: Sequence[str]) -> tuple[int, int, str]:
    """Explain a syntax error.

    Returns:
        its line and column (from 1), and what is wrong with a fix.
    """
    problem = f"{error.problem or error.context}"
    mark = error.problem_mark or error.context_mark
    start = error.context_mark or mark
    for words, at_start, explanation in _EXPLANATIONS:
        if words in problem or words in f"{error.context}":
            place = start if at_start else mark
            number = place.line if place else 0
            said = explanation(lines[number] if number < len(lines) else "")
            if said is not None:
                return number + 1, (place.column if place else 0) + 1, said
    return (mark.line if mark else 0) + 1, (mark.column if mark else 0) + 1, f"{problem}; check indents and quotes"


def missing_space(line: str) -> str | None:
    """Explain a line like ``host:localhost``; None for another line."""
    if found := re.fullmatch(r"\s*-(?=[^\s-])(.*)", line):
        return f"needs a space after the dash; write {_shown('- ' + found[1])}"
    found = _NO_SPACE.fullmatch(line.rstrip())
    if found is None:
        return None
    return f"needs a space after the colon; write {_shown(found['key'] + ': ' + found['value'])}"


def needs_quotes(line: str) -> str | None:
    """Explain a value that YAML reads as something else; None if the line has no such value."""
    found = _KEY_AND_VALUE.fullmatch(line.rstrip()) or _ITEM.fullmatch(line.rstrip())
    if found is None:
        return None
    value = found["value"]
    key = f"{found['key']}: " if "key" in found.groupdict() else "- "
    fixed = f"write {_shown(key + quote(value))}"
    if value[0] in _STARTS:
        return f"a value that starts with {value[0]} needs quotes, since {value[0]} {_STARTS[value[0]]}; {fixed}"
    if re.search(r":(\s|$)", value):
        return f'a value that contains ": " needs quotes; {fixed}'
    return None


def quote(value: str) -> str:
    """Put quotes around a value; quotes around a part of it stay."""
    if re.match(r"'[^']*\w'\w", value):
        value = value[1:].removesuffix("'")  # An apostrophe inside single quotes.
    if re.fullmatch("['\"][^'\"]*", value):
        value = value[1:]  # A quote that was never closed.
    return f"'{value}'" if '"' in value and "'" not in value else '"' + value.replace('"', '\\"') + '"'


def _shown(text: str) -> str:
    return shorten_middle(text.strip(), _LONGEST_LINE)


def _mapping_value(line: str) -> str:
    quotes = needs_quotes(line)
    if quotes is None:
        return "this line is indented further than the one above, which already has a value; align the two"
    found = _KEY_AND_VALUE.fullmatch(line.rstrip())
    inner = found and not found["start"] and re.fullmatch(r"[a-z_]+: \S.*", found["value"])
    return f"{quotes} (or, if it is a key of its own, put it on the next line, indented)" if inner else quotes


def _no_colon(line: str) -> str:
    return missing_space(line) or f"{_shown(line)!r} is neither 'key: value' nor part of a text; indent or complete it"


def _unclosed_quote(line: str) -> str:
    found = _KEY_AND_VALUE.fullmatch(line.rstrip()) or _ITEM.fullmatch(line.rstrip())
    fix = f"write {_shown(line[: found.start('value')].strip() + ' ' + quote(found['value']))}" if found else "close it"
    return f"a quote is opened here and never closed; {fix}"


def _unclosed_bracket(line: str) -> str:
    bracket = next((character for character in line if character in "[{"), "[")
    close = "]" if bracket == "[" else "}"
    return f"the bracket {bracket} is opened here and never closed; add {close}, or put quotes around a text"


_EXPLANATIONS: Sequence[tuple[str, bool, Callable[[str], str | None]]] = (
    (
        "'\\t' that cannot start",
        False,
        lambda line: (
            "a tab is used for indentation; use spaces"
            if re.match(r" *\t", line)
            else "a tab starts a value; use a space"
        ),
    ),
    ("while scanning a quoted scalar", True, _unclosed_quote),
    ("but got '<stream end>'", True, _unclosed_bracket),
    ("expected ',' or", True, lambda line: needs_quotes(line) or _unclosed_bracket(line)),
    ("mapping values are not allowed", False, _mapping_value),
    ("sequence entries are not allowed", False, lambda line: "a list starts on a line of its own; move '- ' there"),
    ("could not find expected ':'", True, _no_colon),
    ("another document", False, lambda line: "a second document starts here; keep one, without '---' lines"),
    ("block mapping start", False, lambda line: "the indent of this line fits no line above; align it with its group"),
    ("block sequence start", False, lambda line: "the indent of this line fits no line above; align it with its group"),
    ("cannot start any token", False, needs_quotes),
    ("undefined alias", False, needs_quotes),
    ("<block end>", False, needs_quotes),
    ("a comment or a line break", False, needs_quotes),
    ("while scanning", False, needs_quotes),
)
"""Words of an error, whether the line that is wrong is the one where its context starts, and the explanation."""
