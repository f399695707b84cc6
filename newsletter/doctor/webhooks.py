"""Checks of webhooks: those that mail providers post to, and the endpoints that events are posted to."""

from urllib.parse import urlsplit

from sqlalchemy import Engine

from newsletter.config.secrets import webhook_secrets
from newsletter.config.settings import Config
from newsletter.doctor.result import CheckResult, ok, warning
from newsletter.store import reading, webhook_deliveries
from newsletter.store.webhook_deliveries import EndpointSummary
from newsletter.store.webhooks import DeliveryState
from newsletter.support.hosts import is_example, is_loopback


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


def endpoint(config: Config, engine: Engine, name: str) -> CheckResult:
    """Check that an endpoint has a secret and TLS, and that it gets its events. Nothing is posted to it.

    Raises:
        UserError: its secret is missing, readable by others or not valid.
    """
    line, settings = f"webhook {name}", config.webhooks.endpoints[name]
    webhook_secrets(name, settings.secret_file, config.folder)
    host = urlsplit(settings.url).hostname or ""
    if is_example(host):
        return warning(line, f"{settings.url} is an example URL", f"set webhooks.endpoints.{name}.url to your own")
    if not settings.url.startswith("https:") and not is_loopback(host):
        fix = "serve it over HTTPS: events have addresses of subscribers"
        return warning(line, f"{settings.url} is without TLS", fix)
    with reading(engine) as connection:
        found = webhook_deliveries.summaries(connection).get(name, EndpointSummary())
    if found.stopped is not None:
        fix = f"remove it from config.yaml, or run 'newsletter webhooks retry {name}'"
        return warning(
            line, f"gets no events since it answered with status 410 on {found.stopped:%Y-%m-%d %H:%M} UTC", fix
        )
    waiting, failed = (found.counts.get(state, 0) for state in (DeliveryState.WAITING, DeliveryState.FAILED))
    if failed:
        fix = f"see 'newsletter webhooks failures {name}', then run 'newsletter webhooks retry {name}'"
        return warning(line, f"{failed:,} events were not accepted within 24 hours", fix)
    return ok(line, f"{settings.url}, {waiting:,} events waiting; test it with 'newsletter webhooks test {name}'")
