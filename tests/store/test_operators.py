"""Operators in the store: there is always an owner, even if two operators change each other's role at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from newsletter.model import Role
from newsletter.store import open_store, operators, reading, writing
from newsletter.store.operators import LastOwner
from newsletter.support.clock import parse_moment
from tests.helpers.newsletter import NOW, Newsletter


@pytest.mark.both_stores
def test_two_owners_cannot_remove_each_other_at_once(newsletter: Newsletter) -> None:
    engine, now = open_store(newsletter.config.store_url), parse_moment(NOW)
    with writing(engine) as connection:
        rows = [operators.add(connection, name, Role.OWNER, "none", now) for name in ("ada", "grace")]
        assert operators.add(connection, "ADA", Role.VIEWER, "none", now) is None
    together = Barrier(2)

    def demote(row: int) -> str:
        together.wait()
        try:
            with writing(engine) as connection:
                operators.set_role(connection, row, Role.VIEWER)
        except LastOwner:
            return "refused"
        return "demoted"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(demote, rows)) == ["demoted", "refused"]
    with reading(engine) as connection:
        assert sorted(one.role for one in operators.everything(connection)) == [Role.OWNER, Role.VIEWER]
    engine.dispose()
