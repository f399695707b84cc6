"""Why a paper is there, in a few words that a reader understands and that truly made its score."""

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.identifiers import title_key
from newsletter.model import Paper
from newsletter.ranking.profile import Profiles
from newsletter.ranking.space import Space, paper_text, surfaces

_TERMS_WEIGHED = 12
_TERMS_SHOWN = 4
_LIKED_SHARE = 0.2


def reason(space: Space, profiles: Profiles, row: int, paper: Paper, scaled: csr_matrix) -> str:
    """The followed author, the terms that weighed most, the liked paper that gave most and the followed category.

    Args:
        row: which of the profiles.
        scaled: the paper's vector times the scale of its score (1 × terms), see :func:`newsletter.ranking.rank.scale`.
    """
    interest = profiles.followed[row].interest
    parts = []
    followed = followed_author(interest.authors, paper)
    if followed:
        parts.append(f"by {followed}, whom you follow")
    terms = main_terms(space, profiles.vectors[row], paper, scaled)
    if terms:
        parts.append(", ".join(terms))
    liked, gifts = liked_parts(profiles, row, scaled)
    if len(gifts):
        most = int(np.argmax(gifts))
        if gifts[most] >= _LIKED_SHARE * max(float((profiles.vectors[row] @ scaled.T).sum()), 1e-12):
            parts.append(f"like “{liked[most]}”")
    wanted = {category.strip().casefold() for category in interest.categories}
    categories = [category for category in paper.categories if category.casefold() in wanted]
    if categories:
        parts.append(f"in {categories[0]}")
    return "; ".join(parts)


def followed_author(followed: tuple[str, ...], paper: Paper) -> str | None:
    """The first author of a paper whom an interest follows."""
    keys = {title_key(author) for author in followed}
    return next((author for author in paper.authors if title_key(author) in keys), None)


def term_parts(space: Space, vector: csr_matrix, scaled: csr_matrix) -> np.ndarray:
    """What each term of the paper adds to its raw score, in the order of ``scaled.indices``; the parts add up to it.

    Args:
        vector: the profile's (1 × terms).
    """
    return np.asarray((_at(vector, scaled.indices) - space.mean[scaled.indices]) * scaled.data)


def liked_parts(profiles: Profiles, row: int, scaled: csr_matrix) -> tuple[list[str], np.ndarray]:
    """The titles of an interest's liked papers, and what each gave to the score. A term's damped weight is shared out
    as its undamped weight is.
    """
    names, shares = profiles.liked_by(row)
    if not names:
        return [], np.zeros(0)
    whole = _at(profiles.whole[row], scaled.indices)
    damping = _at(profiles.vectors[row], scaled.indices) / np.where(whole > 0, whole, 1)
    gifts = shares[:, scaled.indices] @ (scaled.data * np.maximum(damping, 0))
    return [name.title for name in names], np.asarray(gifts)


def _at(row: csr_matrix, columns: np.ndarray) -> np.ndarray:
    """A sparse row's values at some columns."""
    dense = np.zeros(row.shape[1], dtype=np.float32)
    dense[row.indices] = row.data
    return np.asarray(dense[columns])


def main_terms(space: Space, vector: csr_matrix, paper: Paper, scaled: csr_matrix) -> list[str]:
    """The terms of a paper that weighed most in its score, as the paper writes them.

    Args:
        vector: the profile's (1 × terms). ``scaled``: the paper's, times any scale (1 × terms).
    """
    parts = term_parts(space, vector, scaled)
    written = surfaces(paper_text(paper))
    shown: list[str] = []
    for index in np.argsort(-parts, kind="stable")[:_TERMS_WEIGHED]:
        if parts[index] <= 0:
            break
        term = str(space.terms[scaled.indices[index]])
        words = set(term.split())
        # "Pareto front" says all that "Pareto" and "front" say.
        if any(words <= set(other.split()) for other in shown):
            continue
        shown = [other for other in shown if not set(other.split()) <= words]
        shown.append(term)
    # Nor need "objective reinforcement" be said between "multi-objective" and "reinforcement learning".
    for term in [*shown]:
        others = {word for other in shown if other != term for word in other.split()}
        if " " in term and set(term.split()) <= others:
            shown.remove(term)
    return [written.get(term, term) for term in shown[:_TERMS_SHOWN]]
