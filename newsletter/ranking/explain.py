"""Why a paper is there, in a few words that a reader understands."""

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.identifiers import title_key
from newsletter.model import Paper
from newsletter.ranking.profile import Profile
from newsletter.ranking.space import Space, paper_text, surfaces

_TERMS_WEIGHED = 12
_TERMS_SHOWN = 4
_LIKED_AT_LEAST = 0.15


def reason(space: Space, profile: Profile, paper: Paper, vector: csr_matrix) -> str:
    """The followed author, the terms that weighed most, the liked paper it is nearest to and the followed category.

    Args:
        vector: the paper's, 1 × terms.
    """
    parts = []
    followed = [author for author in paper.authors if title_key(author) in profile.authors]
    if followed:
        parts.append(f"by {followed[0]}, whom you follow")
    terms = _terms(space, profile, paper, vector)
    if terms:
        parts.append(", ".join(terms))
    if profile.liked:
        nearness = (profile.liked_vectors @ vector.T).toarray().ravel()
        nearest = int(np.argmax(nearness))
        if nearness[nearest] >= _LIKED_AT_LEAST:
            parts.append(f"like “{profile.liked[nearest].title}”")
    categories = [category for category in paper.categories if category.casefold() in profile.categories]
    if categories:
        parts.append(f"in {categories[0]}")
    return "; ".join(parts)


def _terms(space: Space, profile: Profile, paper: Paper, vector: csr_matrix) -> list[str]:
    product = profile.vector.multiply(vector).tocoo()
    order = np.argsort(-product.data, kind="stable")
    written = surfaces(paper_text(paper))
    shown: list[str] = []
    for index in order[:_TERMS_WEIGHED]:
        if product.data[index] <= 0:
            break
        term = str(space.terms[product.col[index]])
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
