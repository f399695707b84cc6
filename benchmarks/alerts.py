"""Time of matching thousands of alerts with 1,500 papers on one core, compared with others. ``make bench-alerts``.

Each paper is one of the sample corpus with sentences of two others, so that all differ. Alerts are queries whose words
stand in papers (phrases, wildcards, fields, words near each other, negations), authors, and institutions; no two are
equal. The time is that of the processor, with parsing. The peers answer the queries alone, each in its own syntax:
SQLite's FTS5, and a scan of the papers with one regular expression per term.
"""

import os
import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from benchmarks.results import Results, parser, rounded, show
from newsletter.alerts.matching import AlertMatch, AlertPapers, Institution, PaperFacts, match_alert
from newsletter.alerts.query import And, Not, Or, Query, Words, parse_query
from newsletter.alerts.words import words_of
from newsletter.model import Alert, AlertKind, Paper
from newsletter.rendering.plain_text import latex_to_text
from newsletter.services.demo import SAMPLE_PAPERS
from newsletter.sources.jsonl import read_lines

T = TypeVar("T")

PAPERS = 1_500
COUNTS, PEER_COUNT, SCANNED = (1_250, 2_500, 5_000), 200, 25
FULL_COUNTS, FULL_PEER_COUNT, FULL_SCANNED = (2_500, 5_000, 10_000, 20_000), 500, 50
GIVEN = ["Ada", "Grace", "Jean", "Wei", "Yuki", "Lea", "Omar", "Ines", "Karl", "Maya"]
FAMILY = ["Lovelace", "Hopper", "Müller", "Zhang", "Tanaka", "García", "Novák", "Okafor", "Larsen", "Iyer"]
COMMON = frozenset(
    re.findall(r"\w+", "a an and are as at be by can for from in is it its of not on or that the this to we")
)


def make_papers(rng: random.Random) -> list[Paper]:
    """Make different papers of the sample corpus."""
    known = [one for one in read_lines(SAMPLE_PAPERS.read_text(), "sample") if isinstance(one, Paper)]
    made = []
    for row in range(1, PAPERS + 1):
        one, *others = rng.sample(known, 3)
        sentences = [rng.choice(other.abstract.split(". ")) for other in others]
        made.append(
            replace(
                one,
                row=row,
                abstract=". ".join([one.abstract, *sentences]),
                authors=tuple(f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}{rng.randrange(400)}" for _ in range(5)),
            )
        )
    return made


def make_queries(rng: random.Random, papers: Sequence[Paper], count: int) -> list[str]:
    """Make different queries whose words stand in papers."""
    texts = [[word for word in words_of(one.abstract) if word.isalpha()] for one in papers]
    words = sorted({word for text in texts for word in text} - COMMON)
    made: dict[str, None] = {}

    def phrase(length: int) -> str:
        while True:
            text = rng.choice(texts)
            start = rng.randrange(len(text) - length)
            found = text[start : start + length]
            if not COMMON & {found[0], found[-1]} and len(found[-1]) > 1:
                return " ".join(found)

    while len(made) < count:
        one, other, third = (rng.choice(words) for _ in range(3))
        made[
            rng.choice(
                (
                    f'"{phrase(2)}*" AND {one}',
                    f'"{phrase(3)}" -{other}',
                    f'title:{one} OR "{phrase(2)}"',
                    f"{one} AND ({other} OR {third}) NOT {rng.choice(words)}",
                    f'"{phrase(2)}" AND ({one} OR "{phrase(2)}")',
                    f'"{one} {other}"~8 OR {phrase(1)}*',
                )
            )
        ] = None
    return list(made)


def make_alerts(rng: random.Random, papers: Sequence[Paper], count: int) -> list[Alert]:
    """Make different alerts: of ten, seven are queries, two authors and one is an institution."""
    queries = make_queries(rng, papers, count * 7 // 10)
    alerts = [Alert(kind=AlertKind.QUERY, value=query) for query in queries]
    rest = count - len(alerts)
    for number in range(rest):
        if number % 3:
            name = f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}{rng.randrange(400)}"
            alerts.append(Alert(kind=AlertKind.AUTHOR, value=name, name=str(number)))
        else:
            alerts.append(Alert(kind=AlertKind.INSTITUTION, value=f"University {number % 700}", name=str(number)))
    return alerts


def prepare(papers: Sequence[Paper], rng: random.Random) -> AlertPapers:
    facts = {
        one.row: PaperFacts(institutions=(Institution(f"University {rng.randrange(700)} of Technology"),))
        for one in papers
    }
    return AlertPapers(papers=papers, facts=facts, plain=latex_to_text)


def match_all(papers: AlertPapers, alerts: Sequence[Alert]) -> list[list[AlertMatch]]:
    """What each alert finds."""
    return [match_alert(papers, alert) for alert in alerts]


def timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def fts5(papers: Sequence[Paper]) -> sqlite3.Connection:
    """Make an index of SQLite's full-text search."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE papers USING fts5(title, abstract, tokenize='unicode61')")
    database.executemany(
        "INSERT INTO papers(rowid, title, abstract) VALUES (?, ?, ?)",
        [(one.row - 1, latex_to_text(one.title), latex_to_text(one.abstract)) for one in papers],
    )
    return database


def fts5_query(query: Query) -> str:
    """Write a query as FTS5 reads it."""
    match query:
        case Words(field, patterns, within):
            written = " ".join(one.rstrip("*") for one in patterns)
            near = " ".join(f'"{one}"' for one in patterns)
            said = f"NEAR({near}, {within})" if within is not None else f'"{written}"'
            said += "*" if patterns[-1].endswith("*") else ""
            return f"{field} : {said}" if field else said
        case And(operands):
            kept = " AND ".join(fts5_query(one) for one in operands if not isinstance(one, Not))
            left_out = [fts5_query(one.operand) for one in operands if isinstance(one, Not)]
            return f"(({kept}) NOT ({' OR '.join(left_out)}))" if left_out else f"({kept})"
        case Or(operands):
            return f"({' OR '.join(map(fts5_query, operands))})"
    raise ValueError(query)


def expression(one: Words) -> re.Pattern[str]:
    words = (re.escape(word).replace(r"\*", r"\w*") for word in one.patterns)
    return re.compile(r"\b" + r"\W+".join(words) + r"\b", re.IGNORECASE)


def scan(papers: Sequence[str], query: Query) -> Iterator[int]:
    """Find the papers of a query with regular expressions, one paper after the other."""
    known = {one: expression(one) for one in leaves(query)}

    def holds(one: Query, text: str) -> bool:
        match one:
            case Not(operand):
                return not holds(operand, text)
            case And(operands):
                return all(holds(part, text) for part in operands)
            case Or(operands):
                return any(holds(part, text) for part in operands)
        return known[one].search(text) is not None

    return (number for number, text in enumerate(papers) if holds(query, text))


def leaves(query: Query) -> Iterator[Words]:
    match query:
        case Words():
            yield query
        case Not(operand):
            yield from leaves(operand)
        case And(operands) | Or(operands):
            for one in operands:
                yield from leaves(one)


def match_counts(papers: Sequence[Paper], alerts: Sequence[Alert], counts: Sequence[int]) -> dict[str, float]:
    """Print and return the seconds that some numbers of alerts take."""
    seconds = {}
    for count in counts:
        parse_query.cache_clear()
        prepared = prepare(papers, random.Random(2))
        spent, found = timed(partial(match_all, prepared, alerts[:count]))
        hits = sum(map(len, found))
        print(f"{count:>6} alerts: {spent:6.2f} s, {1e6 * spent / count:5.0f} us each, {hits:,} hits", flush=True)
        seconds[str(count)] = rounded(spent)
    return seconds


def queries_per_second(papers: Sequence[Paper], queries: Sequence[str], scanned: int) -> dict[str, float | None]:
    """Return how many queries a second ours and the peers answer, each with its index or its expressions made."""
    parse_query.cache_clear()
    prepared = prepare(papers, random.Random(2))
    alerts = [Alert(kind=AlertKind.QUERY, value=one) for one in queries]
    for name in ("", "title"):
        prepared.find(Words(name, ("x",)))
    parsed = [parse_query(one) for one in queries]
    ours, _ = timed(lambda: match_all(prepared, alerts))
    database = fts5(papers)
    written = [fts5_query(one) for one in parsed]
    theirs, _ = timed(lambda: [database.execute("SELECT rowid FROM papers(?)", [one]).fetchall() for one in written])
    texts = [f"{one.title}\n{one.abstract}" for one in papers]
    plain = [one for one in parsed if all(leaf.within is None for leaf in leaves(one))][:scanned]
    scanning, _ = timed(lambda: [list(scan(texts, one)) for one in plain])
    spent = {
        "ours": ours / len(queries),
        "sqlite_fts5": theirs / len(queries),
        "scan_with_regular_expressions": scanning / len(plain),
    }
    return {name: rounded(1 / each) for name, each in spent.items()}


def main() -> None:
    full = parser(__doc__).parse_args().full
    counts, peer_count, scanned = (
        (FULL_COUNTS, FULL_PEER_COUNT, FULL_SCANNED) if full else (COUNTS, PEER_COUNT, SCANNED)
    )
    results = Results("alerts", full, {"papers": PAPERS, "alerts": counts, "queries": peer_count, "scanned": scanned})
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rng = random.Random(1)
    papers = make_papers(rng)
    everything = make_alerts(rng, papers, counts[-1])
    rng.shuffle(everything)
    results.figures["matching_seconds_by_alerts"] = match_counts(papers, everything, counts)
    queries = [one.value for one in everything if one.kind is AlertKind.QUERY][:peer_count]
    rates = queries_per_second(papers, queries, scanned)
    results.figures["queries_per_second"] = rates
    results.figures["ours_times_as_fast_as"] = show("queries per second, indexes made", rates, "ours")
    results.write()


if __name__ == "__main__":
    main()
