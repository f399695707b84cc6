"""Train the highlights model on labelled abstracts."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, vstack

from newsletter.errors import UserError
from newsletter.highlights.classifier import LABELS, Model
from newsletter.highlights.dataset import LabelledAbstract, shares
from newsletter.highlights.features import features, tokens_of
from newsletter.support.files import atomic_write_bytes

_LEAST_SENTENCES = 10  # Rarer words do not generalise.
_FREEDOM = 0.015
_DECIMALS = 4
_MISFIT = 0.3  # The weight of an abstract with misfitting marks, many of which are a few words off.


def train(labelled: Sequence[LabelledAbstract]) -> Model:
    """Train a model; the same abstracts give the same model.

    In each abstract, every sentence should score higher than each that has less of the marked text: a logistic
    regression on the differences of their features (Joachims, "Optimizing search engines using clickthrough data",
    2002, with the logistic loss), each weighted by how much more of the marked characters the better one has.

    Raises:
        UserError: the marks of a label do not distinguish any sentences.
    """
    seen = Counter(word for one in labelled for sentence in one.found for word in set(tokens_of(sentence)))
    words = {word: place for place, word in enumerate(sorted(w for w in seen if seen[w] >= _LEAST_SENTENCES))}
    tables = [features(one.found, words) for one in labelled]
    columns = [_weights(label, labelled, tables) for label in LABELS]
    return Model(words, np.column_stack(columns).round(_DECIMALS))


def _weights(label: str, labelled: Sequence[LabelledAbstract], tables: Sequence[np.ndarray]) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    differences, gaps = [], []
    for one, table in zip(labelled, tables, strict=True):
        share = shares(one, label)
        better, worse = np.nonzero(share[:, None] > share)
        differences.append(csr_matrix(table[better] - table[worse]))
        gaps.append((share[better] - share[worse]) * (1 if one.fits else _MISFIT))
    weighed = np.concatenate(gaps)
    if len(weighed) < 2:
        raise UserError(f"too little is marked as {label} to learn from; see docs/how-to/train-highlights.md")
    # Without intercept a difference turned round says the same; the solver wants to see both classes.
    turned = np.where(np.arange(len(weighed)) % 2, 1, -1)
    stacked = csr_matrix(vstack(differences).multiply(turned[:, None]))
    solver = LogisticRegression(C=_FREEDOM, fit_intercept=False, solver="liblinear")
    return np.asarray(solver.fit(stacked, turned, sample_weight=weighed).coef_[0])


def write_model(model: Model, path: Path) -> None:
    """Write weights as JSON: ``words``, and for each label the weights of the other features and then of the words.

    Raises:
        UserError: the file cannot be written.
    """
    columns = {label: weights.tolist() for label, weights in zip(LABELS, model.weights.T, strict=True)}
    text = json.dumps({"words": list(model.words), **columns}, ensure_ascii=False) + "\n"
    atomic_write_bytes(path, text.encode(), 0o644)
