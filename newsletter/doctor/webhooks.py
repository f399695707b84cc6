"""Checks of the webhooks that mail providers post to."""

from urllib.parse import urlsplit

from newsletter.config.settings import Config
from newsletter.doctor.result import CheckResult, ok, warning
from newsletter.support.hosts import is_loopback


def provider(name: str, config: Config) -> CheckResult:
    """Check that requests of a configured provider can be verified, and come over TLS.

    Raises:
        UserError: its secret is missing or cannot be read.
    """
    line, settings = f"webhook {name}", getattr(config.webhooks.providers, name)
    if hasattr(settings, "secret"):
        settings.secret(config.folder)
    url = config.site.url
    if url is None:
        return warning(line, "no site, so it cannot be reached", "set site.url to the site's public URL")
    where = f"{url.rstrip('/')}/webhooks/{name}"
    if not url.startswith("https:") and not is_loopback(urlsplit(url).hostname or ""):
        return warning(line, f"{where} is without TLS", "serve the site over HTTPS and set site.url to it")
    return ok(line, f"{where}; requests are verified")
