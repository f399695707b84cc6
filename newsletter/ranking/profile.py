"""Profiles: the TF-IDF vectors that stand for a subscriber's interests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags, vstack

from newsletter.identifiers import title_key
from newsletter.model import Interest, Paper
from newsletter.ranking.space import Space, paper_text

_DISLIKED_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Profile:
    """One interest in the space.

    Attributes:
        vector: 1 × terms, of unit length, or zeros when the interest says nothing that the space knows.
        liked: the liked papers that are known; ``liked_vectors`` has a row for each.
        judged: those and the disliked ones.
        authors, categories: as the interest names them, folded for comparing.
    """

    interest: Interest
    vector: csr_matrix
    liked: tuple[Paper, ...]
    liked_vectors: csr_matrix
    judged: tuple[Paper, ...]
    authors: frozenset[str]
    categories: frozenset[str]


Judged = Sequence[tuple[Paper, float]]
"""Papers, each with the weight of the verdict."""


def make_profile(space: Space, interest: Interest, liked: Judged, disliked: Judged) -> Profile:
    """The profile of an interest: the sum of its text, its keywords and the mean of its liked papers, each of unit
    length, less half the mean of the disliked ones (Rocchio, "Relevance feedback in information retrieval", 1971).

    Verdicts that have faded weigh less beside others, and all together less beside the text. An interest that says
    nothing else is followed by its name.
    """
    liked_vectors = _vectors(space, liked)
    says_more = interest.keywords or interest.liked or interest.authors or interest.categories
    text = interest.text or ("" if says_more else interest.name)
    parts = [
        space.vectors([text]) if text else space.zeros(),
        _keywords(space, interest.keywords),
        _mean(space, liked_vectors, liked),
        -_DISLIKED_WEIGHT * _mean(space, _vectors(space, disliked), disliked),
    ]
    return Profile(
        interest,
        unit(sum(parts, start=space.zeros())),
        tuple(paper for paper, _ in liked),
        liked_vectors,
        tuple(paper for paper, _ in (*liked, *disliked)),
        frozenset(title_key(author) for author in interest.authors),
        frozenset(category.strip().casefold() for category in interest.categories),
    )


def _keywords(space: Space, keywords: Mapping[str, float]) -> csr_matrix:
    if not keywords:
        return space.zeros()
    weights = csr_matrix(np.array([list(keywords.values())]))
    return unit(weights @ space.vectors(keywords))


def _vectors(space: Space, judged: Judged) -> csr_matrix:
    return space.vectors(paper_text(paper) for paper, _ in judged) if judged else csr_matrix((0, len(space.terms)))


def _mean(space: Space, vectors: csr_matrix, judged: Judged) -> csr_matrix:
    """The weighted mean at unit length, times the heaviest weight: all verdicts faded are a faint voice."""
    if not judged:
        return space.zeros()
    weights = np.array([[weight for _, weight in judged]])
    return csr_matrix(unit(csr_matrix(weights) @ vectors) * weights.max())


def stack(space: Space, profiles: Sequence[Profile]) -> csr_matrix:
    """The vectors of many profiles as one matrix (profiles × terms)."""
    if not profiles:
        return csr_matrix((0, len(space.terms)))
    return csr_matrix(vstack([profile.vector for profile in profiles]))


def unit(matrix: csr_matrix) -> csr_matrix:
    """The rows of a matrix brought to unit length; a row of zeros stays one."""
    matrix = csr_matrix(matrix)
    lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    return csr_matrix(diags(1 / np.where(lengths > 0, lengths, 1)) @ matrix)
