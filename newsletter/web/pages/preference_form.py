"""The form of preferences: what it shows, and what it says when it is posted, checked as a subscriber's file is."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import FormData

from newsletter.audience.subscriber_file import MOST_INTERESTS, preferences_from_mapping
from newsletter.errors import UserError
from newsletter.model import Day, Interest, Preferences
from newsletter.support.time_zones import is_known
from newsletter.web.forms import text, texts

_FIELD = re.compile(r"^i(\d{1,3})-name$")
_WORD_WEIGHT = re.compile(r"^(?P<word>.*\S)\s*:\s*(?P<weight>\d+(?:[.,]\d+)?)$")
_INTEREST_AT = re.compile(r"^interests\.(\d+)(?:\.(\w+))?(?:\.[^:]*)?: ")
_SHOWN_AS = {"schedule.days": "Days", "schedule.time": "Time", "schedule.timezone": "Time zone", "papers": "Papers"}


@dataclass(frozen=True, slots=True)
class InterestFields:
    """An interest as the form has it: what stands in each field, right or wrong.

    Attributes:
        was: its name before, so that what was said of it stays with it.
        keywords: one a line, ``word: weight`` where the weight is not 1. ``authors``, ``categories``: one a line.
    """

    name: str = ""
    was: str = ""
    text: str = ""
    weight: str = "1"
    keywords: str = ""
    authors: str = ""
    categories: str = ""
    liked: Sequence[str] = ()
    disliked: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        said = (self.name, self.text, self.keywords, self.authors, self.categories)
        return not (any(one.strip() for one in said) or self.liked or self.disliked)

    @property
    def detailed(self) -> bool:
        """Whether it says more than its name, words and weight."""
        return bool(self.keywords or self.authors or self.categories or self.liked or self.disliked)


@dataclass(frozen=True, slots=True)
class Fields:
    """What stands in the form; ``never`` has a word a line."""

    name: str
    days: Sequence[str]
    time: str
    timezone: str
    papers: str
    never: str
    interests: Sequence[InterestFields]


def fields_of(preferences: Preferences) -> Fields:
    """The form that says these preferences."""
    schedule = preferences.schedule
    return Fields(
        name=preferences.name,
        days=[day.value for day in schedule.days],
        time=f"{schedule.time:%H:%M}",
        # One that is not known here cannot be saved again.
        timezone=schedule.timezone if is_known(schedule.timezone) else "UTC",
        papers=str(preferences.papers),
        never="\n".join(preferences.never),
        interests=[_interest_fields(one) for one in preferences.interests],
    )


def _interest_fields(interest: Interest) -> InterestFields:
    return InterestFields(
        name=interest.name,
        was=interest.name,
        text=interest.text,
        weight=f"{interest.weight:g}",
        keywords="\n".join(
            word if weight == 1 and not _WORD_WEIGHT.match(word) else f"{word}: {weight:g}"
            for word, weight in interest.keywords.items()
        ),
        authors="\n".join(interest.authors),
        categories="\n".join(interest.categories),
        liked=interest.liked,
        disliked=interest.disliked,
    )


def posted_fields(form: FormData) -> Fields:
    """What a form says that was posted, without the interests that are to be removed and those that are empty."""
    numbers = sorted({int(found[1]) for key in form if (found := _FIELD.match(key))})
    interests = [_posted_interest(form, f"i{number}-") for number in numbers if not text(form, f"i{number}-remove")]
    return Fields(
        name=text(form, "name"),
        days=[day.value for day in Day if day.value in texts(form, "day")],
        time=text(form, "time"),
        timezone=text(form, "timezone"),
        papers=text(form, "papers"),
        never=text(form, "never"),
        interests=[one for one in interests if not one.empty],
    )


def _posted_interest(form: FormData, start: str) -> InterestFields:
    names = ("name", "was", "text", "weight", "keywords", "authors", "categories")
    plain = {name: text(form, start + name) for name in names}
    return InterestFields(**plain, liked=texts(form, f"{start}liked"), disliked=texts(form, f"{start}disliked"))


def read_fields(fields: Fields, present: Preferences) -> Preferences:
    """The preferences that a form says, of the same address.

    Raises:
        UserError: something in it is wrong, a line for each, in words for who filled it in.
    """
    if len(fields.interests) > MOST_INTERESTS:
        raise UserError(f"{MOST_INTERESTS} interests are the most; please remove some.")
    schedule = {"days": list(fields.days), "time": fields.time, "timezone": fields.timezone}
    mapping: dict[str, Any] = {
        "email": present.email,
        "name": fields.name,
        "schedule": schedule,
        "papers": fields.papers.strip(),
        "interests": [_mapping(one) for one in fields.interests],
        "never": _lines(fields.never),
    }
    if not fields.days:
        raise UserError("Days: choose one at least; for none at all, there is a pause below.")
    try:
        return replace(preferences_from_mapping(mapping, "form"), email=present.email)
    except UserError as error:
        raise UserError(*(_kindly(line) for line in error.lines)) from None


def _mapping(fields: InterestFields) -> Mapping[str, Any]:
    # A name may be left out by who only writes what to follow, as in a file.
    name = fields.name.strip() or _name_from(fields.text or fields.keywords or fields.authors or fields.categories)
    lists = {name: list(getattr(fields, name)) for name in ("liked", "disliked")}
    lists |= {name: _lines(getattr(fields, name)) for name in ("authors", "categories")}
    said = {"name": name, "text": fields.text, "weight": fields.weight.strip().replace(",", ".") or "1"}
    return {**said, "keywords": dict(_weighted(_lines(fields.keywords))), **lists}


def _name_from(words: str) -> str:
    """A name for an interest without one: how its words begin."""
    short = " ".join(words.split())
    return short if len(short) <= 60 else f"{short[:58].rsplit(' ', 1)[0]} …"


def _weighted(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        found = _WORD_WEIGHT.match(line)
        yield (found["word"], found["weight"].replace(",", ".")) if found else (line, "1")


def _lines(words: str) -> list[str]:
    return [line.strip() for line in words.splitlines() if line.strip()]


def _kindly(line: str) -> str:
    said = line.partition(": ")[2]
    found = _INTEREST_AT.match(said)
    if found is not None:
        rest = said[found.end() :]
        return f"Interest {found[1]}, {found[2]}: {rest}" if found[2] else f"Interest {found[1]}: {rest}"
    key, _, rest = said.partition(": ")
    return f"{_SHOWN_AS.get(key, key.capitalize())}: {rest}"


def renamed(fields: Fields, wanted: Preferences) -> dict[str, str]:
    """The interests that have another name than before: the new one by the old."""
    pairs = zip(fields.interests, wanted.interests, strict=True)
    return {one.was: interest.name for one, interest in pairs if one.was and one.was != interest.name}
