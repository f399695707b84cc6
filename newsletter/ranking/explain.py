"""Why a paper is there, in a few words that a reader understands and that truly made its score."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from textwrap import shorten

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.identifiers import title_key
from newsletter.model import Paper
from newsletter.ranking.profile import Profiles
from newsletter.ranking.space import Space, Token, paper_text, tokens_of

_PHRASES_SHOWN = 3
_TITLE_SHOWN = 80
_LONGEST = 4
_LEAST_SHARE = 0.15
_LIKED_SHARE = 0.2
_MOSTLY = 0.7  # Of the papers that have the one word, half have the other after it.
_SELDOM = 1.1  # Less than three times as often as the rarest terms, a word says nothing of what follows it.
_WORDS = re.compile(r"\w+")
_NAMES = re.compile(r"(?<=[a-z,] )[A-Z]\w*")
_HYPHEN_BEFORE = re.compile(r"(?:(?<![\w-])\w+-)?$")
_HYPHEN_AFTER = re.compile(r"(?:-\w+(?![\w-]))?")


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
            parts.append(f"like “{shorten(liked[most], _TITLE_SHOWN, placeholder=' …')}”")
    wanted = {category.strip().casefold() for category in interest.categories}
    categories = [category for category in paper.categories if category.casefold() in wanted]
    if categories:
        parts.append(f"in {categories[0]}")
    return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Weighed:
    """What speaks for a paper, each with its share of the whole (0 to 1), most first.

    Attributes:
        terms: those that add to its score, as the space has them.
        liked: the titles of the liked papers that they are from.
    """

    terms: tuple[tuple[str, float], ...] = ()
    liked: tuple[tuple[str, float], ...] = ()


def weighed(space: Space, profiles: Profiles, row: int, scaled: csr_matrix, most: int) -> Weighed:
    """The terms and the liked papers that a paper has its score from; arguments as for :func:`reason`.

    Args:
        most: how many of each.
    """
    parts = np.maximum(term_parts(space, profiles.vectors[row], scaled), 0)
    names, gifts = liked_parts(profiles, row, scaled)
    return Weighed(
        _shares([str(term) for term in space.terms[scaled.indices]], parts, float(parts.sum()), most),
        _shares(names, gifts, float((profiles.vectors[row] @ scaled.T).sum()), most),
    )


def _shares(names: Sequence[str], parts: np.ndarray, whole: float, most: int) -> tuple[tuple[str, float], ...]:
    order = [place for place in np.argsort(-parts, kind="stable")[:most] if parts[place] > 0]
    return tuple((names[place], min(1.0, float(parts[place]) / max(whole, 1e-12))) for place in order)


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
    """The words and phrases of a paper that weighed most in its score, as the paper writes them.

    Terms that stand side by side in the text are told as one phrase: "multi objective", "objective reinforcement" and
    "reinforcement learning" as "multi-objective reinforcement learning".

    Args:
        vector: the profile's (1 × terms). ``scaled``: the paper's, times any scale (1 × terms).
    """
    parts = term_parts(space, vector, scaled)
    terms = space.terms[scaled.indices]
    untold = {str(terms[place]): float(parts[place]) for place in np.flatnonzero(parts > 0)}
    if not untold:
        return []
    least = _LEAST_SHARE * max(untold.values())
    text = paper_text(paper)
    windows = _windows(space, text, untold)
    shown: list[str] = []
    while len(shown) < _PHRASES_SHOWN and windows:
        # Of phrases worth the same the longer one, and the one that comes later: the abstract rather than the title.
        worth = [sum(untold.get(term, 0.0) for term in window.terms) - least * window.words for window in windows]
        best = max(range(len(windows)), key=lambda place: (worth[place], windows[place].start))
        if worth[best] <= 0:
            break
        told = windows[best].terms
        shown.append(_as_written(text, windows[best], paper.abstract))
        words = {word for term in told for word in term.split()}
        untold = {term: part for term, part in untold.items() if not set(term.split()) <= words}
        windows = [window for window in windows if not window.terms <= told]
    return shown


@dataclass(frozen=True, slots=True)
class _Window:
    """Some words side by side in a text: where they stand, and the terms they make."""

    start: int
    end: int
    words: int
    terms: frozenset[str]


def _windows(space: Space, text: str, weighed: Mapping[str, float]) -> list[_Window]:
    """The windows of a text all whose words belong to a term that weighed, or end what would sound broken off."""
    tokens = _tokens(text)
    windows = []
    for first, token in enumerate(tokens):
        found: set[str] = set()
        for last in range(first, min(first + _LONGEST, len(tokens))):
            if last > first and not tokens[last].joined:
                break
            own = {term for term in (tokens[last].word, tokens[last].pair if last > first else "") if term in weighed}
            if not own:
                break
            found |= own
            more = tokens[last + 1] if last + 1 < len(tokens) else None
            end = more if more is not None and more.pair and _belongs(space, tokens[last], more) else tokens[last]
            windows.append(_Window(token.start, end.end, last - first + 1, frozenset(found)))
    return windows


def _belongs(space: Space, token: Token, more: Token) -> bool:
    """Whether a word is mostly followed by another, as "reinforcement" is by "learning"."""
    alone, together = space.known.get(token.word), space.known.get(more.pair)
    if alone is None or together is None:
        return False
    seldom = space.idf[alone] > space.idf.max() - _SELDOM
    return bool(not seldom and space.idf[together] - space.idf[alone] < _MOSTLY)


@lru_cache(maxsize=4096)
def _tokens(text: str) -> tuple[Token, ...]:
    # Kept, since a paper is explained to many subscribers.
    return tuple(tokens_of(text))


def _as_written(text: str, window: _Window, abstract: str) -> str:
    """A phrase with the whole of its hyphenated words, and without the capitals of a headline: only what the abstract
    has with a capital in the middle of a sentence keeps it.
    """
    start = window.start - len(_HYPHEN_BEFORE.search(text[: window.start])[0])  # type: ignore[index]
    end = window.end + len(_HYPHEN_AFTER.match(text[window.end :])[0])  # type: ignore[index]
    names = set(_NAMES.findall(abstract))
    return _WORDS.sub(
        lambda word: word[0].lower() if word[0].istitle() and word[0] not in names else word[0],
        " ".join(text[start:end].split()),
    )
