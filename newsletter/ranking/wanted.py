"""What an interest says in words, as weighted terms: its text, its keywords, and searches."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.ranking.sparse import Row
from newsletter.ranking.tfidf import LENGTH, TfidfModel
from newsletter.ranking.tokens import Token, wanted_tokens

WORDS_SHARE = 0.2
"""The share of a phrase's weight that its single words have together."""

_OTHER_FORM = 0.5
"""The weight of terms that only the other form of an abbreviation has."""

_OF_LONGER = 0.1
"""The weight of a pair of characters in a longer run: alone it is often part of another word."""


class WantedRow(NamedTuple):
    """Some words as a vector.

    Attributes:
        row: the terms that the space knows, ascending, with their weights.
        unknown: the weight of the phrases that it does not know, which papers with their words alone do not get.
        unknown_words: the weight of each word that it does not know.
    """

    row: Row
    unknown: float
    unknown_words: list[float]


class Wanted(NamedTuple):
    """Some words, with their abbreviations in either form.

    Attributes:
        row: the words as a vector, with what only the other form has at half the weight.
        forms: each form as a vector of its own; those of a text have single words alone.
    """

    row: WantedRow
    forms: list[WantedRow]


def wanted_text(model: TfidfModel, text: str) -> Wanted:
    """Convert a text to its TF-IDF vectors."""
    other = model.abbreviations.swapped(text)
    row = _text_row(model, text, other)
    forms = [row] if other == text else [_text_row(model, form, form) for form in (text, other)]
    return Wanted(row, [words_alone(model, form) for form in forms])


def wanted_keyword(model: TfidfModel, keyword: str) -> Wanted:
    """Convert a keyword to vectors. One of several words is a phrase first: its words count little alone."""
    other = model.abbreviations.swapped(keyword)
    row = _keyword_row(model, keyword, other)
    return Wanted(row, [row] if other == keyword else [_keyword_row(model, form, form) for form in (keyword, other)])


def _text_row(model: TfidfModel, text: str, other: str) -> WantedRow:
    tokens = wanted_tokens(text)
    counts = Counter(term for token in tokens for term in token.terms)
    weights = {term: (1 + math.log(counts[term])) * weight for term, weight in _idf(model, tokens, counts).items()}
    if other != text:
        weights |= _other_form(model, other, weights)
    return _scaled(model, weights, 0.0, _unknown_words(model, tokens))


def _keyword_row(model: TfidfModel, keyword: str, other: str) -> WantedRow:
    weights, unknown = _phrase_first(model, keyword)
    if other != keyword:
        weights |= _other_form(model, other, weights)
    return _scaled(model, weights, unknown, _unknown_words(model, wanted_tokens(keyword)))


def together(rows: Sequence[WantedRow]) -> WantedRow:
    """Return some vectors as one, which is their sum."""
    terms, places = np.unique(np.concatenate([one.row.terms for one in rows]), return_inverse=True)
    values = np.bincount(places, np.concatenate([one.row.values for one in rows]), minlength=len(terms))
    return WantedRow(
        Row(terms.astype(np.int32), values.astype(np.float32)),
        sum(one.unknown for one in rows),
        [weight for one in rows for weight in one.unknown_words],
    )


def of_several_words(model: TfidfModel, wanted: WantedRow) -> bool:
    """Return whether a vector has more than one word, or a run of characters."""
    terms = model.terms[wanted.row.terms].tolist()
    return wanted.unknown > 0 or len(terms) + len(wanted.unknown_words) > 1 or any(" " in term for term in terms)


def _unknown_words(model: TfidfModel, tokens: Sequence[Token]) -> list[float]:
    """Return the weight of each word that the space does not know, which is that of the rarest ones."""
    unknown = {token.word for token in tokens if token.word and token.word not in model.known}
    return [model.highest_idf] * len(unknown)


def _phrase_first(model: TfidfModel, phrase: str) -> tuple[dict[str, float], float]:
    """Return the weight of each known term of a phrase, of which its words have ``WORDS_SHARE``, and the weight of its
    unknown pairs.
    """
    tokens = wanted_tokens(phrase)
    pairs = {term for token in tokens for term in (token.pair, token.triple) if term}
    words, known = _idf(model, tokens, (token.word for token in tokens)), _idf(model, tokens, pairs)
    unknown = model.highest_idf * (len(pairs) - len(known))
    whole = sum(known.values()) + unknown
    share = WORDS_SHARE / (1 - WORDS_SHARE) * whole / (sum(words.values()) or 1) if pairs else 1.0
    return {word: weight * share for word, weight in words.items()} | known, unknown


def _other_form(model: TfidfModel, other: str, weights: Mapping[str, float]) -> dict[str, float]:
    found, _ = _phrase_first(model, other)
    return {term: _OTHER_FORM * weight for term, weight in found.items() if term not in weights}


def _idf(model: TfidfModel, tokens: Sequence[Token], terms: Iterable[str]) -> dict[str, float]:
    """Return the weight of the known ones of some terms of tokens."""
    longer = {pair for token in tokens if token.triple for pair in (token.triple[1:], token.triple[:-1])}
    known = model.known
    return {
        term: float(model.idf[known[term]]) * (_OF_LONGER if term in longer else 1.0) for term in terms if term in known
    }


def _scaled(
    model: TfidfModel, weights: Mapping[str, float], unknown: float, unknown_words: Sequence[float]
) -> WantedRow:
    """Build a vector at the length that papers have."""
    places = sorted((model.known[term], weight) for term, weight in weights.items())
    terms = np.array([place for place, _ in places], dtype=np.int32)
    values = np.array([weight for _, weight in places], dtype=np.float32)
    length = float(np.sqrt(values @ values + unknown**2)) or model.pivot
    scale = (model.pivot / length) ** LENGTH / model.pivot
    return WantedRow(
        Row(terms, (values * scale).astype(np.float32)), unknown * scale, [one * scale for one in unknown_words]
    )


def words_alone(model: TfidfModel, wanted: WantedRow) -> WantedRow:
    """Return a vector without its pairs of words."""
    terms = wanted.row.terms
    kept = np.array([" " not in term for term in model.terms[terms].tolist()], dtype=bool)
    return wanted._replace(row=Row(terms[kept], wanted.row.values[kept]))


def stacked(model: TfidfModel, rows: Sequence[WantedRow]) -> tuple[csr_matrix, np.ndarray]:
    """Return vectors as one matrix (rows × terms), and the weight of what each says that the space does not know."""
    if not rows:
        return model.zeros(0), np.zeros(0)
    ends = np.cumsum([0, *(len(one.row.terms) for one in rows)])
    terms = np.concatenate([one.row.terms for one in rows])
    values = np.concatenate([one.row.values for one in rows])
    return csr_matrix((values, terms, ends), shape=(len(rows), len(model.terms))), np.array([one[1] for one in rows])
