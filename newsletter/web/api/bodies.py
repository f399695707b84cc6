"""Request bodies of the write API: what every text in them may contain, and types of their fields."""

import math
import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)

from newsletter.support.tags import valid_tag

_DEEPEST = 20
_MOST_VALUES = 20_000
_FIRST_YEAR, _LAST_YEAR = 1970, 9000
_Moment = TypeVar("_Moment", bound=date)


class Body(BaseModel):
    """A request's body; unknown keys are rejected, since ignoring them would hide mistakes."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_plain_texts(cls, given: Any) -> Any:
        for number, (where, value) in enumerate(_values(given)):
            if number > _MOST_VALUES:
                raise ValueError(f"has more than {_MOST_VALUES:,} values; send fewer")
            if len(where) > _DEEPEST:
                raise ValueError(f"{where[0]}: is nested too deeply; use {_DEEPEST} levels at most")
            if problem := _problem(value):
                raise ValueError(f"{'.'.join(where)}: {problem}" if where else problem)
        return given


def _values(given: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the values within a value, and keys, each with where it is."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), given)]
    while waiting:
        where, value = waiting.pop()
        yield where, value
        if isinstance(value, dict):
            yield from ((where, key) for key in value)
            waiting += [((*where, str(key)), one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [((*where, str(index + 1)), one) for index, one in enumerate(value)]


def _problem(value: Any) -> str:
    if isinstance(value, str) and not value.isprintable() and any(map(_is_control, value)):
        return "has a control character or an incomplete Unicode character; remove it"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a number of JSON; write one like 0.5"
    return ""


def _is_control(character: str) -> bool:
    return character not in "\t\n\r" and unicodedata.category(character) in ("Cc", "Cs")


def _in_one_line(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise ValueError("has a line break; write it on one line")
    return text


def _some_text(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; enter a value")
    return text


def _written(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("is not a time; write it like 2026-02-01T09:00:00Z")
    return value


def _in_range(moment: _Moment) -> _Moment:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"is not a time in the years {_FIRST_YEAR} to {_LAST_YEAR}; correct it")
    return moment


def as_utc(moment: datetime) -> datetime:
    """Convert a time with an offset to UTC."""
    return moment.astimezone(UTC)


def as_clock_time(moment: datetime) -> datetime:
    """Convert a time without an offset, which clocks show, to how it is stored: as if it were in UTC."""
    return moment.replace(tzinfo=UTC)


Line = Annotated[str, AfterValidator(_in_one_line)]
"""A text without line breaks, so that it can be a header of an email."""

SomeLine = Annotated[Line, AfterValidator(_some_text)]

Tag = Annotated[
    str,
    Field(min_length=1, max_length=50, description="Lower-case letters, digits and `-`.", examples=["beta-testers"]),
    AfterValidator(valid_tag),
]
Address = Annotated[Line, Field(min_length=3, max_length=254, json_schema_extra={"format": "email"})]
Whole = Annotated[int, Strict()]
YesOrNo = Annotated[bool, Strict()]
Time = Annotated[
    AwareDatetime,
    BeforeValidator(_written),
    AfterValidator(_in_range),
    AfterValidator(as_utc),
    Field(description="With its offset from UTC, like `2026-02-01T09:00:00Z`.", examples=["2026-02-01T09:00:00Z"]),
]
"""A time, converted to UTC."""

Day = Annotated[date, BeforeValidator(_written), AfterValidator(_in_range)]

ClockTime = Annotated[datetime, BeforeValidator(_written), AfterValidator(_in_range)]
"""A time with or without an offset."""
