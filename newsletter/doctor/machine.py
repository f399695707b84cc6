"""Checks of the machine: program versions, disks and clock."""

import errno
import os
import shutil
import sqlite3
import sys
import tempfile
import zoneinfo
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from newsletter import __version__
from newsletter.doctor.result import CheckResult, CheckSkipped, bad, ok, warning

_OLDEST_SQLITE = (3, 35, 0)
"""The first version with RETURNING."""

_LITTLE, _TOO_LITTLE = 1_000_000_000, 50_000_000
"""Bytes free."""

_OF_A_SEND = 4_000
"""Bytes of a digest with ten papers in the log."""

_OFF, _FAR_OFF = 60.0, 600.0
"""Seconds by which a clock may be wrong: signatures and logins depend on the time."""

_AHEAD = timedelta(minutes=5)
_OLD_ZONES = 3
"""Years after which time zone data is outdated."""


def programs(now: datetime) -> CheckResult:
    """Check the versions of the newsletter, Python, SQLite and the time zone data."""
    name, zones = "program", _zones()
    text = f"newsletter {__version__}, Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}"
    text = f"{text}, time zones {zones}" if zones else text
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        return bad(name, text, f"use a Python with SQLite {'.'.join(map(str, _OLDEST_SQLITE))} or later")
    if zones[:4].isdecimal() and int(zones[:4]) + _OLD_ZONES <= now.year:
        return warning(name, text, "update the system's tzdata, else 'pip install --upgrade tzdata'")
    return ok(name, text)


def _zones() -> str:
    """Return the version of the time zone data in use: the system's, otherwise the tzdata package's."""
    for folder in zoneinfo.TZPATH:
        path = Path(folder) / "tzdata.zi"
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as file:
                return file.readline().rpartition("version")[2].strip()
        if Path(folder).is_dir():
            return ""  # The system's data has no version.
    try:
        return version("tzdata")
    except PackageNotFoundError:
        return ""


def disk(folders: Iterable[Path], index: Path, subscribers: int) -> CheckResult:
    """Check the free disk space for the next edition and a refit of the index.

    Args:
        folders: folders that the newsletter writes to; they may not exist yet.
        index: the folder of the index, which exists twice during a refit.
        subscribers: how many a digest is made for.
    """
    name = "disk"
    needed = _size(index) + subscribers * _OF_A_SEND
    places = {_present(folder) for folder in folders}
    for place in sorted(places):
        if (error := _why_not_writable(place)) is not None:
            closed = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT)
            fix = "check its permissions" if closed else "free disk space there, or check its quota"
            return bad(name, f"{place}: {error.strerror}", fix)
    free, place = min((shutil.disk_usage(place).free, place) for place in places)
    text = f"{_in_words(free)} free at {place}"
    if free < max(needed, _TOO_LITTLE):
        return bad(name, f"{text}, an edition needs {_in_words(max(needed, _TOO_LITTLE))}", "free disk space there")
    if free < _LITTLE:
        return warning(name, text, "free disk space there")
    return ok(name, text)


def _present(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.is_dir())


def _why_not_writable(folder: Path) -> OSError | None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0" * 4096)
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


def _in_words(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def clock(now: datetime, newest: datetime | None, ahead: Sequence[float]) -> CheckResult:
    """Compare the time with the servers that answered and the newest row of the store.

    Args:
        now: the time that commands use (UTC). ``newest``: the latest moment of the store.
        ahead: by how many seconds the servers' clocks are ahead of this machine's.

    Raises:
        CheckSkipped: no server sent its time.
    """
    name = "clock"
    if newest is not None and newest - now > _AHEAD:
        text = f"it is {now:%Y-%m-%d %H:%M} UTC, but the newest entry of the store is of {newest:%Y-%m-%d %H:%M}"
        return bad(name, text, "correct the clock; if you used --now with a future time, wait until then")
    if not ahead:
        raise CheckSkipped("no server sent its time; compare it with another clock")
    off = median(ahead)
    text = f"{_apart(off)} the clocks of {len(ahead)} server{'' if len(ahead) == 1 else 's'}"
    if abs(off) >= _OFF:
        return (bad if abs(off) >= _FAR_OFF else warning)(
            name, text, "set it by NTP, as with 'timedatectl set-ntp true'"
        )
    return ok(name, text)


def _apart(seconds: float) -> str:
    if abs(seconds) < 2:
        return "the same as"
    return f"{timedelta(seconds=round(abs(seconds)))} {'behind' if seconds > 0 else 'ahead of'}"


def on_network(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """Return the type of the network file system that contains a path; None for a local disk, or if unknown (not
    Linux).
    """
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    found = ("", "")
    for line in lines:
        _, mounted, kind, *_ = line.split(" ")
        folder = mounted.replace("\\040", " ")
        if path.is_relative_to(folder) and len(folder) >= len(found[0]):
            found = (folder, kind)
    return found[1] if found[1].startswith(_NETWORK) else None


_NETWORK = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "fuse.sshfs", "fuse.gluster", "fuse.s3", "lustre", "fuse.rclone")
