"""Preferences to JSON and back: the form used in the store, in exports and on the screen."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import time
from functools import lru_cache
from typing import Any

from newsletter.model import (
    Alert,
    AlertKind,
    Day,
    EventKind,
    Interest,
    Layout,
    LibraryKind,
    LibraryRef,
    Preferences,
    Schedule,
)


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
        "never_authors": list(preferences.never_authors),
        "alerts": [alert_json(alert) for alert in preferences.alerts],
        "updates": [kind.value for kind in preferences.updates],
        "announcements": preferences.announcements,
    }


def from_json(email: str, data: Mapping[str, Any]) -> Preferences:
    """Read preferences from the result of :func:`to_json`."""
    return Preferences(
        email=email,
        name=data["name"],
        schedule=schedule_from_json(data["schedule"]),
        papers=data["papers"],
        # Former versions do not have what is read with a default.
        trending=data.get("trending"),
        layout=Layout(data["layout"]) if data.get("layout") is not None else None,
        interests=tuple(interest_from_json(item) for item in data["interests"]),
        never=tuple(data["never"]),
        never_authors=tuple(data.get("never_authors", ())),
        alerts=tuple(alert_from_json(item) for item in data.get("alerts", ())),
        updates=tuple(map(EventKind, data["updates"])) if "updates" in data else tuple(EventKind),
        announcements=bool(data.get("announcements", True)),
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
    # Whoever declined announcements gets none, whatever else is damaged.
    wants_them = bool(data.get("announcements", True))
    known = Preferences(email=email, schedule=stored_schedule(data.get("schedule")), announcements=wants_them)
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
        **libraries_json(interest.libraries),
        "weight": interest.weight,
    }


def interest_from_json(data: Mapping[str, Any]) -> Interest:
    """Read an interest from the result of :func:`interest_json`."""
    lists = {name: tuple(data[name]) for name in ("liked", "disliked", "authors", "categories")}
    return Interest(
        name=data["name"],
        text=data["text"],
        keywords=dict(data["keywords"]),
        libraries=tuple(libraries_from_json(data)),
        weight=data["weight"],
        **lists,
    )


_ZOTERO = {LibraryKind.ZOTERO_USER: "user", LibraryKind.ZOTERO_GROUP: "group"}
_NAMED = {
    LibraryKind.FILE: "file",
    LibraryKind.UPLOAD: "upload",
    LibraryKind.ORCID: "orcid",
    LibraryKind.OPENALEX: "openalex",
}
_IDENTIFIED = {AlertKind.AUTHOR: "orcid", AlertKind.INSTITUTION: "ror"}


def libraries_json(libraries: Iterable[LibraryRef]) -> dict[str, list[Any]]:
    """Convert the libraries of an interest to JSON values, under the keys that a subscriber's file has for them."""
    found: dict[str, list[Any]] = {}
    for library in libraries:
        if library.kind in _NAMED:
            found.setdefault(_NAMED[library.kind], []).append(library.id)
            continue
        named: dict[str, Any] = {_ZOTERO[library.kind]: library.id}
        if library.collections:
            named["collections"] = list(library.collections)
        if library.key:
            named["key"] = library.key
        found.setdefault("zotero", []).append(named)
    return found


def libraries_from_json(data: Mapping[str, Any]) -> Iterator[LibraryRef]:
    """Yield the libraries of an interest, which has those of :func:`libraries_json` among its values."""
    for named in data.get("zotero", ()):
        (kind,) = [kind for kind, owner in _ZOTERO.items() if owner in named]
        collections = tuple(named.get("collections", ()))
        yield LibraryRef(kind=kind, id=named[_ZOTERO[kind]], collections=collections, key=named.get("key", ""))
    for kind, key in _NAMED.items():
        yield from (LibraryRef(kind=kind, id=one) for one in data.get(key, ()))


def alert_json(alert: Alert) -> dict[str, Any]:
    """Convert an alert to JSON values, as a subscriber's file has it."""
    identifier = _IDENTIFIED.get(alert.kind)
    said = alert.value if identifier is None else _present({"name": alert.value, identifier: alert.identifier})
    return {alert.kind.value: said, **_present({"name": alert.name, "always": alert.always})}


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def alert_from_json(data: Mapping[str, Any]) -> Alert:
    """Read an alert from the result of :func:`alert_json`."""
    (kind,) = [kind for kind in AlertKind if kind in data]
    said, how = data[kind], {"name": data.get("name", ""), "always": data.get("always", False)}
    if kind not in _IDENTIFIED:
        return Alert(kind=kind, value=said, **how)
    return Alert(kind=kind, value=said.get("name", ""), identifier=said.get(_IDENTIFIED[kind]), **how)
