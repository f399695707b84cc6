"""Copy the results of benchmarks into the documentation, which draws them. ``make bench-publish``.

Each ``var/bench/NAME.json`` replaces ``docs/benchmarks/NAME.json``; results that were not measured again stay.
"""

import argparse
import json
from pathlib import Path

from benchmarks.results import FOLDER, fail
from newsletter.support.files import atomic_write_bytes

PUBLISHED = Path(__file__).parents[1] / "docs" / "benchmarks"


def publish(measured: Path, published: Path) -> list[str]:
    """Copy all results of a folder; return their names."""
    copied = []
    for path in sorted(measured.glob("*.json")):
        content = path.read_bytes()
        if json.loads(content).get("benchmark") == path.stem:
            atomic_write_bytes(published / path.name, content, 0o644)
            copied.append(path.stem)
    return copied


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("measured", nargs="?", type=Path, default=FOLDER, help="a folder of results")
    given = asked.parse_args()
    copied = publish(given.measured, PUBLISHED)
    if not copied:
        fail(f"{given.measured} has no results; run make bench first")
    print(f"{', '.join(copied)}: copied to {PUBLISHED}; make docs draws them")


if __name__ == "__main__":
    main()
