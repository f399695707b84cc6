"""The canary: a fictitious subscriber that distinguishes a fault of one subscriber from one that affects everybody.

If a digest cannot be composed or rendered, the same is tried for the canary. If that works, the fault lies with the
one subscriber or paper, whose send fails; if not, the run stops before it fails anybody else's send.
"""

from dataclasses import replace
from datetime import date

from newsletter.errors import NewsletterError, describe
from newsletter.model import Digest, DigestItem, Interest, Paper, Preferences, Subscriber, SubscriberState
from newsletter.services.context import AppContext
from newsletter.services.messages import TemplateCache, new_message_id, render_message
from newsletter.services.ranking_snapshot import RankingSnapshot
from newsletter.services.recommend import compose_digest, score_batch

_INTEREST = Interest(name="Canary", text="reinforcement learning of several goals", keywords={"graph": 1.0})
_READER = Subscriber(
    preferences=Preferences(email="canary@example.org", name="Canary", interests=(_INTEREST,)),
    state=SubscriberState.ACTIVE,
    row=0,
)
_PAPER = Paper(
    title="Learning to Pursue Several Goals",
    abstract="We study agents that pursue several goals. Our method keeps the goals apart. It halves the error.",
    authors=("Ada Smith", "Bo Jones"),
    organization="Example University",
    arxiv_id="2511.00001",
    published=date(2025, 11, 24),
    categories=("cs.LG",),
    url="https://arxiv.org/abs/2511.00001",
    upvotes=12,
    comments=3,
    id="2511.00001",
    row=1,
)


def check_ranking(context: AppContext, field: RankingSnapshot) -> None:
    """Compose a digest for the canary.

    Raises:
        NewsletterError: that is impossible too, so no digest can be composed.
    """
    try:
        (scored,) = score_batch(context, field, [_READER])
        compose_digest(context, field, scored)
    except NewsletterError:
        raise
    except Exception as error:
        raise NewsletterError(f"no digest can be composed: {describe(error)}") from error


def check_rendering(context: AppContext, loaded: TemplateCache, subscriber: Subscriber) -> None:
    """Render a digest for the canary, with the templates of a subscriber.

    Raises:
        NewsletterError: that is impossible too, so no message can be rendered.
    """
    schedule, layout = subscriber.preferences.schedule, subscriber.preferences.layout
    reader = replace(_READER, preferences=replace(_READER.preferences, schedule=schedule, layout=layout))
    choice = DigestItem(paper=_PAPER, rank=1, score=0.8, section=_INTEREST.name, because="about several goals")
    digest = Digest(edition=context.clock().date(), choices=(choice,), considered=1, since=None, seen_row=0)
    try:
        render_message(context, loaded, reader, digest, new_message_id(context, reader, digest.edition))
    except NewsletterError:
        raise
    except Exception as error:
        raise NewsletterError(f"no message can be rendered: {describe(error)}") from error
