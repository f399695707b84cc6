"""What an interest finds now: in the store, by each of its parts, and among the new papers, as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from sqlalchemy import Connection, Engine

from newsletter.config.suggestions import nearest_value
from newsletter.digest.composer import ScoredSubscriber, reaches
from newsletter.model import Interest, Subscriber
from newsletter.services.context import AppContext
from newsletter.services.phrase_search import count_containing
from newsletter.services.ranking_snapshot import RankingSnapshot
from newsletter.services.recommend import score_batch
from newsletter.store import paper_authors, papers, reading
from newsletter.support.person_names import NameMatch, parse_name

_NEAR_SHOWN = 3
_NEAR_SOUGHT = 20
"""Of how many authors without papers similar names are looked for: each takes another query."""


@dataclass(frozen=True, slots=True)
class AuthorFinding:
    """A followed author: the number of papers that match, and that match possibly, in the store.

    Attributes:
        family_name_only: whether there is no given name, so that it matches nobody who has one.
        near: if no paper matches fully, authors with the same family name, and initial if one is given, each with their
            number of papers.
    """

    name: str
    papers: int
    possible: int
    family_name_only: bool = False
    near: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CategoryFinding:
    """A followed category: its number of papers in the store; if it has none, the category that was probably meant."""

    name: str
    papers: int
    near: str | None = None


@dataclass(frozen=True, slots=True)
class InterestFindings:
    """What an interest finds.

    Attributes:
        considered: the number of papers first seen within ``ranking.max_age_days``. ``matching``: how many of them
            reach the minimum match.
        keywords: for each, the number of papers in the store that have all its words.
        unknown_liked, unknown_disliked: the papers it names that the store does not have.
    """

    interest: str
    considered: int
    matching: int
    authors: tuple[AuthorFinding, ...]
    categories: tuple[CategoryFinding, ...]
    keywords: Mapping[str, int]
    unknown_liked: tuple[str, ...]
    unknown_disliked: tuple[str, ...]


def find_interests(
    context: AppContext, snapshot: RankingSnapshot, subscriber: Subscriber, most: int | None = None
) -> list[InterestFindings]:
    """Return what each of a subscriber's interests finds.

    Args:
        snapshot: the index of the store, and the new papers.
        most: look up only as many authors, categories, keywords and papers, all interests together; None for all.
    """
    interests = _first(subscriber.preferences.interests, most)
    (scored,) = score_batch(context, snapshot, [subscriber])
    names = [name for one in interests for name in one.authors]
    with reading(context.engine) as connection:
        authors = _authors(connection, names)
        listed = {paper for one in interests for paper in (*one.liked, *one.disliked)}
        known = papers.find_all(connection, listed)
        extent = papers.extent(connection)
    of_store = _category_counts(context.engine, extent) if any(one.categories for one in interests) else {}
    return [
        InterestFindings(
            interest=one.name,
            considered=len(snapshot.candidates.papers),
            matching=_matching(scored, place, context.config.ranking.min_score),
            authors=tuple(authors[name] for name in one.authors),
            categories=tuple(_category(name, of_store) for name in one.categories),
            keywords={word: count_containing(snapshot.index, word) for word in one.keywords},
            unknown_liked=tuple(name for name in one.liked if name not in known),
            unknown_disliked=tuple(name for name in one.disliked if name not in known),
        )
        for place, one in enumerate(interests)
    ]


def _first(interests: Sequence[Interest], most: int | None) -> list[Interest]:
    if most is None:
        return list(interests)
    kept = []
    for one in interests:
        parts = []
        for part in (one.authors, one.categories, tuple(one.keywords), one.liked, one.disliked):
            parts.append(part[:most])
            most -= len(parts[-1])
        authors, categories, words, liked, disliked = parts
        keywords = {word: one.keywords[word] for word in words}
        kept.append(
            replace(one, authors=authors, categories=categories, keywords=keywords, liked=liked, disliked=disliked)
        )
    return kept


def _matching(scored: ScoredSubscriber, interest: int, min_score: float) -> int:
    return int(reaches(scored.matrix[interest], min_score).sum())


def _authors(connection: Connection, names: Sequence[str]) -> dict[str, AuthorFinding]:
    found = {}
    left = _NEAR_SOUGHT
    for name, known in paper_authors.find(connection, names).items():
        sums = {how: sum(one.papers for one in known if one.agrees is how) for how in NameMatch}
        near = [one for one in known if one.agrees is NameMatch.NONE]
        # A name of one word may be complete; it is called a family name only if others have it.
        family_name_only = False
        if not sums[NameMatch.FULL] and not parse_name(name).given and left:
            near, left = paper_authors.with_family_name(connection, name, _NEAR_SHOWN), left - 1
            family_name_only = bool(near)
        offered = {} if sums[NameMatch.FULL] else {one.name: one.papers for one in near[:_NEAR_SHOWN]}
        found[name] = AuthorFinding(name, sums[NameMatch.FULL], sums[NameMatch.POSSIBLE], family_name_only, offered)
    return found


def _category(name: str, of_store: Mapping[str, tuple[str, int]]) -> CategoryFinding:
    _, count = of_store.get(name.strip().casefold(), ("", 0))
    near = nearest_value(name, [spelling for spelling, _ in of_store.values()]) if not count else None
    return CategoryFinding(name, count, near)


@lru_cache(maxsize=2)
def _category_counts(engine: Engine, _extent: papers.Extent) -> Mapping[str, tuple[str, int]]:
    """Count the papers of each category, by its case-folded name, with a spelling of it. Once for each change of the
    store, since it reads all papers.
    """
    counts: dict[str, tuple[str, int]] = {}
    with reading(engine) as connection:
        for categories, count in papers.category_lists(connection):
            for category in categories:
                spelling, so_far = counts.get(category.casefold(), (category, 0))
                counts[category.casefold()] = spelling, so_far + count
    return counts
