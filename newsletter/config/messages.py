"""Plain-English messages for pydantic's validation errors."""

from collections.abc import Mapping

from pydantic_core import ErrorDetails

from newsletter.config.suggestions import nearest_value, probable_boolean
from newsletter.config.yaml_explanations import missing_space, quote
from newsletter.support.text import shorten_middle

_MOST_OF_A_VALUE = 80
_OWN_KEYS = "is not a mapping; write its keys on the lines below it, indented"
_TEXT = "is not text; write it on one line"
_WHOLE = "is not a whole number; write one like 5"
_NUMBER = "is not a number; write one like 0.5"
_YES_OR_NO = "is not a boolean; write true or false"
_DATE = "is not a date; write it like 2025-01-31"
_CHOICE = "is not one of {expected}"

_WORDS: Mapping[str, str] = {
    "missing": "missing; add it",
    "extra_forbidden": "is not known here; remove it",
    "model_type": _OWN_KEYS,
    "model_attributes_type": _OWN_KEYS,
    "dict_type": _OWN_KEYS,
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
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
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
    if words is _TEXT and problem["input"] is not None:
        return _as_text(problem)
    if words is _YES_OR_NO and isinstance(problem["input"], str) and (probable := probable_boolean(problem["input"])):
        return f"is not a boolean; did you mean {probable}?"
    if words is _OWN_KEYS and isinstance(problem["input"], str) and (missing := missing_space(problem["input"])):
        return missing
    if kind == "list_type":
        return _as_list(problem["input"])
    if problem["input"] is None and "; " in words:
        return f"is empty; {words.partition('; ')[2]}"
    expected = str(context.get("expected", context.get("expected_tags", ""))).replace("'", "").replace(" or ", ", ")
    said = words.format(**{**context, "expected": expected, "message": problem["msg"]})
    probable = _probable(problem, words, expected.split(", "))
    return f"{said}; did you mean {probable!r}?" if probable else said


def _probable(problem: ErrorDetails, words: str, expected: list[str]) -> str | None:
    """Return the value that was probably meant, where that is a matter of words."""
    value = problem["input"]
    if words is _CHOICE and isinstance(value, Mapping):
        value = value.get("kind")
    if not isinstance(value, str) or not value.strip():
        return None
    return nearest_value(value, expected) if words is _CHOICE else None


def key_for_text(key: str, text: str) -> str:
    """Explain a key and a value where a text is wanted."""
    fixed = shorten_middle(quote(f"{key}: {text}"), _MOST_OF_A_VALUE)
    return f'has ": ", so YAML reads a key and a value; put quotes around it: {fixed}'


def _as_list(value: object) -> str:
    if isinstance(value, Mapping):
        return "is a mapping, not a list; start each entry with '- '"
    example = shorten_middle(str(value), _MOST_OF_A_VALUE) if isinstance(value, str) and value.strip() else "this, that"
    return f"is {'empty' if value is None else 'not a list'}; write it like [{example}]"


def _as_text(problem: ErrorDetails) -> str:
    """Describe a mapping where text is wanted: a text with ``: `` that has no quotes."""
    value = problem["input"]
    if isinstance(value, Mapping) and len(value) == 1:
        key, text = next(iter(value.items()))
        if isinstance(text, str):
            return key_for_text(str(key), text)
    return _TEXT


def quoted(value: object) -> str:
    """Quote and shorten a value; empty for lists and mappings."""
    return shorten_middle(repr(value), _MOST_OF_A_VALUE) if isinstance(value, str | int | float) else ""
