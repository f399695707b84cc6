"""Stores are opened, made and brought up to date, and say in a line what is wrong with them."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text

from newsletter.errors import NewsletterError, UserError
from newsletter.store import open_store, reading, writing
from newsletter.store.database import HEAD
from newsletter.store.schema import metadata, rate_limits
from tests.helpers.newsletter import Newsletter
from tests.helpers.postgresql import Databases, PostgreSQL


def test_a_store_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"store\.url: .*choose a writable folder"):
        open_store(f"sqlite:///{tmp_path}/file/store.db")
    (tmp_path / "broken.db").write_bytes(b"this is no database, it only looks like a long file" * 100)
    with pytest.raises(NewsletterError, match=r"broken\.db is damaged or not a newsletter store: .*; restore a backup"):
        open_store(f"sqlite:///{tmp_path}/broken.db")
    with pytest.raises(UserError, match="cannot be used"):
        open_store("nosuchbase://x")
    with pytest.raises(UserError, match=r"'soon'; write it like sqlite:///var/newsletter\.db"):
        open_store(f"sqlite:///{tmp_path}/store.db?timeout=soon")


def test_a_store_that_turns_bad_is_told(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    path = newsletter.folder / "var" / "newsletter.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:  # all but what is looked at when it is opened
        file.seek(4096 * 4)
        file.write(b"rust" * (path.stat().st_size // 4 - 4096))
    for command in ("papers list", "subscribers list", "import x.jsonl"):
        (newsletter.folder / "x.jsonl").write_text('{"title": "One"}')
        (line,) = newsletter.run(*command.split(), code=1).err.splitlines()
        assert line.startswith("error: store: ")
        assert "newsletter.db is damaged" in line
        assert line.endswith("restore a backup")


def test_a_command_that_reads_has_no_word_of_what_was_kept(newsletter: Newsletter) -> None:
    newsletter.run("subscribers", "list")
    newsletter.subscriber("ada", "email: ada@example.org\n")
    (line,) = newsletter.run_on_full_disk("subscribers", "list").stderr.splitlines()
    assert line.startswith("error: store: ")
    assert line.endswith("; check the disk and who else uses it, then run it again")


def test_a_store_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    engine = open_store(url)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(NewsletterError, match=r"was created by a newer version \(9999\); upgrade this program"):
        open_store(url)


@pytest.mark.both_stores
def test_the_migrations_make_the_schema(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    url = f"sqlite:///{tmp_path}/store.db"
    if backend == "postgresql":
        url = request.getfixturevalue("postgresql").fresh(migrated=False)
    engine = open_store(url)
    with reading(engine) as connection:
        migrations = MigrationContext.configure(connection, opts={"compare_server_default": False})
        assert migrations.get_current_revision() == HEAD
        assert compare_metadata(migrations, metadata) == []
        if backend == "postgresql":
            invalid = "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"
            assert connection.execute(text(invalid)).all() == []
    engine.dispose()


OPEN = "import sys; from newsletter.store import open_store; open_store(sys.argv[1])"


def test_processes_that_open_a_new_store_at_once_make_it_once(postgresql: Databases) -> None:
    url = postgresql.fresh(migrated=False)
    started = [subprocess.Popen([sys.executable, "-c", OPEN, url], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(one.communicate(timeout=60)[1], one.returncode) for one in started] == [("", 0)] * 4
    postgresql.drop(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://127.0.0.1:1/x", "connection refused"),
        ("postgresql://u@/x?host=/nowhere", "No such file or directory"),
        ("postgresql://127.0.0.1:{port}/nobase", 'database "nobase" does not exist'),
        ("postgresql://127.0.0.1:{port}/postgres?colour=red", 'invalid connection option "colour"'),
        ("postgresql+nodriver://127.0.0.1/x", "'postgresql+nodriver' cannot be used"),
    ],
)
def test_a_postgresql_that_cannot_be_used_is_told_in_a_line(
    newsletter: Newsletter, postgresql: Databases, url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGUSER", "newsletter")
    monkeypatch.setenv("PGPASSWORD", "hush-hush")
    newsletter.configure(store={"url": url.format(port=postgresql.port)})
    ran = newsletter.run("log", code=None)
    (line,) = ran.err.splitlines()
    assert ran.code in (1, 2)
    assert said.lower() in line.lower()
    assert "hush" not in line
    assert "store" in line


def test_a_missing_driver_is_told_in_a_line(newsletter: Newsletter) -> None:
    newsletter.configure(store={"url": "postgresql://127.0.0.1/x"})
    without = "import sys; sys.modules['psycopg'] = None; from newsletter.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", without, "log"], cwd=newsletter.folder, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 2
    assert ran.stderr == "error: store.url: PostgreSQL needs a driver; pip install 'newsletter[postgresql]'\n"


def test_a_password_is_not_shown(postgresql: Databases) -> None:
    url = postgresql.fresh().replace("newsletter@", "newsletter:hush-hush@")
    engine = open_store(url)
    with pytest.raises(NewsletterError) as raised, writing(engine) as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert "newsletter:***@127.0.0.1" in str(raised.value)
    assert "hush" not in str(raised.value)
    assert len(raised.value.lines) == 1
    engine.dispose()
    postgresql.drop(url)


@pytest.mark.system
def test_after_the_server_was_restarted_the_next_transaction_goes_on(own_postgresql: PostgreSQL) -> None:
    url = own_postgresql.fresh()
    engine = open_store(url)
    with pytest.raises(NewsletterError, match="check that its server runs"), writing(engine) as connection:
        own_postgresql.stop()
        connection.execute(select(rate_limits))
    for transaction in (reading, writing):
        with pytest.raises(NewsletterError, match="check that its server runs"), transaction(engine):
            pass
    own_postgresql.start()
    with reading(engine) as connection:
        assert connection.execute(select(rate_limits)).all() == []
    engine.dispose()


@pytest.mark.both_stores
def test_what_is_read_is_of_one_moment(store_url: str) -> None:
    one, other = open_store(store_url), open_store(store_url)
    count = text("SELECT count(*) FROM suppressions")
    with reading(one) as connection:
        assert connection.execute(count).scalar() == 0
        with writing(other) as writer:
            writer.execute(text("INSERT INTO suppressions VALUES ('x', 'forgotten', '2025-11-28 09:00:00.000000')"))
        assert connection.execute(count).scalar() == 0
    with reading(one) as connection:
        assert connection.execute(count).scalar() == 1
    one.dispose()
    other.dispose()
