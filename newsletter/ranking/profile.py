"""Profiles: the TF-IDF vectors that stand for a subscriber's interests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, vstack

from newsletter.identifiers import title_key
from newsletter.model import Interest, Paper
from newsletter.ranking.space import Space, damped, paper_text

_DISLIKED_WEIGHT = 0.5

Judged = Sequence[tuple[Paper, float]]
"""Papers, each with the weight of the verdict."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One interest in the space.

    Attributes:
        vector: 1 × terms; zeros when the interest says nothing that the space knows.
        wanted: the same before the disliked papers were taken off, which scores are measured by: taking off something
            never makes a paper stand out more.
        teachers: how many papers it was made from; a text counts as one, a faded verdict as less.
        liked: the liked papers that are known. ``shares``: what each of them, weighted, put into the vector before it
            was damped (liked × terms). ``whole``: the vector then.
        judged: the liked papers and the disliked ones.
        authors, categories: as the interest names them, folded for comparing.
    """

    interest: Interest
    vector: csr_matrix
    wanted: csr_matrix
    teachers: float
    liked: tuple[Paper, ...]
    shares: csr_matrix
    whole: csr_matrix
    judged: tuple[Paper, ...]
    authors: frozenset[str]
    categories: frozenset[str]


def make_profile(space: Space, interest: Interest, liked: Judged, disliked: Judged) -> Profile:
    """The profile of an interest: the mean of its liked papers, its text and its keywords, damped, less half of the
    same for its disliked papers (Rocchio, "Relevance feedback in information retrieval", 1971).

    Text and keywords stand for one liked paper each, and are brought to a usual paper's sum of weights, since a line of
    words is shorter than an abstract. A verdict that has faded counts for less than one paper. An interest that says
    nothing else is followed by its name.
    """
    says_more = interest.keywords or interest.liked or interest.authors or interest.categories
    text = interest.text or ("" if says_more else interest.name)
    liked_vectors, weights = _vectors(space, liked)
    said = [part for part in (_text(space, text), _keywords(space, interest.keywords)) if part.nnz]
    teachers = float(weights.sum()) + len(said)
    shares = csr_matrix(liked_vectors.multiply(weights[:, None] / teachers)) if liked else space.zeros(0)
    whole = csr_matrix(sum((part / teachers for part in said), start=csr_matrix(shares.sum(axis=0))))
    vector = wanted = damped(whole)
    if disliked:
        disliked_vectors, against = _vectors(space, disliked)
        mean = csr_matrix(disliked_vectors.multiply(against[:, None] / against.sum()).sum(axis=0))
        vector = vector - _DISLIKED_WEIGHT * float(against.max()) * damped(mean)
    return Profile(
        interest,
        csr_matrix(vector, dtype=np.float32),
        wanted,
        teachers,
        tuple(paper for paper, _ in liked),
        shares,
        whole,
        tuple(paper for paper, _ in (*liked, *disliked)),
        frozenset(title_key(author) for author in interest.authors),
        frozenset(category.strip().casefold() for category in interest.categories),
    )


def _text(space: Space, text: str) -> csr_matrix:
    return _as_a_paper(space, space.vectors([text])) if text else space.zeros()


def _keywords(space: Space, keywords: Mapping[str, float]) -> csr_matrix:
    if not keywords:
        return space.zeros()
    weights = csr_matrix(np.array([list(keywords.values())]))
    return _as_a_paper(space, csr_matrix(weights @ space.vectors(keywords)))


def _as_a_paper(space: Space, vector: csr_matrix) -> csr_matrix:
    total = float(vector.sum())
    return csr_matrix(vector * (float(space.sample.sum(axis=1).mean()) / total)) if total > 0 else vector


def _vectors(space: Space, judged: Judged) -> tuple[csr_matrix, np.ndarray]:
    weights = np.array([weight for _, weight in judged])
    return space.vectors(paper_text(paper) for paper, _ in judged) if judged else space.zeros(0), weights


def taught_by(papers: csr_matrix, libraries: Sequence[np.ndarray]) -> csr_matrix:
    """Many profiles at once (profiles × terms), each of liked papers alone, all of one weight.

    Args:
        papers: papers × terms. ``libraries``: the liked ones of each profile, by row of ``papers``.
    """
    sizes = [len(library) for library in libraries]
    weights = np.repeat(1 / np.maximum(sizes, 1), sizes).astype(np.float32)
    places = (np.repeat(np.arange(len(libraries)), sizes), np.concatenate(libraries))
    return damped(csr_matrix((weights, places), shape=(len(libraries), papers.shape[0])) @ papers)


def stack(vectors: Sequence[csr_matrix]) -> csr_matrix:
    """Some vectors, one at least, as one matrix (vectors × terms)."""
    return csr_matrix(vstack(vectors))
