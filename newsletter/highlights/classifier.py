"""Highlights: the sentence of an abstract that states the idea, and the one that states the result.

A linear model shipped with the newsletter scores each sentence for both; see docs/explanation/highlights.md.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from newsletter.errors import UserError
from newsletter.highlights.features import N_DENSE_FEATURES, features
from newsletter.highlights.sentences import sentences
from newsletter.highlights.standalone import LONGEST, Form, costs, forms
from newsletter.support.files import MAX_LIST_BYTES, read_text

LABELS = ("idea", "result")
WEIGHTS = Path(__file__).parents[1] / "data" / "highlights.json"
"""The weights shipped with the newsletter."""

_MOST = 100  # Longer texts are not abstracts; their ends would only cost time.
_CLOSING = "\"'”’»)]}」』）"
_STOPS = (".", "!", "?", "。", "！", "？", "｡")
_ELLIPSES = ("...", "…")


@dataclass(frozen=True, slots=True)
class Highlights:
    """The sentence that states the idea and the one that states the result, as in the abstract.

    Both are complete, in one line, and the idea comes before the result. An abstract of one sentence has no result; an
    empty one has neither.
    """

    idea: str | None
    result: str | None


@dataclass(frozen=True, slots=True)
class Model:
    """A linear model.

    Attributes:
        words: the index of each known word, from 0.
        weights: features × labels, with the features of :func:`newsletter.highlights.features.features`.
    """

    words: Mapping[str, int]
    weights: np.ndarray


def highlights(abstract: str) -> Highlights:
    """Return the highlights of an abstract, by the model shipped with the newsletter.

    Args:
        abstract: plain text.
    """
    found = split(abstract)
    idea, result = choose(_shipped(), found)
    shown = forms(found)
    return Highlights(*(None if place is None else shown[place].text for place in (idea, result)))


def split(abstract: str) -> list[str]:
    """Return the sentences of an abstract, each in one line, none empty."""
    return [" ".join(piece.split()) for piece in sentences(abstract) if piece.strip()][:_MOST]


def choose(model: Model, found: Sequence[str]) -> tuple[int | None, int | None]:
    """Choose among the sentences of an abstract.

    Of all pairs, with the idea before the result, the one with the highest sum of scores is chosen, less the costs of
    sentences that cannot well stand alone (:mod:`newsletter.highlights.standalone`).

    Args:
        found: all sentences, in order, none empty.

    Returns:
        The indices of the idea and of the result.
    """
    shown = forms(found)
    places = _worth_showing(found, shown)
    if len(places) < 2:
        return (places[0] if places else None), None
    cost = np.array([costs(shown[place]) for place in places])
    scores = (features(found, model.words) @ model.weights)[places] - cost
    pairs = np.where(np.tri(len(places), dtype=bool), -np.inf, scores[:, :1] + scores[:, 1])
    idea, result = np.unravel_index(int(pairs.argmax()), pairs.shape)
    return places[int(idea)], places[int(result)]


def _worth_showing(found: Sequence[str], shown: Sequence[Form]) -> list[int]:
    """Return the indices of the sentences that are complete and not too long; if there are none, of all that may be
    complete. Questions, notices and references to figures are not among them.

    One without a full stop may have been cut off by the source, one that ends in an ellipsis was.
    """
    perhaps = [
        place
        for place, sentence in enumerate(found)
        if not sentence.rstrip(_CLOSING).endswith(_ELLIPSES) and shown[place].text and not shown[place].never
    ]
    whole = [place for place in perhaps if found[place].rstrip(_CLOSING).endswith(_STOPS)]
    return [place for place in whole if len(found[place]) <= LONGEST] or whole or perhaps


def read_model(path: Path) -> Model:
    """Read a file of weights.

    Raises:
        UserError: it cannot be read, or does not fit this version.
    """
    text = read_text(path, str(path), MAX_LIST_BYTES)
    try:
        data = json.loads(text)
        words = {str(word): place for place, word in enumerate(data["words"])}
        weights = np.array([data[label] for label in LABELS], dtype=float).T
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: not a file of weights; pass one written by 'newsletter highlights train'") from None
    if weights.shape != (N_DENSE_FEATURES + len(words), len(LABELS)):
        raise UserError(
            f"{path}: these weights are from another version; train them again with 'newsletter highlights train'"
        )
    return Model(words, weights)


@cache
def _shipped() -> Model:
    return read_model(WEIGHTS)
