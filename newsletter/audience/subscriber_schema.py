"""What a subscriber's file may contain: keys, types, short forms and bounds."""

import calendar
import re
import textwrap
from collections.abc import Mapping, Sequence
from datetime import time
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from newsletter.alerts.query import parse_query
from newsletter.audience.identifiers import (
    valid_cited,
    valid_key_place,
    valid_openalex_author,
    valid_orcid,
    valid_ror,
    valid_zotero_id,
)
from newsletter.config.fields import TimeOfDay, Timezone, plain_address
from newsletter.config.messages import key_for_text
from newsletter.config.suggestions import nearest_key, nearest_value
from newsletter.model import (
    Day,
    EventKind,
    Layout,
)
from newsletter.support.tags import valid_tag
from newsletter.support.text import to_single_line

MOST_INTERESTS = 100
_MOST_KEYWORDS = 500
_MOST_LIKED = 5_000
_MOST_AUTHORS = 1_000
_MOST_CATEGORIES = 200
_MOST_NEVER = 500
_MOST_LIBRARIES = 20
_MOST_COLLECTIONS = 200
_MOST_ALERTS = 500
_MOST_TAGS = 100

_LONGEST_TEXT = 20_000
_LONGEST_ENTRY = 1_000
"""Characters of a keyword, a title, an author, a category or a never-word."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _weighted(value: object) -> object:
    if isinstance(value, str):
        return {value: 1.0}
    if not isinstance(value, list):
        return value
    weighted: dict[object, object] = {}
    for item in value:
        if not isinstance(item, str | dict):
            return value
        weighted.update(item if isinstance(item, dict) else {item: 1.0})
    return weighted


def _some_text(text: str) -> str:
    cleaned = to_single_line(text)
    if not cleaned:
        raise ValueError("is empty; enter a value, or remove the line")
    return cleaned


_DAYS: Mapping[str, Sequence[str]] = {
    "daily": list(Day),
    "weekdays": list(Day)[:5],
    "weekend": list(Day)[5:],
    "weekly": [Day.MON],
    **{long: [day] for day, long in zip(Day, map(str.lower, calendar.day_name), strict=True)},
}


def _days(value: object) -> object:
    listed = _listed(value)
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        return listed
    words = [word for item in listed for word in re.split(r"[,;\s]+", item.lower()) if word]
    days = {day for word in words for day in _DAYS.get(word, [word])}
    for word in days - set(Day):
        if (near := nearest_value(word, [*Day, *_DAYS])) and near not in list(Day):
            said = "is" if word == str(value).lower() else f"has {word!r}, which is"
            raise ValueError(f"{said} not a day; did you mean {near!r}?")
    return sorted(days, key=lambda day: [*Day, day].index(day))


def _interest_or_name(value: object) -> object:
    if isinstance(value, str):
        return {"name": textwrap.shorten(value, 80, placeholder=" …"), "text": value}
    if isinstance(value, Mapping) and len(value) == 1:
        key, text = next(iter(value.items()))
        if isinstance(text, str) and nearest_key(str(key), InterestSchema.model_fields) is None:
            raise ValueError(key_for_text(str(key), text))
    return value


Text = Annotated[str, Field(max_length=_LONGEST_ENTRY), AfterValidator(_some_text)]
Texts = Annotated[list[Text], BeforeValidator(_listed)]
Weight = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


class _Values(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _several(value: object) -> object:
    return [value] if isinstance(value, str | Mapping) else value


def _without_repeats(kinds: list[EventKind]) -> list[EventKind]:
    return [kind for kind in EventKind if kind in kinds]


class _Zotero(_Values):
    user: Annotated[str, AfterValidator(valid_zotero_id)] | None = None
    group: Annotated[str, AfterValidator(valid_zotero_id)] | None = None
    collections: Annotated[Texts, Field(max_length=_MOST_COLLECTIONS)] = []
    key: Annotated[str, AfterValidator(valid_key_place)] = ""

    @model_validator(mode="after")
    def _one_owner(self) -> Self:
        if (self.user is None) == (self.group is None):
            raise ValueError("needs either 'user' or 'group'; https://www.zotero.org/settings/keys shows your user ID")
        return self


class _Person(_Values):
    name: Text = ""
    orcid: Annotated[str, AfterValidator(valid_orcid)] | None = None


class _Institution(_Values):
    name: Text = ""
    ror: Annotated[str, AfterValidator(valid_ror)] | None = None


def _named_only(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _query_only(value: object) -> object:
    return {"query": value} if isinstance(value, str) else value


def _valid_query(text: str) -> str:
    try:
        parse_query(text)
    except ValueError as error:
        raise ValueError(f"is not a query: {error}") from None
    return text


class AlertSchema(_Values):
    """An alert in such a file."""

    query: Annotated[Text, AfterValidator(_valid_query)] | None = None
    author: Annotated[_Person, BeforeValidator(_named_only)] | None = None
    institution: Annotated[_Institution, BeforeValidator(_named_only)] | None = None
    cites: Annotated[str, AfterValidator(valid_cited)] | None = None
    name: Annotated[str, Field(max_length=100), AfterValidator(to_single_line)] = ""
    always: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(value is not None for value in (self.query, self.author, self.institution, self.cites)) != 1:
            raise ValueError("needs exactly one of 'query', 'author', 'institution' and 'cites'")
        if self.author is not None and not (self.author.name or self.author.orcid):
            raise ValueError("'author' needs a 'name', an 'orcid' or both")
        if self.institution is not None and not (self.institution.name or self.institution.ror):
            raise ValueError("'institution' needs a 'name', a 'ror' or both")
        return self


class InterestSchema(_Values):
    """An interest in such a file."""

    name: Annotated[Text, Field(max_length=100)]
    text: Annotated[str, Field(max_length=_LONGEST_TEXT)] = ""
    keywords: Annotated[dict[Text, Weight], BeforeValidator(_weighted), Field(max_length=_MOST_KEYWORDS)] = {}
    liked: Annotated[Texts, Field(max_length=_MOST_LIKED)] = []
    disliked: Annotated[Texts, Field(max_length=_MOST_LIKED)] = []
    authors: Annotated[Texts, Field(max_length=_MOST_AUTHORS)] = []
    categories: Annotated[Texts, Field(max_length=_MOST_CATEGORIES)] = []
    zotero: Annotated[list[_Zotero], BeforeValidator(_several), Field(max_length=_MOST_LIBRARIES)] = []
    file: Annotated[Texts, Field(max_length=_MOST_LIBRARIES)] = []
    upload: Annotated[Texts, Field(max_length=_MOST_LIBRARIES)] = []
    orcid: Annotated[
        list[Annotated[str, AfterValidator(valid_orcid)]], BeforeValidator(_listed), Field(max_length=_MOST_LIBRARIES)
    ] = []
    openalex: Annotated[
        list[Annotated[str, AfterValidator(valid_openalex_author)]],
        BeforeValidator(_listed),
        Field(max_length=_MOST_LIBRARIES),
    ] = []
    weight: Weight = 1.0


class _Schedule(_Values):
    days: Annotated[list[Day], BeforeValidator(_days), Field(min_length=1)] = list(Day)[:5]
    time: TimeOfDay = time(7, 30)
    timezone: Timezone = "UTC"


Tag = Annotated[str, AfterValidator(valid_tag)]


class PreferencesSchema(_Values):
    """The content of a subscriber's file."""

    email: Annotated[str, AfterValidator(plain_address)]
    name: Annotated[str, Field(max_length=200), AfterValidator(to_single_line)] = ""
    schedule: _Schedule = _Schedule()
    papers: Annotated[int, Field(ge=1, le=100)] = 10
    trending: Annotated[int, Field(ge=0, le=50)] | None = None
    layout: Layout | None = None
    interests: Annotated[
        list[Annotated[InterestSchema, BeforeValidator(_interest_or_name)]], Field(max_length=MOST_INTERESTS)
    ] = []
    never: Annotated[Texts, Field(max_length=_MOST_NEVER)] = []
    never_authors: Annotated[Texts, Field(max_length=_MOST_NEVER)] = []
    alerts: Annotated[
        list[Annotated[AlertSchema, BeforeValidator(_query_only)]],
        BeforeValidator(_several),
        Field(max_length=_MOST_ALERTS),
    ] = []
    updates: Annotated[list[EventKind], BeforeValidator(_several), AfterValidator(_without_repeats)] = list(EventKind)
    announcements: bool = True
    tags: Annotated[list[Tag], BeforeValidator(_listed), Field(max_length=_MOST_TAGS)] | None = None
