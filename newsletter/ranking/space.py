"""The TF-IDF space in which papers and profiles are vectors."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.model import Paper

# scikit-learn is imported where it is first needed: it takes a second, and most commands do without it.
if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

_WORD = re.compile(r"[^\W_]+")
# Words that nearly every abstract has, so that they say nothing of its subject.
_ABSTRACTS_SAY = {
    "abstract", "approach", "based", "demonstrate", "existing", "experiment", "introduce", "method", "novel", "paper",
    "present", "propose", "proposed", "result", "show", "significantly", "state", "study", "use", "used", "using",
    "work",
}  # fmt: skip


@cache
def _common() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(_ABSTRACTS_SAY | set(ENGLISH_STOP_WORDS))


@dataclass(frozen=True, slots=True)
class Space:
    """A vocabulary with its weights, fitted on the papers of a store."""

    vectorizer: "TfidfVectorizer"
    terms: np.ndarray

    def vectors(self, texts: Iterable[str]) -> csr_matrix:
        """Texts as rows of unit length (texts × terms); a text without a known term is a row of zeros."""
        return csr_matrix(self.vectorizer.transform(texts))

    def zeros(self) -> csr_matrix:
        """One row of zeros (1 × terms)."""
        return csr_matrix((1, len(self.terms)))


def fit(texts: Iterable[str]) -> Space | None:
    """Fit a space on texts; None when they hold no word at all."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer=terms_of, sublinear_tf=True, dtype=np.float64)
    try:
        vectorizer.fit(texts)
    except ValueError:
        return None
    return Space(vectorizer, vectorizer.get_feature_names_out())


def paper_text(paper: Paper) -> str:
    """The text that stands for a paper; its title counts twice, since it is what the paper is about."""
    return "\n".join((paper.title, paper.title, paper.abstract, ", ".join(paper.keywords)))


def terms_of(text: str) -> list[str]:
    """The terms of a text: its words in singular without the common ones, and each two that stand side by side."""
    return [term for term, _ in _terms_with_surface(text)]


def surfaces(text: str) -> dict[str, str]:
    """How each term of a text stands written in it, at its first place."""
    found: dict[str, str] = {}
    for term, surface in _terms_with_surface(text):
        found.setdefault(term, surface)
    return found


def _terms_with_surface(text: str) -> Iterator[tuple[str, str]]:
    common = _common()
    before: tuple[str, int, int] | None = None
    for match in _WORD.finditer(text):
        word = _singular(match[0].lower())
        if word in common or (len(word) < 2 and word.isascii()):
            before = None
            continue
        yield word, match[0]
        # Only a space or a hyphen holds a phrase together.
        if before is not None and text[before[2] : match.start()] in (" ", "-", "\n"):
            yield f"{before[0]} {word}", text[before[1] : match.end()].replace("\n", " ")
        before = (word, match.start(), match.end())


def _singular(word: str) -> str:
    """An English word without its plural ending: the S-stemmer of Harman, "How effective is suffixing?" (1991)."""
    if len(word) < 4 or not word.endswith("s"):
        return word
    if word.endswith("ies") and word[-4] not in "ea":
        return word[:-3] + "y"
    if word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    if word[-2] not in "us":
        return word[:-1]
    return word
