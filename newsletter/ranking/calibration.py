"""Calibration: the match of a paper, which is the probability that it is relevant, from what is known of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from newsletter.ranking.coverage import Coverage

STRONG_MATCH = 0.5
"""From this match on, a paper is called a strong match."""

GOOD_MATCH = 0.18
"""From this match on, a paper is called a good match."""

HIGHEST = 0.99
"""No match that is computed is higher: only a followed author is certain."""

_MANY = 40
"""More liked papers than the fit has seen make a match no more certain."""

# Fitted by ``python -m benchmarks.calibration``; see docs/explanation/ranking.md.
_SAID = np.array([-3.757, 1.528])
_COVERAGE = np.array([-1.926, 2.25, -0.046, -0.559])
_LIKED = np.array([-2.94, 0.643, -0.033, 0.382])

_ASKED_FOR = 0.4
"""The match of a paper of which nothing else is known than that it has all that was asked for."""

# For ranking by meaning too: the first is for the sum of the words' log-odds and the meaning. Fitted with ``--semantic
# MODEL`` and MiniLM-L6.
_SAID_WITH_MEANING = np.array([-0.467, 0.94])
_LIKED_WITH_MEANING = np.array([-3.776, 0.555, -0.641, 0.434, 4.831])

_MEANING_OF_WORDS = 0.3
"""What the z-score in the space of meaning adds to the log-odds of the words.

It is decided and not fitted: questions in whole sentences, of which most judged collections consist, would have more of
it than is good for a few words.
"""

_SURE_FROM, _SURE_AT = 4.0, 6.0
"""From the one z-score in the space of meaning to the other, closeness becomes as sure a sign as all that was asked
for.
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the ranking knows of some pairs of an interest and a paper: arrays of one length.

    Attributes:
        topics: the paper's z-score in the space of topics, as far as it can be trusted. ``total``: the z-scores of all
            spaces together, by which papers are ordered if the interest has liked papers alone.
        meaning: the paper's z-score in the space of meaning, which is part of the total; None without such a space.
        usual_closeness: the mean cosine of the interest's encoding with those of the store's usual papers, by which one
            knows a store that is about the very subject of the interest. None without a space of meaning.
        examples: the number of papers that the interest was built from.
        said: the share of its text and keywords among these, 0 to 1. ``coverage``: how much of them the paper has.
    """

    topics: np.ndarray
    total: np.ndarray
    examples: np.ndarray
    said: np.ndarray
    coverage: Coverage
    meaning: np.ndarray | None = None
    usual_closeness: np.ndarray | None = None


def taken(evidence: Evidence, some: np.ndarray) -> Evidence:
    """Return some of the pairs, by their indices."""
    return Evidence(
        topics=evidence.topics[some],
        total=evidence.total[some],
        examples=evidence.examples[some],
        said=evidence.said[some],
        coverage=Coverage(*(part[some] for part in evidence.coverage)),
        meaning=evidence.meaning[some] if evidence.meaning is not None else None,
        usual_closeness=evidence.usual_closeness[some] if evidence.usual_closeness is not None else None,
    )


def joined(parts: Sequence[Evidence]) -> Evidence:
    """Return several parts of the evidence as one."""
    by_meaning = parts[0].meaning is not None

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Evidence(
        topics=column("topics"),
        total=column("total"),
        examples=column("examples"),
        said=column("said"),
        coverage=Coverage(*(np.concatenate(one) for one in zip(*(part.coverage for part in parts), strict=True))),
        meaning=column("meaning") if by_meaning else None,
        usual_closeness=column("usual_closeness") if by_meaning else None,
    )


def match(evidence: Evidence) -> np.ndarray:
    """Return the match of each pair, between 0 and 1.

    There is one logistic regression for interests in words and one for liked papers; an interest of both has the mean
    of their log-odds, weighted by the share of each. For words, the z-score of the terms adds nothing to that of the
    topics and the coverage; for a number of liked papers, the order is that of the total z-score. With a space of
    meaning, the z-score there is added to what the words say.
    """
    odds = np.zeros(len(evidence.said))
    for some, log_odds in ((evidence.said > 0, _said_odds), (evidence.said < 1, _liked_odds)):
        if some.all():
            odds += log_odds(evidence)
        elif some.any():
            which = np.flatnonzero(some)
            odds[which] += log_odds(taken(evidence, which))
    return np.asarray(HIGHEST / (1 + np.exp(-odds)), dtype=np.float32)


def _liked_odds(evidence: Evidence) -> np.ndarray:
    """Return the log-odds of liked papers, times their share among the examples."""
    weights = _LIKED if evidence.meaning is None else _LIKED_WITH_MEANING
    return np.asarray((1 - evidence.said) * weighted_sum(liked_features(evidence), weights))


def _said_odds(evidence: Evidence) -> np.ndarray:
    """Return the log-odds of an interest in words, with the meaning if there is a space of it, times their share."""
    odds, sure = odds_of_words(evidence), evidence.coverage.sure
    if evidence.meaning is not None:
        odds = weighted_sum(meaning_features(odds, evidence.meaning), _SAID_WITH_MEANING)
        sure = np.maximum(sure, np.clip((evidence.meaning - _SURE_FROM) / (_SURE_AT - _SURE_FROM), 0, 1))
    return np.asarray(evidence.said * _asked_for(odds, sure))


def odds_of_words(evidence: Evidence) -> np.ndarray:
    """Return the log-odds of an interest in words by the topics and the coverage."""
    return np.asarray(weighted_sum(said_features(evidence), _SAID) + coverage_odds(evidence.coverage))


def _asked_for(odds: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Return log-odds, raised for papers that have all that was asked for: one of two independent signs is enough.

    How much is decided and not fitted: in judged collections the words only stand for a need, and a paper that has them
    may not meet it. A reader who writes one keyword wants the papers with it.

    Args:
        sure: how sure that is, 0 to 1; see :class:`newsletter.ranking.coverage.Coverage`.
    """
    sure = _ASKED_FOR * sure
    # 1 - (1 - p) (1 - sure), as log-odds.
    return np.asarray(np.log((np.exp(odds) + sure) / (1 - sure)))


def coverage_odds(coverage: Coverage) -> np.ndarray:
    """Return how much coverage adds to the log-odds of an interest in words (pairs)."""
    return weighted_sum(coverage_features(coverage), _COVERAGE)


def weighted_sum(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of the features of each pair (pairs × features), each with its weight.

    The order of the additions is given; that of a matrix product depends on the machine and on the number of pairs.
    """
    total = features[:, 0] * weights[0]
    for number, weight in enumerate(weights.tolist()[1:], 1):
        total += features[:, number] * weight
    return np.asarray(total)


def coverage_features(coverage: Coverage) -> np.ndarray:
    """Return what the regression for interests in words looks at in the coverage (pairs × 4).

    The last one is whether a paper has only one word of three or more, which it may have in another sense.
    """
    words = np.log1p(coverage.words)
    one_of_many = (coverage.words > 2) & (coverage.shared < 2)
    return np.stack([coverage.share, coverage.share * words, words, one_of_many]).T


def said_features(evidence: Evidence) -> np.ndarray:
    """Return what the regression for interests in words looks at besides (pairs × 2).

    Words that the store does not know leave the z-score to the others, however little these say; so it counts only as
    far as the words are known.
    """
    known = _compressed(evidence.topics * evidence.coverage.known)
    return np.stack([np.ones(len(known)), known]).T


def meaning_features(odds: np.ndarray, meaning: np.ndarray) -> np.ndarray:
    """Return what the regression for interests in words looks at with a space of meaning (pairs × 2).

    Args:
        odds: the log-odds of the words alone. ``meaning``: see :class:`Evidence`.
    """
    return np.stack([np.ones(len(odds)), odds + _MEANING_OF_WORDS * meaning]).T


def liked_features(evidence: Evidence) -> np.ndarray:
    """Return what the regression for liked papers looks at (pairs × 4, or 5 with a space of meaning)."""
    total, number = _compressed(evidence.total), np.log(np.minimum(evidence.examples, _MANY))
    return np.stack([np.ones(len(total)), total, number, total * number, *_if_known(evidence.usual_closeness)]).T


def _if_known(feature: np.ndarray | None) -> list[np.ndarray]:
    return [] if feature is None else [feature]


def _compressed(zscores: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(zscores) * np.log1p(np.abs(zscores)))


def match_in_words(match: float) -> str:
    """Return how readers see a match between 0 and 1: "strong match", "good match" or "weak match"."""
    strength = "strong" if match >= STRONG_MATCH else "good" if match >= GOOD_MATCH else "weak"
    return f"{strength} match"
