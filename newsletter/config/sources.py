"""Settings of the sources of papers and of network access."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from newsletter.config.base import Settings
from newsletter.config.fields import ArxivCategories, FileName, Line, OpenReviewVenue, PrivateAddress, Url
from newsletter.config.source_fields import (
    Authors,
    Choices,
    DoiPrefixes,
    Institutions,
    Issns,
    Languages,
    Members,
    OpenAlexSources,
    Topics,
)

CrossrefType = Literal[
    "journal-article",
    "proceedings-article",
    "posted-content",
    "book-chapter",
    "book",
    "monograph",
    "edited-book",
    "report",
    "dissertation",
]
OpenAlexType = Literal["article", "review", "preprint", "letter", "book-chapter", "book", "dissertation", "report"]


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
    replacements: bool = Field(
        default=False, description="List announced new versions as papers; without it they update papers in the store."
    )
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


class CrossrefSource(Settings):
    """Works that publishers registered with Crossref: of journals, publishers, or found by words."""

    kind: Literal["crossref"]
    issn: Issns = Field(default_factory=list, description="Journals by ISSN, printed or electronic, like 1476-4687.")
    prefix: DoiPrefixes = Field(
        default_factory=list, description="Publishers by the prefix of their DOIs, like 10.1101."
    )
    member: Members = Field(default_factory=list, description="Publishers by their number at Crossref, like 297.")
    query: Line | None = Field(default=None, description="Words to search for in titles, authors and journals.")
    types: Annotated[list[CrossrefType], Choices] = Field(
        default=["journal-article", "proceedings-article", "posted-content"],
        min_length=1,
        description="Which kinds of works; posted-content is preprints.",
    )
    notices: bool = Field(
        default=True, description="Also ask for all retractions, corrections and expressions of concern."
    )
    max_results: int = Field(
        default=1_000, ge=1, le=10_000, description="With a query: only so many of the best matches."
    )
    api_url: Url = Field(default="https://api.crossref.org/works", description="Address of the API.")
    pause_seconds: float = Field(
        default=0.4, ge=0, le=600, description="Delay between requests; Crossref allows three lists per second."
    )

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.issn or self.prefix or self.member or self.query):
            raise ValueError("names no works; set issn, prefix, member or query")
        return self


class OpenAlexSource(Settings):
    """Works of OpenAlex: of topics, institutions, authors or journals, or found by words."""

    kind: Literal["openalex"]
    topics: Topics = Field(default_factory=list, description="Topics by their id, like T10028.")
    institutions: Institutions = Field(
        default_factory=list, description="Institutions of an author, by ROR id (05dxps055) or id (I63966007)."
    )
    authors: Authors = Field(default_factory=list, description="Authors, by ORCID iD or id (A5023888391).")
    sources: OpenAlexSources = Field(default_factory=list, description="Journals or conferences, by id (S137773608).")
    query: Line | None = Field(default=None, description="Words to find in the title or abstract, with AND, OR, NOT.")
    languages: Languages = Field(default_factory=list, description="Only these languages, like en (default: all).")
    types: Annotated[list[OpenAlexType], Choices] = Field(
        default=["article", "review", "preprint", "letter"],
        min_length=1,
        description="Which kinds of works.",
    )
    days: int = Field(
        default=14, ge=1, le=365, description="Publication days that a daily fetch asks for; works are listed late."
    )
    pause_seconds: float = Field(default=0.1, ge=0, le=600, description="Delay between requests.")
    api_url: Url = Field(default="https://api.openalex.org", description="Address of the API.")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.topics or self.institutions or self.authors or self.sources or self.query):
            raise ValueError("names no works; set topics, institutions, authors, sources or query")
        return self


class FeedSource(Settings):
    """Any RSS or Atom feed."""

    kind: Literal["feed"]
    url: Url = Field(description="Address of the feed, such as https://journal.example/feed.xml.")


class FileSource(Settings):
    """A file that is read at each fetch: a saved Daily Papers page, JSON lines, BibTeX or RIS, by its extension."""

    kind: Literal["file"]
    path: FileName = Field(description="The file; a relative path starts from the folder of config.yaml.")


class PubMedSource(Settings):
    """Articles of PubMed that match a search."""

    kind: Literal["pubmed"]
    query: Line = Field(description="What to search for, as on the site: crispr[tiab] AND english[la].")
    notices: bool = Field(
        default=True, description="Also ask for all retractions, corrections and expressions of concern."
    )
    api_url: Url = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"
    pause_seconds: float | None = Field(
        default=None, ge=0, le=600, description="Delay between requests; by default as NCBI's terms require."
    )


class OpenReviewSource(Settings):
    """Papers of a conference or journal on OpenReview."""

    kind: Literal["openreview"]
    venue: OpenReviewVenue = Field(description="The venue's id, as in its address: ICLR.cc/2026/Conference.")
    status: Literal["accepted", "all"] = Field(
        default="accepted", description="Only accepted papers, or all submissions that are public."
    )
    api_url: Url = Field(
        default="https://api2.openreview.net",
        description="https://api.openreview.net for venues before 2024.",
    )


class SemanticScholarSource(Settings):
    """Papers of Semantic Scholar that match a search, with their summaries."""

    kind: Literal["semanticscholar"]
    query: Line = Field(description='Words and "phrases", with + for and, | for or, - for not.')
    fields_of_study: list[Line] = Field(default_factory=list, description="Only these, such as Computer Science.")
    tldr: bool = Field(default=True, description="Also ask for the summaries.")
    api_url: Url = "https://api.semanticscholar.org"
    pause_seconds: float = Field(default=1.0, ge=0, le=600, description="Delay between requests.")


SourceSettings = Annotated[
    HuggingFaceSource
    | ArxivSource
    | BiorxivSource
    | CrossrefSource
    | OpenAlexSource
    | FeedSource
    | FileSource
    | PubMedSource
    | OpenReviewSource
    | SemanticScholarSource,
    Field(discriminator="kind"),
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
