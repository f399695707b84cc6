"""Preferences to JSON and back: the form used in the store, in exports and on the screen."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from functools import lru_cache
from typing import Any

from newsletter.model import Day, Interest, Layout, Preferences, Schedule


def to_json(preferences: Preferences) -> dict[str, Any]:
    """Convert preferences to JSON values, without the address."""
    return {
        "name": preferences.name,
        "schedule": {
            "days": [day.value for day in preferences.schedule.days],
            "time": preferences.schedule.time.strftime("%H:%M"),
            "timezone": preferences.schedule.timezone,
        },
        "papers": preferences.papers,
        "trending": preferences.trending,
        "layout": preferences.layout.value if preferences.layout else None,
        "interests": [interest_json(interest) for interest in preferences.interests],
        "never": list(preferences.never),
    }


def from_json(email: str, data: Mapping[str, Any]) -> Preferences:
    """Read preferences from the result of :func:`to_json`."""
    return Preferences(
        email=email,
        name=data["name"],
        schedule=schedule_from_json(data["schedule"]),
        papers=data["papers"],
        # Former versions have neither of the two.
        trending=data.get("trending"),
        layout=Layout(data["layout"]) if data.get("layout") is not None else None,
        interests=tuple(interest_from_json(item) for item in data["interests"]),
        never=tuple(data["never"]),
    )


def stored_preferences(email: str, data: object) -> tuple[Preferences, str | None]:
    """Read the stored preferences of a subscriber, however damaged they are.

    Returns:
        The preferences, with defaults for unreadable parts, and what is damaged (None: nothing).
    """
    if not isinstance(data, Mapping):
        return Preferences(email=email), "the stored preferences are damaged: not a JSON object"
    try:
        return from_json(email, data), None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"the stored preferences are damaged ({type(error).__name__}: {error})"
    name = data.get("name")
    known = Preferences(email=email, schedule=stored_schedule(data.get("schedule")))
    return (replace(known, name=name) if isinstance(name, str) else known), what


def stored_schedule(data: object) -> Schedule:
    """Read the stored schedule; return the default one if it is unreadable."""
    try:
        return schedule_from_json(data)  # type: ignore[arg-type]
    except (AttributeError, KeyError, TypeError, ValueError):
        return Schedule()


def schedule_from_json(data: Mapping[str, Any]) -> Schedule:
    """Read only the schedule, from the part of that name."""
    return _schedule(tuple(data["days"]), data["time"], data["timezone"])


@lru_cache(maxsize=1_000)
def _schedule(days: tuple[str, ...], at: str, timezone: str) -> Schedule:
    # Many subscribers share one.
    return Schedule(days=tuple(Day(day) for day in days), time=time.fromisoformat(at), timezone=timezone)


def interest_json(interest: Interest) -> dict[str, Any]:
    """Convert an interest to JSON values."""
    return {
        "name": interest.name,
        "text": interest.text,
        "keywords": dict(interest.keywords),
        "liked": list(interest.liked),
        "disliked": list(interest.disliked),
        "authors": list(interest.authors),
        "categories": list(interest.categories),
        "weight": interest.weight,
    }


def interest_from_json(data: Mapping[str, Any]) -> Interest:
    """Read an interest from the result of :func:`interest_json`."""
    lists = {name: tuple(data[name]) for name in ("liked", "disliked", "authors", "categories")}
    return Interest(
        name=data["name"], text=data["text"], keywords=dict(data["keywords"]), weight=data["weight"], **lists
    )
