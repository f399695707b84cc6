"""Errors in the command line itself, in plain words and with the nearest option or value."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from typer._click.exceptions import UsageError

from newsletter.config.suggestions import nearest_value

_PLAIN_WORDS = (
    (re.compile(r"Input should be greater than or equal to (\S+)"), r"it must be \1 or more."),
    (re.compile(r"Input should be less than or equal to (\S+)"), r"it must be \1 or less."),
    (re.compile(r"Input should be a valid integer.*"), "write a whole number, like 5."),
    (re.compile(r"Value error, (.*)"), r"\1"),
)
"""What pydantic says, which Typer uses to convert values, and what we say."""

_CHOICE = re.compile(r"(?:.*: )?'(?P<value>.*)' is not one of (?P<choices>'.*')\.?")


@contextmanager
def plain_usage_errors() -> Iterator[None]:
    """Reword errors in options and arguments."""
    try:
        yield
    except UsageError as error:
        for pattern, words in _PLAIN_WORDS:
            error.message = pattern.sub(words, error.message)
        choice = _CHOICE.fullmatch(error.message)
        if choice and (near := nearest_value(choice["value"], re.findall("'(.*?)'", choice["choices"]))):
            error.message = f"{error.message.rstrip('.')}. Did you mean {near!r}?"
        if options := getattr(error, "possibilities", None):
            error.message = f"{error.message}. Did you mean {options[0]!r}?"
            error.possibilities = None  # type: ignore[attr-defined]
        raise
