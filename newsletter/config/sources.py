"""Settings of the sources of papers and of network access."""

from typing import Annotated, Literal

from pydantic import Field

from newsletter.config.base import Settings
from newsletter.config.fields import ArxivCategories, FileName, Line, PrivateAddress, Url


class HuggingFaceSource(Settings):
    """The Hugging Face daily papers."""

    kind: Literal["huggingface"]
    endpoint: Url = Field(default="https://huggingface.co", description="Address of the site.")
    by: Literal["date", "week", "month"] = Field(
        default="date", description="Which lists are fetched: by date, week or month."
    )


class ArxivSource(Settings):
    """arXiv categories: their feeds for the daily run, the API for a range of days."""

    kind: Literal["arxiv"]
    categories: ArxivCategories = Field(description="Categories of arXiv, such as cs.LG or stat.ML.")
    replacements: bool = Field(default=False, description="Include announced replacements.")
    feed_url: Url = Field(default="https://rss.arxiv.org/atom", description="Address of the announcement feeds.")
    api_url: Url = Field(default="https://export.arxiv.org/api/query", description="Address of the API.")
    pause_seconds: float = Field(
        default=3.0, ge=0, le=600, description="Delay between calls, as arXiv's terms require."
    )


class BiorxivSource(Settings):
    """bioRxiv or medRxiv, by their details API."""

    kind: Literal["biorxiv", "medrxiv"]
    categories: list[Line] = Field(default_factory=list, description="Only these categories (default: all).")
    api_url: Url = Field(default="https://api.biorxiv.org/details", description="Address of the API.")


class FeedSource(Settings):
    """Any RSS or Atom feed."""

    kind: Literal["feed"]
    url: Url = Field(description="Address of the feed, such as https://journal.example/feed.xml.")


class FileSource(Settings):
    """A file that is read at each fetch: a saved Daily Papers page, JSON lines, BibTeX or RIS, by its extension."""

    kind: Literal["file"]
    path: FileName = Field(description="The file; a relative path starts from the folder of config.yaml.")


SourceSettings = Annotated[
    HuggingFaceSource | ArxivSource | BiorxivSource | FeedSource | FileSource, Field(discriminator="kind")
]


class Network(Settings):
    """Network access to the sources."""

    timeout_seconds: float = Field(default=30.0, gt=0, le=3600)
    attempts: int = Field(default=4, ge=1, le=20, description="Attempts per request.")
    wait_seconds: float = Field(
        default=1.0, ge=0, le=600, description="Before the first retry; doubled for each one after it."
    )
    contact: Line | None = Field(
        default=None, description="In the User-Agent; the reply-to or from address if not set."
    )
    source_seconds: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="Time limit for one source: requests, waits, reading and storing.",
    )
    source_papers: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Maximum papers of one source per fetch."
    )
    allow_private: list[PrivateAddress] = Field(
        default_factory=list, description="Hosts and networks (10.0.0.0/8) that may be on a private address."
    )
    proxy: Url | None = Field(
        default=None, description="For requests to sources; proxy variables of the environment are ignored."
    )
