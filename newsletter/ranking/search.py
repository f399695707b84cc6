"""Search: one profile against all papers of the index."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.ranking.index import Index
from newsletter.ranking.profile import Profiles
from newsletter.ranking.rank import scale, usual_scores

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
    """As :func:`newsletter.ranking.rank.deviations`, of the papers alone that share something with the profile, which
    are few where a line of words is looked for.
    """
    profile, teachers = profiles.vectors[:1], profiles.teachers[:1]
    mean, spread = usual_scores(profiles.wanted[:1], teachers, index.sample)
    rows, values = [np.array([], dtype=np.int64)], [np.array([], dtype=np.float32)]
    for number, part in enumerate(index.parts):
        shared = csr_matrix(profile @ part.lineup.turned)
        some = shared.data > 0
        places, scores = shared.indices[some], shared.data[some]
        found = (scores - part.lineup.centre[places]) * scale(part.lineup.factor[places], teachers)
        found = (found - mean) / spread
        if len(replaced := index.replaced(number)):
            kept = ~np.isin(places, replaced)
            places, found = places[kept], found[kept]
        rows.append(part.rows[places])
        values.append(found.astype(np.float32))
    return np.concatenate(rows), np.concatenate(values)
