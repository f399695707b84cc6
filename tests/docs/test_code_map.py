"""The map of the code and the list of tables are complete."""

import re

from newsletter.store.schema import metadata
from tests.docs.pages import ROOT


def test_code_md_has_a_row_for_each_module() -> None:
    rows = re.findall(r"^\| `(\w+\.py)` \| \S", (ROOT / "docs/reference/code.md").read_text(), re.MULTILINE)
    modules = [
        path.name
        for path in (ROOT / "newsletter").rglob("*.py")
        if path.name != "__init__.py" and "migrations" not in path.parts
    ]
    assert sorted(rows) == sorted(modules)


def test_store_md_has_a_row_for_each_table() -> None:
    _, _, section = (ROOT / "docs/reference/store.md").read_text().partition("## Tables")
    rows = [
        name for cell in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE) for name in re.findall("`(.*?)`", cell)
    ]
    assert sorted(rows) == sorted(metadata.tables)
