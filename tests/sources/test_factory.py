from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from newsletter.config.sources import SourceSettings
from newsletter.sources.arxiv import Arxiv
from newsletter.sources.biorxiv import Biorxiv
from newsletter.sources.crossref import Crossref
from newsletter.sources.factory import make_source
from newsletter.sources.feed import Feed
from newsletter.sources.files import FileReader
from newsletter.sources.huggingface import HuggingFace
from newsletter.sources.openalex_search import OpenAlexSearch
from newsletter.sources.openreview import OpenReview
from newsletter.sources.pubmed import PubMed
from newsletter.sources.semantic_scholar import SemanticScholar


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"kind": "huggingface"}, HuggingFace),
        ({"kind": "arxiv", "categories": ["cs.LG"]}, Arxiv),
        ({"kind": "biorxiv"}, Biorxiv),
        ({"kind": "medrxiv"}, Biorxiv),
        ({"kind": "crossref", "issn": "1476-4687"}, Crossref),
        ({"kind": "openalex", "topics": "T10028"}, OpenAlexSearch),
        ({"kind": "feed", "url": "https://x.org/feed"}, Feed),
        ({"kind": "file", "path": "page.txt"}, FileReader),
        ({"kind": "pubmed", "query": "crispr[tiab]"}, PubMed),
        ({"kind": "openreview", "venue": "ICLR.cc/2026/Conference"}, OpenReview),
        ({"kind": "semanticscholar", "query": "crispr"}, SemanticScholar),
    ],
)
def test_each_kind_of_settings_has_its_source(settings: dict[str, Any], kind: type) -> None:
    source = make_source("one", TypeAdapter(SourceSettings).validate_python(settings), Path())
    assert isinstance(source, kind)
    assert source.name == "one"
