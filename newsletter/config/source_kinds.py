"""The kinds of sources as the settings classes describe them, for those who add a source by command."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import PurePath
from typing import Any, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from newsletter.config.base import Settings
from newsletter.config.messages import describe, quoted
from newsletter.config.sources import SourceSettings
from newsletter.config.suggestions import nearest_key, nearest_value
from newsletter.config.yaml import parse
from newsletter.errors import UserError

_SECRET = re.compile("(^|_)key$|apikey|password|secret|token", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SettingField:
    """A field of a kind of source.

    Attributes:
        description: what it means; empty if the class does not say.
        default: as written in a file, None without one.
        is_list: whether it takes several values.
    """

    name: str
    description: str
    required: bool
    default: str | None
    is_list: bool
    _is_nested: bool = False

    def parse(self, text: str) -> Any:
        """Return the value of an answer: of a list its parts, separated by commas, else the text.

        Raises:
            UserError: it starts with a bracket, as YAML does, and is not YAML.
        """
        text = text.strip()
        if (self.is_list or self._is_nested) and text[:1] in ("[", "{"):
            return parse(text, self.name).data
        return [part.strip() for part in text.split(",") if part.strip()] if self.is_list else text


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A kind of source: its ``name`` as in config.yaml, ``summary`` in one line, and its fields in their order."""

    name: str
    summary: str
    fields: Mapping[str, SettingField]
    _settings: type[Settings]

    def settings(self, values: Mapping[str, Any]) -> Any:
        """Check the values of all fields and return the settings.

        Raises:
            UserError: one line for each problem, ``field: what is wrong; fix``.
        """
        try:
            return self._settings.model_validate({"kind": self.name, **values})
        except ValidationError as error:
            raise UserError(*_problems(error)) from None

    def check(self, field: str, value: Any) -> None:
        """Check the value of one field, whatever the others are.

        Raises:
            UserError: one line for each problem.
        """
        try:
            self._settings.model_validate({"kind": self.name, field: value})
        except ValidationError as error:
            if problems := _problems(error, field):
                raise UserError(*problems) from None

    def find(self, name: str) -> SettingField:
        """Return the field of a name.

        Raises:
            UserError: there is none.
        """
        if name in self.fields:
            return self.fields[name]
        if _SECRET.search(name):
            raise UserError(
                f"{name}: a secret does not belong in config.yaml; set the environment variable that "
                "docs/reference/sources.md names for this kind of source"
            )
        near, known = nearest_key(name, self.fields), ", ".join(self.fields) or "none"
        raise UserError(f"{name}: unknown for {self.name}; {f'did you mean {near!r}?' if near else f'known: {known}'}")


def source_kinds() -> dict[str, SourceKind]:
    """Return all kinds of sources, in the order of the settings."""
    union = get_args(SourceSettings)[0]
    classes: tuple[type[Settings], ...] = get_args(union) or (union,)
    return {
        name: SourceKind(name, _summary(one), _fields(one), one)
        for one in classes
        for name in get_args(one.model_fields["kind"].annotation)
    }


def find_kind(name: str) -> SourceKind:
    """Return the kind of a name.

    Raises:
        UserError: there is none.
    """
    kinds = source_kinds()
    if name not in kinds:
        near = nearest_value(name, kinds)
        fix = f"did you mean {near!r}?" if near else f"known kinds: {', '.join(kinds)}"
        raise UserError(f"KIND: {name!r} is not a kind of source; {fix}")
    return kinds[name]


def _summary(settings: type[Settings]) -> str:
    paragraph = (settings.__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split())


def _fields(settings: type[Settings]) -> dict[str, SettingField]:
    return {
        info.alias or name: SettingField(
            info.alias or name,
            info.description or "",
            info.is_required(),
            _shown(info),
            _has(info.annotation, list),
            _has(info.annotation, dict) or _has(info.annotation, BaseModel),
        )
        for name, info in settings.model_fields.items()
        if name != "kind"
    }


def _shown(info: FieldInfo) -> str | None:
    """Return a default as one would write it in a file; None for none."""
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined or value in ([], {}, ()):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _has(annotation: Any, wanted: type) -> bool:
    """Return whether a type is, or has in a union, a kind of list, mapping or model."""
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type):
        return issubclass(origin, wanted) or (wanted is list and issubclass(origin, tuple | set | frozenset))
    return any(_has(argument, wanted) for argument in get_args(annotation))


def _problems(error: ValidationError, field: str | None = None) -> list[str]:
    """Return a line for each problem, or only for those of a field."""
    lines = []
    for problem in error.errors(include_url=False):
        place = problem["loc"]
        if field is not None and place[:1] != (field,):
            continue
        if problem["type"] == "value_error" and not place:
            lines.append(describe(problem))
            continue
        name = ".".join(str(part + 1) if isinstance(part, int) else part for part in place)
        value = "" if _SECRET.search(name) or problem["type"] == "missing" else quoted(problem["input"])
        lines.append(f"{name}: {value} {describe(problem)}".replace("  ", " "))
    return lines


def suggested_name(settings: Settings, taken: Container[str]) -> str:
    """Return a free name for a source: of a required URL its host, of a required path its stem, else its kind."""
    required = [getattr(settings, name) for name, info in type(settings).model_fields.items() if info.is_required()]
    named = [name for value in required if (name := _name_in(value))]
    base = named[0] if named else str(settings.model_dump()["kind"])
    return next(name for name in chain([base], (f"{base}-{number}" for number in count(2))) if name not in taken)


def _name_in(value: object) -> str:
    """Return the host of a URL, or the stem of a path, as a name; empty for other values."""
    name = ""
    if isinstance(value, PurePath):
        name = value.stem
    elif isinstance(value, str) and value.startswith(("http://", "https://")):
        name = (urlsplit(value).hostname or "").removeprefix("www.")
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")
