"""Reads YAML with line numbers, and reports errors as one line each: file, line, key, fix.

Scalars stay strings, so that ``2402.01310`` does not become a number; pydantic converts them to the type of a field.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from newsletter.config.messages import describe, quoted
from newsletter.errors import UserError

KeyPath = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_MOST_VALUES = 20_000
"""Keys and values in a document; each use of an alias counts."""

_DEEPEST = 50
_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True)
class Document:
    """A YAML document as plain data, with the line (from 1) of each value by its path.

    Attributes:
        numbered: whether errors show a line; false for a line of an import, whose ``path`` already has it.
    """

    path: str
    data: Any
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    numbered: bool = True

    def line(self, path: KeyPath) -> int:
        """Return the line of the value at ``path``, or of its nearest existing parent."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def where(self, path: KeyPath) -> str:
        """Return ``file:line`` of the value at ``path``."""
        return f"{self.path}:{self.line(path)}" if self.numbered else self.path


class _TooLarge(Exception):
    """A document has too many values or is nested too deeply."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


class _BoundedComposer(Composer):
    """Stops reading when a document is too large: composing half a million values would take minutes."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self._values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._values += 1
        line = self.parser.peek_event().start_mark.line + 1
        if self._values > _MOST_VALUES:
            raise _TooLarge(line, f"more than {_MOST_VALUES:,} keys and values; remove some")
        if self.depth >= _DEEPEST:
            raise _TooLarge(line, f"nested more than {_DEEPEST} levels deep; check brackets and indents")
        return super().compose_node(parent, index)


def parse(text: str, shown: str) -> Document:
    """Parse one YAML document.

    Args:
        text: the document.
        shown: the file's name, for errors.

    Raises:
        UserError: it is not YAML, has a duplicate key or too many values, or is nested too deeply.
    """
    lines: dict[KeyPath, int] = {}
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    try:
        node = yaml.compose(text)
        data = _plain(node, (), lines, shown, []) if node is not None else None
    except _TooLarge as error:
        raise UserError(f"{shown}:{error.line}: {error}") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UserError(
            f"{shown}:{line}: not YAML: {error.problem or error.context}; check indents and quotes"
        ) from None
    except ReaderError as error:
        raise UserError(f"{shown}: not text: control character at {error.position}; remove it") from None
    except (YAMLError, RecursionError) as error:
        raise UserError(f"{shown}: not YAML: {str(error).splitlines()[0] or 'nested too deeply'}") from None
    return Document(shown, data, lines)


def _plain(node: Node, path: KeyPath, lines: dict[KeyPath, int], shown: str, above: list[Node]) -> Any:
    line = node.start_mark.line + 1
    if any(node is one for one in above):
        raise UserError(f"{shown}:{line}: an alias contains itself; write the values out")
    if len(lines) > _MOST_VALUES:
        raise _TooLarge(line, f"more than {_MOST_VALUES:,} keys and values through its aliases; write the values out")
    if len(above) >= _DEEPEST:
        raise _TooLarge(line, f"nested more than {_DEEPEST} levels deep through its aliases; write the values out")
    lines[path] = line
    inside = [*above, node]
    if isinstance(node, SequenceNode):
        return [_plain(item, (*path, index), lines, shown, inside) for index, item in enumerate(node.value)]
    if isinstance(node, MappingNode):
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                raise UserError(f"{shown}:{line}: a key must be a word; put quotes around it")
            key = str(key_node.value)
            if key in data:
                raise UserError(f"{shown}:{line}: {key}: duplicate key; keep one of them")
            data[key] = _plain(value_node, (*path, key), lines, shown, inside)
            lines[*path, key] = line
        return data
    return None if str(node.tag) == _NULL else str(node.value)


def check(document: Document, model: type[Model], fixes: Mapping[str, str] | None = None) -> Model:
    """Check a document against a pydantic model.

    Args:
        document: the result of :func:`parse`.
        model: the model; its unknown keys should be forbidden.
        fixes: messages that replace the default, by dotted key.

    Raises:
        UserError: one line for each error: ``file:line: key: what is wrong; fix``.
    """
    try:
        return model.model_validate({} if document.data is None else document.data)
    except ValidationError as error:
        found = [_describe(problem, document, model, fixes or {}) for problem in error.errors(include_url=False)]
        raise UserError(*(line for _, line in sorted(found))) from None


def _describe(
    problem: ErrorDetails, document: Document, model: type[BaseModel], fixes: Mapping[str, str]
) -> tuple[int, str]:
    """Return the line number of an error and its message."""
    path, said = _path_in(document, problem["loc"]), describe(problem)
    match problem["type"]:
        case "extra_forbidden":
            known = _known_keys(model, path[:-1])
            near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
            fix = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
            said = f"unknown key; {fix}"
        case "union_tag_not_found":
            path, said = (*path, "kind"), "missing; set the kind of source"
        case "union_tag_invalid":
            path, said = (*path, "kind"), f"{quoted(problem['input']['kind'])} {said}".lstrip()
        case "missing":
            pass
        case _:
            said = f"{quoted(problem['input'])} {said}".lstrip()
    if not path:
        said = "the file must be a mapping; start with a line 'key: value'"
        return 1, f"{document.where(())}: {said}"
    key = ".".join(str(part + 1 if isinstance(part, int) else part) for part in path)
    return document.line(path), f"{document.where(path)}: {key}: {fixes.get(key, said)}"


def _path_in(document: Document, location: tuple[str | int, ...]) -> KeyPath:
    """Remove the parts that pydantic adds to a location (union tags, ``[key]``)."""
    path: KeyPath = ()
    for index, part in enumerate(location):
        last = index == len(location) - 1
        if (*path, part) in document.lines or (last and part != "[key]"):
            path = (*path, part)
    return path


def _known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    models = [model]
    for part in path:
        if isinstance(part, int):
            continue
        inner = [
            found
            for one in models
            for name, info in one.model_fields.items()
            if part in (info.alias or name, name)
            for found in _models_in(info.annotation)
        ]
        models = inner or models
    return sorted({info.alias or name for one in models for name, info in one.model_fields.items()})


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
