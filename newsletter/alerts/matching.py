"""Matching: which papers each of many alerts finds, and the reason as an email shows it."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property
from typing import TypeVar

from newsletter.alerts.query import And, Name, Not, Or, Query, Value, Words, category_key, parse_query
from newsletter.alerts.text_index import TextIndex, bits_of, numbers_of
from newsletter.alerts.words import has_wildcard, words_of
from newsletter.model import Alert, AlertKind, Paper
from newsletter.support.person_names import NameIndex, NameMatch, compare_names, parse_name
from newsletter.support.text import shorten_middle

_Key = TypeVar("_Key")
_Item = TypeVar("_Item")

_LONGEST_SHOWN = 80
_MOST_KNOWN = 50_000
"""Words, names and values whose papers are kept, to limit the memory: some 20 MB."""

_PHRASE = re.compile('"[^"]+"')


@dataclass(frozen=True, slots=True)
class Person:
    """An author of a paper, with an ORCID iD in its bare form if known."""

    name: str
    orcid: str | None = None


@dataclass(frozen=True, slots=True)
class Institution:
    """An institution of an author of a paper, with a ROR id in its bare form if known."""

    name: str
    ror: str | None = None


@dataclass(frozen=True, slots=True)
class PaperFacts:
    """What is known about a paper in addition to what its sources say."""

    authors: tuple[Person, ...] = ()
    institutions: tuple[Institution, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertMatch:
    """A paper that an alert finds.

    Attributes:
        paper: its index among the papers.
        possibly: whether only the initials of an author agree.
        found: what it was found by, as the paper has it: the name of the author or institution, or the title of the
            cited paper; empty for a query.
    """

    paper: int
    possibly: bool = False
    found: str = ""


@dataclass(frozen=True, kw_only=True)
class AlertPapers:
    """Papers, prepared for many alerts.

    Attributes:
        papers: the papers; results name them by index.
        facts: what is known about them, by row.
        citations: the rows of those that cite a paper, by the identifier of that one as alerts have it.
        titles: the titles of cited papers, by identifier.
        plain: converts the texts of papers to plain text, such as LaTeX.
        late_for: the kinds of alerts that may find a paper (by row) since a fact about it became known late; other
            alerts had their chance. All kinds may find papers that it does not have.
    """

    papers: Sequence[Paper]
    facts: Mapping[int, PaperFacts] = field(default_factory=dict)
    citations: Mapping[str, Collection[int]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    plain: Callable[[str], str] = str
    late_for: Mapping[int, Set[AlertKind]] = field(default_factory=dict)
    _known: dict[Query, tuple[int, int]] = field(default_factory=dict, repr=False)

    def find(self, query: Query) -> tuple[int, int]:
        """Return the papers that match a query, and those that match at least possibly, as bits."""
        match query:
            case Not(operand):
                surely, possibly = self.find(operand)
                return self._all & ~possibly, self._all & ~surely
            case And(operands):
                surely = possibly = self._all
                for one in operands:
                    found = self.find(one)
                    surely, possibly = surely & found[0], possibly & found[1]
                return surely, possibly
            case Or(operands):
                surely = possibly = 0
                for one in operands:
                    found = self.find(one)
                    surely, possibly = surely | found[0], possibly | found[1]
                return surely, possibly
            case _:
                # Different alerts often have words in common.
                if query not in self._known:
                    if len(self._known) >= _MOST_KNOWN:
                        self._known.clear()
                    self._known[query] = self._leaf(query)
                return self._known[query]

    def _leaf(self, query: Words | Name | Value) -> tuple[int, int]:
        match query:
            case Words():
                index = self._texts(query.field)
                if query.within is None:
                    found = index.with_phrase(query.patterns)
                else:
                    found = index.with_near(query.patterns, query.within)
            case Name(name):
                return self._named(name)
            case Value():
                found = self._with_value(query)
        return found, found

    def _named(self, name: str) -> tuple[int, int]:
        surely, possibly = set[int](), set[int]()
        for how, numbers in self.spellings(name).values():
            possibly.update(numbers)
            if how is NameMatch.FULL:
                surely.update(numbers)
        return bits_of(surely, len(self.papers)), bits_of(possibly, len(self.papers))

    def _with_value(self, query: Value) -> int:
        values = self._values(query.field)
        if query.field == "category" and "." not in query.value and not has_wildcard(query.value):
            wanted = [one for one in values if one == query.value or one.startswith(f"{query.value}.")]
        elif has_wildcard(query.value):
            wanted = list(filter(re.compile(translate(query.value.replace("[", "[[]"))).match, values))
        else:
            wanted = [query.value]
        return bits_of((number for one in wanted for number in values.get(one, ())), len(self.papers))

    def _values(self, name: str) -> Mapping[str, list[int]]:
        return {
            "category": self._categories,
            "year": self._years,
            "doi": self._dois,
            "id": self._ids,
        }[name]

    def _texts(self, name: str) -> TextIndex:
        return {
            "": lambda: self._text,
            "title": lambda: self._title,
            "abstract": lambda: self._abstract,
            "venue": lambda: self._venue,
        }[name]()

    @cached_property
    def _all(self) -> int:
        return (1 << len(self.papers)) - 1

    @cached_property
    def _text(self) -> TextIndex:
        return TextIndex([*map(self.plain, (one.title, one.abstract, *one.keywords))] for one in self.papers)

    @cached_property
    def _title(self) -> TextIndex:
        return TextIndex([self.plain(one.title)] for one in self.papers)

    @cached_property
    def _abstract(self) -> TextIndex:
        return TextIndex([self.plain(one.abstract)] for one in self.papers)

    @cached_property
    def _venue(self) -> TextIndex:
        return TextIndex([one.venue or ""] for one in self.papers)

    @cached_property
    def _categories(self) -> Mapping[str, list[int]]:
        return _grouped((category_key(one), at) for at, paper in enumerate(self.papers) for one in paper.categories)

    @cached_property
    def _years(self) -> Mapping[str, list[int]]:
        dated = ((paper.published or paper.listed_on, at) for at, paper in enumerate(self.papers))
        return _grouped((str(day.year), at) for day, at in dated if day is not None)

    @cached_property
    def _dois(self) -> Mapping[str, list[int]]:
        return _grouped((paper.doi.lower(), at) for at, paper in enumerate(self.papers) if paper.doi)

    @cached_property
    def _ids(self) -> Mapping[str, list[int]]:
        return _grouped(
            (one.lower(), at)
            for at, paper in enumerate(self.papers)
            for one in {paper.id, paper.arxiv_id or "", paper.doi or ""} - {""}
        )

    @cached_property
    def names(self) -> NameIndex[int]:
        """The authors, as the sources and the facts have them."""
        return NameIndex((name, number) for number, paper in enumerate(self.papers) for name in self.authors(paper))

    def spellings(self, name: str) -> dict[str, tuple[NameMatch, Sequence[int]]]:
        """Return the names of authors that match one, each with how far, and their papers (by index).

        One name alone is a family name.
        """
        found: dict[str, tuple[NameMatch, Sequence[int]]] = {**self.names.find(name)}
        parsed = parse_name(name)
        if not parsed.given:
            found.update(
                (one, (NameMatch.FULL, papers)) for one, papers in self._families.get(parsed.family, {}).items()
            )
        return found

    @cached_property
    def _families(self) -> Mapping[str, Mapping[str, list[int]]]:
        """The papers by the family names of their authors and by their names as they are written."""
        found: dict[str, dict[str, list[int]]] = {}
        for number, paper in enumerate(self.papers):
            for name in self.authors(paper):
                parsed = parse_name(name)
                if parsed.given:
                    for end in {parsed.family, *(key.rpartition(" ")[0] for key in parsed.keys)}:
                        found.setdefault(end, {}).setdefault(name, []).append(number)
        return found

    @cached_property
    def people(self) -> Mapping[str, Mapping[int, str]]:
        """The papers by ORCID iD, each with the name of that author."""
        found: dict[str, dict[int, str]] = {}
        for number, paper in enumerate(self.papers):
            for person in self.facts_of(paper).authors:
                if person.orcid:
                    found.setdefault(person.orcid, {})[number] = person.name
        return found

    @cached_property
    def institutions(self) -> Mapping[Institution, list[int]]:
        """The papers by institution."""
        return _grouped(
            (one, number)
            for number, paper in enumerate(self.papers)
            for one in {
                *self.facts_of(paper).institutions,
                *([Institution(paper.organization)] if paper.organization else []),
            }
        )

    @cached_property
    def rors(self) -> Mapping[str, list[Institution]]:
        """The institutions by ROR id: one may be written in several ways."""
        return _grouped((one.ror, one) for one in self.institutions if one.ror)

    @cached_property
    def institution_names(self) -> TextIndex:
        """The names of :attr:`institutions`, in the same order."""
        return TextIndex([one.name] for one in self.institutions)

    @cached_property
    def numbers(self) -> Mapping[int, int]:
        """The indices of the papers by row."""
        return {paper.row: number for number, paper in enumerate(self.papers)}

    def may_find(self, alert: Alert, paper: int) -> bool:
        """Return whether a paper (by index) that an alert finds is news to it."""
        kinds = self.late_for.get(self.papers[paper].row)
        # A name alone does not need what became known late.
        by_name = alert.kind is AlertKind.AUTHOR and alert.identifier is None
        return kinds is None or (alert.kind in kinds and not by_name)

    def facts_of(self, paper: Paper) -> PaperFacts:
        """Return what is known about a paper."""
        return self.facts.get(paper.row, _NO_FACTS)

    def authors(self, paper: Paper) -> Iterable[str]:
        """Return the names of the authors of a paper, as its sources and the facts write them."""
        return dict.fromkeys((*paper.authors, *(one.name for one in self.facts_of(paper).authors)))


_NO_FACTS = PaperFacts()


def _grouped(pairs: Iterable[tuple[_Key, _Item]]) -> dict[_Key, list[_Item]]:
    groups: dict[_Key, list[_Item]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def match_alert(papers: AlertPapers, alert: Alert) -> list[AlertMatch]:
    """Return what one alert finds, in the order of the papers.

    Raises:
        QueryError: its query cannot be used.
    """
    match alert.kind:
        case AlertKind.QUERY:
            surely, possibly = papers.find(parse_query(alert.value))
            return [AlertMatch(number, possibly=not surely >> number & 1) for number in numbers_of(possibly)]
        case AlertKind.AUTHOR:
            found = _by_author(papers, alert)
        case AlertKind.INSTITUTION:
            found = _from_institution(papers, alert)
        case AlertKind.CITES:
            found = _citing(papers, alert)
    return [found[number] for number in sorted(found)]


def _by_author(papers: AlertPapers, alert: Alert) -> dict[int, AlertMatch]:
    """Return the papers of a person. An ORCID iD decides where a paper has one; elsewhere the name does."""
    known = papers.people.get(alert.identifier, {}) if alert.identifier else {}
    found = {number: AlertMatch(number, found=name) for number, name in known.items()}
    if not alert.value:
        return found
    for spelling, (how, numbers) in papers.spellings(alert.value).items():
        for number in numbers:
            before = found.get(number)
            if before is not None and (not before.possibly or how is not NameMatch.FULL):
                continue
            if alert.identifier and _is_another(papers.facts_of(papers.papers[number]), spelling):
                continue
            found[number] = AlertMatch(number, possibly=how is not NameMatch.FULL, found=spelling)
    return found


def _is_another(facts: PaperFacts, spelling: str) -> bool:
    """Return whether the author with this name has an ORCID iD: it is another one, or the iD had decided."""
    name = parse_name(spelling)
    agreeing = [(compare_names(name, parse_name(one.name)), one) for one in facts.authors]
    best = max((how for how, _ in agreeing), default=NameMatch.NONE)
    same = [one for how, one in agreeing if how is best]
    return best is not NameMatch.NONE and all(one.orcid for one in same)


def _from_institution(papers: AlertPapers, alert: Alert) -> dict[int, AlertMatch]:
    """Return the papers of an institution: by ROR id, and by name where that is not another institution's."""
    listed = list(papers.institutions)
    named: list[Institution] = list(papers.rors.get(alert.identifier, ())) if alert.identifier else []
    words = words_of(alert.value)
    if words:
        for number in numbers_of(papers.institution_names.with_phrase(words)):
            one = listed[number]
            if not (alert.identifier and one.ror and one.ror != alert.identifier):
                named.append(one)
    found: dict[int, AlertMatch] = {}
    for one in named:
        for number in papers.institutions[one]:
            found.setdefault(number, AlertMatch(number, found=one.name))
    return found


def _citing(papers: AlertPapers, alert: Alert) -> dict[int, AlertMatch]:
    title = papers.titles.get(alert.value, "")
    rows = papers.citations.get(alert.value, ())
    numbers = (papers.numbers[row] for row in rows if row in papers.numbers)
    return {number: AlertMatch(number, found=title) for number in numbers}


def describe(alert: Alert, match: AlertMatch) -> str:
    """Describe why an alert finds a paper, as an email shows it, after the alert's own name if it has one. A query with
    a name is described by that.
    """
    value, found = (shorten_middle(text, _LONGEST_SHOWN) for text in (alert.value, match.found))
    match alert.kind:
        case AlertKind.QUERY:
            if alert.name:
                return alert.name
            shown = value[1:-1] if _PHRASE.fullmatch(value) else value
            # No quotes around quotes.
            reason = f"matches {shown}" if '"' in shown else f"matches “{shown}”"
        case AlertKind.AUTHOR:
            reason = f"by {value or found}"
            if match.possibly and found != value:
                reason += f" ({found})"
        case AlertKind.INSTITUTION:
            reason = f"from {value or found}"
        case AlertKind.CITES:
            reason = f"cites “{found or value}”"
    reason = f"possibly {reason}" if match.possibly else reason
    return f"{alert.name}: {reason}" if alert.name else reason
