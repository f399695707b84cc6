"""The demo: the whole of it, as a newcomer runs it."""

import mailbox
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system


def demo(folder: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "newsletter", "demo", str(folder)],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ran.stderr == ""
    return ran.stdout


def test_two_different_emails_arrive_once(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    out = demo(folder)
    messages = list(mailbox.Maildir(folder / "Maildir"))
    assert len(messages) == 2
    assert {message["To"] for message in messages} == {
        "Ada <ada@newsletter.example>",
        "Grace <grace@newsletter.example>",
    }
    assert messages[0]["Subject"] != messages[1]["Subject"]
    assert messages[0].get_payload()[1].get_payload() != messages[1].get_payload()[1].get_payload()
    for name in ("ada", "grace"):
        for ending in ("html", "eml"):
            path = folder / f"digest-{name}.{ending}"
            assert path.stat().st_size > 5_000
            assert str(path) in out
    assert "Added 145 sample papers" in out
    assert "250 stored in the Maildir" in out
    assert all(len(line) <= 80 or "/" in line or "@" in line for line in out.splitlines())

    assert "nothing was sent again" in demo(folder)
    assert len(mailbox.Maildir(folder / "Maildir")) == 2
