"""How the tests of a run are distributed over its processes."""

from xdist.scheduler import LoadScopeScheduling

_TOGETHER = frozenset({"tests/workers/test_dask.py"})
"""Modules whose tests share what takes long to start: each of these runs in one process."""


class Distribution(LoadScopeScheduling):
    """Gives each process the next test as soon as it is free, in the order of the collection.

    The marker ``xdist_group`` has no effect with pytest 9.2 and pytest-xdist 3.8: it changes an attribute that pytest
    reads no longer.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if module in _TOGETHER else nodeid
