"""Adding libraries to the interests of a subscriber, and removing them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from newsletter.config.suggestions import nearest_value
from newsletter.errors import UserError
from newsletter.model import Interest, LibraryRef, Preferences

_LONGEST_NAME = 100


def references(preferences: Preferences) -> Iterator[LibraryRef]:
    """Yield the libraries that the interests of a subscriber name."""
    for interest in preferences.interests:
        yield from interest.libraries


def references_to(preferences: Preferences, address: str) -> list[LibraryRef]:
    """Return the references to one library."""
    return [ref for ref in references(preferences) if ref.address == address]


def patterns_of(refs: Iterable[LibraryRef]) -> tuple[str, ...]:
    """Return the patterns of all collections that some references to one library want; empty for all items."""
    refs = list(refs)
    if not all(ref.collections for ref in refs):
        return ()
    return tuple(sorted({pattern for ref in refs for pattern in ref.collections}))


def with_library(
    preferences: Preferences, ref: LibraryRef, interest: str | None, own_name: str, only_key: bool = False
) -> Preferences:
    """Return preferences with a library in a named interest; without a name, in the interest that has it already, or
    else in a new interest.

    Args:
        own_name: of the new interest.
        only_key: a library that is there already keeps its collections, and only its key changes.

    Raises:
        UserError: no interest has that name.
    """
    preferences = _with_key(preferences, ref)
    having = [one.name for one in preferences.interests if any(x.address == ref.address for x in one.libraries)]
    if only_key and having and interest in (None, *having):
        return preferences
    interest = interest or next(iter(having), None)
    if interest is None:
        return _with_interest(preferences, own_name, ref)
    place = _place_of(preferences.interests, interest)
    changed = list(preferences.interests)
    others = tuple(one for one in changed[place].libraries if one.address != ref.address)
    changed[place] = replace(changed[place], libraries=(*others, ref))
    return replace(preferences, interests=tuple(changed))


def with_each_collection(preferences: Preferences, ref: LibraryRef, paths: Iterable[str]) -> Preferences:
    """Return preferences with an interest for each collection of a library that has none yet."""
    preferences = _with_key(preferences, ref)
    for path in paths:
        own = replace(ref, collections=(path,))
        if own not in references(preferences):
            preferences = _with_interest(preferences, path.rpartition("/")[2], own)
    return preferences


def without_library(preferences: Preferences, address: str) -> Preferences:
    """Return preferences without a library, and without the interests that had nothing else."""
    kept = []
    for one in preferences.interests:
        left = replace(one, libraries=tuple(ref for ref in one.libraries if ref.address != address))
        if left == one or replace(left, weight=1.0) != Interest(name=one.name):
            kept.append(left)
    return replace(preferences, interests=tuple(kept))


def _with_key(preferences: Preferences, ref: LibraryRef) -> Preferences:
    """Return preferences in which all references to a library have the same place of its key: it has one key."""
    interests = tuple(
        replace(one, libraries=tuple(replace(x, key=ref.key) if x.address == ref.address else x for x in one.libraries))
        for one in preferences.interests
    )
    return replace(preferences, interests=interests)


def _with_interest(preferences: Preferences, name: str, ref: LibraryRef) -> Preferences:
    taken = {one.name for one in preferences.interests}
    short = name[: _LONGEST_NAME - 5].strip() or "Library"
    names = (short, *(f"{short} {number}" for number in range(2, 1_000)))
    own = Interest(name=next(one for one in names if one not in taken), libraries=(ref,))
    return replace(preferences, interests=(*preferences.interests, own))


def _place_of(interests: Sequence[Interest], name: str) -> int:
    names = [one.name for one in interests]
    if name in names:
        return names.index(name)
    near = nearest_value(name, names)
    fix = f"did you mean {near!r}?" if near else f"choose from: {', '.join(names) or 'none yet'}"
    raise UserError(f"{name!r} is not one of the interests; {fix}")
