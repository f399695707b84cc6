"""Ranked papers as ``ranking.html`` lists them, each with its match and the reason."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

from newsletter.digest.composer import EARLIER, WITHOUT_MATCH
from newsletter.model import DigestItem
from newsletter.rendering.paper_card import labelled_title, paper_links
from newsletter.rendering.plain_text import latex_to_text
from newsletter.rendering.template_context import percent
from newsletter.services.recommend import NO_PAPERS

NONE_YET = "There are no papers yet."


def ranked_papers(
    choices: Iterable[DigestItem], nothing: str, because_of_ratings: Set[int] = frozenset()
) -> Mapping[str, Any]:
    """Return the values for ``ranking.html``.

    Args:
        nothing: why there are no papers. ``because_of_ratings``: the rows of the papers that are marked so.
    """
    shown = [
        {
            "title": labelled_title(one.paper),
            "url": next((link["url"] for link in paper_links(one.paper)), None),
            "section": one.section,
            "match": percent(one.score) if one.section not in WITHOUT_MATCH else None,
            "earlier": EARLIER if one.earlier else "",
            "because": latex_to_text(one.because),
            "rated": one.paper.row in because_of_ratings,
        }
        for one in choices
    ]
    nothing = NONE_YET if nothing == NO_PAPERS else nothing
    return {"choices": shown, "nothing": nothing[:1].upper() + nothing[1:]}
