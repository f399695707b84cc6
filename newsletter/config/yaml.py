"""Reads YAML with line numbers, and reports errors as one line each: file, line, key, fix.

Scalars stay strings, so that ``2402.01310`` does not become a number; pydantic converts them to the type of a field.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from newsletter.config.messages import describe, quoted
from newsletter.config.suggestions import nearest_key, probable_numbers
from newsletter.config.yaml_explanations import explain, missing_space, needs_quotes
from newsletter.errors import UserError

KeyPath = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_MOST_VALUES = 20_000
"""Keys and values in a document; each use of an alias counts."""

_DEEPEST = 50
_MOST_PLACES = 3
_SECRET = ("key", "password", "signing_key", "token")
"""Keys whose values are not repeated in errors, which are logged: a secret may have been written there."""

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
        _check_scalars(node, text.splitlines(), shown)
        data = _plain(node, (), lines, shown, []) if node is not None else None
    except _TooLarge as error:
        raise UserError(f"{shown}:{error.line}: {error}") from None
    except MarkedYAMLError as error:
        line, column, said = explain(error, text.splitlines())
        raise UserError(f"{shown}:{line}:{column}: not YAML: {said}") from None
    except ReaderError as error:
        raise UserError(f"{shown}: not text: control character at {error.position}; remove it") from None
    except (YAMLError, RecursionError) as error:
        raise UserError(f"{shown}: not YAML: {str(error).splitlines()[0] or 'nested too deeply'}") from None
    return Document(shown, data, lines)


def _check_scalars(node: Node | None, lines: Sequence[str], shown: str) -> None:
    """Refuse values that YAML reads without an error, but not as they were meant: ``!name`` and a line that lacks a
    space after its colon and so continues the value above.
    """
    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, MappingNode):
            waiting += [part for pair in one.value for part in pair]
        elif isinstance(one, SequenceNode):
            waiting += one.value
        elif isinstance(one, ScalarNode) and one.style is None:
            first, last = one.start_mark.line, one.end_mark.line
            foreign = not str(one.tag).startswith("tag:yaml.org,2002:")
            said = needs_quotes(lines[first]) if foreign and first < len(lines) else None
            continued = [number for number in range(first + 1, last + 1) if number < len(lines)]
            for number in continued if one.end_mark.column or last > first else ():
                said = said or (missing_space(lines[number]) if _in_value(one, lines[number]) else None)
                first = number
            if said:
                raise UserError(f"{shown}:{first + 1}: {said}")


def _in_value(node: ScalarNode, line: str) -> bool:
    return bool(line.strip()) and " ".join(line.split()) in node.value


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
            if isinstance(key_node, MappingNode) and key_node.flow_style:
                raise UserError(f"{shown}:{line}: a value that starts with {{{{ needs quotes; put quotes around it")
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
            said = f"unknown key; {_fix_of_key(path, known, model)}"
        case "union_tag_not_found":
            other = next((key for key in problem["input"] if nearest_key(str(key), ["kind"])), None)
            said = f"missing; write 'kind' instead of {other!r}" if other else "missing; set the kind of source"
            path = (*path, "kind")
        case "union_tag_invalid":
            path, said = (*path, "kind"), f"{quoted(problem['input']['kind'])} {said}".lstrip()
        case "missing":
            pass
        case _:
            if number := _probable_number(problem, path, document, model):
                said = f"{said.partition('; write')[0]}; did you mean {number}?"
            shown = "" if path and path[-1] in _SECRET else quoted(problem["input"])
            said = f"{shown} {said}".lstrip()
    if not path:
        said = "the file must be a mapping; start with a line 'key: value'"
        return 1, f"{document.where(())}: {said}"
    key = ".".join(str(part + 1 if isinstance(part, int) else part) for part in path)
    return document.line(path), f"{document.where(path)}: {key}: {fixes.get(key, said)}"


def _fix_of_key(path: KeyPath, known: Sequence[str], model: type[BaseModel]) -> str:
    key = str(path[-1])
    elsewhere = _paths_to(key, model) if len(path) == 1 else []
    misplaced = any(place.endswith(f".{key}") for place in elsewhere)
    if key.startswith("-") and key.lstrip("- ") in known:
        return f"write '- {key.lstrip('- ')}', with a space after the dash"
    if not misplaced and (near := nearest_key(key, known)):
        return f"did you mean {near!r}?"
    if elsewhere:
        return f"did you mean {' or '.join(map(repr, elsewhere))}? indent it below {elsewhere[0].partition('.')[0]!r}"
    return f"known here: {', '.join(sorted(known))}"


def _paths_to(key: str, model: type[BaseModel]) -> list[str]:
    """Return the dotted paths of nested keys that a key at the wrong place probably means."""
    nested = {
        f"{info.alias or name}.{inner.alias or own}": inner.alias or own
        for name, info in model.model_fields.items()
        for section in _models_in(info.annotation)
        for own, inner in section.model_fields.items()
        if get_origin(info.annotation) not in (dict, list)
    }
    near = nearest_key(key, nested.values())
    return [path for path, own in nested.items() if own == near][:_MOST_PLACES]


def _probable_number(problem: ErrorDetails, path: KeyPath, document: Document, model: type[BaseModel]) -> str | None:
    """Suggest the number that a text probably means, if the model accepts it there."""
    if not problem["type"].startswith(("int_", "float_", "less_than")) or not isinstance(problem["input"], str):
        return None
    for number in probable_numbers(problem["input"]):
        try:
            model.model_validate(_with(document.data, path, number))
        except ValidationError as error:
            if any(one["loc"] == problem["loc"] for one in error.errors(include_url=False, include_context=False)):
                continue
        return number
    return None


def _with(data: Any, path: KeyPath, value: Any) -> Any:
    """Return the data with another value at a path; nothing else is copied."""
    if not path:
        return value
    copied: Any = dict(data) if isinstance(data, Mapping) else list(data)
    copied[path[0]] = _with(copied[path[0]], path[1:], value)
    return copied


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
