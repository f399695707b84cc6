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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix, diags, vstack
from threadpoolctl import threadpool_limits

from newsletter.model import Paper
from newsletter.ranking.abbreviations import Abbreviations, Definitions
from newsletter.ranking.tokens import NAMED, terms_of, words_of

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
_STEPS = 2_048
_FEW_INTERESTS = 200
_SAMPLE = 500
_RARE_TERMS_FROM = 1_000
_MOST_TERMS = 200_000
_MOST_NAMED = 100_000
_SEED = 0


@dataclass(frozen=True)
class TfidfModel:
    """A vocabulary with its weights, and the background, fitted on the papers of a store.

    Named terms (:mod:`newsletter.ranking.tokens`) count only where the text of an interest has them: they are not part
    of a paper's length, of the background, or of what liked papers say.

    Attributes:
        terms: the vocabulary. ``ordinary``: how many of them are ordinary; the named ones come after those.
        idf: the weight of each term. ``pivot``: the usual length of a paper before normalisation.
        mean: the mean paper (terms). ``topics`` (terms × topics, each column of length 1), ``strengths`` (topics) and
            ``variance`` (terms): the covariance of the background interests is
            ``topics @ diag(strengths**2) @ topics.T + diag(variance)``.
        usual: the standard deviation of a usual paper's score across readers.
        sample: some papers (papers × terms) to standardise scores with.
        abbreviations: those that the papers define. ``papers``: how many it was fitted on.
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
    ordinary: int
    abbreviations: Abbreviations
    papers: int

    def vectors(self, texts: Iterable[str]) -> csr_matrix:
        """Convert papers' texts to rows (texts × terms); a text without a known term becomes a row of zeros."""
        return _scaled(_weighted(csr_matrix(self.counter.transform(texts)), self.idf), self.pivot, self.ordinary)

    def without_named(self, papers: csr_matrix) -> csr_matrix:
        """Return papers (papers × terms) without their named terms."""
        kept = papers.indices < self.ordinary
        ends = np.concatenate([[0], np.cumsum(kept)])[papers.indptr]
        return csr_matrix((papers.data[kept], papers.indices[kept], ends), shape=papers.shape)

    @property
    def known(self) -> Mapping[str, int]:
        """The index of each term."""
        found: Mapping[str, int] = self.counter.vocabulary
        return found

    @cached_property
    def highest_idf(self) -> float:
        """The weight of the rarest terms."""
        return float(self.idf.max(initial=0))

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
    Memory is bounded by ``_MOST_TERMS`` ordinary and ``_MOST_NAMED`` named terms, those that occur in most texts.

    Args:
        phrases: whether two adjacent words are a term too; not for texts whose word order means nothing.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(analyzer=terms_of if phrases else words_of, dtype=np.int32)
    definitions = Definitions()
    try:
        counts = csr_matrix(counter.fit_transform(definitions.reading(texts)))
    except ValueError:
        return None
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    found = counter.get_feature_names_out()
    kept, ordinary = _kept_terms(found, frequency, counts.shape[0])
    terms, counts = found[kept], counts[:, kept]
    documents = counts.shape[0]
    idf = np.log((1 + documents) / np.maximum(frequency[kept], 1)).astype(np.float32)
    raw = _weighted(counts, idf)
    lengths = _lengths(raw, ordinary)
    pivot = float(lengths[lengths > 0].mean()) if lengths.any() else 1.0
    papers = _scaled(raw, pivot, ordinary)
    chance = np.random.default_rng(_SEED)
    seeds = np.sort(chance.permutation(documents)[:_COHORT])
    topics, strengths, variance = _covariance(_background_interests(papers[:, :ordinary], raw[:, :ordinary], seeds))
    mean = np.asarray(papers.sum(axis=0)).ravel() / (documents + FEW)
    mean[ordinary:] = 0
    named = len(terms) - ordinary
    topics, variance = np.pad(topics, ((0, named), (0, 0))), np.pad(variance, (0, named))
    sample = papers[np.sort(chance.permutation(documents)[:_SAMPLE])]
    return TfidfModel(
        counter=make_counter(terms, phrases),
        terms=terms,
        idf=idf,
        pivot=pivot,
        mean=mean.astype(np.float32),
        topics=topics,
        strengths=strengths,
        variance=variance,
        usual=float(np.median(score_deviation(sample, np.asarray(sample @ topics) * strengths, variance))),
        sample=sample,
        ordinary=ordinary,
        abbreviations=definitions.agreed(_least_papers(documents), _finder(terms, counts)),
        papers=documents,
    )


def _finder(terms: np.ndarray, counts: csr_matrix) -> Callable[[Sequence[str]], np.ndarray]:
    """Return a function that finds the papers (by row of ``counts``) that have all of some terms."""

    places = {str(term): place for place, term in enumerate(terms)}
    by_term = counts.tocsc()

    def papers_with(wanted: Sequence[str]) -> np.ndarray:
        if any(term not in places for term in wanted):
            return np.array([], dtype=np.int32)
        spans = [slice(*by_term.indptr[places[term] : places[term] + 2]) for term in wanted]
        return reduce(np.intersect1d, [by_term.indices[span] for span in spans])

    return papers_with


def _least_papers(documents: int) -> int:
    """Return how many papers must have something before it counts."""
    return 1 if documents < _RARE_TERMS_FROM else 2


def _kept_terms(terms: np.ndarray, frequency: np.ndarray, documents: int) -> tuple[np.ndarray, int]:
    """Return the indices of the terms to keep, the ordinary ones first, and the number of those."""
    often = frequency >= _least_papers(documents)
    named = np.array([term[0] == NAMED for term in terms], dtype=bool)
    kept = [_most_frequent(np.flatnonzero(often & ~named), frequency, _MOST_TERMS)]
    kept.append(_most_frequent(np.flatnonzero(often & named), frequency, _MOST_NAMED))
    return np.concatenate(kept), len(kept[0])


def _most_frequent(terms: np.ndarray, frequency: np.ndarray, most: int) -> np.ndarray:
    return np.sort(terms[np.argsort(-frequency[terms], kind="stable")[:most]])


def score_deviation(papers: csr_matrix, along: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each paper's score over the background interests.

    Args:
        along: the papers in each topic, times its strength (papers × topics).
    """
    return np.asarray(np.sqrt((along**2).sum(axis=1) + papers.multiply(papers) @ variance))


def of_length_one(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length 1, with values in multiples of 1/2048; rows of zeros stay.

    The product of two such rows is exact in float32, whatever order it is added up in. So a score depends neither on
    the number of papers and profiles multiplied at once nor on the machine.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    units = rows / np.where(lengths > 0, lengths, 1)[:, None]
    return in_steps(units)


def in_steps(values: np.ndarray) -> np.ndarray:
    """Round values to multiples of 1/2048; see :func:`of_length_one`."""
    return np.asarray(np.round(values * _STEPS) / _STEPS, dtype=np.float32)


def damp(profiles: csr_matrix) -> csr_matrix:
    """Raise each weight to the power ``DAMPING`` and keep each row's sum of weights, so that a term that every liked
    paper has does not dominate (power normalisation: Perronnin, Sánchez and Mensink, 2010).
    """
    result = csr_matrix(profiles, copy=True, dtype=np.float32)
    before = np.asarray(result.sum(axis=1)).ravel()
    result.data **= DAMPING
    after = np.asarray(result.sum(axis=1)).ravel()
    result.data *= np.repeat(before / np.where(after > 0, after, 1), np.diff(result.indptr)).astype(np.float32)
    return result


def _weighted(counts: csr_matrix, idf: np.ndarray) -> csr_matrix:
    weighted = csr_matrix(counts, dtype=np.float32, copy=True)
    weighted.data = (1 + np.log(weighted.data)) * idf[weighted.indices]
    return weighted


def _scaled(raw: csr_matrix, pivot: float, ordinary: int) -> csr_matrix:
    lengths = _lengths(raw, ordinary)
    scale = (pivot / np.where(lengths > 0, lengths, pivot)) ** LENGTH / pivot
    return csr_matrix(diags(scale) @ raw).astype(np.float32)


def _lengths(matrix: csr_matrix, ordinary: int) -> np.ndarray:
    """Return the Euclidean length of each row, over the ordinary terms."""
    squares = np.where(matrix.indices < ordinary, matrix.data, 0).astype(float) ** 2
    return np.asarray(np.sqrt(np.diff(np.concatenate([[0.0], np.cumsum(squares)])[matrix.indptr])))


def _background_interests(papers: csr_matrix, raw: csr_matrix, seeds: np.ndarray, block: int = 250) -> csr_matrix:
    """Build profiles of interests that readers might have: each seed with its nearest papers by cosine."""
    lengths = _lengths(raw, raw.shape[1])
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
        if min(interests.shape) <= _FEW_INTERESTS:
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


def title_once(text: str) -> str:
    """Return a :func:`paper_text` with the title once, as it is encoded; a text without a title stays."""
    title, _, rest = text.partition("\n")
    return rest if rest.startswith(f"{title}\n") else text
