"""Which papers of a long digest are shown in full, so that it can be read on a phone."""

from collections import Counter
from collections.abc import Mapping, Sequence

from newsletter.digest.composer import TRENDING
from newsletter.model import DigestItem
from newsletter.rendering.paper_card import Card

IN_BRIEF = 10
"""Papers that the compact layout shows in brief."""

_SHORT = 4
"""Papers of a digest that is not folded."""

_IN_FULL = 3
_WORDS_IN_FULL = 140
"""Most papers, and most words of them, that a longer one shows in full. One of ten papers is then at most 3,000 pixels
high on a phone of 375."""

_WORDS_OF_THUMBNAIL = 20
"""The space that a thumbnail takes, in words."""


def candidates_in_full(choices: Sequence[DigestItem]) -> Sequence[DigestItem]:
    """Return the papers that the full layout shows in full if there is space: all of a short digest; otherwise the
    first of each section, Trending last, then the second of each and so on.
    """
    if len(choices) <= _SHORT:
        return choices
    place, order = Counter[str](), []
    for choice in choices:
        order.append((choice.section == TRENDING, place[choice.section], choice.rank, choice))
        place[choice.section] += 1
    return [choice for *_, choice in sorted(order, key=lambda one: one[:3])[:_IN_FULL]]


def ranks_in_full(choices: Sequence[DigestItem], cards: Mapping[int, Card]) -> set[int]:
    """Return the ranks of the papers shown in full: of the candidates, as many as there is space for, at least one.

    Args:
        cards: of the papers, by rank.
    """
    found = candidates_in_full(choices)
    if len(choices) <= _SHORT:
        return {choice.rank for choice in found}
    ranks, space = set[int](), _WORDS_IN_FULL
    for choice in found:
        card = cards[choice.rank]
        space -= card.words + _WORDS_OF_THUMBNAIL * (card.thumbnail is not None)
        if ranks and space < 0:
            break
        ranks.add(choice.rank)
    return ranks
