"""Search: one profile against all papers of the index."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from newsletter.ranking.index import Index
from newsletter.ranking.profile import Profiles
from newsletter.ranking.rank import deviations

_BOUNDS = (500, 2_500, 10_500, 42_500)


def best_first(index: Index, profiles: Profiles) -> Iterator[dict[int, float]]:
    """The papers that share something with a profile (the first of ``profiles``), in blocks that grow, best first.

    Returns:
        How far each stands out, in deviations, by row in the store.
    """
    rows, stands_out = _standing_out(index, profiles)
    bounds = [0, *(bound for bound in _BOUNDS if bound < len(rows)), len(rows)]
    # Parted at the bounds, and a block put in order only when it is asked for: most searches end with the first.
    parted = np.argpartition(-stands_out, bounds[1:-1]) if len(bounds) > 2 else np.arange(len(rows))
    for start, end in pairwise(bounds):
        block = parted[start:end]
        block = block[np.lexsort((rows[block], -stands_out[block]))]
        yield dict(zip(rows[block].tolist(), stands_out[block].tolist(), strict=True))


def _standing_out(index: Index, profiles: Profiles) -> tuple[np.ndarray, np.ndarray]:
    rows, values = [np.array([], dtype=np.int64)], [np.array([], dtype=np.float32)]
    for number, part in enumerate(index.parts):
        found = deviations(
            profiles.vectors[:1], profiles.wanted[:1], profiles.teachers[:1], part.lineup, index.sample
        ).ravel()
        found[index.replaced(number)] = -np.inf
        shared = np.flatnonzero(found > -np.inf)
        rows.append(part.rows[shared])
        values.append(found[shared])
    return np.concatenate(rows), np.concatenate(values)
