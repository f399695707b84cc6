"""The effect of feedback: which interest a paper belongs to, and which words its profile gains."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from newsletter.audience import feedback
from newsletter.model import Paper, Subscriber
from newsletter.ranking.profile import RatedPapers, make_profiles
from newsletter.ranking.scoring import make_candidates
from newsletter.ranking.tokens import written_term
from newsletter.services.context import AppContext
from newsletter.services.index import current_index
from newsletter.services.library_examples import load_library_examples, with_examples, with_libraries
from newsletter.services.ranking_snapshot import RankingSnapshot
from newsletter.services.recommend import score_batch
from newsletter.store import reading
from newsletter.store.feedback import Verdict

_EFFECT_WORDS_SHOWN = 8


def best_interest(context: AppContext, subscriber: Subscriber, paper: Paper) -> str | None:
    """Return the name of the interest that a paper fits best; None if the subscriber has none."""
    return best_interests(context, subscriber, [paper])[paper.row]


def best_interests(context: AppContext, subscriber: Subscriber, papers: Sequence[Paper]) -> Mapping[int, str | None]:
    """Return the same for several papers, by their rows."""
    index = current_index(context)
    named = len(subscriber.preferences.interests)
    if index is None or not named:
        return dict.fromkeys((paper.row for paper in papers), None)
    now = context.clock()
    alone = RankingSnapshot(index, make_candidates(index, papers, now.date(), 1.0), now)
    (scored,) = score_batch(context, alone, [subscriber])
    best = scored.matrix[:named].argmax(axis=0).tolist()
    return {
        row: scored.profiles.followed[place].interest.name
        for row, place in zip(alone.candidates.rows.tolist(), best, strict=True)
    }


def feedback_effect(
    context: AppContext, subscriber: Subscriber, interest: str | None, paper: int, verdict: Verdict
) -> list[str]:
    """Return the words whose weight in an interest's profile a subscriber's feedback on a paper (by row) changed most:
    those that gained, and those that lost.

    Args:
        interest: its name; None for the interest that stands for feedback.
    """
    index = current_index(context, meaning=False)
    if index is None:
        return []
    with reading(context.engine) as connection:
        examples = load_library_examples(connection, [subscriber])
        known = with_libraries(feedback.load_feedback(connection, [subscriber]), examples)[subscriber.row]
    index = with_examples(context, index, examples)
    names = {one.interest.name for one in known}
    name = interest if interest in names else feedback.FROM_FEEDBACK
    follows = feedback.decay(known, context.clock(), context.config.ranking.feedback_half_life_days)
    after = next((one for one in follows if one.interest.name == name), None)
    if after is None:
        return []
    before = replace(after, liked=_without(after.liked, paper), disliked=_without(after.disliked, paper))
    vectors = make_profiles(index, [before, after]).vectors
    change = np.asarray((vectors[1] - vectors[0]).todense()).ravel() * (1 if verdict is Verdict.MORE else -1)
    shown: list[str] = []
    for place in np.argsort(-change, kind="stable")[: _EFFECT_WORDS_SHOWN**2]:
        term = written_term(str(index.model.terms[place]))
        # Of terms that share a word, the first says enough.
        if change[place] > 0 and not {*term.split()} & {word for one in shown for word in one.split()}:
            shown.append(term)
    return shown[:_EFFECT_WORDS_SHOWN]


def _without(rated: RatedPapers, paper: int) -> RatedPapers:
    return tuple((name, weight) for name, weight in rated if name.row != paper)
