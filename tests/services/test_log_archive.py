"""Months of the log go into files; what is in the store and what is in the files is together what was there."""

import gzip
import json
import stat

import pytest

from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox

pytestmark = pytest.mark.both_stores


def test_old_months_go_into_files_and_nothing_is_sent_again(
    newsletter: Newsletter, mail: Mailbox, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.services.log_archive._BLOCK", 2)
    newsletter.with_sample()
    for day in ("2025-11-28", "2025-11-29", "2025-11-30", "2025-12-01", "2025-12-02"):
        newsletter.run("send", now=f"{day}T09:00", code=None)
    mail.on_recipient = lambda address: "450 later"
    newsletter.subscriber("bob", "email: bob@example.org\ninterests: [robustness under distribution shift]\n")
    newsletter.run("send", now="2025-12-02T10:00", code=None)
    before = newsletter.run("log", "--json").rows
    assert {row["edition"][:7] for row in before} == {"2025-11", "2025-12"}

    late = newsletter.run("sends", "archive", "--before", "2025-12", now="2025-12-05T09:00", code=2)
    assert "--before: 2025-12-01 is too late; up to 2025-" in late.err
    assert newsletter.run("sends", "archive", "--before", "2025-11", now="2026-06-01T09:00").out.startswith("Nothing")
    out = newsletter.run("sends", "archive", "--before", "2026-01", "old", now="2026-06-01T09:00").out
    files = sorted((newsletter.folder / "old").iterdir())
    assert [path.name for path in files] == ["sends-2025-11.jsonl.gz", "sends-2025-12.jsonl.gz"]
    assert out.splitlines() == [
        f"{sum(row['edition'].startswith(month) for row in before) - waits} lines moved to old/sends-{month}.jsonl.gz."
        for month, waits in (("2025-11", 0), ("2025-12", 1))
    ]
    archived = [json.loads(line) for path in files for line in gzip.decompress(path.read_bytes()).splitlines()]
    kept = newsletter.run("log", "--json").rows
    assert [row["state"] for row in kept] == ["deferred"]
    key = lambda row: row["message_id"]  # noqa: E731
    assert sorted(archived + kept, key=key) == sorted(before, key=key)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
