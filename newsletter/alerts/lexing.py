"""The tokens of a query: luqum's lexer, checks that name the column, and an AND between words side by side."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from luqum.exceptions import ParseError
from luqum.head_tail import TokenValue
from luqum.parser import lexer as shared_lexer
from ply.lex import LexToken

from newsletter.config.suggestions import nearest_value

LONGEST = 1_000
"""Maximum characters of a query."""

MOST_TERMS = 100
DEEPEST = 20
"""Maximum levels of brackets, and of signs before one word."""

FARTHEST = 50
"""Maximum words between those of a phrase with ``~``."""

FIELDS = ("title", "abstract", "author", "venue", "category", "year", "doi", "id")

_OPERANDS = ("TERM", "PHRASE", "LPAREN", "TO")
_SIGNS = ("NOT", "PLUS", "MINUS")
_OPERATORS = ("AND_OP", "OR_OP")
_TYPOGRAPHIC_QUOTES = str.maketrans(dict.fromkeys("“”„‟", '"'))
_DISTANCE = re.compile(r"\d{1,2}", re.ASCII)
_OTHER_OPERATORS = {"&&": "AND", "||": "OR", "!": "NOT"}
_REFUSED = {
    "REGEX": ("regular expressions are not supported", "put the text into double quotes, or use the wildcards * and ?"),
    "LBRACKET": ("ranges are not supported", "remove the bracket; write years as (year:2024 OR year:2025)"),
    "RBRACKET": ("ranges are not supported", "remove the bracket; write years as (year:2024 OR year:2025)"),
    "LESSTHAN": ("comparisons are not supported", "remove the sign, or put the text into double quotes"),
    "GREATERTHAN": ("comparisons are not supported", "remove the sign, or put the text into double quotes"),
    "BOOST": ("weights (^) are not supported", "remove the ^ and its number"),
}


class QueryError(ValueError):
    """A query that cannot be used.

    Args:
        column: where, from 1.
        problem: what is wrong. ``fix``: how to fix it.
    """

    def __init__(self, column: int, problem: str, fix: str) -> None:
        self.column, self.problem, self.fix = column, problem, fix
        super().__init__(f"column {column}: {problem}; {fix}")

    def __reduce__(self) -> tuple[type["QueryError"], tuple[int, str, str]]:
        return type(self), (self.column, self.problem, self.fix)


def tokens_of(text: str) -> list[Any]:
    """Return the tokens of a query, with an AND between operands side by side.

    Raises:
        QueryError: the query is too long, uses what is not supported, or its operators and operands do not fit.
    """
    if len(text) > LONGEST:
        raise QueryError(LONGEST + 1, f"the query is longer than {LONGEST:,} characters", "make it two alerts")
    lexed = list(_lexed(text.translate(_TYPOGRAPHIC_QUOTES)))
    if not lexed:
        raise QueryError(1, "the query is empty", "write a word that papers must have")
    reader = _Reader(text)
    for place, token in enumerate(lexed):
        reader.read(token, lexed[place + 1] if place + 1 < len(lexed) else None)
    reader.end()
    return reader.tokens


def _lexed(text: str) -> Iterator[Any]:
    """Yield the tokens as luqum reads them."""
    # The lexer has the state of one text.
    lexer = shared_lexer.clone()
    lexer.input(text)
    while True:
        try:
            token = lexer.token()
        except ParseError:
            raise _illegal(text, min(lexer.lexpos, len(text) - 1)) from None
        if token is None:
            return
        yield token


def _illegal(text: str, at: int) -> QueryError:
    match text[at]:
        case '"':
            return QueryError(at + 1, "the quote is not closed", 'add another " at the end of the phrase')
        case "'":
            return QueryError(at + 1, "a single quote cannot begin a word", 'use double quotes: "a phrase"')
        case "/":
            return QueryError(at + 1, "a slash cannot begin a word", "remove it, or put the text into double quotes")
        case _:
            return QueryError(at + 1, f"{text[at]!r} cannot stand here", "remove it")


@dataclass
class _Reader:
    """Reads tokens one by one and checks that each may follow those before it.

    Attributes:
        tokens: those read so far. ``opened``: the open brackets among them.
        last: what was read last: empty for nothing, ``operand``, ``operator``, ``sign``, ``field`` or ``open``.
    """

    text: str
    tokens: list[Any] = field(default_factory=list)
    opened: list[Any] = field(default_factory=list)
    last: str = ""
    terms: int = 0
    signs: int = 0

    def read(self, token: Any, following: Any) -> None:
        kind = token.type
        if kind in _REFUSED:
            raise QueryError(token.lexpos + 1, *_REFUSED[kind])
        if kind in _OPERANDS or kind in _SIGNS:
            if self.last == "operand":
                self.tokens.append(_and(token))
            self._begin(token, following)
        elif kind in _OPERATORS:
            self._operator(token)
        elif kind == "RPAREN":
            self._close(token)
        elif kind == "APPROX":
            self._check_distance(token)
        elif self.last != "field" or self.tokens[-1].type == "COLUMN":
            raise QueryError(token.lexpos + 1, "':' has no field before it", f"write one of {', '.join(FIELDS)} there")
        self.tokens.append(token)

    def end(self) -> None:
        """Check that nothing is missing at the end."""
        if self.last != "operand":
            raise self._nothing_after()
        if self.opened:
            raise QueryError(self.opened[-1].lexpos + 1, "the bracket is not closed", "add a ) after what it groups")

    def _begin(self, token: Any, following: Any) -> None:
        """Read the first token of an operand."""
        kind = token.type
        if kind in _SIGNS:
            self._sign(token, following)
            return
        named = kind in ("TERM", "TO") and following is not None and following.type == "COLUMN"
        if named:
            self._field(token)
        elif kind == "LPAREN":
            self.opened.append(token)
            if len(self.opened) > DEEPEST:
                raise QueryError(token.lexpos + 1, f"more than {DEEPEST} brackets in each other", "make it two alerts")
            self.last = "open"
        else:
            self.terms += 1
            if self.terms > MOST_TERMS:
                raise QueryError(token.lexpos + 1, f"more than {MOST_TERMS} words and phrases", "make it two alerts")
            if kind == "TERM":
                _check_word(str(token.value), token.lexpos + 1)
            self.last = "operand"
        self.signs = 0

    def _field(self, token: Any) -> None:
        name = str(token.value)
        if self.last == "field":
            raise QueryError(token.lexpos + 1, "a field cannot stand in a field", "put the text into double quotes")
        if name.lower() not in FIELDS:
            near = nearest_value(name, FIELDS)
            known = f"did you mean {near!r}?" if near else f"write one of {', '.join(FIELDS)}."
            raise QueryError(
                token.lexpos + 1,
                f"{name[:50]!r} is not a field",
                f"{known} Put other text with a colon into double quotes",
            )
        self.last = "field"

    def _sign(self, token: Any, following: Any) -> None:
        at, written = token.lexpos, self.text[token.lexpos]
        if self.last == "field":
            raise self._nothing_after()
        if token.type != "NOT":
            if at and not self.text[at - 1].isspace() and self.text[at - 1] not in "(+-":
                raise QueryError(at + 1, f"{written!r} follows a word directly", "put a space before it, or remove it")
            if following is None or following.lexpos > at + 1:
                raise QueryError(at + 1, f"{written!r} has no word after it", "remove it, or the space after it")
        self.signs += 1
        if self.signs > DEEPEST:
            raise QueryError(at + 1, f"more than {DEEPEST} signs before one word", "remove some")
        self.last = "sign"

    def _operator(self, token: Any) -> None:
        name = token.type.removesuffix("_OP")
        if self.last in ("", "open"):
            raise QueryError(token.lexpos + 1, f"{name} has nothing before it", "add a word before it, or remove it")
        if self.last != "operand":
            raise self._nothing_after()
        self.last = "operator"

    def _close(self, token: Any) -> None:
        if not self.opened:
            raise QueryError(token.lexpos + 1, "the bracket was not opened", "remove it, or add a ( before")
        if self.last == "open":
            raise QueryError(token.lexpos + 1, "the brackets are empty", "write a word between them, or remove them")
        if self.last != "operand":
            raise self._nothing_after()
        self.opened.pop()

    def _check_distance(self, token: Any) -> None:
        if self.last != "operand" or self.tokens[-1].type != "PHRASE":
            raise QueryError(
                token.lexpos + 1, "'~' works only after a phrase", 'write "two words"~5, or use the wildcards * and ?'
            )
        # Checked here, since luqum fails on other numbers.
        if not (_DISTANCE.fullmatch(token.value.value or "") and int(token.value.value) <= FARTHEST):
            raise QueryError(
                token.lexpos + 1, "'~' needs a whole number", f'write "two words"~5, with at most {FARTHEST}'
            )

    def _nothing_after(self) -> QueryError:
        token = self.tokens[-1]
        written = "the bracket" if token.type == "LPAREN" else str(token.value)
        if token.type == "COLUMN":
            token, written = self.tokens[-2], f"{self.tokens[-2].value}:"
        return QueryError(token.lexpos + 1, f"{written} has nothing after it", "add a word after it, or remove it")


def _check_word(word: str, column: int) -> None:
    if '"' in word.replace('\\"', ""):
        raise QueryError(column + word.index('"'), "a quote within a word", "put a space before it, or remove it")
    for sign, operator in _OTHER_OPERATORS.items():
        if word.startswith(sign):
            raise QueryError(column, f"{sign!r} is not an operator here", f"write {operator} in its place")
    if word.upper() in ("AND", "OR", "NOT"):
        raise QueryError(
            column,
            f"{word!r} is an operator only in capitals",
            f'write {word.upper()}, or "{word}" in double quotes for the word',
        )


def _and(before: Any) -> Any:
    """Return the token of an AND that is not written."""
    token: Any = LexToken()
    token.type, token.value, token.lineno, token.lexpos = "AND_OP", TokenValue("AND"), before.lineno, before.lexpos
    return token


def replay(tokens: Sequence[Any]) -> Any:
    """Return a function that returns the tokens one by one, then None, as luqum's parser reads them."""
    left = iter(tokens)
    return lambda: next(left, None)
