"""The TF-IDF space of papers and profiles, with a background shared by all subscribers.

A paper's vector is its TF-IDF (1 + ln tf, ln((1 + n) / df)), divided by its length to the power ``LENGTH`` rather than
by its length, so that longer papers keep a small advantage (pivoted length normalisation: Singhal, Buckley and Mitra,
1996).

The background is what a classifier would learn from papers that nobody in particular likes. It is fitted once, on the
store's papers alone, and makes a profile discriminative at the cost of a dot product:

- the mean paper, subtracted from every profile (the direction of linear discriminant analysis if the covariance is a
  multiple of the identity; it also reduces hubness: Suzuki, Hara, Shimbo, Saerens and Fukumizu, 2013);
- the covariance of background interests (each a paper of the store with its nearest neighbours), as a few topics
  and the remaining variance of each term (as in factor analysis). It gives the variance of a paper's score across
  readers: papers that score high with everybody are scaled down (test normalisation: Auckenthaler, Carey and
  Lloyd-Thomas, 2000);
- the same topics as a second space, in which a paper can be near an interest with which it shares few words, as in
  latent semantic analysis (Deerwester, Dumais, Furnas, Landauer and Harshman, 1990);
- a sample of papers, relative to which scores are standardised.

``docs/explanation/ranking.md`` has the alternatives tried and the effect of each part.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, diags, vstack
from threadpoolctl import threadpool_limits

from newsletter.model import Paper
from newsletter.ranking.sparse import Row

# scikit-learn is imported on first use: that takes a second, and most commands do without it.
if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer

LENGTH = 0.85
DAMPING = 0.85
FEW = 20
"""The number of papers matching nobody that are added to a store's own, so that a store of three papers has a
background too; among thousands they make no difference."""

_COHORT = 2_000
_GROUP = 25
_TOPICS = 64
_FEW_INTERESTS = 200
_SAMPLE = 500
_RARE_TERMS_FROM = 1_000
_MOST_TERMS = 200_000
_SEED = 0

_WORD = re.compile(r"([^\W_]+)([\W_]*)")
_BETWEEN_WORDS = re.compile(r"[\W_]*")
_HOLDS_TOGETHER = re.compile(r"-[a-z]+[ -]", re.IGNORECASE)
# Words in nearly every abstract, which say nothing about its subject.
_ABSTRACTS_SAY = {
    "abstract", "approach", "based", "demonstrate", "existing", "experiment", "introduce", "method", "novel", "paper",
    "present", "propose", "proposed", "result", "show", "significantly", "state", "study", "use", "used", "using",
    "work",
    # The remains of "don't", "we'll" and the like.
    "aren", "couldn", "didn", "doesn", "don", "hasn", "haven", "isn", "ll", "ve", "wasn", "weren", "won",
}  # fmt: skip


@cache
def _common() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(_ABSTRACTS_SAY | set(ENGLISH_STOP_WORDS))


@dataclass(frozen=True, slots=True)
class TfidfModel:
    """A vocabulary with its weights, and the background, fitted on the papers of a store.

    Attributes:
        terms: the vocabulary. ``idf``: the weight of each term. ``pivot``: the usual length of a paper before
            normalisation.
        mean: the mean paper (terms). ``topics`` (terms × topics, each column of length 1), ``strengths`` (topics) and
            ``variance`` (terms): the covariance of the background interests is
            ``topics @ diag(strengths**2) @ topics.T + diag(variance)``.
        usual: the standard deviation of a usual paper's score across readers.
        sample: some papers (papers × terms) to standardise scores with.
    """

    counter: "CountVectorizer"
    terms: np.ndarray
    idf: np.ndarray
    pivot: float
    mean: np.ndarray
    topics: np.ndarray
    strengths: np.ndarray
    variance: np.ndarray
    usual: float
    sample: csr_matrix

    def vectors(self, texts: Iterable[str]) -> csr_matrix:
        """Convert texts to rows (texts × terms); a text without a known term becomes a row of zeros."""
        return _scaled(_weighted(csr_matrix(self.counter.transform(texts)), self.idf), self.pivot)

    def row(self, text: str) -> Row:
        """Convert one text to a row, in a fraction of the time."""
        counts = Counter(found for term in self.counter.analyzer(text) if (found := self.known.get(term)) is not None)
        terms = np.array(sorted(counts), dtype=np.int32)
        raw = (1 + np.log(np.array([counts[term] for term in sorted(counts)], dtype=np.float32))) * self.idf[terms]
        length = float(np.sqrt(raw @ raw)) or self.pivot
        return Row(terms, (raw * ((self.pivot / length) ** LENGTH / self.pivot)).astype(np.float32))

    @property
    def known(self) -> Mapping[str, int]:
        """The index of each term."""
        found: Mapping[str, int] = self.counter.vocabulary
        return found

    def zeros(self, rows: int = 1) -> csr_matrix:
        """Return rows of zeros (rows × terms)."""
        return csr_matrix((rows, len(self.terms)), dtype=np.float32)


def make_counter(terms: Iterable[str], phrases: bool = True) -> "CountVectorizer":
    """Create a counter of terms in texts, in the order given."""
    from sklearn.feature_extraction.text import CountVectorizer

    vocabulary = {str(term): number for number, term in enumerate(terms)}
    return CountVectorizer(analyzer=terms_of if phrases else words_of, vocabulary=vocabulary)


def fit(texts: Iterable[str], phrases: bool = True) -> TfidfModel | None:
    """Fit a space on texts; None if they contain no words.

    Costs grow with the texts, except for the background interests, which take ``_COHORT`` × texts sparse products.
    Memory is bounded by ``_MOST_TERMS`` terms, those that occur in most texts.

    Args:
        phrases: whether two adjacent words are a term too; not for texts whose word order means nothing.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(analyzer=terms_of if phrases else words_of, dtype=np.int32)
    try:
        counts = csr_matrix(counter.fit_transform(texts))
    except ValueError:
        return None
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = _kept_terms(frequency, counts.shape[0])
    terms, counts = counter.get_feature_names_out()[kept], counts[:, kept]
    documents = counts.shape[0]
    idf = np.log((1 + documents) / np.maximum(frequency[kept], 1)).astype(np.float32)
    raw = _weighted(counts, idf)
    lengths = _lengths(raw)
    pivot = float(lengths[lengths > 0].mean()) if lengths.any() else 1.0
    papers = _scaled(raw, pivot)
    chance = np.random.default_rng(_SEED)
    seeds = np.sort(chance.permutation(documents)[:_COHORT])
    topics, strengths, variance = _covariance(_background_interests(papers, raw, seeds))
    sample = papers[np.sort(chance.permutation(documents)[:_SAMPLE])]
    return TfidfModel(
        counter=make_counter(terms, phrases),
        terms=terms,
        idf=idf,
        pivot=pivot,
        mean=(np.asarray(papers.sum(axis=0)).ravel() / (documents + FEW)).astype(np.float32),
        topics=topics,
        strengths=strengths,
        variance=variance,
        usual=float(np.median(score_deviation(sample, np.asarray(sample @ topics) * strengths, variance))),
        sample=sample,
    )


def _kept_terms(frequency: np.ndarray, documents: int) -> np.ndarray:
    kept = np.flatnonzero(frequency >= (1 if documents < _RARE_TERMS_FROM else 2))
    if len(kept) <= _MOST_TERMS:
        return kept
    return np.sort(kept[np.argsort(-frequency[kept], kind="stable")[:_MOST_TERMS]])


def score_deviation(papers: csr_matrix, along: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each paper's score over the background interests.

    Args:
        along: the papers in each topic, times its strength (papers × topics).
    """
    return np.asarray(np.sqrt((along**2).sum(axis=1) + papers.multiply(papers) @ variance))


def of_length_one(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length 1; rows of zeros stay."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return np.asarray(rows / np.where(lengths > 0, lengths, 1)[:, None], dtype=np.float32)


def damp(profiles: csr_matrix) -> csr_matrix:
    """Raise each weight to the power ``DAMPING`` and keep each row's sum of weights, so that a term that every liked
    paper has does not dominate (power normalisation: Perronnin, Sánchez and Mensink, 2010).
    """
    result = csr_matrix(profiles, copy=True, dtype=np.float32)
    before = np.asarray(result.sum(axis=1)).ravel()
    result.data **= DAMPING
    after = np.asarray(result.sum(axis=1)).ravel()
    return csr_matrix(diags(before / np.where(after > 0, after, 1)) @ result).astype(np.float32)


def _weighted(counts: csr_matrix, idf: np.ndarray) -> csr_matrix:
    weighted = csr_matrix(counts, dtype=np.float32, copy=True)
    weighted.data = (1 + np.log(weighted.data)) * idf[weighted.indices]
    return weighted


def _scaled(raw: csr_matrix, pivot: float) -> csr_matrix:
    lengths = _lengths(raw)
    scale = (pivot / np.where(lengths > 0, lengths, pivot)) ** LENGTH / pivot
    return csr_matrix(diags(scale) @ raw).astype(np.float32)


def _lengths(matrix: csr_matrix) -> np.ndarray:
    return np.asarray(np.sqrt(matrix.multiply(matrix).sum(axis=1))).ravel()


def _background_interests(papers: csr_matrix, raw: csr_matrix, seeds: np.ndarray, block: int = 250) -> csr_matrix:
    """Build profiles of interests that readers might have: each seed with its nearest papers by cosine."""
    lengths = _lengths(raw)
    unit = csr_matrix(diags(1 / np.where(lengths > 0, lengths, 1)) @ raw)
    size = min(_GROUP, papers.shape[0])
    made = []
    for start in range(0, len(seeds), block):
        near = (unit[seeds[start : start + block]] @ unit.T).toarray()
        nearest = np.argpartition(-near, size - 1, axis=1)[:, :size]
        rows = np.repeat(np.arange(len(nearest)), size)
        members = csr_matrix(
            (np.full(nearest.size, 1 / size, np.float32), (rows, nearest.ravel())), (len(nearest), papers.shape[0])
        )
        made.append(damp(members @ papers))
    return csr_matrix(vstack(made))


def _covariance(interests: csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the covariance of background interests as topics, their strengths and the remaining variance of each
    term.
    """
    count = interests.shape[0]
    mean = np.asarray(interests.mean(axis=0)).ravel()
    whole = np.maximum(np.asarray(interests.multiply(interests).mean(axis=0)).ravel() - mean**2, 0)
    # One thread: on a busy machine the threads of so small a decomposition wait for each other many times longer.
    with threadpool_limits(1):
        if count <= _FEW_INTERESTS:
            _, values, right = np.linalg.svd(interests.toarray() - mean, full_matrices=False)
        else:
            values, right = _leading(interests, mean)
    # Of a few papers, the last ones are noise.
    some = np.flatnonzero(values > 1e-5 * values.max(initial=0))[:_TOPICS]
    strengths = (values[some] / np.sqrt(count)).astype(np.float32)
    topics = np.ascontiguousarray(right[some].T, dtype=np.float32)
    return topics, strengths, np.maximum(whole - topics**2 @ strengths**2, 0).astype(np.float32)


def _leading(interests: csr_matrix, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading singular values and vectors of many centred interests, which stay sparse."""
    from scipy.sparse.linalg import LinearOperator, svds

    centred = LinearOperator(
        interests.shape,
        dtype=np.float32,
        matvec=lambda v: interests @ v.ravel() - mean @ v.ravel(),
        rmatvec=lambda u: interests.T @ u.ravel() - mean * u.sum(),
    )
    start = np.random.default_rng(_SEED).standard_normal(min(interests.shape)).astype(np.float32)
    _, values, right = svds(centred, k=min(_TOPICS, min(interests.shape) - 1), v0=start)
    return values, right


def paper_text(paper: Paper) -> str:
    """Return the text that represents a paper; its title counts twice, since it says what the paper is about."""
    return "\n".join((paper.title, paper.title, paper.abstract, ", ".join(paper.keywords)))


def terms_of(text: str) -> list[str]:
    """Return the terms of a text: its words in singular without the common ones, and each adjacent pair."""
    return [term for word, _, _, pair, _ in _tokens(text) for term in ((word, pair) if pair else (word,))]


def words_of(text: str) -> list[str]:
    """Return the words of a text in singular, without the common ones and without phrases."""
    return [word for word, *_ in _tokens(text)]


class Token(NamedTuple):
    """A word of a text that is not common.

    Attributes:
        word: in singular and lower case. ``start``, ``end``: its position.
        pair: the term it forms with the word right before it, empty without one.
        joined: whether it and the previous token may be shown as one phrase: adjacent, or with a common word in between
            as in "energy-based models".
    """

    word: str
    start: int
    end: int
    pair: str
    joined: bool


def tokens_of(text: str) -> list[Token]:
    """Return the words of a text that are not common, in order."""
    return [Token(*one) for one in _tokens(text)]


def _tokens(text: str) -> list[tuple[str, int, int, str, bool]]:
    # Plain tuples: all papers of a store pass through here, and a class takes half as long again.
    tokens = []
    end = _BETWEEN_WORDS.match(text).end()  # type: ignore[union-attr]
    before, ended = "", -1
    for written, between in _WORD.findall(text):
        start, end = end, end + len(written) + len(between)
        word = _term(written)
        if not word:
            continue
        pair, joined = "", False
        if before:
            # Only a space or a hyphen makes two words one term.
            if start == ended + 1 and text[ended] in " -\n":
                pair, joined = f"{before} {word}", True
            elif text[ended] == "-":
                joined = _HOLDS_TOGETHER.fullmatch(text, ended, start) is not None
        before, ended = word, start + len(written)
        tokens.append((word, start, ended, pair, joined))
    return tokens


@lru_cache(maxsize=100_000)
def _term(written: str) -> str:
    """Return a word in lower case and singular; empty for a common one. Cached, since papers share most words."""
    small = written.lower()
    word = _singular(small)
    common = _common()
    return "" if small in common or word in common or (len(word) < 2 and word.isascii()) else word


def _singular(word: str) -> str:
    """Remove the plural ending of an English word: the S-stemmer of Harman, "How effective is suffixing?" (1991)."""
    if len(word) < 4 or not word.endswith("s"):
        return word
    if word.endswith("ies") and word[-4] not in "ea":
        return word[:-3] + "y"
    if word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    if word[-2] not in "us":
        return word[:-1]
    return word
