"""Create a source from its settings, by its kind."""

from pathlib import Path

from newsletter.config.libraries import openalex_key
from newsletter.config.sources import (
    ArxivSource,
    BiorxivSource,
    CrossrefSource,
    FeedSource,
    FileSource,
    HuggingFaceSource,
    OpenAlexSource,
    SourceSettings,
)
from newsletter.sources.arxiv import Arxiv
from newsletter.sources.base import Source
from newsletter.sources.biorxiv import Biorxiv
from newsletter.sources.crossref import Crossref
from newsletter.sources.feed import Feed
from newsletter.sources.files import FileReader
from newsletter.sources.huggingface import HuggingFace
from newsletter.sources.openalex_search import OpenAlexSearch


def make_source(name: str, settings: SourceSettings, folder: Path, contact: str = "") -> Source:
    """Create the source of some settings.

    Args:
        folder: where relative paths of files start.
        contact: a mail address for the operators of APIs that ask for one.
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
