"""Create a source from its settings, by its kind."""

from pathlib import Path

from newsletter.config.sources import (
    ArxivSource,
    BiorxivSource,
    FeedSource,
    FileSource,
    HuggingFaceSource,
    SourceSettings,
)
from newsletter.sources.arxiv import Arxiv
from newsletter.sources.base import Source
from newsletter.sources.biorxiv import Biorxiv
from newsletter.sources.feed import Feed
from newsletter.sources.files import FileReader
from newsletter.sources.huggingface import HuggingFace


def make_source(name: str, settings: SourceSettings, folder: Path) -> Source:
    """Create the source of some settings; relative paths of files start from ``folder``."""
    match settings:
        case HuggingFaceSource():
            return HuggingFace(name, settings)
        case ArxivSource():
            return Arxiv(name, settings)
        case BiorxivSource():
            return Biorxiv(name, settings)
        case FeedSource():
            return Feed(name, settings)
        case FileSource():
            return FileReader(name, settings, folder)
