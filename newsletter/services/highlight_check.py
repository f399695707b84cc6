"""The highlights of all stored papers, to measure and to read them."""

from collections.abc import Iterator

from newsletter.highlights.classifier import Highlights, highlights
from newsletter.rendering.plain_text import readable
from newsletter.services.context import AppContext
from newsletter.store import papers
from newsletter.store.database import reading


def highlights_of_stored(context: AppContext) -> Iterator[tuple[str, Highlights]]:
    """Yield the id and the highlights of each stored paper that has an abstract, in order of arrival."""
    with reading(context.engine) as connection:
        for paper in papers.texts(connection, papers.rows_after(connection, 0)):
            if paper.abstract.strip():
                yield paper.id, highlights(readable(paper.abstract))
