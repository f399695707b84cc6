"""Reads and writes subscriber files (YAML), keeping comments and order."""

import calendar
import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import time
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

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
from newsletter.config.yaml import Document, KeyPath, check, parse
from newsletter.errors import UserError
from newsletter.model import (
    Alert,
    AlertKind,
    Day,
    Interest,
    Layout,
    LibraryKind,
    LibraryRef,
    Preferences,
    Schedule,
)
from newsletter.store.preferences import alert_json, libraries_json
from newsletter.support.files import atomic_write_bytes, read_text
from newsletter.support.text import escape_for_terminal, is_utf8, to_single_line

_ENDINGS = (".yaml", ".yml")

MOST_INTERESTS = 100
_MOST_KEYWORDS = 500
_MOST_LIKED = 5_000
_MOST_AUTHORS = 1_000
_MOST_CATEGORIES = 200
_MOST_NEVER = 500
_MOST_LIBRARIES = 20
_MOST_COLLECTIONS = 200
MOST_ALERTS = 500
_MOST_VALUES = 20_000
"""Maximum number of keys and values in one subscriber's preferences, from any source."""

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
        if isinstance(text, str) and nearest_key(str(key), _Interest.model_fields) is None:
            raise ValueError(key_for_text(str(key), text))
    return value


Text = Annotated[str, Field(max_length=_LONGEST_ENTRY), AfterValidator(_some_text)]
Texts = Annotated[list[Text], BeforeValidator(_listed)]
Weight = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _several(value: object) -> object:
    return [value] if isinstance(value, str | Mapping) else value


class _Zotero(_File):
    user: Annotated[str, AfterValidator(valid_zotero_id)] | None = None
    group: Annotated[str, AfterValidator(valid_zotero_id)] | None = None
    collections: Annotated[Texts, Field(max_length=_MOST_COLLECTIONS)] = []
    key: Annotated[str, AfterValidator(valid_key_place)] = ""

    @model_validator(mode="after")
    def _one_owner(self) -> Self:
        if (self.user is None) == (self.group is None):
            raise ValueError("needs either 'user' or 'group'; https://www.zotero.org/settings/keys shows your user ID")
        return self


class _Person(_File):
    name: Text = ""
    orcid: Annotated[str, AfterValidator(valid_orcid)] | None = None


class _Institution(_File):
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


class _Alert(_File):
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


class _Interest(_File):
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


_NAMED_LIBRARIES = {
    LibraryKind.FILE: "file",
    LibraryKind.UPLOAD: "upload",
    LibraryKind.ORCID: "orcid",
    LibraryKind.OPENALEX: "openalex",
}
"""The keys of libraries that are named by one word."""


class _Schedule(_File):
    days: Annotated[list[Day], BeforeValidator(_days), Field(min_length=1)] = list(Day)[:5]
    time: TimeOfDay = time(7, 30)
    timezone: Timezone = "UTC"


class _Preferences(_File):
    email: Annotated[str, AfterValidator(plain_address)]
    name: Annotated[str, Field(max_length=200), AfterValidator(to_single_line)] = ""
    schedule: _Schedule = _Schedule()
    papers: Annotated[int, Field(ge=1, le=100)] = 10
    trending: Annotated[int, Field(ge=0, le=50)] | None = None
    layout: Layout | None = None
    interests: Annotated[
        list[Annotated[_Interest, BeforeValidator(_interest_or_name)]], Field(max_length=MOST_INTERESTS)
    ] = []
    never: Annotated[Texts, Field(max_length=_MOST_NEVER)] = []
    never_authors: Annotated[Texts, Field(max_length=_MOST_NEVER)] = []
    alerts: Annotated[
        list[Annotated[_Alert, BeforeValidator(_query_only)]], BeforeValidator(_several), Field(max_length=MOST_ALERTS)
    ] = []


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
    return _read(parse(read_text(path, shown), shown))


def read_preferences_text(text: str, shown: str) -> Preferences:
    """Check the text of a subscriber's file; ``shown`` names it in errors."""
    return _read(parse(text, shown))


def preferences_from_mapping(data: Mapping[str, Any], shown: str) -> Preferences:
    """Check preferences that come as plain values, as a line of an import does; ``shown`` says where they stand.

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
    preferences_from_mapping(_plain(preferences), shown)
    return preferences


def _paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _paths(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, (*path, index))


def _read(document: Document) -> Preferences:
    read = check(document, _Preferences)
    first = {interest.name: index for index, interest in reversed(list(enumerate(read.interests)))}
    twice = [index for index, interest in enumerate(read.interests) if first[interest.name] != index]
    if twice:
        problems = [
            f"{document.where(('interests', index))}: interests.{index + 1}.name: {read.interests[index].name!r} "
            "is a duplicate name; rename one of the interests"
            for index in twice
        ]
        raise UserError(*problems)
    return Preferences(
        email=read.email,
        name=read.name,
        schedule=Schedule(tuple(read.schedule.days), read.schedule.time, read.schedule.timezone),
        papers=read.papers,
        trending=read.trending,
        layout=read.layout,
        interests=tuple(_interest(interest) for interest in read.interests),
        never=tuple(read.never),
        never_authors=tuple(read.never_authors),
        alerts=tuple(_alert(alert) for alert in read.alerts),
    )


def _interest(read: _Interest) -> Interest:
    return Interest(
        name=read.name,
        text=to_single_line(read.text),
        keywords=dict(read.keywords),
        liked=tuple(read.liked),
        disliked=tuple(read.disliked),
        authors=tuple(read.authors),
        categories=tuple(read.categories),
        libraries=tuple(_libraries(read)),
        weight=read.weight,
    )


def _libraries(read: _Interest) -> Iterator[LibraryRef]:
    for one in read.zotero:
        kind = LibraryKind.ZOTERO_USER if one.user is not None else LibraryKind.ZOTERO_GROUP
        yield LibraryRef(kind=kind, id=one.user or one.group or "", collections=tuple(one.collections), key=one.key)
    for kind, named in _NAMED_LIBRARIES.items():
        yield from (LibraryRef(kind=kind, id=one) for one in getattr(read, named))


def _alert(read: _Alert) -> Alert:
    kind, value, identifier = AlertKind.QUERY, read.query or "", None
    if read.author is not None:
        kind, value, identifier = AlertKind.AUTHOR, read.author.name, read.author.orcid
    elif read.institution is not None:
        kind, value, identifier = AlertKind.INSTITUTION, read.institution.name, read.institution.ror
    elif read.cites is not None:
        kind, value = AlertKind.CITES, read.cites
    return Alert(kind=kind, value=value, identifier=identifier, name=read.name, always=read.always)


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
    document = CommentedMap(_plain(preferences))
    document.yaml_set_start_comment(
        "Interests of this subscriber. 'newsletter interests check' checks them, 'newsletter preview' shows the email."
    )
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def rewritten(text: str, preferences: Preferences, shown: str) -> str:
    """Return the text of a file updated to ``preferences``; only differences are changed."""
    present, wanted = _plain(read_preferences_text(text, shown)), _plain(preferences)
    changed = _changed(text, present, wanted, rewrite=False)
    # A comment that hung on what was removed may end up where it breaks the rest: then the interests go without theirs.
    return changed if _says(changed, wanted, shown) else _changed(text, present, wanted, rewrite=True)


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
        return _plain(read_preferences_text(text, shown)) == wanted
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


def _plain(preferences: Preferences) -> dict[str, Any]:
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
