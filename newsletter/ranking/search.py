"""Search: one profile against all papers of the index."""

import numpy as np

from newsletter.ranking.index import Index
from newsletter.ranking.profile import Profiles
from newsletter.ranking.rank import deviations


def standing_out(index: Index, profiles: Profiles) -> tuple[np.ndarray, np.ndarray]:
    """The papers that share something with a profile (the first of ``profiles``), best first.

    Returns:
        Their rows in the store, and how far each stands out, in deviations.
    """
    rows, values = [], []
    for number, part in enumerate(index.parts):
        found = deviations(
            profiles.vectors[:1], profiles.wanted[:1], profiles.teachers[:1], part.lineup, index.sample
        ).ravel()
        found[index.replaced(number)] = -np.inf
        shared = np.flatnonzero(found > -np.inf)
        rows.append(part.rows[shared])
        values.append(found[shared])
    all_rows = np.concatenate(rows) if rows else np.array([], dtype=np.int64)
    stands_out = np.concatenate(values) if values else np.array([], dtype=np.float32)
    order = np.lexsort((all_rows, -stands_out))
    return all_rows[order], stands_out[order]
