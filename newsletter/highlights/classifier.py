"""The sentences that matter: of an abstract the one that says the idea and the one that says the result.

A linear model that comes with the newsletter gives each sentence a score for either. See
docs/explanation/highlights.md.
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
from newsletter.support.files import MAX_LIST_BYTES, read_text

LABELS = ("idea", "result")
WEIGHTS = Path(__file__).parents[1] / "data" / "highlights.json"
"""The weights that come with the newsletter."""

LONGEST = 900
"""A sentence of more characters would fill the mail, and is chosen only when there is no other."""

_MOST = 100  # What has more sentences is no abstract, and its end would cost time for nothing.
_CLOSING = "\"'”’»)]}」』）"
_STOPS = (".", "!", "?", "。", "！", "？", "｡")
_ELLIPSES = ("...", "…")


@dataclass(frozen=True, slots=True)
class Highlights:
    """The sentence that says the idea and the one that says the result, as they stand in the abstract.

    Both are whole, in one line, and the idea stands before the result. An abstract of one sentence has no result; an
    empty one has neither.
    """

    idea: str | None
    result: str | None


@dataclass(frozen=True, slots=True)
class Model:
    """A linear model.

    Attributes:
        words: the place of each word it knows among the words, from 0.
        weights: features × labels, the features as :func:`newsletter.highlights.features.features` has them.
    """

    words: Mapping[str, int]
    weights: np.ndarray


def highlights(abstract: str) -> Highlights:
    """The sentences of an abstract that say its idea and its result, by the model that comes with the newsletter."""
    found = [" ".join(piece.split()) for piece in sentences(abstract) if piece.strip()][:_MOST]
    idea, result = choose(_shipped(), found)
    return Highlights(None if idea is None else found[idea], None if result is None else found[result])


def choose(model: Model, found: Sequence[str]) -> tuple[int | None, int | None]:
    """Choose among the sentences of an abstract.

    Of all pairs the one with the highest sum of scores, the idea before the result.

    Args:
        found: all sentences, in order, none empty.

    Returns:
        The places of the idea and of the result.
    """
    places = _worth_showing(found)
    if len(places) < 2:
        return (places[0] if places else None), None
    scores = (features(found, model.words) @ model.weights)[places]
    pairs = np.where(np.tri(len(places), dtype=bool), -np.inf, scores[:, :1] + scores[:, 1])
    idea, result = np.unravel_index(int(pairs.argmax()), pairs.shape)
    return places[int(idea)], places[int(result)]


def _worth_showing(found: Sequence[str]) -> list[int]:
    """The places of the sentences that are whole and not too long; with none like that, of all that may be whole.

    One without a stop may have been cut off by the source, one that ends in an ellipsis was.
    """
    perhaps = [place for place, sentence in enumerate(found) if not sentence.rstrip(_CLOSING).endswith(_ELLIPSES)]
    whole = [place for place in perhaps if found[place].rstrip(_CLOSING).endswith(_STOPS)]
    return [place for place in whole if len(found[place]) <= LONGEST] or whole or perhaps


def read_model(path: Path) -> Model:
    """Read a file of weights.

    Raises:
        UserError: it cannot be read, or is none that fits this version.
    """
    text = read_text(path, str(path), MAX_LIST_BYTES)
    try:
        data = json.loads(text)
        words = {str(word): place for place, word in enumerate(data["words"])}
        weights = np.array([data[label] for label in LABELS], dtype=float).T
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: no weights; name a file that 'newsletter highlights train' wrote") from None
    if weights.shape != (N_DENSE_FEATURES + len(words), len(LABELS)):
        raise UserError(f"{path}: weights of another version; train them again with 'newsletter highlights train'")
    return Model(words, weights)


@cache
def _shipped() -> Model:
    return read_model(WEIGHTS)
