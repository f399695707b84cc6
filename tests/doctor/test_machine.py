"""The machine: its clock and its disks."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from newsletter.doctor.machine import clock, disk, on_network, programs
from newsletter.doctor.result import CheckSkipped, CheckState

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ahead", "state", "found"),
    [
        ([0.4, -0.7, 3000.0], CheckState.OK, "the same as the clocks of 3 servers"),
        ([30.0], CheckState.OK, "0:00:30 behind the clocks of 1 server"),
        ([-90.0, -91.0], CheckState.WARNING, "0:01:30 ahead of the clocks of 2 servers"),
        ([7200.0], CheckState.BAD, "2:00:00 behind the clocks of 1 server"),
    ],
)
def test_the_clock_beside_others(ahead: list[float], state: CheckState, found: str) -> None:
    finding = clock(NOW, NOW - timedelta(days=1), ahead)
    assert (finding.state, finding.found) == (state, found)
    assert ("NTP" in finding.fix) == (state is not CheckState.OK)


def test_a_clock_that_was_set_back() -> None:
    finding = clock(NOW, NOW + timedelta(hours=2), [0.0])
    assert finding.state is CheckState.BAD
    assert finding.found == "it is 2026-11-21 09:00 UTC, but the newest entry of the store is of 2026-11-21 11:00"
    assert "correct the clock" in finding.fix


def test_a_clock_beside_which_there_is_no_other() -> None:
    with pytest.raises(CheckSkipped, match="no server sent its time"):
        clock(NOW, None, [])


def test_a_disk_with_room(tmp_path: Path) -> None:
    finding = disk([tmp_path / "var" / "index"], tmp_path / "var" / "index", 10)
    assert finding.state in (CheckState.OK, CheckState.WARNING)  # as the machine has room
    assert finding.found.endswith(f"free at {tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_small_for_an_edition(tmp_path: Path) -> None:
    finding = disk([tmp_path], tmp_path, 10**12)
    assert (finding.state, finding.fix) == (CheckState.BAD, "free disk space there")
    assert "an edition needs 4000000.0 GB" in finding.found


def test_a_folder_that_cannot_be_written() -> None:
    finding = disk([Path("/proc")], Path("/proc/none"), 0)
    assert finding.state is CheckState.BAD
    assert finding.fix == "check its permissions"


def test_a_network_file_system_is_known_by_its_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\nserver:/x /srv/the\\040news nfs4 rw 0 0\n/dev/sdb /srv/the\\040news/db ext4 rw 0 0\n"
    )
    assert on_network(Path("/srv/the news/papers.db"), mounts) == "nfs4"
    assert on_network(Path("/srv/the news/db/papers.db"), mounts) is None
    assert on_network(Path("/srv/papers.db"), mounts) is None
    assert on_network(Path("/srv/papers.db"), tmp_path / "none") is None


def test_programs() -> None:
    assert programs(NOW).found.startswith("newsletter ")
    old = programs(NOW.replace(year=2100))
    assert (old.state, "tzdata" in old.fix) == (CheckState.WARNING, True)
