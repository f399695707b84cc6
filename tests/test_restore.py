"""A backup as docs/deploy.md has it, and what becomes of sends when it is restored."""

import sqlite3
from contextlib import closing

from tests.conftest import Newsletter
from tests.smtp import Mailbox


def test_a_restored_backup_goes_on_where_it_was_made(mail: Mailbox, newsletter: Newsletter, reader: str) -> None:
    store, backup = newsletter.folder / "var" / "newsletter.db", newsletter.folder / "backup.db"
    newsletter.subscriber("grace", "email: grace@example.org\ninterests: [energy-based models]\n")
    newsletter.with_sample().run("send")
    with closing(sqlite3.connect(store)) as made, made:
        # As it would be with one on the wire while the backup was made, by a process of a machine that is gone.
        made.execute(
            "UPDATE sends SET state = 'claimed', claimed_by = 'gone/1/x', settled_at = NULL, "
            "claimed_at = '2025-11-28 09:00:00', wire_at = '2025-11-28 09:00:00' WHERE email = 'grace@example.org'"
        )
    with closing(sqlite3.connect(store)) as made:
        made.execute(f"VACUUM INTO '{backup}'")
    newsletter.run("unsubscribe", reader)
    for old in store.parent.glob("newsletter.db*"):
        old.unlink()
    backup.rename(store)

    later = newsletter.run("send", now="2025-11-28T15:00", code=1)
    assert "grace@example.org, 2025-11-28: unsure" in later.err
    assert {row["email"]: row["state"] for row in newsletter.run("log", "--json").rows} == {
        reader: "sent",
        "grace@example.org": "unsure",
    }
    assert len(mail.accepted) == 2
    # What came after the backup is lost with it.
    assert {row["email"]: row["state"] for row in newsletter.run("subscribers", "list", "--json").rows}[
        reader
    ] == "active"
