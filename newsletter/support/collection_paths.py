"""Collections of reference managers by their paths, such as ``Papers/Chemistry``."""

from collections.abc import Iterable


def is_chosen(path: str, patterns: Iterable[str]) -> bool:
    """Return whether a collection's path matches one of some patterns, in upper or lower case. ``*`` stands for any
    characters, so ``Papers/*`` is everything below Papers.
    """
    return any(_matches(path.casefold(), " ".join(one.split()).strip("/").casefold()) for one in patterns)


def _matches(path: str, pattern: str) -> bool:
    # A regular expression could take exponential time for a pattern with many stars.
    first, *others = pattern.split("*")
    if not others:
        return path == first
    *middle, last = others
    place = len(first)
    for part in middle:
        found = path.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return path.startswith(first) and path.endswith(last) and place <= len(path) - len(last)
