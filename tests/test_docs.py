"""The documentation is true of the code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_code_md_has_a_row_for_each_module() -> None:
    rows = re.findall(r"^\| `(\w+\.py)` \| \S", (ROOT / "docs" / "code.md").read_text(), re.MULTILINE)
    modules = [
        path.name
        for path in (ROOT / "newsletter").rglob("*.py")
        if path.name != "__init__.py" and "migrations" not in path.parts
    ]
    assert sorted(rows) == sorted(modules)
