"""Files read whole, and replaced in one step."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from newsletter.errors import UserError
from newsletter.support.files import MAX_BYTES, atomic_write_bytes, read_text
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox


@pytest.mark.parametrize("command", ["import x.jsonl", "subscribers import x.csv", "--config x.yaml log", "fetch"])
def test_a_pipe_is_refused_and_not_waited_for(newsletter: Newsletter, command: str) -> None:
    for name in ("x.jsonl", "x.csv", "x.yaml", "x.xml"):
        os.mkfifo(newsletter.folder / name)
    newsletter.configure(sources={"pipe": {"kind": "file", "path": "x.xml"}})
    ran = newsletter.run(*command.split(), code=None)
    assert ran.code
    assert ": not a file, but a pipe or a device; save its output to a file" in ran.err


def test_what_is_no_file_among_the_subscribers_stops_no_other(newsletter: Newsletter, reader: str) -> None:
    os.mkfifo(newsletter.folder / "subscribers" / "pipe.yaml")
    (newsletter.folder / "subscribers" / "zero.yaml").symlink_to("/dev/zero")
    (newsletter.folder / "subscribers" / "large.yaml").write_text("#" * (MAX_BYTES + 1))
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
    atomic_write_bytes(tmp_path / "link", b"new", 0o600)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640
    atomic_write_bytes(tmp_path / "folder" / "fresh", b"x", 0o600)
    assert (tmp_path / "folder" / "fresh").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link", "real"]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@contextmanager
def lax_umask() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


PRIVATE_FILES = [
    ("preview ada@example.org -o {}", "preview.html"),
    ("preview ada@example.org -o {}", "preview.eml"),
    ("preview ada@example.org -o {}", "preview.txt"),
    ("preview ada@example.org --format json -o {}", "preview.json"),
    ("preview ada@example.org -o {}", "preview.png"),
    ("subscribers export -o {}", "subscribers.csv"),
    ("subscribers export --format jsonl -o {}", "subscribers.jsonl"),
    ("log -o {}", "log.csv"),
    ("log -o {}", "log.jsonl"),
]


@pytest.mark.parametrize(("command", "name"), PRIVATE_FILES)
def test_what_has_links_or_addresses_is_for_its_owner_alone(
    newsletter: Newsletter, mail: Mailbox, reader: str, command: str, name: str
) -> None:
    newsletter.with_sample().run("send")
    path = newsletter.folder / name
    arguments = command.format(path).split()
    with lax_umask():
        newsletter.run(*arguments)
        assert mode(path) == 0o600
        # A file that others could read, or had opened before, gets nothing of it.
        path.write_text("before")
        path.chmod(0o666)
        with path.open() as opened:
            newsletter.run(*arguments)
            assert opened.read() == "before"
    assert mode(path) == 0o600
    assert path.read_bytes() != b"before"
    assert path.stat().st_nlink == 1


def test_the_demo_and_the_archive_keep_messages_from_others(
    newsletter: Newsletter, mail: Mailbox, reader: str, tmp_path: Path
) -> None:
    newsletter.with_sample().run("send", now="2025-01-01T09:00")
    with lax_umask():
        newsletter.run("demo", tmp_path / "demo")
        newsletter.run("sends", "archive", "--before", "2025-06", tmp_path / "archive")
    demo = tmp_path / "demo"
    written = [*demo.glob("digest-*"), *(demo / "Maildir").rglob("*:2,*"), *(demo / "Maildir" / "new").iterdir()]
    assert len(written) >= 6
    archived = [*(tmp_path / "archive").iterdir()]
    assert archived
    assert {mode(path) for path in written + archived} == {0o600}
    assert mode(demo / "Maildir") == 0o700


def test_a_private_file_may_be_a_pipe_or_a_device(newsletter: Newsletter, reader: str) -> None:
    newsletter.run("subscribers", "list")
    pipe = newsletter.folder / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    thread = threading.Thread(target=lambda: read.append(pipe.read_text()))
    thread.start()
    newsletter.run("subscribers", "export", "-o", pipe)
    thread.join()
    assert reader in read[0]
    newsletter.run("subscribers", "export", "-o", "/dev/null")
    assert Path("/dev/null").is_char_device()
    ran = newsletter.run("subscribers", "export", "-o", newsletter.folder, code=2)
    assert f"{newsletter.folder}: Is a directory" in ran.err


def test_init_on_a_full_disk_leaves_no_half_of_a_newsletter(newsletter: Newsletter) -> None:
    ran = newsletter.run_on_full_disk("init", "mine")
    assert ran.returncode == 2
    assert ran.stderr == (
        "error: mine/config.yaml: File too large; check the permissions of the folder and the space on the disk\n"
    )
    assert list((newsletter.folder / "mine").iterdir()) == []
    newsletter.run("init", "mine")
    assert (newsletter.folder / "mine" / "config.yaml").stat().st_size > 500
