"""Reads and writes subscriber files (YAML), keeping comments and order."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from newsletter.audience.subscriber_schema import InterestSchema, PreferencesSchema
from newsletter.config.yaml import Document, KeyPath, check, parse
from newsletter.errors import UserError
from newsletter.model import (
    Interest,
    Preferences,
    Schedule,
)
from newsletter.store.preferences import alert_from_json, alert_json, libraries_from_json, libraries_json
from newsletter.support.files import atomic_write_bytes, read_text
from newsletter.support.text import escape_for_terminal, is_utf8, to_single_line

_ENDINGS = (".yaml", ".yml")

_MOST_VALUES = 20_000
"""Maximum number of keys and values in one subscriber's preferences, from any source."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a subscriber's file, or a line of an import, says.

    Attributes:
        tags: None if it does not mention tags.
    """

    preferences: Preferences
    tags: tuple[str, ...] | None


def files_in(folder: Path) -> tuple[list[Path], list[str]]:
    """The subscribers' files in a folder in the order of their names, and a line for each whose name cannot be kept.

    Raises:
        UserError: there is no such folder, or it cannot be read.
    """
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS and path.name[0] != ".")
    except FileNotFoundError:
        fix = "create it, or set 'subscribers' in config.yaml"
        raise UserError(f"{folder}: no such folder; {fix}") from None
    except OSError as error:
        raise UserError(
            f"{folder}: {error.strerror}; check 'subscribers' in config.yaml, and its permissions"
        ) from None
    nameless = [f"{path}: the file name is not UTF-8; rename the file" for path in found if not is_utf8(path.name)]
    return [path for path in found if is_utf8(path.name)], [escape_for_terminal(line) for line in nameless]


def read_preferences(path: Path) -> Preferences:
    """Read and check a subscriber's file.

    Raises:
        UserError: it cannot be read, or is wrong somewhere (a line for each mistake).
    """
    shown = str(path)
    return read_preferences_text(read_text(path, shown), shown)


def read_preferences_text(text: str, shown: str) -> Preferences:
    """Check the text of a subscriber's file; ``shown`` names it in errors."""
    return read_contents(text, shown).preferences


def read_contents(text: str, shown: str) -> Contents:
    """Check the text of a subscriber's file; ``shown`` names it in errors.

    Raises:
        UserError: it is wrong somewhere (a line for each mistake).
    """
    return _read(parse(text, shown))


def preferences_from_mapping(data: Mapping[str, Any], shown: str) -> Preferences:
    """Check preferences that come as plain values, as a form does; ``shown`` says where they stand.

    Raises:
        UserError: they are wrong somewhere (a line for each mistake), or too many.
    """
    return contents_from_mapping(data, shown).preferences


def contents_from_mapping(data: Mapping[str, Any], shown: str) -> Contents:
    """Check preferences and tags that come as plain values, as a line of an import does.

    Raises:
        UserError: they are wrong somewhere (a line for each mistake), or too many.
    """
    try:
        paths = list(islice(_paths(data, ()), _MOST_VALUES + 1))
    except RecursionError:
        raise UserError(f"{shown}: nested too deeply; write it as the documentation shows") from None
    if len(paths) > _MOST_VALUES:
        raise UserError(f"{shown}: more than {_MOST_VALUES:,} keys and values; remove some")
    return _read(Document(shown, data, dict.fromkeys(paths, 1), numbered=False))


def checked(preferences: Preferences, shown: str) -> Preferences:
    """Preferences that were put together from several, held against the same bounds.

    Raises:
        UserError: they are wrong somewhere (a line for each mistake), or too many.
    """
    preferences_from_mapping(to_mapping(preferences), shown)
    return preferences


def _paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _paths(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, (*path, index))


def _read(document: Document) -> Contents:
    read = check(document, PreferencesSchema)
    first = {interest.name: index for index, interest in reversed(list(enumerate(read.interests)))}
    twice = [index for index, interest in enumerate(read.interests) if first[interest.name] != index]
    if twice:
        problems = [
            f"{document.where(('interests', index))}: interests.{index + 1}.name: {read.interests[index].name!r} "
            "is a duplicate name; rename one of the interests"
            for index in twice
        ]
        raise UserError(*problems)
    preferences = Preferences(
        email=read.email,
        name=read.name,
        schedule=Schedule(tuple(read.schedule.days), read.schedule.time, read.schedule.timezone),
        papers=read.papers,
        trending=read.trending,
        layout=read.layout,
        interests=tuple(_interest(interest) for interest in read.interests),
        never=tuple(read.never),
        never_authors=tuple(read.never_authors),
        alerts=tuple(alert_from_json(alert.model_dump(exclude_none=True)) for alert in read.alerts),
        updates=tuple(read.updates),
        announcements=read.announcements,
    )
    return Contents(preferences, None if read.tags is None else tuple(dict.fromkeys(read.tags)))


def _interest(read: InterestSchema) -> Interest:
    return Interest(
        name=read.name,
        text=to_single_line(read.text),
        keywords=dict(read.keywords),
        liked=tuple(read.liked),
        disliked=tuple(read.disliked),
        authors=tuple(read.authors),
        categories=tuple(read.categories),
        libraries=tuple(libraries_from_json(read.model_dump(exclude_defaults=True))),
        weight=read.weight,
    )


def write_preferences(path: Path, preferences: Preferences) -> None:
    """Write ``preferences`` to a subscriber's file; an existing file keeps its comments, order and quotes.

    Raises:
        UserError: the present file cannot be read, or the new one not written.
    """
    text = rewritten(read_text(path, str(path)), preferences, str(path)) if path.exists() else new_text(preferences)
    atomic_write_bytes(path, text.encode(), mode=0o600)


def new_text(preferences: Preferences) -> str:
    """Return the text of a new file."""
    yaml = _yaml()
    document = CommentedMap(to_mapping(preferences))
    document.yaml_set_start_comment(
        "Interests of this subscriber. 'newsletter interests check' checks them, 'newsletter preview' shows the email."
    )
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def rewritten(text: str, preferences: Preferences, shown: str) -> str:
    """Return the text of a file updated to ``preferences``; only differences are changed."""
    present, wanted = to_mapping(read_preferences_text(text, shown)), to_mapping(preferences)
    changed = _changed(text, present, wanted, rewrite=False)
    # A comment that hung on what was removed may end up where it breaks the rest: then the interests go without theirs.
    return changed if _says(changed, wanted, shown) else _changed(text, present, wanted, rewrite=True)


def with_tags(text: str, tags: Sequence[str]) -> str:
    """Return the text of a file with its tags replaced; all else stays as it is."""
    yaml = _yaml()
    document = yaml.load(text)
    document["tags"] = list(tags)
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _changed(text: str, present: Mapping[str, Any], wanted: Mapping[str, Any], rewrite: bool) -> str:
    yaml = _yaml()
    document = yaml.load(text)
    _update(document, present, wanted)
    if rewrite:
        document["interests"] = wanted["interests"]
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _says(text: str, wanted: Mapping[str, Any], shown: str) -> bool:
    try:
        return to_mapping(read_preferences_text(text, shown)) == wanted
    except UserError:
        return False


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 100_000
    yaml.allow_unicode = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _update(node: Any, present: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        if key in present and present[key] == value:
            continue
        if key == "interests":
            node[key] = _updated_interests(node.get(key), present.get(key, []), value)
        elif isinstance(value, Mapping) and isinstance(node.get(key), CommentedMap) and key == "schedule":
            _update(node[key], present.get(key, {}), value)
        else:
            node[key] = value
    for key in present:
        if key not in wanted and key in node:
            del node[key]


def _updated_interests(nodes: Any, present: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> Any:
    if nodes is None:
        return list(wanted)
    origins = _origins([item["name"] for item in present], [item["name"] for item in wanted])
    kept: list[Any] = []
    for interest, origin in zip(wanted, origins, strict=True):
        node, item = (None, {}) if origin is None else (nodes[origin], present[origin])
        if item == interest:
            kept.append(node)
        elif isinstance(node, CommentedMap):
            _update(node, item, interest)
            kept.append(node)
        else:
            kept.append(dict(interest))
    stay = [origin for origin in origins if origin is not None]
    if stay != sorted(stay) or origins[: len(stay)] != stay:
        return kept
    # Changed one by one, the sequence keeps the comments that hang on it.
    for place in reversed(range(len(present))):
        if place not in stay:
            del nodes[place]
    for place, node in enumerate(kept):
        if place < len(nodes):
            nodes[place] = node
        else:
            nodes.append(node)
    return nodes


def _origins(present: Sequence[str], wanted: Sequence[str]) -> list[int | None]:
    """Return the index of the present name that each wanted one comes from: the same name or, if it was renamed, the
    name in its place that is no longer wanted.
    """
    origins: list[int | None] = []
    for place, name in enumerate(wanted):
        if name in present:
            origins.append(present.index(name))
        elif len(wanted) >= len(present) > place and present[place] not in wanted:
            origins.append(place)
        else:
            origins.append(None)
    return origins


def to_mapping(preferences: Preferences) -> dict[str, Any]:
    """Convert preferences to the content of a file, without default values."""
    schedule, usual = preferences.schedule, Preferences(email=preferences.email)
    plain: dict[str, Any] = {"email": preferences.email}
    if preferences.name:
        plain["name"] = preferences.name
    plain["schedule"] = {
        "days": [day.value for day in schedule.days],
        "time": schedule.time.strftime("%H:%M"),
        "timezone": schedule.timezone,
    }
    if preferences.papers != usual.papers:
        plain["papers"] = preferences.papers
    if preferences.trending is not None:
        plain["trending"] = preferences.trending
    if preferences.layout is not None:
        plain["layout"] = preferences.layout.value
    plain["interests"] = [_plain_interest(interest) for interest in preferences.interests]
    if preferences.never:
        plain["never"] = list(preferences.never)
    if preferences.never_authors:
        plain["never_authors"] = list(preferences.never_authors)
    if preferences.alerts:
        plain["alerts"] = [alert_json(alert) for alert in preferences.alerts]
    if preferences.updates != usual.updates:
        plain["updates"] = [kind.value for kind in preferences.updates]
    if not preferences.announcements:
        plain["announcements"] = False
    return plain


def _plain_interest(interest: Interest) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": interest.name}
    if interest.text:
        plain["text"] = interest.text
    if interest.keywords:
        plain["keywords"] = {
            word: int(weight) if weight == int(weight) else weight for word, weight in interest.keywords.items()
        }
    for name in ("liked", "disliked", "authors", "categories"):
        if getattr(interest, name):
            plain[name] = list(getattr(interest, name))
    for name, named in libraries_json(interest.libraries).items():
        plain[name] = named[0] if len(named) == 1 else named
    if interest.weight != 1:
        plain["weight"] = interest.weight
    return plain
