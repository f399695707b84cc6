"""Settings of readers' libraries: where Zotero and OpenAlex are, and how often they are asked."""

from pydantic import Field

from newsletter.config.base import Settings
from newsletter.config.fields import Url
from newsletter.config.secrets import api_key

ZOTERO_KEY = "NEWSLETTER_ZOTERO_KEY"
"""The environment variable of the key for Zotero libraries that name no other."""

OPENALEX_KEY = "NEWSLETTER_OPENALEX_KEY"


class Libraries(Settings):
    """Readers' libraries."""

    sync_hours: float = Field(default=12.0, ge=0.25, le=8_760, description="Interval between syncs of a library.")
    zotero_url: Url = Field(default="https://api.zotero.org", description="The Zotero Web API.")
    openalex_url: Url = Field(default="https://api.openalex.org", description="The OpenAlex API.")
    openalex_requests_per_day: int = Field(
        default=1_000,
        ge=0,
        le=100_000,
        description="Requests for alerts and libraries; the rest waits for another day.",
    )


def openalex_key() -> str | None:
    """Return the key of the OpenAlex API from the environment; None without one."""
    return api_key(OPENALEX_KEY)
