"""The papers that the alerts of subscribers find, for their digests."""

from collections.abc import Mapping, Sequence, Set

from newsletter.digest.blocklist import BlockedPapers, blocked
from newsletter.digest.composer import AlertedPaper, never_names
from newsletter.model import AlertHit, Subscriber
from newsletter.services.alerts import alert_matches
from newsletter.services.ranking_snapshot import RankingSnapshot
from newsletter.support.person_names import NameIndex

MOST_ALERTED = 200
"""Papers of alerts in one digest. The oldest go first, so that none becomes too old before the others were sent."""


def alerted_papers(
    snapshot: RankingSnapshot, batch: Sequence[Subscriber], known: Mapping[int, Set[int]]
) -> dict[int, list[AlertedPaper]]:
    """Return what the alerts of each subscriber (by row) find, newest first; those without alerts are left out.

    Papers need not be new: one that was not sent yet, such as one whose citation was found late, is found too. Those
    up to ``unlogged_row`` may have been sent.

    Args:
        known: the rows of the papers that each was sent, has rated or has in a library, which are left out.
    """
    watching = [one for one in batch if one.preferences.alerts]
    if not watching or snapshot.alert_papers is None:
        return {}
    hits = alert_matches(snapshot.alert_papers(), {one.row: one.preferences.alerts for one in watching})
    hidden = _hidden(snapshot, watching)
    return {one.row: _of_one(snapshot, one, hits.get(one.row, {}), hidden, known[one.row]) for one in watching}


def _hidden(snapshot: RankingSnapshot, watching: Sequence[Subscriber]) -> BlockedPapers:
    words = {word for one in watching for word in one.preferences.never}
    authors = {name for one in watching for name in one.preferences.never_authors}
    found = snapshot.alertable
    return blocked(
        words,
        authors,
        found,
        lambda: NameIndex((author, place) for place, paper in enumerate(found) for author in paper.authors),
    )


def _of_one(
    snapshot: RankingSnapshot,
    subscriber: Subscriber,
    hits: Mapping[int, Sequence[AlertHit]],
    hidden: BlockedPapers,
    known: Set[int],
) -> list[AlertedPaper]:
    never = {place for name in never_names(subscriber.preferences) for place in hidden[name]}
    papers, found = snapshot.alertable, []
    for place, own in hits.items():
        shown = [hit for hit in own if hit.always or place not in never]
        row = papers[place].row
        if shown and row > subscriber.unlogged_row and row not in known:
            reasons = tuple(dict.fromkeys(hit.reason for hit in shown))
            found.append(AlertedPaper(papers[place], reasons))
    return sorted(found, key=lambda one: one.paper.row)[:MOST_ALERTED][::-1]
