"""A synthetic corpus for speed measurements: papers on topics, with a realistic word distribution.

It says nothing about the quality of ranking (``benchmarks/ranking.py`` measures that on real readers), only about
sizes: a paper has about as many different terms as a real one, and a term about as many papers.
"""

from collections.abc import Iterator

import numpy as np

from newsletter.model import Paper

WORDS = 60_000
TOPICS = 600
_TOPIC_WORDS = 120
_TOPIC_PHRASES = 60
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


def word(number: int) -> str:
    """Return a word unique to a number: three syllables and an ending that the stemmer leaves alone."""
    first, rest = divmod(number, len(_SYLLABLES) ** 2)
    second, third = divmod(rest, len(_SYLLABLES))
    return f"{_SYLLABLES[first % len(_SYLLABLES)]}{_SYLLABLES[second]}{_SYLLABLES[third]}n"


def topics() -> tuple[np.ndarray, np.ndarray]:
    """Return the words of each topic (topics × words), and its phrases (topics × phrases × 2)."""
    chance = np.random.default_rng(0)
    own = chance.integers(500, WORDS, size=(TOPICS, _TOPIC_WORDS))
    pairs = chance.integers(0, _TOPIC_WORDS, size=(TOPICS, _TOPIC_PHRASES, 2))
    return own, np.take_along_axis(own[:, :, None], pairs.reshape(TOPICS, -1, 1), axis=1).reshape(pairs.shape)


def papers(count: int, first_row: int = 1, seed: int = 1) -> Iterator[tuple[Paper, int]]:
    """Yield ``count`` papers, with rows from ``first_row`` on, each with its main topic."""
    chance = np.random.default_rng(seed)
    own, phrases = topics()
    general = 1 / np.arange(2, WORDS + 2) ** 1.05
    cumulated = np.cumsum(general / general.sum())
    spelled = np.array([word(number) for number in range(WORDS)], dtype=object)
    for row in range(first_row, first_row + count):
        main, side = chance.integers(0, TOPICS, 2)
        length = int(np.clip(chance.normal(105, 25), 30, 220))
        common = np.searchsorted(cumulated, chance.random(length // 2))
        rank = (chance.random(length // 4) ** 2 * _TOPIC_WORDS).astype(int)
        topical = np.where(chance.random(len(rank)) < 0.75, own[main, rank], own[side, rank])
        which = (chance.random(length // 8) ** 2 * _TOPIC_PHRASES).astype(int)
        bits = [spelled[one] for one in (*common, *topical)] + [
            " ".join(spelled[phrases[main if number % 4 else side, one]]) for number, one in enumerate(which)
        ]
        chance.shuffle(bits)
        # A full stop now and then, since phrases end there; a common word between others, as in real text.
        text = " the ".join(" ".join(bits[start : start + 2]) for start in range(0, len(bits), 2))
        title = " ".join(spelled[own[main, rank[:4]]]) + " " + " ".join(spelled[phrases[main, which[0]]])
        yield Paper(title=title, abstract=text, row=row, id=str(row)), int(main)
