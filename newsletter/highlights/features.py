"""What tells a sentence's part in an abstract: the cues in it and around it, its place, its length, its words."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

# Words by what they tell; a star stands for any ending. The trained weights go by their order.
_CUES: Mapping[str, str] = json.loads((Path(__file__).parents[1] / "data" / "cues.json").read_text(encoding="utf-8"))
_TOKENS = re.compile(
    r"\d+(?:\.\d+)?(?:\s?(?:\\?%|×|(?:x|percent|times|db|fps)\b))?|[^\W\d_]+(?:[-'][^\W\d_]+)*|\?",
)
_OPENING = 3
_NEAR = 5  # So many places from either end tell cues apart; the place alone is told for some more.
_PLACES = 8
N_DENSE_FEATURES = len(_CUES) * (5 + 2 * _NEAR) + 2 * _PLACES + 3
"""The number of features that are not words."""


def tokens_of(sentence: str) -> list[str]:
    """The words of a sentence in small letters; a number is ``0``, one with a unit or per cent ``0%``."""
    return [
        token if not token[0].isdigit() else "0" if token[-1].isdigit() else "0%"
        for token in _TOKENS.findall(sentence.lower())
    ]


def features(sentences: Sequence[str], words: Mapping[str, int]) -> np.ndarray:
    """What a model is told of the sentences of an abstract.

    Args:
        sentences: all of the abstract, in order.
        words: the place of each word of the model, from 0.

    Returns:
        sentences × (``PLAIN`` + words): the cues of the sentence, of its first words, of all before it and of all
        behind it, those here for the first time, and those by place; then place, length and words.
    """
    tokens = [tokens_of(sentence) for sentence in sentences]
    own = _marks(tokens)
    opening = _marks([sentence[:_OPENING] for sentence in tokens])
    before = (np.cumsum(own, axis=0) - own > 0).astype(float)
    behind = (np.cumsum(own[::-1], axis=0)[::-1] - own > 0).astype(float)
    start = np.arange(len(tokens))
    end = start[::-1]
    blocks = [
        own,
        opening,
        before,
        behind,
        own * (1 - before),
        _by_place(own, start),
        _by_place(own, end),
        np.eye(_PLACES)[np.minimum(start, _PLACES - 1)],
        np.eye(_PLACES)[np.minimum(end, _PLACES - 1)],
        _measures(sentences, start),
        _words(tokens, words),
    ]
    return np.hstack(blocks)


def _marks(tokens: Sequence[Sequence[str]]) -> np.ndarray:
    """Which cues the sentences hold (sentences × cues, 1 for each that is there)."""
    marks = np.zeros((len(tokens), len(_CUES)))
    for row, own in zip(marks, tokens, strict=True):
        row[list(set().union(*map(_cues_of, own)))] = 1
    return marks


@lru_cache(maxsize=2**16)
def _cues_of(token: str) -> frozenset[int]:
    any_cue, patterns = _patterns()
    if not any_cue.fullmatch(token):
        return frozenset()
    return frozenset(place for place, pattern in enumerate(patterns) if pattern.fullmatch(token))


@cache
def _patterns() -> tuple[re.Pattern[str], list[re.Pattern[str]]]:
    """What matches any cue, and what matches each; made when first asked for, since that takes a while."""
    each = ["|".join(re.escape(word).replace(r"\*", r".*") for word in words.split()) for words in _CUES.values()]
    return re.compile("|".join(each)), list(map(re.compile, each))


def _by_place(cues: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Each cue once for every place near an end (sentences × places · cues)."""
    near = np.eye(_NEAR)[np.minimum(places, _NEAR - 1)]
    return np.asarray((near[:, :, None] * cues[:, None, :]).reshape(len(cues), _NEAR * cues.shape[1]))


def _measures(sentences: Sequence[str], start: np.ndarray) -> np.ndarray:
    """How far down the abstract a sentence stands, in two ways, and how long it is."""
    down = start / max(1, len(start) - 1)
    length = np.array([len(sentence) for sentence in sentences], dtype=float)
    # Training holds all weights down alike, so that the scale says how freely the length may weigh.
    return np.column_stack([down, down**2, 2 * np.log2(np.maximum(length, 1) / 150)])


def _words(tokens: Sequence[Sequence[str]], words: Mapping[str, int]) -> np.ndarray:
    table = np.zeros((len(tokens), len(words)))
    for row, own in zip(table, tokens, strict=True):
        row[[words[token] for token in own if token in words]] = 1
    return table
