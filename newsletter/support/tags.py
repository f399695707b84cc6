"""Names of tags, by which operators group subscribers."""

import re
import unicodedata

_LONGEST = 50
_VALID = re.compile(r"[^\W_]+(?:-+[^\W_]+)*")
_OTHER = re.compile(r"[\W_]+")


def valid_tag(text: str) -> str:
    """Return a tag as it is stored.

    Raises:
        ValueError: it has other characters than lower-case letters, digits and hyphens, or more than 50.
    """
    tag = unicodedata.normalize("NFC", text.strip())
    if len(tag) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters; shorten it")
    if not _VALID.fullmatch(tag) or tag != tag.lower():
        probable = to_tag(text)
        fix = f"did you mean {probable!r}?" if probable and probable != tag else "write it like 'computer-vision'"
        raise ValueError(f"is not a tag; use lower-case letters, digits and '-': {fix}")
    return tag


def to_tag(name: str) -> str:
    """Convert the name of another program's list or label to a tag; empty if it has no letters and no digits."""
    words = _OTHER.sub("-", unicodedata.normalize("NFKC", name).lower())
    return unicodedata.normalize("NFC", words).strip("-")[:_LONGEST].rstrip("-")
