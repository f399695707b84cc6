"""Profiles: the TF-IDF vectors of subscribers' interests, built for many interests in one go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy.sparse import csr_matrix, diags

from newsletter.model import Interest, PaperRef
from newsletter.ranking.coverage import Alternative, Alternatives, make_alternatives
from newsletter.ranking.index import Index
from newsletter.ranking.meaning import MeaningSpace, directions
from newsletter.ranking.sparse import Row, row_of
from newsletter.ranking.tfidf import FEW, TfidfModel, damp, in_steps, of_length_one
from newsletter.ranking.wanted import Wanted, of_several_words, stacked, together, wanted_keyword, wanted_text
from newsletter.ranking.zscores import Spread, raw_scores, spread

_DISLIKED_WEIGHT = 0.5
_TEXT_COUNTS = 0.6
_TOPICS_WEIGHT = 5.0
_FEW_TOPICS = 16
_FEW_PAPERS = 300
_ONE_WORD_OF_MANY = 0.42
"""How sure a match a single word among others is, which may be meant in another sense.

It is just so much that such a paper is shown by default unless its subject is a different one.
"""

MEANING_WEIGHT = 2.0
"""The weight of z-scores of meaning, in addition to those of terms, however many the examples."""

RatedPapers = tuple[tuple[PaperRef, float], ...]
"""Papers, each with the weight of its verdict: 1 for those named in a file, less for feedback that has faded."""


Verdicts = tuple[tuple[PaperRef, datetime | None], ...]
"""Papers, each with the time of its verdict (UTC); None for those named in the interest, which do not fade."""


@dataclass(frozen=True, slots=True)
class InterestFeedback:
    """An interest with the papers that the subscriber rated for it."""

    interest: Interest
    liked: Verdicts
    disliked: Verdicts


@dataclass(frozen=True, slots=True)
class WeightedInterest:
    """An interest with its rated papers at their current weights."""

    interest: Interest
    liked: RatedPapers = ()
    disliked: RatedPapers = ()


@dataclass(frozen=True, slots=True)
class Profiles:
    """Some interests as vectors, in one order.

    Attributes:
        vectors: interests × terms, ascending in each row; zeros for an interest without known terms.
        whole: the same before damping, also ascending.
        example_counts: the number of papers each was built from; a text counts as one, a faded verdict as less.
        alternatives: the text and keywords alone. ``said_counts``: how many of the examples they are: 0, 1 or 2.
        topics: the liked papers, texts and keywords in the space of topics, relative to the usual paper and of length 1
            (interests × topics). ``against``: the same for the disliked papers, of the length of their weight.
        meaning, against_meaning: the same in the space of meaning (interests × width); interests × 0 without such a
            space. ``liked_meaning``: that of each liked paper (liked × width).
        usual_closeness: the mean cosine of the liked papers, texts and keywords, as encoded and relative to nothing,
            with the store's usual papers (interests).
        by_terms, by_topics, by_meaning: what scores in the three spaces are standardised by. For the terms it is the
            spread before disliked papers were subtracted, with keywords of several words as if they were text: neither
            a subtraction nor the low weight of a phrase's single words then raises a paper's z-score.
        contributions: the weight of each liked paper in ``whole`` (interests × liked). ``liked``: their vectors (liked
            × terms).
    """

    followed: tuple[WeightedInterest, ...]
    vectors: csr_matrix
    whole: csr_matrix
    example_counts: np.ndarray
    alternatives: Alternatives
    said_counts: np.ndarray
    topics: np.ndarray
    against: np.ndarray
    meaning: np.ndarray
    against_meaning: np.ndarray
    usual_closeness: np.ndarray
    by_terms: Spread
    by_topics: Spread
    by_meaning: Spread
    contributions: csr_matrix
    liked: csr_matrix
    liked_meaning: np.ndarray

    @property
    def worth(self) -> np.ndarray:
        """How many papers each is worth: a text says less than a paper, and nothing is worth less than one text."""
        return worth(self.example_counts, self.said_counts)

    @property
    def topics_weight(self) -> np.ndarray:
        """The weight of z-scores in the space of topics, in addition to those in the space of terms."""
        return topics_weight(self.worth) if self.topics.shape[1] else np.zeros(len(self.followed))

    @property
    def by_meaning_too(self) -> bool:
        """Whether there is a space of meaning."""
        return bool(self.meaning.shape[1])

    def liked_by(self, row: int) -> tuple[Row, np.ndarray]:
        """Return the contributions of an interest's liked papers to ``whole``: their terms, one paper after the other,
        with the weight of each, and the paper of each (by index in ``followed[row].liked``).
        """
        which, shares = row_of(self.contributions, row)
        rows = [row_of(self.liked, one) for one in which]
        sizes = [len(one.terms) for one in rows]
        terms = np.concatenate([self.liked.indices[:0], *(one.terms for one in rows)])
        values = np.concatenate([self.liked.data[:0], *(one.values for one in rows)])
        return Row(terms, values * np.repeat(shares, sizes)), np.repeat(np.arange(len(rows)), sizes)


def make_profiles(index: Index, followed: Sequence[WeightedInterest]) -> Profiles:
    """Build the profile of each interest: the mean of its liked papers, text and keywords, damped, minus half of the
    same for its disliked papers (Rocchio, "Relevance feedback in information retrieval", 1971).

    Text and keywords each count as one liked paper and are scaled to a usual paper's sum of weights, since they are
    shorter than an abstract. A faded verdict counts as less than one paper. An interest with nothing else is
    represented by its name.
    """
    liked, liked_encodings, contributions = _judged(index, [one.liked for one in followed])
    interests = [one.interest for one in followed]
    written = _written(index.model, interests)
    texts = _as_papers(index.model, *stacked(index.model, [written[_text(one)].row for one in interests]))
    phrases = _as_papers(index.model, *_keywords(index.model, interests, written))
    as_texts = _as_papers(index.model, *_keywords(index.model, interests, _as_texts(index.model, interests)))
    said_counts = _said_counts(index, interests, texts, phrases)
    example_counts = np.asarray(contributions.sum(axis=1)).ravel() + said_counts
    share = (1 / np.where(example_counts > 0, example_counts, 1)).astype(np.float32)
    contributions.data *= np.repeat(share, np.diff(contributions.indptr))
    rest = contributions @ liked + diags(share) @ texts
    whole = csr_matrix(rest + diags(share) @ phrases, dtype=np.float32) if phrases.nnz else rest.astype(np.float32)
    whole.sort_indices()
    vectors = wanted = damp(whole)
    standard = damp(csr_matrix(rest + diags(share) @ as_texts, dtype=np.float32)) if as_texts.nnz else wanted
    liked_meaning = index.meaning_of(liked_encodings)
    said_encodings, says = _said_encodings(index.meaning, interests)
    says = csr_matrix(diags(share) @ says)
    meaning = of_length_one(contributions @ liked_meaning + says @ index.meaning_of(said_encodings))
    encodings = of_length_one(contributions @ directions(liked_encodings) + says @ said_encodings)
    topics = topics_of(index, np.asarray(wanted @ index.model.topics))
    against, against_meaning = np.zeros_like(topics), np.zeros_like(meaning)
    if any(one.disliked for one in followed):
        mean, mean_meaning, weight = _disliked(index, followed)
        vectors = csr_matrix(wanted - diags(weight) @ mean, dtype=np.float32)
        vectors.sort_indices()
        against = topics_of(index, np.asarray(mean @ index.model.topics)) * weight.astype(np.float32)[:, None]
        against_meaning = in_steps(mean_meaning * weight[:, None])
    said = [alternatives_of(index.model, _said(one, written)) for one in interests]
    return Profiles(
        followed=tuple(followed),
        vectors=vectors,
        whole=whole,
        example_counts=example_counts,
        alternatives=make_alternatives(index.model, said),
        said_counts=said_counts,
        topics=topics,
        against=against,
        meaning=meaning,
        against_meaning=against_meaning,
        usual_closeness=(encodings @ index.usual_meaning.T)[:, 0],
        by_terms=spread(raw_scores(standard, example_counts, index.sample)[0]),
        by_topics=spread(topics @ index.sample.topics[:, : topics.shape[1]].T),
        by_meaning=spread(meaning @ index.meaning_sample.T),
        contributions=contributions,
        liked=liked,
        liked_meaning=liked_meaning,
    )


def _disliked(index: Index, followed: Sequence[WeightedInterest]) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
    """Return the mean of each interest's disliked papers in the space of terms (interests × terms), damped; that in the
    space of meaning, of length 1 (interests × width); and its weight.
    """
    disliked, encodings, against = _judged(index, [one.disliked for one in followed])
    total = np.asarray(against.sum(axis=1)).ravel()
    mean = damp(diags(1 / np.where(total > 0, total, 1)) @ against @ disliked)
    meaning = of_length_one(against @ index.meaning_of(encodings))
    return mean, meaning, _DISLIKED_WEIGHT * np.asarray(against.max(axis=1).todense()).ravel()


def topic_scores(profiles: Profiles, rows: np.ndarray, topics: np.ndarray) -> np.ndarray:
    """Return the raw scores of papers in the space of topics (rows × papers); see :func:`_without_disliked`.

    Args:
        rows: of the profiles. ``topics``: those of the papers (papers × topics).
    """
    return _without_disliked(profiles.topics[rows], profiles.against[rows], topics)


def meaning_scores(profiles: Profiles, rows: np.ndarray, meaning: np.ndarray) -> np.ndarray:
    """Return the raw scores of papers in the space of meaning (rows × papers); see :func:`_without_disliked`.

    Args:
        rows: of the profiles.
        meaning: the papers relative to the usual one (papers × width), see
            :meth:`newsletter.ranking.index.Index.meaning_of`.
    """
    return _without_disliked(profiles.meaning[rows], profiles.against_meaning[rows], meaning)


def _without_disliked(wanted: np.ndarray, against: np.ndarray, papers: np.ndarray) -> np.ndarray:
    """Return the raw scores of papers in a space.

    What is near the disliked papers is scored lower, and what is far from them no higher.
    """
    scores = np.asarray(wanted @ papers.T)
    disliking = np.flatnonzero(against.any(axis=1))
    if len(disliking):
        # Weights are no multiples of 1/2048, so that these sums are exact only in float64.
        near = against[disliking].astype(np.float64) @ papers.T.astype(np.float64)
        scores[disliking] -= np.maximum(near, 0).astype(np.float32)
    return scores


def worth(example_counts: np.ndarray, said_counts: np.ndarray) -> np.ndarray:
    """Return how many papers some profiles are worth; see :attr:`Profiles.worth`."""
    return np.maximum(example_counts - (1 - _TEXT_COUNTS) * said_counts, _TEXT_COUNTS)


def topics_weight(worth: np.ndarray) -> np.ndarray:
    """Return the weight of the topics' z-scores (the terms' is 1). The fewer the examples, the fewer the words by which
    other papers on their subject can be recognised.
    """
    return np.asarray(_TOPICS_WEIGHT / (worth + 1))


def topics_of(index: Index, along: np.ndarray) -> np.ndarray:
    """Return profiles in the space of topics, relative to the usual paper and of length 1 (profiles × topics); zeros
    for those without terms.

    A store of a few papers has so few topics that they say nothing; then there are none (profiles × 0).

    Args:
        along: the profiles' vectors multiplied by the topics (profiles × topics).
    """
    if along.shape[1] < _FEW_TOPICS:
        return np.zeros((len(along), 0), dtype=np.float32)
    usual = index.sample.topics.sum(axis=0) / (len(index.sample.topics) + FEW)
    return np.where(np.any(along, axis=1, keepdims=True), of_length_one(of_length_one(along) - usual), np.float32(0))


def trust_in_topics(model: TfidfModel) -> float:
    """Return how far topics can be trusted for a few words, 0 to 1: less the fewer papers they are fitted on.

    The topics of a small store are made of few papers each, in which one word of an interest stands out.
    """
    return model.papers / (model.papers + _FEW_PAPERS)


def _said_counts(index: Index, interests: Sequence[Interest], texts: csr_matrix, keywords: csr_matrix) -> np.ndarray:
    """Return whether each interest has a text plus whether it has keywords: 0, 1 or 2.

    Words that the space of terms does not know count only if there is a space of meaning, which knows all.
    """
    if index.meaning is not None:
        return np.array([bool(_text(one).strip()) + bool(one.keywords) for one in interests], dtype=float)
    return np.asarray((np.diff(texts.indptr) > 0).astype(float) + (np.diff(keywords.indptr) > 0))


def _said_encodings(space: MeaningSpace | None, interests: Sequence[Interest]) -> tuple[np.ndarray, csr_matrix]:
    """Return the encodings of all that interests say, and which interest says what (interests × encodings).

    An interest says its text, and all its keywords together.
    """
    said = [[words for words in (_text(one).strip(), ", ".join(one.keywords)) if words] for one in interests]
    texts = sorted({words for own in said for words in own}) if space is not None else []
    place = {words: number for number, words in enumerate(texts)}
    places = [[place[words] for words in own if words in place] for own in said]
    shares = _rows([[1.0] * len(own) for own in places], places, len(texts))
    if space is None:
        return np.zeros((0, 0), dtype=np.float32), shares
    return space.encoder.encode_words(texts), shares


def _text(interest: Interest) -> str:
    # The name of a library is often that of its file.
    says_more = interest.keywords or interest.liked or interest.libraries or interest.authors or interest.categories
    return interest.text or ("" if says_more else interest.name)


def _written(model: TfidfModel, interests: Sequence[Interest]) -> dict[str, Wanted]:
    """Return the vectors of each text and keyword of some interests, as it is written."""
    keywords = {keyword for one in interests for keyword in one.keywords}
    # A keyword is a phrase first; if one is also the text of somebody else, that matters little.
    texts = {_text(one) for one in interests} - keywords
    return {text: wanted_text(model, text) for text in texts} | {one: wanted_keyword(model, one) for one in keywords}


def _as_texts(model: TfidfModel, interests: Sequence[Interest]) -> dict[str, Wanted]:
    """Return the vectors of each keyword as if it were a text."""
    return {keyword: wanted_text(model, keyword) for one in interests for keyword in one.keywords}


def alternatives_of(model: TfidfModel, said: Sequence[Wanted]) -> list[Alternative]:
    """Return what an interest says: its text and its keywords, each as it is written and with its abbreviations in
    their other form; and all of them together, since a paper with several is more likely to be relevant.
    """
    alone = len(said) == 1
    found = []
    for one in said:
        sure = alone or of_several_words(model, one.forms[0])
        found += [
            Alternative(form, 1.0 if sure or of_several_words(model, form) else _ONE_WORD_OF_MANY) for form in one.forms
        ]
    if not alone and found:
        found.append(Alternative(together([one.forms[0] for one in said]), 0.0))
    return [one for one in found if len(one.row.row.terms)]


def _said(interest: Interest, written: Mapping[str, Wanted]) -> list[Wanted]:
    text = _text(interest)
    return [*([written[text]] if text else []), *(written[one] for one in interest.keywords)]


def _keywords(
    model: TfidfModel, interests: Sequence[Interest], written: Mapping[str, Wanted]
) -> tuple[csr_matrix, np.ndarray]:
    words = sorted({word for interest in interests for word in interest.keywords})
    place = {word: number for number, word in enumerate(words)}
    weights = [list(interest.keywords.values()) for interest in interests]
    places = [[place[word] for word in interest.keywords] for interest in interests]
    vectors, unknown = stacked(model, [written[word].row for word in words])
    shares = _rows(weights, places, len(words))
    return csr_matrix(shares @ vectors), np.asarray(shares @ unknown)


def _judged(index: Index, judged: Sequence[RatedPapers]) -> tuple[csr_matrix, np.ndarray, csr_matrix]:
    """Return the vectors of all rated papers, their encodings, and the weight of each (interests × papers)."""
    if not any(judged):
        none = index.encodings(np.zeros(0, dtype=np.int64))
        return index.model.zeros(0), none, csr_matrix((len(judged), 0), dtype=np.float32)
    rows = np.unique([name.row for own in judged for name, _ in own]).astype(np.int64)
    place = {int(row): number for number, row in enumerate(rows)}
    weights = [[weight for _, weight in own] for own in judged]
    vectors = index.model.without_named(index.vectors(rows))
    shares = _rows(weights, [[place[name.row] for name, _ in own] for own in judged], len(rows))
    return vectors, index.encodings(rows), shares


def _rows(values: Sequence[Sequence[float]], places: Sequence[Sequence[int]], width: int) -> csr_matrix:
    """Build sparse rows from values and columns (rows × width), each row in the order given."""
    ends = np.cumsum([0, *map(len, values)])
    flat = [number for own in values for number in own]
    at = [number for own in places for number in own]
    return csr_matrix((np.array(flat, np.float32), np.array(at, np.int32), ends), shape=(len(values), width))


def _as_papers(model: TfidfModel, vectors: csr_matrix, unknown: np.ndarray) -> csr_matrix:
    """Scale vectors to a usual paper's sum of weights, of which what the space does not know keeps its share."""
    if not vectors.nnz:
        return vectors
    usual = float(model.sample.sum(axis=1).mean())
    totals = np.asarray(vectors.sum(axis=1)).ravel() + unknown
    return csr_matrix(diags(np.where(totals > 0, usual / np.where(totals > 0, totals, 1), 1)) @ vectors)
