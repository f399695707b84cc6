"""Queries of alerts: Lucene syntax (https://lucene.apache.org/core/9_0_0/queryparser/), as far as it is supported.

Words side by side must all be there, as in the search boxes of arXiv and PubMed. AND binds tighter than OR, NOT
tightest. What is not supported is refused, so that no alert silently finds less than its writer thinks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from luqum import tree
from luqum.exceptions import ParseError
from luqum.parser import lexer, parser

from newsletter.alerts.lexing import QueryError, replay, tokens_of
from newsletter.alerts.words import WILDCARDS, has_wildcard, is_unspaced, patterns_of, unescaped
from newsletter.support.identifiers import arxiv_id, doi
from newsletter.support.text import to_single_line

__all__ = ["And", "Name", "Not", "Or", "Query", "QueryError", "Value", "Words", "parse_query"]

_CACHED = 16_384
_MOST_NEAR = 10
_MOST_SLOW = 30
"""Maximum phrases with ~ or a wildcard in a query. Each takes up to some 50 ms for 1,500 papers."""

_FEWEST_LETTERS = 2
"""Letters before a wildcard in a phrase: fewer stand for most of the words there are."""

_TEXT_FIELDS = ("", "title", "abstract", "venue")
_YEAR = re.compile(r"[12]\d{3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Words:
    """Words that are next to each other, or near each other, in a field.

    Attributes:
        field: ``title``, ``abstract`` or ``venue``; empty for title, abstract and keywords.
        patterns: the words as in :mod:`newsletter.alerts.words`, perhaps with wildcards.
        within: how many other words may be between them, in any order; None for a phrase.
    """

    field: str
    patterns: tuple[str, ...]
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """The name of an author."""

    name: str


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a category, year, DOI or id, in lower case; ``*`` and ``?`` are wildcards."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Not:
    """What must not be."""

    operand: "Query"


@dataclass(frozen=True, slots=True)
class And:
    """What must all be."""

    operands: tuple["Query", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Of which one must be."""

    operands: tuple["Query", ...]


Query = Words | Name | Value | Not | And | Or


@lru_cache(_CACHED)
def parse_query(text: str) -> Query:
    """Parse a query.

    Raises:
        QueryError: it cannot be used; the error names the column, what is wrong and how to fix it.
    """
    tokens = tokens_of(text)
    try:
        parsed = parser.parse(lexer=lexer.clone(), tokenfunc=replay(tokens))
    except ParseError:
        raise QueryError(1, "the query cannot be read", "check its brackets and operators") from None
    query = _query(parsed, "")
    if not _demands(query):
        raise QueryError(
            1, "it would find nearly every paper, since it says only what papers must not have", "add a word they need"
        )
    if _slow_phrases(query) > _MOST_SLOW:
        raise QueryError(1, f"more than {_MOST_SLOW} phrases with '~' or a wildcard", "make it two alerts")
    return query


def _slow_phrases(query: Query) -> int:
    match query:
        case Not(operand):
            return _slow_phrases(operand)
        case And(operands) | Or(operands):
            return sum(map(_slow_phrases, operands))
        case Words(_, patterns, within):
            return int(within is not None or (len(patterns) > 1 and any(map(has_wildcard, patterns))))
        case _:
            return 0


def _demands(query: Query, negated: bool = False) -> bool:
    """Return whether only papers match that have something the query names (for a negated one: that do not match)."""
    match query:
        case Not(operand):
            return _demands(operand, not negated)
        case And(operands):
            return (all if negated else any)(_demands(one, negated) for one in operands)
        case Or(operands):
            return (any if negated else all)(_demands(one, negated) for one in operands)
        case _:
            return not negated


def _query(item: tree.Item, field: str) -> Query:
    """Convert luqum's tree, in a field."""
    match item:
        case tree.SearchField():
            if field:
                raise QueryError(item.pos + 1, "a field cannot stand in a field", "move it out of the brackets")
            return _query(item.expr, item.name.lower())
        case tree.AndOperation():
            return And(tuple(_query(child, field) for child in item.children))
        case tree.OrOperation():
            _check_signs(item.children)
            return Or(tuple(_query(child, field) for child in item.children))
        case tree.Not() | tree.Prohibit():
            return Not(_query(item.a, field))
        case tree.Plus():
            return _query(item.a, field)
        case tree.Group() | tree.FieldGroup():
            return _query(item.expr, field)
        case tree.Proximity():
            return _near(item, field)
        case tree.Phrase():
            return _leaf(item.value[1:-1], field, item.pos + 1)
        case tree.Word():
            return _leaf(item.value, field, item.pos + 1)
        case _:
            raise QueryError(item.pos + 1, "this is not supported", "remove it")


def _check_signs(operands: Sequence[tree.Item]) -> None:
    """Refuse a + next to an OR, where it would not mean what it says."""
    for operand in operands:
        for one in operand.children if isinstance(operand, tree.AndOperation) else (operand,):
            if isinstance(one, tree.Plus):
                raise QueryError(
                    one.pos + 1, "'+' next to OR has no clear meaning", "remove it, or use AND and brackets"
                )


def _near(item: tree.Proximity, field: str) -> Query:
    found = _leaf(item.term.value[1:-1], field, item.pos + 1)
    column = item.pos + item.term.size + 1
    if not isinstance(found, Words):
        raise QueryError(column, f"'~' does not work in {field}", "remove it with its number")
    if not 2 <= len(found.patterns) <= _MOST_NEAR:
        raise QueryError(column, f"'~' works with 2 to {_MOST_NEAR} words", "change the phrase before it")
    return Words(found.field, found.patterns, item.degree)


def _leaf(written: str, field: str, column: int) -> Query:
    if field in _TEXT_FIELDS:
        return Words(field, _patterns(written, column))
    plain = to_single_line(unescaped(written))
    if not any(map(str.isalnum, plain)):
        raise QueryError(column, f"the value of {field} is empty", "write a value, or remove the field")
    if field == "author":
        if any(one in plain for one in WILDCARDS):
            raise QueryError(column, "names of authors have no wildcards", 'write a name like "Jane Doe" or Doe')
        return Name(plain)
    if plain.startswith(tuple(WILDCARDS)):
        raise _leading(column)
    if field == "year" and not _YEAR.fullmatch(plain):
        raise QueryError(column, f"{plain[:50]!r} is not a year", "write four digits; combine years with OR")
    return Value(field, _identifier(plain, field))


def _identifier(plain: str, field: str) -> str:
    """Return a value in the form in which it is compared."""
    if field == "id" and (known := arxiv_id(plain)) is not None:
        return known[0]
    if field in ("doi", "id"):
        return doi(plain) or (arxiv_id(plain) or (plain.lower(),))[0]
    return category_key(plain) if field == "category" else plain


def category_key(category: str) -> str:
    """Return a category in the form in which it is compared: bioRxiv writes ``cell_biology`` and ``cell biology``."""
    return " ".join(category.casefold().replace("_", " ").split())


def _patterns(written: str, column: int) -> tuple[str, ...]:
    patterns = tuple(patterns_of(written))
    if not patterns:
        raise QueryError(column, "there is no letter or digit in it", "write a word, or remove it")
    for pattern in patterns:
        if pattern[0] in WILDCARDS:
            raise _leading(column)
        if has_wildcard(pattern) and is_unspaced(pattern):
            raise QueryError(column, "wildcards do not work in this script", "remove them; parts of words match too")
        if len(patterns) > 1 and has_wildcard(pattern[:_FEWEST_LETTERS]):
            raise QueryError(
                column,
                f"{pattern[:50]!r} has fewer than {_FEWEST_LETTERS} letters before the wildcard, within a phrase",
                "write more of the word, or remove the wildcard",
            )
    return patterns


def _leading(column: int) -> QueryError:
    return QueryError(column, "a wildcard cannot begin a word", "write at least one letter before it, as in graph*")
