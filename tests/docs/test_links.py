"""Links to other sites are well-formed and encrypted. Links between pages are checked by ``make docs``."""

import re
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import PAGES, ROOT

_LINK = re.compile(r"\]\(\s*([^)\s]+)\s*\)|src=\"([^\"]+)\"")


def links(page: str) -> list[str]:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", PAGES[page].read_text(), flags=re.DOTALL)
    return [first or second for first, second in _LINK.findall(text)]


@pytest.mark.parametrize("page", PAGES)
def test_links_to_other_sites_use_https(page: str) -> None:
    for link in links(page):
        if ":" in link:
            parts = urlsplit(link)
            assert parts.scheme == "https", link
            assert parts.hostname and "." in parts.hostname, link


def test_links_of_the_readme_lead_to_files() -> None:
    local = [link.partition("#")[0] for link in links("README.md") if ":" not in link]
    assert local
    assert [link for link in local if not (ROOT / link).exists()] == []
