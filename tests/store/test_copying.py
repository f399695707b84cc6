"""A whole newsletter moves from one database to another, and nothing of it is lost on the way."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import JSON, Boolean, Date, Engine, Float, Integer, Table, delete, insert, select

from newsletter.errors import UserError
from newsletter.model import Preferences, SubscriberState
from newsletter.store import copying, open_store, reading, retention, subscribers, writing
from newsletter.store.column_types import StoredJson, UtcDateTime
from newsletter.store.schema import metadata
from tests.helpers.newsletter import Newsletter
from tests.helpers.postgresql import Databases
from tests.helpers.smtp import Mailbox

NOW = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)


def quiet(name: str, done: int, rows: int) -> None:
    pass


@contextmanager
def opened(*urls: str) -> Iterator[list[Engine]]:
    engines = [open_store(url) for url in urls]
    yield engines
    for engine in engines:
        engine.dispose()


def test_a_newsletter_goes_on_in_another_database(
    newsletter: Newsletter, mail: Mailbox, reader: str, postgresql: Databases
) -> None:
    newsletter.with_sample().run("send")
    first, url = "sqlite:///var/newsletter.db", postgresql.fresh(migrated=False)
    there = newsletter.run("store", "copy", first, url, "--json").rows
    numbers = {row["table"]: row["rows"] for row in there}
    assert (numbers["papers"], numbers["subscribers"], numbers["sends"]) == (145, 1, 1)
    newsletter.configure(store={"url": url})
    assert newsletter.run("log", "--json").rows[0]["state"] == "sent"
    newsletter.run("send")
    assert len(mail.accepted) == 1  # It knows that this edition was sent.
    back = newsletter.run("store", "copy", url, "sqlite:///var/back.db", "--json").rows
    assert {row["table"] for row in back} == {table.name for table in metadata.sorted_tables}
    # Only a copy of the moment: nothing is written to where it came from.
    again = newsletter.run("store", "copy", "sqlite:///var/back.db", postgresql.fresh(migrated=False), "--json").rows
    assert again == back
    printed = newsletter.run("store", "copy", first, "sqlite:///var/other.db").out
    assert printed.endswith("Copied everything to sqlite:///var/other.db. To use it, set store.url to this URL.\n")
    postgresql.drop(url)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["\0", "\\N", "\t\n\r\\", "'\""]
)
days = st.dates(date(1990, 1, 1), date(2099, 12, 31))
moments = st.datetimes(datetime(1990, 1, 1), datetime(2099, 12, 31)).map(lambda one: one.replace(tzinfo=UTC))
words = texts.map(lambda one: one.replace("\0", ""))
leaves = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
documents = st.lists(leaves, max_size=3) | st.dictionaries(words, leaves, max_size=3)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    if isinstance(kind, UtcDateTime):
        return moments
    if isinstance(kind, Date):
        return days
    if isinstance(kind, JSON | StoredJson):
        return documents
    if isinstance(kind, Boolean):
        return st.booleans()
    if isinstance(kind, Float):
        return st.floats(allow_nan=False, allow_infinity=False)
    return st.integers(-(2**31), 2**31 - 1) if isinstance(kind, Integer) else texts


def row_of(table: Table, number: int) -> st.SearchStrategy[dict[str, Any]]:
    """A row of a table: what must be its own is so by a number, and the rows that it names have the same."""
    fields = {}
    unique = {column.name for column in table.columns if column.unique or column.primary_key}
    for column in table.columns:
        value = values_of(column.type)
        if column.name in unique or column.foreign_keys:
            if isinstance(column.type, Date):
                value = st.just(date.fromordinal(738_000 + number))
            elif isinstance(column.type, Integer):
                value = st.just(number)
            else:
                value = value.map(lambda text: f"{number} {text}")
        fields[column.name] = value if not column.nullable or column.foreign_keys else st.none() | value
    return st.fixed_dictionaries(fields)


stores = st.integers(0, 3).flatmap(
    lambda number: st.fixed_dictionaries(
        {
            table.name: st.tuples(*(row_of(table, one) for one in range(1, number + 1)))
            for table in metadata.sorted_tables
        }
    )
)


def held(engine: Engine) -> dict[str, list[Any]]:
    with reading(engine) as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in metadata.sorted_tables
        }


def test_whatever_stands_in_a_store_comes_back(postgresql: Databases) -> None:
    url = postgresql.fresh()
    with opened("sqlite://", url, "sqlite://") as (first, second, third):

        @settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
        @given(stores)
        def comes_back(rows: dict[str, Any]) -> None:
            for engine in (first, second, third):
                empty(engine)
            with writing(first) as connection:
                for table in metadata.sorted_tables:
                    for row in rows[table.name]:
                        connection.execute(insert(table).values(**row))
            there = copying.copy(first, second, quiet)
            assert copying.copy(second, third, quiet) == there
            assert {name: one.rows for name, one in there.items()} == {name: len(ones) for name, ones in rows.items()}
            before = {
                name: sorted(one.replace(r"\x00", "\N{REPLACEMENT CHARACTER}") for one in ones)
                for name, ones in held(first).items()
            }
            assert before == held(second) == held(third)

        comes_back()
    postgresql.drop(url)


def empty(engine: Engine) -> None:
    with writing(engine) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))


def come_and_go(engine: Engine) -> int:
    """Have somebody be added and forgotten, and return the number."""
    with writing(engine) as connection:
        person = Preferences(email="ada@example.org")
        added = subscribers.add(connection, person, SubscriberState.ACTIVE, "test", NOW, file=None)
        retention.forget_person(connection, added.row, NOW)
    return added.row


def test_the_number_of_somebody_forgotten_is_nobodys_in_the_copy_either(tmp_path: Path, postgresql: Databases) -> None:
    urls = (f"sqlite:///{tmp_path}/a.db", postgresql.fresh(), f"sqlite:///{tmp_path}/b.db", postgresql.fresh())
    with opened(*urls) as engines:
        for before, engine in pairwise(engines):
            come_and_go(before)
            copying.copy(before, engine, quiet)
        assert come_and_go(engines[-1]) == 4


def test_only_an_empty_store_is_copied_into(newsletter: Newsletter, postgresql: Databases) -> None:
    newsletter.with_sample()
    url = postgresql.fresh()
    first = "sqlite:///var/newsletter.db"
    newsletter.run("store", "copy", first, url)
    (line,) = newsletter.run("store", "copy", first, url, code=2).err.splitlines()
    assert line.startswith("error: TO: postgresql")
    assert line.endswith("already contains a newsletter; choose an empty store")
    for wrong, said in (
        (("sqlite:///var/none.db", url), "FROM: 'sqlite:///var/none.db': no such file"),
        (("no url", url), "FROM: not a database URL"),
        ((first, "postgresql://u:secret@127.0.0.1/x"), "TO: the URL contains a password"),
        ((first, "mysql://127.0.0.1/x"), "TO: 'mysql' cannot be used"),
        ((first, first), "already contains a newsletter"),
    ):
        (line,) = newsletter.run("store", "copy", *wrong, code=2).err.splitlines()
        assert said in line
        assert "secret" not in line
    assert not (newsletter.folder / "var" / "none.db").exists()
    postgresql.drop(url)


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, postgresql: Databases) -> None:
    url = postgresql.fresh()
    with opened(f"sqlite:///{tmp_path}/a.db", url) as (first, second):
        with writing(first) as connection:
            subscribers.add(connection, Preferences(email="a@example.org"), SubscriberState.ACTIVE, "x", NOW, file=None)
        with pytest.raises(UserError, match="stop"):
            copying.copy(first, second, lambda name, *_: stop() if name == "sends" else None)
        assert not any(held(second).values())
        assert copying.copy(first, second, quiet)["subscribers"].rows == 1
    postgresql.drop(url)


def stop() -> None:
    raise UserError("stop")
