"""Adds and removes entries below ``sources`` in the text of a config file; every other character stays as it is.

A YAML library that loads and dumps the file would keep comments, but neither its indents, nor line ends, nor the
wrapping of long lines. So the places are taken from the parsed nodes, and only the lines of one entry change.
"""

import io
import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from newsletter.config.yaml import parse
from newsletter.errors import UserError

_KEY = "sources"
_END_OF_DOCUMENT = re.compile(r"^\.\.\.", re.MULTILINE)


def with_entry(text: str, name: str, values: Mapping[str, Any], shown: str) -> str:
    """Return the text of a valid config file with one more source, after the others.

    Args:
        shown: the name of the file, for errors.

    Raises:
        UserError: its form leaves no place for the source.
    """
    data = parse(text, shown).data or {}
    wanted = {**data, _KEY: {**(data.get(_KEY) or {}), name: _as_parsed(values)}}
    return _verified(_with_entry(text, name, values), wanted, shown, f"add it by hand: {_flow_entry(name, values)}")


def without_entry(text: str, name: str, shown: str) -> str:
    """Return the text of a valid config file without a source. Comments stay, except those within its lines.

    Raises:
        UserError: its form does not allow it.
    """
    data = parse(text, shown).data
    left = {key: value for key, value in data[_KEY].items() if key != name}
    return _verified(_without_entry(text, name), {**data, _KEY: left}, shown, "remove it by hand")


def entry_text(name: str, values: Mapping[str, Any], step: int = 2, newline: str = "\n") -> str:
    """Return the lines of an entry in block style, without an indent of its own; lists are in one line."""
    yaml = _yaml()
    yaml.indent(mapping=step, sequence=step + 2, offset=step)
    out = io.StringIO()
    yaml.dump({name: CommentedMap({key: _in_one_line(value) for key, value in values.items()})}, out)
    return out.getvalue().replace("\n", newline)


def _verified(changed: str, wanted: Mapping[str, Any], shown: str, fix: str) -> str:
    try:
        if parse(changed, shown).data == wanted:
            return changed
    except UserError:
        pass
    raise UserError(f"{shown}: its form does not allow to change 'sources' by command; {fix}")


def _as_parsed(value: Any) -> Any:
    """Return a value as :func:`newsletter.config.yaml.parse` returns it: scalars as texts."""
    return parse(_flow({"x": value}), "").data["x"]


def _with_entry(text: str, name: str, values: Mapping[str, Any]) -> str:
    newline = _newline(text)
    root = _compose(text)
    if root is None:
        return _at_end(text, newline) + f"{_KEY}:{newline}" + _indented(entry_text(name, values, 2, newline), 2)
    step = _step(root)
    found = _pair(root, _KEY)
    if root.flow_style:
        if found is None:
            return _into_flow(text, root, f"{_KEY}: {{{_flow_entry(name, values)}}}")
        return _into_flow(text, found[1], _flow_entry(name, values))
    if found is None:
        entry = _indented(entry_text(name, values, step, newline), step)
        return _append(text, root, newline, f"{_KEY}:{newline}{entry}")
    key, node = found
    if isinstance(node, ScalarNode):  # Nothing, or null.
        if node.value:
            text = text[: node.start_mark.index].rstrip(" ") + text[node.end_mark.index :]
        entry = _indented(entry_text(name, values, step, newline), key.start_mark.column + step)
        return _insert_line(text, _line_end(text, key.end_mark.index), entry, newline)
    if not node.flow_style:
        return _into_block(text, node, newline, step, name, values)
    between = text[text.index("{", node.start_mark.index) + 1 : node.end_mark.index - 1]
    if node.value or between.strip():
        return _into_flow(text, node, _flow_entry(name, values))
    entry = _indented(entry_text(name, values, step, newline), key.start_mark.column + step)
    text = text[: node.start_mark.index].rstrip(" ") + text[node.end_mark.index :]
    return _insert_line(text, _line_end(text, key.end_mark.index), entry, newline)


def _into_block(text: str, node: MappingNode, newline: str, step: int, name: str, values: Mapping[str, Any]) -> str:
    column = node.value[0][0].start_mark.column
    inner = node.value[-1][1]
    if isinstance(inner, MappingNode) and not inner.flow_style:
        step = inner.value[0][0].start_mark.column - column
    at = _after_comments(text, _line_end(text, _end(node)), column)
    return _insert_line(text, at, _indented(entry_text(name, values, step, newline), column), newline)


def _into_flow(text: str, node: Node, entry: str) -> str:
    if node.value:
        at = _end(node.value[-1][1])
        return f"{text[:at]}, {entry}{text[at:]}"
    at = text.index("{", node.start_mark.index) + 1
    return f"{text[:at]}{entry}{text[at:]}"


def _append(text: str, root: Node, newline: str, entry: str) -> str:
    """Append to the end of the file, or of the document if it has a mark of its end."""
    marked = _END_OF_DOCUMENT.search(text, _end(root))
    if marked is None:
        return _at_end(text, newline) + newline + entry
    return text[: marked.start()] + entry + text[marked.start() :]


def _without_entry(text: str, name: str) -> str:
    root = _compose(text)
    assert root is not None  # noqa: S101 - it has a source
    _, sources = _pair(root, _KEY) or (None, root)
    place = next(place for place, (key, _) in enumerate(sources.value) if key.value == name)
    key, node = sources.value[place]
    if sources.flow_style:
        if place + 1 < len(sources.value):
            return text[: key.start_mark.index] + text[sources.value[place + 1][0].start_mark.index :]
        start = _end(sources.value[place - 1][1]) if place else key.start_mark.index
        return text[:start] + text[_end(node) :]
    start = _line_start(text, key.start_mark.index)
    end = _after_comments(text, _line_end(text, _end(node)), key.start_mark.column)
    if len(sources.value) > 1:
        return text[:start] + text[end:]
    at = _after_colon(text, (_pair(root, _KEY) or (key, node))[0])
    return f"{text[:at]} {{}}{text[at:start]}{text[end:]}"


def _compose(text: str) -> Any:
    return YAML(typ="safe", pure=True).compose(text)


def _pair(root: Any, wanted: str) -> tuple[Any, Any] | None:
    return next(((key, value) for key, value in root.value if key.value == wanted), None)


def _step(root: Any) -> int:
    """Return by how much the file indents."""
    for _, node in root.value:
        if isinstance(node, MappingNode) and node.value and not node.flow_style:
            return max(1, int(node.value[0][0].start_mark.column - root.start_mark.column))
    return 2


def _end(node: Any) -> int:
    """Return where the last value of a node ends; the node itself ends after the comments that follow."""
    if isinstance(node, ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    if not isinstance(last, tuple):
        return _end(last)
    key, value = last
    # A missing value has the place of what comes next, after all comments.
    return _end(key) if value.start_mark.index == value.end_mark.index else _end(value)


def _after_colon(text: str, key: Any) -> int:
    return text.index(":", key.end_mark.index) + 1


def _line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def _line_end(text: str, at: int) -> int:
    """Return where the line after a place starts. A text in several lines ends where the next line starts already."""
    before = text[:at].rstrip(" \t\r\n")
    found = re.compile(r"\r\n|\n|\r").search(text, len(before))
    return found.end() if found else len(text)


def _after_comments(text: str, at: int, column: int) -> int:
    """Return where the comments end that follow at once and are further to the right than ``column``."""
    while found := re.compile(rf"[ ]{{{column + 1},}}#[^\r\n]*(?:\r\n|\n|\r|\Z)").match(text, at):
        at = found.end()
    return at


def _insert_line(text: str, at: int, lines: str, newline: str) -> str:
    before = _at_end(text[:at], newline) if at == len(text) else text[:at]
    return before + lines + text[at:]


def _at_end(text: str, newline: str) -> str:
    return text if not text or text.endswith(("\n", "\r")) else text + newline


def _newline(text: str) -> str:
    found = re.search(r"\r\n|\n|\r", text)
    return found[0] if found else "\n"


def _indented(lines: str, columns: int) -> str:
    return "".join(f"{' ' * columns}{line}" for line in lines.splitlines(keepends=True))


def _flow_entry(name: str, values: Mapping[str, Any]) -> str:
    return _flow({name: dict(values)})[1:-1]


def _flow(value: Mapping[str, Any]) -> str:
    yaml = _yaml()
    yaml.default_flow_style = True
    out = io.StringIO()
    yaml.dump(dict(value), out)
    return out.getvalue().strip()


def _in_one_line(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    sequence = CommentedSeq(value)
    sequence.fa.set_flow_style()
    return sequence


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 100_000
    yaml.allow_unicode = True
    return yaml
