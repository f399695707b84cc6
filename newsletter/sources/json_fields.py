"""Field types checked by pydantic, for sources that return JSON."""

from datetime import date, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from newsletter.config.messages import describe
from newsletter.sources.bounds import MAX_COUNT, sane_day
from newsletter.sources.links import repair_link
from newsletter.sources.text import excerpt
from newsletter.support.text import to_single_line


def _cleaned(value: object) -> object:
    return to_single_line(value) if isinstance(value, str) else value


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def _day(value: object) -> object:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError('is not a date in quotes, like "2025-11-25"')
    try:
        return sane_day(datetime.fromisoformat(value.strip()).date())
    except ValueError:
        raise ValueError("is not a date like 2025-11-25") from None


def _filled(values: list[str] | None) -> list[str]:
    return [value for value in values or [] if value]


Text = Annotated[str, BeforeValidator(_cleaned)]
"""Text in one line."""

Title = Annotated[Text, AfterValidator(_not_empty)]
"""Text that must not be empty."""

Texts = Annotated[list[Text] | None, AfterValidator(_filled)]
"""A list of texts; empty ones are left out, and null is an empty list."""

Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
"""A count, 0 or more."""

Link = Annotated[str | None, AfterValidator(repair_link)]
"""An http(s) URL, repaired if necessary; any other text becomes None."""

Day = Annotated[date | None, BeforeValidator(_day)]
"""The day of an ISO 8601 date or date-time, as written there, whatever the time zone."""


class Fields(BaseModel):
    """The fields of a source's object that the newsletter uses; others are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


def first_problem(error: ValidationError) -> str:
    """Return the first problem in one line: the field, what is wrong, and its value."""
    problem = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in problem["loc"]) or "the paper"
    if problem["type"] == "missing":
        return f"{field}: missing"
    return f"{field}: {describe(problem).partition(';')[0]}, got {excerpt(problem['input'])}"
