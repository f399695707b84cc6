"""Read whole files, and replace files atomically."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from newsletter.errors import UserError

PRIVATE_MODE = 0o600
"""The mode of a file with personal data or signed links: only its owner may read it."""

MAX_BYTES = 1_000_000
"""The maximum size of a file that people write; a larger one is probably the wrong file."""

MAX_LIST_BYTES = 200_000_000
"""The maximum size of a file of papers or subscribers; a larger one would take too much memory."""


def open_file(path: Path, shown: str) -> BinaryIO:
    """Open a file for reading bytes.

    Raises:
        UserError: it cannot be read, or is a pipe or a device, which may be endless.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise UserError(f"{shown}: not a file, but a pipe or a device; save its output to a file")
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{shown}: {error.strerror}; check the path and its permissions") from None


def read_bytes(path: Path, shown: str, most: int = MAX_BYTES) -> bytes:
    """Read a file of up to ``most`` bytes.

    Raises:
        UserError: it cannot be read, is larger, or is a pipe or a device, which may be endless.
    """
    try:
        with open_file(path, shown) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise UserError(f"{shown}: {error.strerror}; check the path and its permissions") from None
    if len(content) > most:
        raise UserError(f"{shown}: larger than {most // 1_000_000} MB; check that it is the right file, or split it")
    return content


def read_text(path: Path, shown: str, most: int = MAX_BYTES) -> str:
    """Read a UTF-8 file of up to ``most`` bytes.

    Raises:
        UserError: it cannot be read, or is not UTF-8.
    """
    return decode_text(read_bytes(path, shown, most), shown)


def decode_text(content: bytes, shown: str) -> str:
    """Decode the content of a UTF-8 file, without a byte order mark.

    Raises:
        UserError: it is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{shown}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whatever the permissions of an existing one.

    Raises:
        UserError: it cannot be written.
    """
    with atomic_write_private(path) as file:
        file.write(content)


@contextmanager
def atomic_write_private(path: Path) -> Iterator[BinaryIO]:
    """Do the same for content that is written in parts.

    The new file has mode 0600 from its first byte, and replaces an existing one when the block ends. Pipes and devices,
    such as /dev/stdout, are written to.
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
    """Write ``content`` to a file atomically: nobody ever reads half of it, and a full disk leaves the old file intact.

    Args:
        path: the file; symbolic links are followed.
        mode: the mode of a new file, less the umask; an existing one keeps its mode and owner.

    Raises:
        UserError: it cannot be written.
    """
    with atomic_write(path, mode) as file:
        file.write(content)


@contextmanager
def atomic_write(path: Path, mode: int, keeps_mode: bool = True) -> Iterator[BinaryIO]:
    """Do the same for content that is written in parts: the file is replaced when the block ends, and unchanged if it
    fails.

    Args:
        keeps_mode: whether an existing file keeps its mode and owner.
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
    return UserError(f"{path}: {error.strerror}; check the permissions of the folder and the space on the disk")


def _make_alike(made: Path, present: os.stat_result) -> None:
    with suppress(PermissionError):  # only root may change the owner, and only root needs to
        os.chown(made, present.st_uid, present.st_gid)
    made.chmod(stat.S_IMODE(present.st_mode))
