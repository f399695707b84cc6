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
from newsletter.highlights.standalone import LONGEST, Forms
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
    forms = Forms(found)
    chosen = choose(_shipped(), found, forms)
    return Highlights(*(None if place is None else forms[place].text for place in chosen))


def split(abstract: str) -> list[str]:
    """Return the sentences of an abstract, each in one line, none empty."""
    return [" ".join(piece.split()) for piece in sentences(abstract) if piece.strip()][:_MOST]


def choose(model: Model, found: Sequence[str], forms: Forms | None = None) -> tuple[int | None, int | None]:
    """Choose among the sentences of an abstract.

    Of all pairs, with the idea before the result, the one with the highest sum of scores is chosen, less the costs of
    sentences that cannot well stand alone (:mod:`newsletter.highlights.standalone`).

    Args:
        found: all sentences, in order, none empty.
        forms: the forms of the same sentences, if the caller needs them too.

    Returns:
        The indices of the idea and of the result; None for what is missing.
    """
    scores = features(found, model.words) @ model.weights if found else np.empty((0, len(LABELS)))
    forms = Forms(found) if forms is None else forms
    for places in _worth_showing(found):
        chosen = _best_pair(scores[places], forms, places)
        if chosen[0] is not None:
            return chosen
    return None, None


def _best_pair(scores: np.ndarray, forms: Forms, places: Sequence[int]) -> tuple[int | None, int | None]:
    """Return the best pair among some sentences, or the best one if only one may be shown.

    Costs only lower a score, so only the forms of those are made that are best without them.

    Args:
        scores: of the sentences at ``places`` (sentences × labels).
    """
    scores, known = scores.copy(), set[int]()
    together = forms.unexplained()[np.ix_(places, places)]
    while len(known) < len(places):
        pair = _highest(scores, together)
        unknown = [one for one in pair if one not in known]
        if not unknown:
            return places[pair[0]], places[pair[1]]
        for one in unknown:
            form = forms[places[one]]
            scores[one] -= np.inf if form.never or not form.text else forms.costs(places[one])
            known.add(one)
    shown = [one for one in range(len(places)) if np.isfinite(scores[one, 0])]
    if len(shown) < 2:
        return (places[shown[0]] if shown else None), None
    pair = _highest(scores, together)
    return places[pair[0]], places[pair[1]]


def _highest(scores: np.ndarray, together: np.ndarray) -> tuple[int, ...]:
    """Return the pair of different sentences, the first one before the second, with the highest sum of scores less
    what they cost together; the same sentence twice if there is only one.
    """
    if len(scores) < 2:
        return (0, 0)
    pairs = np.where(np.tri(len(scores), dtype=bool), -np.inf, scores[:, :1] + scores[:, 1] - together)
    best = int(pairs.argmax())
    if not np.isfinite(pairs.ravel()[best]):
        return tuple(np.argsort(~np.isfinite(scores[:, 0]), kind="stable")[:2])
    return tuple(int(place) for place in np.unravel_index(best, pairs.shape))


def _worth_showing(found: Sequence[str]) -> list[list[int]]:
    """Return the indices of sentences that may be shown in groups, each only for when nothing in those before it can
    be: complete and not too long; complete; perhaps complete.

    One without a full stop may have been cut off by the source, one that ends in an ellipsis was.
    """
    perhaps = [place for place, sentence in enumerate(found) if not sentence.rstrip(_CLOSING).endswith(_ELLIPSES)]
    whole = [place for place in perhaps if found[place].rstrip(_CLOSING).endswith(_STOPS)]
    return [[place for place in whole if len(found[place]) <= LONGEST], whole, perhaps]


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
