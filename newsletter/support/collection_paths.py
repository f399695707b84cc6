"""Collections of reference managers by their paths, such as ``Papers/Chemistry``."""

import re
from collections.abc import Iterable


def is_chosen(path: str, patterns: Iterable[str]) -> bool:
    """Return whether a collection's path matches one of some patterns, in upper or lower case. ``*`` stands for any
    characters, so ``Papers/*`` is everything below Papers.
    """
    for pattern in patterns:
        parts = map(re.escape, " ".join(pattern.split()).strip("/").split("*"))
        if re.fullmatch(".*".join(parts), path, re.IGNORECASE):
            return True
    return False
