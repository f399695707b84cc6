"""Explain why a paper was chosen, in a few words that actually made its score."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from textwrap import shorten

import numpy as np

from newsletter.model import Paper
from newsletter.ranking.phrases import PaperPhrases
from newsletter.ranking.profile import MEANING_WEIGHT, Profiles, meaning_scores
from newsletter.ranking.sparse import Row, row_of, values_at
from newsletter.ranking.tfidf import TfidfModel
from newsletter.ranking.tokens import written_term
from newsletter.ranking.zscores import scale
from newsletter.support.person_names import NameIndex, NameMatch

_PHRASES_SHOWN = 3
_TITLE_SHOWN = 80
_LEAST_SHARE = 0.15
_LIKED_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class InterestTerms:
    """What an interest looks for in papers, prepared once for all papers to explain.

    Attributes:
        row: its row among the profiles.
        authors: those it follows. ``categories``: likewise, normalised for comparison.
    """

    row: int
    authors: NameIndex[None] | None
    categories: Set[str]


def interest_terms(profiles: Profiles, row: int) -> InterestTerms:
    """Prepare the terms of an interest (by its row among the profiles)."""
    interest = profiles.followed[row].interest
    return InterestTerms(
        row=row,
        authors=NameIndex((author, None) for author in interest.authors) if interest.authors else None,
        categories={category.strip().casefold() for category in interest.categories},
    )


def reason(
    model: TfidfModel,
    profiles: Profiles,
    sought: InterestTerms,
    paper: Paper,
    phrases: PaperPhrases,
    factor: float,
    meaning: np.ndarray,
) -> str:
    """Name a followed author, the terms with the greatest weight, the most similar liked paper and the category.

    If the paper's meaning counts for more than all its terms, say what it is close to instead of the most similar liked
    paper.

    Args:
        factor: that of :class:`newsletter.ranking.index.PaperMatrix`.
        meaning: the paper relative to the usual one (width), see :meth:`newsletter.ranking.index.Index.meaning_of`.
    """
    parts = []
    if sought.authors is not None:
        parts += _followed_author(sought.authors, paper)
    adding = term_parts(model, profiles, sought.row, phrases.vector, factor)
    by_meaning = _is_by_meaning(profiles, sought.row, adding, meaning)
    if by_meaning:
        # Terms that add only through a topic say less than the meaning does.
        adding = np.where(np.isin(phrases.vector.terms, row_of(profiles.vectors, sought.row).terms), adding, 0)
    if terms := main_terms(adding, phrases):
        parts.append(", ".join(terms))
    if by_meaning:
        parts.append(f"close in meaning to {_nearest(profiles, sought.row, meaning)}")
    elif profiles.followed[sought.row].liked:
        liked, contributions = liked_parts(profiles, sought.row, phrases.vector)
        most, whole = int(np.argmax(contributions)), profile_part(row_of(profiles.vectors, sought.row), phrases.vector)
        if contributions[most] >= _LIKED_SHARE * max(whole, 1e-12):
            parts.append(f"like “{_shown_title(liked[most])}”")
    if sought.categories:
        parts += [f"in {one}" for one in paper.categories if one.casefold() in sought.categories][:1]
    return "; ".join(parts)


def _is_by_meaning(profiles: Profiles, row: int, parts: np.ndarray, meaning: np.ndarray) -> bool:
    """Whether a paper's closeness in meaning contributes more to its score than all its terms together."""
    if not profiles.by_meaning_too:
        return False
    return meaning_part(profiles, row, meaning) > max(0.0, float(parts.sum()))


def _nearest(profiles: Profiles, row: int, meaning: np.ndarray) -> str:
    """Name what an interest has that is closest in meaning to a paper: a liked paper, or what it says in words."""
    liked = profiles.followed[row].liked
    if not liked:
        return "what you describe"
    closeness = profiles.liked_meaning[row_of(profiles.contributions, row).terms] @ meaning
    nearest = int(np.argmax(closeness))
    # If the whole interest is closer than any of its liked papers, its words are what makes the difference.
    if profiles.said_counts[row] and closeness[nearest] < profiles.meaning[row] @ meaning:
        return "what you describe"
    return f"“{_shown_title(liked[nearest][0].title)}”"


def _shown_title(title: str) -> str:
    return shorten(title, _TITLE_SHOWN, placeholder=" …")


def _followed_author(followed: NameIndex[None], paper: Paper) -> list[str]:
    """Name the first author of a paper who is followed, or else the first who may be; none if there is neither."""
    agrees = [
        (max((how for how, _ in followed.find(one).values()), default=NameMatch.NONE), one) for one in paper.authors
    ]
    how, author = max(agrees, key=lambda pair: pair[0], default=(NameMatch.NONE, ""))
    if how is NameMatch.NONE:
        return []
    return [f"{'' if how is NameMatch.FULL else 'possibly '}by {author}, whom you follow"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The contributions to a paper's score, each with its share of the whole (0 to 1), largest first.

    Attributes:
        terms: those that add to its score.
        liked: the titles of the liked papers they come from.
        meaning: the share of the paper's closeness in meaning; 0 without a space of meaning.
    """

    terms: tuple[tuple[str, float], ...] = ()
    liked: tuple[tuple[str, float], ...] = ()
    meaning: float = 0.0


def explain(
    model: TfidfModel, profiles: Profiles, row: int, paper: Row, factor: float, meaning: np.ndarray, most: int
) -> Explanation:
    """Return the terms and the liked papers that a paper's score comes from.

    Args:
        row: the row of the profile. ``paper``, ``factor``: see :func:`term_parts`.
        meaning: see :func:`meaning_part`.
        most: the maximum number of each.
    """
    profile = row_of(profiles.vectors, row)
    parts = np.maximum(term_parts(model, profiles, row, paper, factor), 0)
    close = max(meaning_part(profiles, row, meaning), 0.0)
    whole = float(parts.sum()) + close
    names, contributions = liked_parts(profiles, row, paper)
    return Explanation(
        _shares([written_term(str(term)) for term in model.terms[paper.terms]], parts, whole, most),
        _shares(names, contributions, profile_part(profile, paper), most),
        close / max(whole, 1e-12),
    )


def _shares(names: Sequence[str], parts: np.ndarray, whole: float, most: int) -> tuple[tuple[str, float], ...]:
    order = [place for place in np.argsort(-parts, kind="stable")[:most] if parts[place] > 0]
    return tuple((names[place], min(1.0, float(parts[place]) / max(whole, 1e-12))) for place in order)


def term_parts(model: TfidfModel, profiles: Profiles, row: int, paper: Row, factor: float) -> np.ndarray:
    """Return each term's contribution to a paper's score, in the order of ``paper.terms``.

    With :func:`meaning_part` they add up to the total z-score, to 0.01, but for a constant of the profile: what the
    usual paper scores.

    Args:
        row: the row of the profile. ``paper``: the paper's vector. ``factor``: that of
            :class:`newsletter.ranking.index.PaperMatrix`.
    """
    profile = row_of(profiles.vectors, row)
    by_terms = values_at(profile, paper.terms) - model.mean[paper.terms]
    by_terms *= scale(factor, profiles.example_counts[row]) / profiles.by_terms.deviation[row]
    along = model.topics[paper.terms][:, : profiles.topics.shape[1]]
    topics = paper.values @ along
    length = float(np.linalg.norm(topics)) or 1.0
    against = profiles.against[row] if profiles.against[row] @ topics > 0 else 0
    weight = profiles.topics_weight[row] / profiles.by_topics.deviation[row] / length
    return np.asarray(paper.values * (by_terms + along @ (profiles.topics[row] - against) * weight))


def meaning_part(profiles: Profiles, row: int, meaning: np.ndarray) -> float:
    """Return the contribution of a paper's closeness in meaning to its score; 0 without a space of meaning.

    Args:
        row: the row of the profile.
        meaning: the paper relative to the usual one (width), see :meth:`newsletter.ranking.index.Index.meaning_of`.
    """
    weight = MEANING_WEIGHT / profiles.by_meaning.deviation[row]
    return float(weight * meaning_scores(profiles, np.array([row]), meaning[None, :])[0, 0])


def profile_part(profile: Row, paper: Row) -> float:
    """Return the profile's part of a raw score: what it is before the mean paper's part is subtracted."""
    return float(values_at(profile, paper.terms) @ paper.values)


def liked_parts(profiles: Profiles, row: int, paper: Row) -> tuple[list[str], np.ndarray]:
    """Return the titles of an interest's liked papers, and the contribution of each to the score.

    A term's damped weight is divided in proportion to its undamped weights.
    """
    liked = profiles.followed[row].liked
    if not liked:
        return [], np.zeros(0)
    whole = values_at(row_of(profiles.whole, row), paper.terms)
    damping = values_at(row_of(profiles.vectors, row), paper.terms) / np.where(whole > 0, whole, 1)
    gained = Row(paper.terms, paper.values * np.maximum(damping, 0))
    contributions, giver = profiles.liked_by(row)
    shares = contributions.values * values_at(gained, contributions.terms)
    return [name.title for name, _ in liked], np.bincount(giver, shares, minlength=len(liked))


def main_terms(parts: np.ndarray, phrases: PaperPhrases) -> list[str]:
    """Return the words and phrases of a paper with the greatest weight in its score, as the paper writes them.

    Adjacent terms in the text become one phrase: "multi objective", "objective reinforcement" and "reinforcement
    learning" become "multi-objective reinforcement learning".

    Args:
        parts: the contribution of each of the paper's terms, see :func:`term_parts`. Only those above 0 count.
    """
    adds = np.append(np.maximum(parts, 0).astype(np.float64), 0.0)
    least = _LEAST_SHARE * float(adds.max())
    if not least:
        return []
    windows, shown = phrases.windows.heavy(adds, least), list[str]()
    # Of phrases of equal weight the later one: from the abstract rather than the title.
    while len(shown) < _PHRASES_SHOWN and (best := windows.best(adds)) is not None:
        first, length = int(windows.firsts[best]), int(windows.lengths[best])
        shown.append(phrases.phrase(first, first + length - 1))
        # Terms that were used add nothing to another phrase that has them.
        adds[windows.terms[:, best]] = 0.0
        words = phrases.words[first : first + length]
        for one in words:
            for other, pair in phrases.windows.halves.get(one, ()):
                if other in words:
                    adds[pair] = 0.0
    return shown
