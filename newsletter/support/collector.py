"""Python's collector of cyclic garbage, made rare for work that makes many objects and hardly any cycles."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS = 50_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Leave out what exists already, such as an index, from collections, and collect after 50,000 new objects.

    Otherwise a tenth of the time of an edition goes to looking through the same objects again and again.
    """
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
