"""Two processes that are killed in the middle, again and again: no digest is lost, none comes twice."""

from pathlib import Path

import pytest

from tests.torture import Trial, torture

pytestmark = pytest.mark.system


def test_processes_that_are_killed_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    # Of this seed, all rounds are killed while they send.
    trial = Trial(readers=60, rounds=3, sessions=3, slowest=0.05, longest=0.2, seed=10)
    result = torture(tmp_path, trial)
    assert result.complaints == [], str(result)
    assert result.total("sessions") > 0
    assert result.accepted == trial.readers * result.editions > 0
