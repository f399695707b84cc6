"""Queries: what is understood, what is refused and how, and that they find what a naive evaluation finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.alerts.matching import AlertPapers, match_alert
from newsletter.alerts.query import And, Name, Not, Or, Query, QueryError, Value, Words, parse_query
from newsletter.model import Alert, AlertKind, Paper


def words(text: str, field: str = "", within: int | None = None) -> Words:
    return Words(field, tuple(text.split()), within)


A, B, C = words("a"), words("b"), words("c")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("a b", And((A, B))),
        ("a b OR c", Or((And((A, B)), C))),
        ("a OR b c", Or((A, And((B, C))))),
        ("a OR b AND c", Or((A, And((B, C))))),
        ("a NOT b", And((A, Not(B)))),
        ("NOT a b", And((Not(A), B))),
        ("+a -b", And((A, Not(B)))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("title:(a OR b)", Or((words("a", "title"), words("b", "title")))),
        ("Title:A", words("a", "title")),
        ('"graph neural network*"', words("graph neural network*")),
        ('"a b"~5', words("a b", within=5)),
        ("state-of-the-art", words("state of the art")),
        ("C++ F# .NET", And((words("c++"), words("f#"), words(".net")))),
        ("Müller ŁÓDŹ", And((words("muller"), words("lodz")))),
        ("“smart quotes”", words("smart quotes")),
        (r"colour\*", words("colour")),
        ("猫の", words("猫 の")),
        ('author:"Jane Doe"', Name("Jane Doe")),
        ("category:cs.LG", Value("category", "cs.lg")),
        ("year:2025", Value("year", "2025")),
        ("doi:10.1000/XYZ", Value("doi", "10.1000/xyz")),
        ('id:"arXiv:2402.01310v2"', Value("id", "2402.01310")),
    ],
)
def test_what_a_query_means(text: str, query: Query) -> None:
    assert parse_query(text) == query


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ('graph "neural net', 7, "the quote is not closed"),
        ('kelp "a* b*"~50', 6, "'a*' has fewer than 2 letters before the wildcard"),
        ("title:ab-c?d", 7, "'c?d' has fewer than 2 letters before the wildcard"),
        (" ".join(f'"kelp{number} forest*"' for number in range(31)), 1, "more than 30 phrases with '~' or a wildcard"),
        (" OR ".join(f'NOT ("kelp forest{number}"~3)' for number in range(31)), 1, "it would find nearly every paper"),
        (" OR ".join(f'(a "kelp forest{number}"~3)' for number in range(31)), 1, "more than 30 phrases with '~'"),
        ("(a OR (b)", 1, "the bracket is not closed"),
        ("a) b", 2, "the bracket was not opened"),
        ("a ()", 4, "the brackets are empty"),
        ("autor:Doe", 1, "'autor' is not a field; did you mean 'author'?"),
        ("see http://x.org", 5, "'http' is not a field"),
        ('a ""', 3, "there is no letter or digit in it"),
        ("a & b", 3, "there is no letter or digit in it"),
        ("a AND", 3, "AND has nothing after it"),
        ("a AND OR b", 3, "AND has nothing after it"),
        ("(a OR) b", 4, "OR has nothing after it"),
        ("OR a", 1, "OR has nothing before it"),
        ("a NOT", 3, "NOT has nothing after it"),
        ("title: ", 1, "title: has nothing after it"),
        ("title:author:x", 7, "a field cannot stand in a field"),
        ("title:(a author:x)", 10, "a field cannot stand in a field"),
        (": a", 1, "':' has no field before it"),
        ("NOT a", 1, "it would find nearly every paper"),
        ("a OR -b", 1, "it would find nearly every paper"),
        ("-(a b)", 1, "it would find nearly every paper"),
        ("a" * 1001, 1001, "the query is longer than 1,000 characters"),
        ("(" * 21 + "a" + ")" * 21, 21, "more than 20 brackets in each other"),
        ("NOT " * 21 + "a", 81, "more than 20 signs before one word"),
        ("a " * 101, 201, "more than 100 words and phrases"),
        ("graph *", 7, "a wildcard cannot begin a word"),
        ("?raph", 1, "a wildcard cannot begin a word"),
        ('"graph *net"', 1, "a wildcard cannot begin a word"),
        ("graph-*", 1, "a wildcard cannot begin a word"),
        ("category:*.LG", 10, "a wildcard cannot begin a word"),
        ("grahp~", 6, "'~' works only after a phrase"),
        ('"a b"~1.5', 6, "'~' needs a whole number"),
        ('"a b"~', 6, "'~' needs a whole number"),
        ('"a b"~51', 6, "'~' needs a whole number"),
        ('"a"~3', 4, "'~' works with 2 to 10 words"),
        ('author:"Jane Doe"~3', 18, "'~' does not work in author"),
        ("year:[2020 TO 2024]", 6, "ranges are not supported"),
        ("year:>2020", 6, "comparisons are not supported"),
        ("year:24", 6, "'24' is not a year"),
        ("/gr.ph/", 1, "regular expressions are not supported"),
        ("graph^2", 6, "weights (^) are not supported"),
        ("author:Do*", 8, "names of authors have no wildcards"),
        ("cats and dogs", 6, "'and' is an operator only in capitals"),
        ("a || b", 3, "'||' is not an operator here"),
        ("!a", 1, "'!' is not an operator here"),
        ("a - b", 3, "'-' has no word after it"),
        ('"a"-b', 4, "'-' follows a word directly"),
        ("+a OR b", 1, "'+' next to OR has no clear meaning"),
        ("'deep learning'", 1, "a single quote cannot begin a word"),
        ('deep"learning"', 5, "a quote within a word"),
        ("a\\", 2, "cannot stand here"),
        ("猫*", 1, "wildcards do not work in this script"),
        ("  ", 1, "the query is empty"),
    ],
)
def test_a_query_that_cannot_be_used_is_refused_with_its_column_and_a_fix(text: str, column: int, problem: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(text)
    assert str(caught.value).startswith(f"column {column}: ")
    assert problem in str(caught.value)
    assert caught.value.fix


@given(st.text(st.one_of(st.sampled_from("ab *?\"():+-~^[]/\\!&|<>'“.1 ANDORNT猫é"), st.characters()), max_size=60))
def test_any_text_is_a_query_or_refused_with_a_column_in_it(text: str) -> None:
    try:
        parse_query(text)
    except QueryError as error:
        assert 1 <= error.column <= max(1, len(text))


VOCABULARY = ["graph", "graphs", "neural", "network", "net", "x"]
PASSAGES = st.lists(st.sampled_from(VOCABULARY), max_size=6)
PAPERS = st.lists(st.tuples(PASSAGES, PASSAGES), min_size=1, max_size=6)
LEAVES = st.one_of(
    st.builds(words, st.sampled_from([*VOCABULARY, "gr*", "net*", "gra?h", "n?t*"]), st.sampled_from(["", "title"])),
    st.builds(
        lambda found: words(" ".join(found)), st.lists(st.sampled_from([*VOCABULARY, "ne*"]), min_size=2, max_size=3)
    ),
    st.builds(
        lambda found, within: words(" ".join(found), within=within),
        st.lists(st.sampled_from(VOCABULARY), min_size=2, max_size=3),
        st.integers(0, 3),
    ),
)
TREES: st.SearchStrategy[Query] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda found: And(tuple(found)), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda found: Or(tuple(found)), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=6,
)


def written(query: Query, implicit: bool) -> str:
    """Write a query, with every operand that has operands of its own in brackets."""
    match query:
        case Words(field, patterns, within):
            text = f'"{" ".join(patterns)}"' if len(patterns) > 1 else patterns[0]
            return f"{f'{field}:' if field else ''}{text}{'' if within is None else f'~{within}'}"
        case Not(operand):
            return f"-{bracketed(operand, implicit)}" if implicit else f"NOT {bracketed(operand, implicit)}"
        case And(operands):
            return (" " if implicit else " AND ").join(bracketed(one, implicit) for one in operands)
        case Or(operands):
            return " OR ".join(bracketed(one, implicit) for one in operands)
    raise AssertionError(query)


def bracketed(query: Query, implicit: bool) -> str:
    text = written(query, implicit)
    return text if isinstance(query, Words) else f"({text})"


def holds(query: Query, title: list[str], abstract: list[str]) -> bool:
    """Evaluate a query on one paper in the plainest way."""
    match query:
        case Not(operand):
            return not holds(operand, title, abstract)
        case And(operands):
            return all(holds(one, title, abstract) for one in operands)
        case Or(operands):
            return any(holds(one, title, abstract) for one in operands)
        case Words(field, patterns, within):
            passages = [title] if field == "title" else [title, abstract]
            return any(stands_in(passage, list(patterns), within) for passage in passages)
    raise AssertionError(query)


def stands_in(passage: list[str], patterns: list[str], within: int | None) -> bool:
    size = len(patterns) + (within or 0)
    for start in range(len(passage)):
        window = passage[start : start + size]
        if within is None:
            if len(window) == size and all(map(agrees, patterns, window)):
                return True
        elif all(window.count(pattern) >= patterns.count(pattern) for pattern in patterns):
            return True
    return False


def agrees(pattern: str, word: str) -> bool:
    if not pattern:
        return not word
    if pattern[0] == "*":
        return any(agrees(pattern[1:], word[at:]) for at in range(len(word) + 1))
    return bool(word) and pattern[0] in ("?", word[0]) and agrees(pattern[1:], word[1:])


@given(TREES, PAPERS, st.booleans())
def test_random_queries_find_what_a_plain_evaluation_finds(
    query: Query, texts: list[tuple[list[str], list[str]]], implicit: bool
) -> None:
    # With a word that every paper has, so that the query is one that demands something.
    whole = And((words("all"), query))
    papers = [
        Paper(title=" ".join(["all", *title]), abstract="; ".join([" ".join(abstract)]), row=row)
        for row, (title, abstract) in enumerate(texts, 1)
    ]
    value = written(whole, implicit)
    parse_query(value)
    found = match_alert(AlertPapers(papers=papers), Alert(kind=AlertKind.QUERY, value=value))
    expected = [at for at, (title, abstract) in enumerate(texts) if holds(whole, ["all", *title], abstract)]
    assert [match.paper for match in found] == expected


def test_a_pattern_with_many_wildcards_takes_no_long_time() -> None:
    papers = AlertPapers(papers=[Paper(title="a" * 1_000, abstract="a" * 9_000, row=1)])
    assert match_alert(papers, Alert(kind=AlertKind.QUERY, value=f'"{"a*" * 200}b"')) == []
