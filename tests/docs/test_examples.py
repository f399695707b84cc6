"""The YAML in the documentation is valid configuration, or a valid subscriber's file."""

from pathlib import Path

import pytest

from newsletter.audience.subscriber_file import read_preferences
from newsletter.config.loader import load_config
from tests.docs.pages import PAGES, blocks

SITE = """\
site:
  name: Test Papers
  url: https://papers.example.org
  from: Papers <papers@example.org>
  postal_address: 1 Test Street
"""

EXAMPLES = [
    pytest.param(block.text, id=f"{page}:{block.line}")
    for page in PAGES
    for block in blocks(page, "yaml")
    if block.marker != "not loaded"
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_yaml_is_valid(text: str, tmp_path: Path) -> None:
    file = tmp_path / "example.yaml"
    if text.startswith("email:"):
        file.write_text(text)
        assert read_preferences(file)
    else:
        file.write_text(text if text.startswith("site:") else SITE + text)
        assert load_config(file)
