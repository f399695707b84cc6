"""Files read whole, and replaced in one step."""

import os
from pathlib import Path

import pytest

from newsletter.errors import UserError
from newsletter.textfile import MOST_BYTES, read_text, replace
from tests.conftest import Newsletter


@pytest.mark.parametrize("command", ["import x.jsonl", "subscribers import x.csv", "--config x.yaml log", "fetch"])
def test_a_pipe_is_refused_and_not_waited_for(newsletter: Newsletter, command: str) -> None:
    for name in ("x.jsonl", "x.csv", "x.yaml", "x.xml"):
        os.mkfifo(newsletter.folder / name)
    newsletter.configure(sources={"pipe": {"kind": "file", "path": "x.xml"}})
    ran = newsletter.run(*command.split(), code=None)
    assert ran.code
    assert ": not a file, but a pipe or a device; save what it gives in a file" in ran.err


def test_what_is_no_file_among_the_subscribers_stops_no_other(newsletter: Newsletter, reader: str) -> None:
    os.mkfifo(newsletter.folder / "subscribers" / "pipe.yaml")
    (newsletter.folder / "subscribers" / "zero.yaml").symlink_to("/dev/zero")
    (newsletter.folder / "subscribers" / "large.yaml").write_text("#" * (MOST_BYTES + 1))
    ran = newsletter.run("subscribers", "list", "--json")
    assert [row["email"] for row in ran.rows] == [reader]
    assert [line.split("/subscribers/")[1].split(";")[0] for line in ran.err.splitlines()] == [
        "large.yaml: larger than 1 MB",
        "pipe.yaml: not a file, but a pipe or a device",
        "zero.yaml: not a file, but a pipe or a device",
    ]
    assert "pipe.yaml: not a file" in newsletter.run("interests", "check", code=2).err
    assert "has no file" in newsletter.run("interests", "check", "nobody@example.org", code=2).err


def test_a_file_is_read_up_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("12345")
    assert read_text(path, "x", 5) == "12345"
    with pytest.raises(UserError, match=r"^x: larger than 0 MB; check that it is the right file, or split it$"):
        read_text(path, "x", 4)


def test_a_replaced_file_keeps_its_mode_and_the_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    replace(tmp_path / "link", b"new", 0o600)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640
    replace(tmp_path / "folder" / "fresh", b"x", 0o600)
    assert (tmp_path / "folder" / "fresh").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link", "real"]


def test_init_on_a_full_disk_leaves_no_half_of_a_newsletter(newsletter: Newsletter) -> None:
    ran = newsletter.run_on_full_disk("init", "mine")
    assert ran.returncode == 2
    assert ran.stderr == (
        "error: mine/config.yaml: File too large; check who may write there, and the room on the disk\n"
    )
    assert list((newsletter.folder / "mine").iterdir()) == []
    newsletter.run("init", "mine")
    assert (newsletter.folder / "mine" / "config.yaml").stat().st_size > 500
