"""Evaluate the choice of highlights on held-out labelled abstracts, compared with a plain logistic regression."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack

from newsletter.errors import UserError
from newsletter.highlights.classifier import LABELS, choose
from newsletter.highlights.dataset import LabelledAbstract, right
from newsletter.highlights.training import train

WAYS = ("model", "plain")
"""What is measured: the model, and a plain logistic regression on words and position."""

_PLAIN_FREEDOM = 0.1  # The best of 0.03, 0.1, 0.3 and 1.
_PLACES = 10

Choices = list[tuple[int | None, ...]]
"""For each abstract the index of the sentence chosen for each label."""


@dataclass(frozen=True, slots=True)
class Row:
    """The share of abstracts for which the right sentence was chosen.

    Attributes:
        label: what the sentence was chosen for.
        fitting: whether only abstracts count whose marks fit their text.
        abstracts: the number of abstracts with such a mark.
        best: the share in which any sentence is right, the maximum for any choice.
        means, deviations: mean share and standard deviation over the splits, for each of ``WAYS``.
    """

    label: str
    fitting: bool
    abstracts: int
    best: float
    means: tuple[float, ...]
    deviations: tuple[float, ...]


def evaluate(
    labelled: Sequence[LabelledAbstract],
    folds: int,
    splits: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[Row]:
    """Train on all folds of the abstracts but one and choose on that one; each fold in turn, for some random splits.

    Args:
        on_progress: called after each fold with the number done of ``folds * splits``.

    Raises:
        UserError: there are fewer abstracts than folds, or too few to train on.
    """
    from sklearn.model_selection import KFold

    if len(labelled) < folds:
        raise UserError(f"--folds: {len(labelled)} abstracts are too few for {folds} folds; use fewer folds")
    hits = np.full((len(WAYS), splits, len(labelled), len(LABELS)), np.nan)
    for split in range(splits):
        for fold, (known, held_back) in enumerate(KFold(folds, shuffle=True, random_state=split).split(labelled), 1):
            learnt_from, asked = [labelled[place] for place in known], [labelled[place] for place in held_back]
            model = train(learnt_from)
            ours: Choices = [choose(model, one.found) for one in asked]
            for way, choices in enumerate((ours, plain_choices(learnt_from, asked))):
                hits[way, split, held_back] = _hits(asked, choices)
            on_progress(split * folds + fold)
    rows = (_row(labelled, hits, column, fitting) for column in range(len(LABELS)) for fitting in (False, True))
    return [row for row in rows if row.abstracts]


def _hits(labelled: Sequence[LabelledAbstract], choices: Choices) -> np.ndarray:
    """Return 1 for each abstract and label if the chosen sentence is right, 0 if not, NaN if nothing was marked."""
    return np.array(
        [
            [
                np.nan if not one.spans[label] else place is not None and right(one, label)[place]
                for label, place in zip(LABELS, chosen, strict=True)
            ]
            for one, chosen in zip(labelled, choices, strict=True)
        ],
        dtype=float,
    )


def _row(labelled: Sequence[LabelledAbstract], hits: np.ndarray, column: int, fitting: bool) -> Row:
    label = LABELS[column]
    counted = np.array([bool(one.spans[label]) and (one.fits or not fitting) for one in labelled], dtype=bool)
    number = max(1, int(counted.sum()))
    shares = hits[:, :, counted, column].sum(axis=2) / number
    possible = sum(bool(right(one, label).any()) for one, counts in zip(labelled, counted, strict=True) if counts)
    return Row(
        label=label,
        fitting=fitting,
        abstracts=int(counted.sum()),
        best=possible / number,
        means=tuple(shares.mean(axis=1).tolist()),
        deviations=tuple(shares.std(axis=1).tolist()),
    )


def plain_choices(learnt_from: Sequence[LabelledAbstract], asked: Sequence[LabelledAbstract]) -> Choices:
    """Return the choices of a logistic regression on words and position: the sentence with the highest score per label.

    Returns:
        For each abstract of ``asked`` the indices, in the order of ``LABELS``.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    words = CountVectorizer(binary=True).fit(sentence for one in learnt_from for sentence in one.found)
    table, own = _words_and_place(words, asked), np.repeat(np.arange(len(asked)), [len(one.found) for one in asked])
    columns = []
    for label in LABELS:
        marked = [one for one in learnt_from if one.spans[label]]
        truth = np.concatenate([right(one, label) for one in marked])
        if truth.all() or not truth.any():
            raise UserError(f"too little is marked as {label} to train on; see docs/how-to/train-highlights.md")
        solver = LogisticRegression(C=_PLAIN_FREEDOM, max_iter=1000).fit(_words_and_place(words, marked), truth)
        scores = solver.decision_function(table)
        columns.append([int(scores[own == one].argmax()) if asked[one].found else None for one in range(len(asked))])
    return list(zip(*columns, strict=True))


def _words_and_place(words: Any, abstracts: Sequence[LabelledAbstract]) -> csr_matrix:
    """Return the words of all sentences of some abstracts, and their positions from the start and from the end."""
    start = np.concatenate([np.arange(len(one.found)) for one in abstracts])
    end = np.concatenate([np.arange(len(one.found))[::-1] for one in abstracts])
    places = [np.eye(_PLACES)[np.minimum(from_end, _PLACES - 1)] for from_end in (start, end)]
    return hstack([words.transform(sentence for one in abstracts for sentence in one.found), *places]).tocsr()
