"""The sample papers in place of a store's own, so that a message can be looked at before the first fetch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy.engine import URL

from newsletter.config.settings import Store
from newsletter.services.context import AppContext
from newsletter.services.demo import SAMPLE_PAPERS
from newsletter.services.fetch import import_file
from newsletter.store import open_store, papers, reading

SAMPLE_SHOWN = "no papers yet: shown with the sample papers; 'newsletter fetch' brings your own"


@contextmanager
def context_with_papers(context: AppContext, scratch: Path) -> Iterator[tuple[AppContext, bool]]:
    """A desk that has papers: the one given, or where its store has none yet, one over the sample papers.

    The sample papers keep the days they were listed on, and count as first seen when they are taken in. They have a
    store and an index of their own, so that nothing of them gets into the newsletter's.

    Args:
        scratch: a folder for that store; kept from call to call, it is made once.

    Returns:
        The desk, and whether it shows the sample papers.
    """
    if _has_papers(context):
        yield context, False
        return
    url = URL.create("sqlite", database=str(scratch / "sample.db")).render_as_string()
    config = context.config.model_copy(update={"store": Store(url=url, index=scratch / "index")})
    beside = replace(context, config=config, engine=open_store(config.store_url))
    try:
        if not _has_papers(beside):
            import_file(beside.engine, beside.clock, SAMPLE_PAPERS, beside.clock().date())
        yield beside, True
    finally:
        beside.engine.dispose()


def _has_papers(context: AppContext) -> bool:
    with reading(context.engine) as connection:
        return papers.count(connection) > 0
