"""Features of a sentence's role in an abstract: cues in it and around it, its position, its length, its words."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

# By what they indicate; a star stands for any ending. The trained weights go by their order.
_CUES: Mapping[str, str] = json.loads((Path(__file__).parents[1] / "data" / "cues.json").read_text(encoding="utf-8"))
_TOKENS = re.compile(
    r"\d+(?:\.\d+)?(?:\s?(?:\\?%|×|(?:x|percent|times|db|fps)\b))?|[^\W\d_]+(?:[-'][^\W\d_]+)*|\?",
)
_OPENING = 3
_NEAR = 5  # Cues are separate features up to this position from either end; the position alone further in.
_PLACES = 8
N_DENSE_FEATURES = len(_CUES) * (5 + 2 * _NEAR) + 2 * _PLACES + 3
"""The number of features that are not words."""


def tokens_of(sentence: str) -> list[str]:
    """Return the words of a sentence in lower case; a number is ``0``, one with a unit or per cent ``0%``."""
    return [
        token if not token[0].isdigit() else "0" if token[-1].isdigit() else "0%"
        for token in _TOKENS.findall(sentence.lower())
    ]


def features(sentences: Sequence[str], words: Mapping[str, int]) -> np.ndarray:
    """Return the features of the sentences of an abstract.

    Args:
        sentences: all of the abstract, in order.
        words: the index of each word of the model, from 0.

    Returns:
        sentences × (``PLAIN`` + words): the cues of the sentence, of its first words, of all before it and of all after
        it, those that are new in it, and those by position; then position, length and words.
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
    """Return which cues the sentences contain (sentences × cues, 0 or 1)."""
    marks = np.zeros((len(tokens), len(_CUES)))
    for row, own in zip(marks, tokens, strict=True):
        row[[cue for token in own for cue in _cues_of(token)]] = 1
    return marks


@lru_cache(maxsize=2**16)
def _cues_of(token: str) -> frozenset[int]:
    any_cue, patterns = _patterns()
    if not any_cue.fullmatch(token):
        return frozenset()
    return frozenset(place for place, pattern in enumerate(patterns) if pattern.fullmatch(token))


@cache
def _patterns() -> tuple[re.Pattern[str], list[re.Pattern[str]]]:
    """Return a pattern that matches any cue, and one for each; built on first use, since that takes a while."""
    each = ["|".join(re.escape(word).replace(r"\*", r".*") for word in words.split()) for words in _CUES.values()]
    return re.compile("|".join(each)), list(map(re.compile, each))


def _by_place(cues: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Repeat the cues for every position near an end (sentences × positions · cues)."""
    near = np.eye(_NEAR)[np.minimum(places, _NEAR - 1)]
    return np.asarray((near[:, :, None] * cues[:, None, :]).reshape(len(cues), _NEAR * cues.shape[1]))


def _measures(sentences: Sequence[str], start: np.ndarray) -> np.ndarray:
    """Return a sentence's position in the abstract, in two ways, and its length."""
    down = start / max(1, len(start) - 1)
    length = np.array([len(sentence) for sentence in sentences], dtype=float)
    # Training shrinks all weights alike, so the scale determines how much the length may count.
    return np.column_stack([down, down**2, 2 * np.log2(np.maximum(length, 1) / 150)])


def _words(tokens: Sequence[Sequence[str]], words: Mapping[str, int]) -> np.ndarray:
    table = np.zeros((len(tokens), len(words)))
    for row, own in zip(table, tokens, strict=True):
        row[[words[token] for token in own if token in words]] = 1
    return table
