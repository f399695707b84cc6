"""Files read whole, and files replaced in one step."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from newsletter.errors import UserError

PRIVATE_MODE = 0o600
"""The mode of a file with personal data or signed links: for its owner alone."""

MAX_BYTES = 1_000_000
"""The size above which a file that people write by hand is taken for something else."""

MAX_LIST_BYTES = 200_000_000
"""The size above which a file of papers or subscribers would take too much memory."""


def open_file(path: Path, shown: str) -> BinaryIO:
    """A file, opened to be read as bytes.

    Raises:
        UserError: it cannot be read, or is none, but a pipe or a device, which may have no end.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise UserError(f"{shown}: not a file, but a pipe or a device; save what it gives in a file")
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{shown}: {error.strerror}; check the path and who may read it") from None


def read_bytes(path: Path, shown: str, most: int = MAX_BYTES) -> bytes:
    """What is in a file of at most ``most`` bytes.

    Raises:
        UserError: it cannot be read, is larger, or is none, but a pipe or a device, which may have no end.
    """
    try:
        with open_file(path, shown) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise UserError(f"{shown}: {error.strerror}; check the path and who may read it") from None
    if len(content) > most:
        raise UserError(f"{shown}: larger than {most // 1_000_000} MB; check that it is the right file, or split it")
    return content


def read_text(path: Path, shown: str, most: int = MAX_BYTES) -> str:
    """The text of a UTF-8 file of at most ``most`` bytes.

    Raises:
        UserError: it cannot be read, or is not UTF-8.
    """
    try:
        return read_bytes(path, shown, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{shown}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whoever could read one that was there before.

    Raises:
        UserError: it cannot be written.
    """
    with atomic_write_private(path) as file:
        file.write(content)


@contextmanager
def atomic_write_private(path: Path) -> Iterator[BinaryIO]:
    """The same for content that is written in parts.

    The new file has mode 0600 from its first byte, and replaces one that is there when the block ends. A pipe or a
    device, as /dev/stdout, is written to.
    """
    if not _is_special(path):
        with atomic_write(path, PRIVATE_MODE, keeps_mode=False) as file:
            yield file
        return
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise _cannot_write(path, error) from None


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def atomic_write_bytes(path: Path, content: bytes, mode: int) -> None:
    """Make a file hold ``content``, in one step: nobody ever reads half of it, and a full disk leaves it as it was.

    Args:
        path: the file; of a link, the file that it leads to.
        mode: who may read and write a new file, less what the umask takes away; one that is there keeps its own, and
            its owner.

    Raises:
        UserError: it cannot be written.
    """
    with atomic_write(path, mode) as file:
        file.write(content)


@contextmanager
def atomic_write(path: Path, mode: int, keeps_mode: bool = True) -> Iterator[BinaryIO]:
    """The same for what is written bit by bit: the file becomes that when the block ends, and stays as it was when it
    fails.

    Args:
        keeps_mode: whether a file that is there keeps its mode and owner.
    """
    target = path.resolve()
    made = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                yield file
            if keeps_mode and target.exists():
                _make_alike(made, target.stat())
            made.replace(target)
        finally:
            made.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: {error.strerror}; check who may write there, and the room on the disk")


def _make_alike(made: Path, present: os.stat_result) -> None:
    with suppress(PermissionError):  # only root may give a file away, and only root has a need to
        os.chown(made, present.st_uid, present.st_gid)
    made.chmod(stat.S_IMODE(present.st_mode))
