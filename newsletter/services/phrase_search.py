"""Phrases in papers: finds papers that contain a phrase word for word, in the title or the abstract.

The index says which papers contain all words of a phrase; only their texts are read, the best matches first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from newsletter.digest.blocklist import blocked_by
from newsletter.ranking.index import Index
from newsletter.ranking.search import containing
from newsletter.ranking.tokens import terms_of, words_of
from newsletter.store import papers

_MOST_READ = 10_000
"""The number of papers whose texts one search reads, a few tenths of a second's work."""

_BLOCK = 500


@dataclass(slots=True)
class PhraseFilter:
    """Lets papers pass that contain all of some phrases, by the rules of never-words: whole words, in singular or
    plural, with spaces or hyphens between them, ignoring case.

    Attributes:
        candidates: the rows of the papers that contain all words of the phrases, as far as the model knows them.
        left: how many texts may still be read.
    """

    phrases: Sequence[str]
    candidates: frozenset[int] | None
    left: int = _MOST_READ

    def likely(self, rows: Iterable[int]) -> list[int]:
        """Return which of some rows are candidates, in the order given."""
        return [row for row in rows if self.candidates is None or row in self.candidates]

    def passing(self, connection: Connection, rows: Sequence[int], limit: int) -> list[int]:
        """Return the first of some rows whose papers contain the phrases, in the order given, up to ``limit``."""
        passed: list[int] = []
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + min(_BLOCK, self.left)]
            self.left -= len(block)
            passed += self._containing(connection, block)
            if len(passed) >= limit or not self.left:
                break
        return passed[:limit]

    def _containing(self, connection: Connection, rows: Sequence[int]) -> list[int]:
        texts = list(papers.texts(connection, rows))
        hits = blocked_by(self.phrases, texts).values()
        kept = set.intersection(*({texts[place].row for place in places} for places in hits))
        return [row for row in rows if row in kept]


def phrase_filter(index: Index, phrases: Sequence[str]) -> PhraseFilter:
    """Create the filter of some phrases."""
    words = {word for phrase in phrases for word in words_of(phrase) if word in index.model.known}
    candidates = frozenset(containing(index, words).tolist()) if words else None
    return PhraseFilter(phrases, candidates)


def count_containing(index: Index, phrase: str) -> int:
    """Count the papers of the index that contain all words of a phrase, next to each other where the model knows the
    pair of words; common words do not count. 0 if the model does not know one of the words.
    """
    if not all(word in index.model.known for word in words_of(phrase)):
        return 0
    terms = {term for term in terms_of(phrase) if term in index.model.known}
    return len(containing(index, terms)) if terms else 0
