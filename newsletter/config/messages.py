"""Plain-English messages for pydantic's validation errors."""

from collections.abc import Mapping

from pydantic_core import ErrorDetails

from newsletter.support.text import shorten_middle

_MOST_OF_A_VALUE = 80
_OWN_KEYS = "is not a mapping; write its keys on the lines below it, indented"
_TEXT = "is not text; write it on one line"
_WHOLE = "is not a whole number; write one like 5"
_NUMBER = "is not a number; write one like 0.5"
_YES_OR_NO = "is not a boolean; write true or false"
_CHOICE = "is not one of {expected}"

_WORDS: Mapping[str, str] = {
    "missing": "missing; add it",
    "extra_forbidden": "is not known here; remove it",
    "model_type": _OWN_KEYS,
    "model_attributes_type": _OWN_KEYS,
    "dict_type": _OWN_KEYS,
    "list_type": "is not a list; write it like [this, that]",
    "string_type": _TEXT,
    "path_type": _TEXT,
    "string_unicode": "has an incomplete Unicode character; enter it again",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _YES_OR_NO,
    "bool_parsing": _YES_OR_NO,
    "greater_than": "is too small; it must be more than {gt:g}",
    "greater_than_equal": "is too small; it must be {ge:g} or more",
    "less_than": "is too large; it must be less than {lt:g}",
    "less_than_equal": "is too large; it must be {le:g} or less",
    "too_short": "is empty; write at least one",
    "too_long": "has too many entries; keep at most {max_length}",
    "string_too_long": "is longer than {max_length} characters; shorten it",
    "literal_error": _CHOICE,
    "enum": _CHOICE,
    "union_tag_invalid": _CHOICE,
}


def describe(problem: ErrorDetails) -> str:
    """Describe an error and how to fix it."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "value_error":  # our own validators have complete messages
        return str(context["error"])
    words = _WORDS.get(kind, "is invalid: {message}")
    if problem["input"] is None and "; " in words:
        return f"is empty; {words.partition('; ')[2]}"
    expected = str(context.get("expected", context.get("expected_tags", ""))).replace("'", "").replace(" or ", ", ")
    return words.format(**{**context, "expected": expected, "message": problem["msg"]})


def quoted(value: object) -> str:
    """Quote and shorten a value; empty for lists and mappings."""
    return shorten_middle(repr(value), _MOST_OF_A_VALUE) if isinstance(value, str | int | float) else ""
