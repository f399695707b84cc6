"""Why a paper is there, in a few words that a reader understands and that truly made its score."""

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.identifiers import title_key
from newsletter.model import Paper
from newsletter.ranking.profile import Profile
from newsletter.ranking.space import Space, paper_text, surfaces

_TERMS_WEIGHED = 12
_TERMS_SHOWN = 4
_LIKED_SHARE = 0.2


def reason(space: Space, profile: Profile, paper: Paper, scaled: csr_matrix) -> str:
    """The followed author, the terms that weighed most, the liked paper that gave most and the followed category.

    Args:
        scaled: the paper's vector times the scale of its score (1 × terms), see :func:`newsletter.ranking.rank.scale`.
    """
    parts = []
    followed = [author for author in paper.authors if title_key(author) in profile.authors]
    if followed:
        parts.append(f"by {followed[0]}, whom you follow")
    terms = _terms(space, profile, paper, scaled)
    if terms:
        parts.append(", ".join(terms))
    if profile.liked:
        gifts = liked_parts(profile, scaled)
        most = int(np.argmax(gifts))
        if gifts[most] >= _LIKED_SHARE * max(float((profile.vector @ scaled.T).sum()), 1e-12):
            parts.append(f"like “{profile.liked[most].title}”")
    categories = [category for category in paper.categories if category.casefold() in profile.categories]
    if categories:
        parts.append(f"in {categories[0]}")
    return "; ".join(parts)


def term_parts(space: Space, profile: Profile, scaled: csr_matrix) -> np.ndarray:
    """What each term of the paper adds to its raw score, in the order of ``scaled.indices``; the parts add up to it."""
    weights = np.asarray(profile.vector[:, scaled.indices].todense()).ravel() - space.mean[scaled.indices]
    return np.asarray(weights * scaled.data)


def liked_parts(profile: Profile, scaled: csr_matrix) -> np.ndarray:
    """What each liked paper gave to the score. A term's damped weight is shared out as its undamped weight is."""
    whole = np.asarray(profile.whole[:, scaled.indices].todense()).ravel()
    damping = np.asarray(profile.vector[:, scaled.indices].todense()).ravel() / np.where(whole > 0, whole, 1)
    return np.asarray(profile.shares[:, scaled.indices] @ (scaled.data * np.maximum(damping, 0)))


def _terms(space: Space, profile: Profile, paper: Paper, scaled: csr_matrix) -> list[str]:
    parts = term_parts(space, profile, scaled)
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
