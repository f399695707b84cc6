"""Create a source from its settings, by its kind."""

from pathlib import Path

from newsletter.config.libraries import openalex_key
from newsletter.config.secrets import api_key
from newsletter.config.sources import (
    ArxivSource,
    BiorxivSource,
    CrossrefSource,
    FeedSource,
    FileSource,
    HuggingFaceSource,
    OpenAlexSource,
    OpenReviewSource,
    PubMedSource,
    SemanticScholarSource,
    SourceSettings,
)
from newsletter.sources.arxiv import Arxiv
from newsletter.sources.base import Source
from newsletter.sources.biorxiv import Biorxiv
from newsletter.sources.crossref import Crossref
from newsletter.sources.entrez import KEY_VARIABLE as NCBI_KEY
from newsletter.sources.feed import Feed
from newsletter.sources.files import FileReader
from newsletter.sources.huggingface import HuggingFace
from newsletter.sources.openalex_search import OpenAlexSearch
from newsletter.sources.openreview import OpenReview
from newsletter.sources.pubmed import PubMed
from newsletter.sources.semantic_scholar import KEY_VARIABLE as SEMANTIC_SCHOLAR_KEY
from newsletter.sources.semantic_scholar import SemanticScholar


def make_source(name: str, settings: SourceSettings, folder: Path, contact: str = "") -> Source:
    """Create the source of some settings.

    Args:
        folder: where relative paths of files start.
        contact: a mail address for the operators of sources that ask for one.
    """
    match settings:
        case HuggingFaceSource():
            return HuggingFace(name, settings)
        case ArxivSource():
            return Arxiv(name, settings)
        case BiorxivSource():
            return Biorxiv(name, settings)
        case CrossrefSource():
            return Crossref(name, settings, contact)
        case OpenAlexSource():
            return OpenAlexSearch(name, settings, contact, openalex_key())
        case FeedSource():
            return Feed(name, settings)
        case FileSource():
            return FileReader(name, settings, folder)
        case PubMedSource():
            return PubMed(name, settings, contact, api_key(NCBI_KEY))
        case OpenReviewSource():
            return OpenReview(name, settings)
        case SemanticScholarSource():
            return SemanticScholar(name, settings, api_key(SEMANTIC_SCHOLAR_KEY))
