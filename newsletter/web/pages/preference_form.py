"""The preferences form: its fields, and validation by the rules of subscriber files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import FormData

from newsletter.audience.subscriber_file import preferences_from_mapping
from newsletter.audience.subscriber_schema import MOST_INTERESTS
from newsletter.errors import UserError
from newsletter.model import Day, EventKind, Interest, Layout, Preferences
from newsletter.rendering.library_names import library_name
from newsletter.support.time_zones import is_known
from newsletter.web.forms import text, texts
from newsletter.web.pages.alert_form import (
    AlertFields,
    alert_fields,
    alert_mapping,
    alert_problems,
    misplaced_identifiers,
    posted_alerts,
    reword_alert,
)

_FIELD = re.compile(r"^i(\d{1,3})-name$")
_WORD_WEIGHT = re.compile(r"^(?P<word>.*\S)\s*:\s*(?P<weight>\d+(?:[.,]\d+)?)$")
_INTEREST_AT = re.compile(r"^interests\.(\d+)(?:\.(\w+))?(?:\.[^:]*)?: ")
_SHOWN_AS = {
    "schedule.days": "Days",
    "schedule.time": "Time",
    "schedule.timezone": "Time zone",
    "papers": "Papers",
    "trending": "Trending",
    "layout": "Layout",
    "never_authors": "Never by these authors",
    "alerts": "Alerts",
}
LAYOUTS = {
    Layout.FULL: "Full: the first papers with idea and result, the rest by title",
    Layout.COMPACT: "Compact: authors and one sentence for each of the first ten papers, the rest by title",
    Layout.TITLES: "Titles: one line for each paper",
}
"""The layouts in words for the reader."""

UPDATES = {
    EventKind.RETRACTED: "Retracted",
    EventKind.WITHDRAWN: "Withdrawn",
    EventKind.CONCERN: "Expression of concern",
    EventKind.CORRECTED: "Corrected",
    EventKind.PUBLISHED: "Published in a journal or at a conference",
    EventKind.REVISED: "Revised by its authors",
}
"""The events in words for the reader."""


@dataclass(frozen=True, slots=True)
class InterestFields:
    """The form fields of an interest, valid or not.

    Attributes:
        was: its previous name, so that its feedback is kept when it is renamed.
        libraries: by name; they are changed in a form of their own.
        keywords: one per line, ``word: weight`` where the weight is not 1. ``authors``, ``categories``: one per line.
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
    libraries: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        """Whether all fields are empty."""
        said = (self.name, self.text, self.keywords, self.authors, self.categories)
        return not (any(one.strip() for one in said) or self.liked or self.disliked)

    @property
    def detailed(self) -> bool:
        """Whether it has more than a name, text and weight."""
        return bool(self.keywords or self.authors or self.categories or self.liked or self.disliked)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of the form; ``never`` has one word and ``never_authors`` one name per line, ``trending`` and
    ``layout`` are empty for the newsletter's own; ``updates`` has the events that are told, None in a form
    without them.
    """

    name: str
    days: Sequence[str]
    time: str
    timezone: str
    papers: str
    trending: str
    layout: str
    never: str
    never_authors: str
    interests: Sequence[InterestFields]
    alerts: Sequence[AlertFields]
    updates: Sequence[str] | None


class FormError(UserError):
    """The form has errors, one line each, worded for the reader.

    Attributes:
        alerts: those that belong to an alert, by its position in the form from 0.
    """

    def __init__(self, *lines: str, alerts: Mapping[int, Sequence[str]] | None = None) -> None:
        super().__init__(*lines)
        self.alerts = alerts or {}


def fields_of(preferences: Preferences) -> Fields:
    """Fill the form from preferences."""
    schedule = preferences.schedule
    return Fields(
        name=preferences.name,
        days=[day.value for day in schedule.days],
        time=f"{schedule.time:%H:%M}",
        # An unknown time zone could not be saved.
        timezone=schedule.timezone if is_known(schedule.timezone) else "UTC",
        papers=str(preferences.papers),
        trending="" if preferences.trending is None else str(preferences.trending),
        layout=preferences.layout or "",
        never="\n".join(preferences.never),
        never_authors="\n".join(preferences.never_authors),
        interests=[_interest_fields(one) for one in preferences.interests],
        alerts=[alert_fields(one) for one in preferences.alerts],
        updates=[kind.value for kind in preferences.updates],
    )


def layout_choices(chosen: str, usual: Layout) -> list[tuple[str, str, bool]]:
    """Return the layouts that a form offers, each with its value, in words and whether it is chosen.

    Args:
        chosen: the value of the field, empty for ``usual``, the newsletter's own. The layout that is the newsletter's
            own is offered with an empty value, unless it was chosen by name: then it stays so.
    """
    unnamed = usual if chosen != usual else None
    return [("" if one is unnamed else one.value, words, one == (chosen or usual)) for one, words in LAYOUTS.items()]


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
        libraries=[library_name(one) for one in interest.libraries],
    )


def posted_fields(form: FormData) -> Fields:
    """Read a posted form, without empty interests and alerts and those marked for removal."""
    numbers = sorted({int(found[1]) for key in form if (found := _FIELD.match(key))})
    interests = [_posted_interest(form, f"i{number}-") for number in numbers if not text(form, f"i{number}-remove")]
    return Fields(
        name=text(form, "name"),
        days=[day.value for day in Day if day.value in texts(form, "day")],
        time=text(form, "time"),
        timezone=text(form, "timezone"),
        papers=text(form, "papers"),
        trending=text(form, "trending"),
        layout=text(form, "layout"),
        never=text(form, "never"),
        never_authors=text(form, "never_authors"),
        interests=[one for one in interests if not one.empty],
        alerts=posted_alerts(form),
        updates=[kind.value for kind in EventKind if kind.value in texts(form, "update")] if "update" in form else None,
    )


def _posted_interest(form: FormData, start: str) -> InterestFields:
    names = ("name", "was", "text", "weight", "keywords", "authors", "categories")
    plain = {name: text(form, start + name) for name in names}
    return InterestFields(**plain, liked=texts(form, f"{start}liked"), disliked=texts(form, f"{start}disliked"))


def read_fields(fields: Fields, present: Preferences) -> Preferences:
    """Validate the form and convert it to preferences of the same address.

    Raises:
        FormError: the form has errors.
    """
    if len(fields.interests) > MOST_INTERESTS:
        raise FormError(f"At most {MOST_INTERESTS} interests are allowed; please remove some.")
    schedule = {"days": list(fields.days), "time": fields.time, "timezone": fields.timezone}
    mapping: dict[str, Any] = {
        "email": present.email,
        "name": fields.name,
        "schedule": schedule,
        "papers": fields.papers.strip(),
        "trending": fields.trending.strip() or None,
        "layout": fields.layout.strip() or None,
        "interests": [_mapping(one) for one in fields.interests],
        "never": _lines(fields.never),
        "never_authors": _lines(fields.never_authors),
        "alerts": [alert_mapping(one) for one in fields.alerts],
        "updates": list(EventKind if fields.updates is None else fields.updates),
    }
    if not fields.days:
        raise FormError("Days: choose at least one; to stop for a while, pause below.")
    if misplaced := misplaced_identifiers(fields.alerts):
        raise _form_error(misplaced)
    try:
        read = preferences_from_mapping(mapping, "form")
    except UserError as error:
        raise _form_error([line.partition(": ")[2] for line in error.lines]) from None
    libraries = {one.name: one.libraries for one in present.interests}
    interests = [
        replace(interest, libraries=libraries.get(one.was, ()))
        for one, interest in zip(fields.interests, read.interests, strict=True)
    ]
    # What the form does not have stays.
    return replace(
        present,
        name=read.name,
        schedule=read.schedule,
        papers=read.papers,
        trending=read.trending,
        layout=read.layout,
        interests=tuple(interests),
        never=read.never,
        never_authors=read.never_authors,
        alerts=read.alerts,
        updates=present.updates if fields.updates is None else read.updates,
    )


def _mapping(fields: InterestFields) -> Mapping[str, Any]:
    # The name is optional, as in a file.
    name = fields.name.strip() or _name_from(fields.text or fields.keywords or fields.authors or fields.categories)
    lists = {name: list(getattr(fields, name)) for name in ("liked", "disliked")}
    lists |= {name: _lines(getattr(fields, name)) for name in ("authors", "categories")}
    said = {"name": name, "text": fields.text, "weight": fields.weight.strip().replace(",", ".") or "1"}
    return {**said, "keywords": dict(_weighted(_lines(fields.keywords))), **lists}


def _name_from(words: str) -> str:
    """Name an interest after its first words."""
    short = " ".join(words.split())
    return short if len(short) <= 60 else f"{short[:58].rsplit(' ', 1)[0]} …"


def _weighted(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        found = _WORD_WEIGHT.match(line)
        yield (found["word"], found["weight"].replace(",", ".")) if found else (line, "1")


def _lines(words: str) -> list[str]:
    return [line.strip() for line in words.splitlines() if line.strip()]


def _form_error(lines: Sequence[str]) -> FormError:
    return FormError(*map(_reworded, lines), alerts=alert_problems(lines))


def _reworded(said: str) -> str:
    """Replace the key that an error starts with by what the form calls the field."""
    if (alert := reword_alert(said)) is not None:
        return alert
    found = _INTEREST_AT.match(said)
    if found is not None:
        rest = said[found.end() :]
        return f"Interest {found[1]}, {found[2]}: {rest}" if found[2] else f"Interest {found[1]}: {rest}"
    key, _, rest = said.partition(": ")
    return f"{_SHOWN_AS.get(key, key.capitalize())}: {rest}"


def renamed(fields: Fields, wanted: Preferences) -> dict[str, str]:
    """Return the renamed interests: old name to new name."""
    pairs = zip(fields.interests, wanted.interests, strict=True)
    return {one.was: interest.name for one, interest in pairs if one.was and one.was != interest.name}
