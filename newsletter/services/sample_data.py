"""Sample papers as a substitute, so that a message can be previewed before the first fetch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from sqlalchemy.engine import URL

from newsletter.config.settings import Store
from newsletter.model import Digest, DigestItem, Interest, Paper, Preferences, Subscriber, SubscriberState
from newsletter.services.context import AppContext
from newsletter.services.demo import ANY_AGE, SAMPLE_PAPERS
from newsletter.services.fetch import import_file
from newsletter.sources.files import read_file
from newsletter.store import open_store, papers, reading

SAMPLE_SHOWN = "no papers yet: showing sample papers; run 'newsletter fetch' to get real ones"

_SHOWN = 10
"""Papers in a digest, unless a subscriber says otherwise."""


@contextmanager
def context_with_papers(context: AppContext, scratch: Path) -> Iterator[tuple[AppContext, bool]]:
    """Return a context that has papers: the given one, or one with the sample papers if its store is empty.

    The sample papers keep their listing dates, count as first seen when they are stored, and are news whatever their
    age. They have a store and an
    index of their own, so that none of them gets into the newsletter's.

    Args:
        scratch: a folder for that store; it is created once and reused by later calls.

    Returns:
        The context, and whether it has the sample papers.
    """
    if _has_papers(context):
        yield context, False
        return
    url = URL.create("sqlite", database=str(scratch / "sample.db")).render_as_string()
    ranking = context.config.ranking.model_copy(update={"max_publication_age_days": ANY_AGE})
    config = context.config.model_copy(update={"store": Store(url=url, index=scratch / "index"), "ranking": ranking})
    sample = replace(context, config=config, engine=open_store(config.store_url))
    try:
        if not _has_papers(sample):
            import_file(sample.engine, sample.clock, SAMPLE_PAPERS, sample.clock().date())
        yield sample, True
    finally:
        sample.engine.dispose()


def _has_papers(context: AppContext) -> bool:
    with reading(context.engine) as connection:
        return papers.count(connection) > 0


def sample_digest(edition: date, interest: str) -> Digest:
    """Build a digest of sample papers for an interest (by name)."""
    read = (paper for paper in read_file(SAMPLE_PAPERS, SAMPLE_PAPERS.name, edition) if isinstance(paper, Paper))
    choices = [
        DigestItem(paper, rank, 0.8, interest, "as an example")
        for rank, paper in zip(range(1, _SHOWN + 1), read, strict=False)
    ]
    return Digest(edition=edition, choices=tuple(choices), considered=len(choices), since=None, seen_row=0)


def sample_reader(email: str, interest: str) -> Subscriber:
    """Build a subscriber for sample digests."""
    preferences = Preferences(email=email, interests=(Interest(name=interest),))
    return Subscriber(preferences=preferences, state=SubscriberState.ACTIVE, row=0)
