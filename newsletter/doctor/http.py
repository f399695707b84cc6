"""Checks over HTTP: the sources and the site."""

from datetime import datetime, timedelta
from email.utils import parseaddr
from urllib.parse import urlsplit

from newsletter.audience.form_limits import mailbox_of
from newsletter.config.settings import Config
from newsletter.config.sources import Network
from newsletter.doctor.result import CheckResult, CheckSkipped, bad, ok, warning
from newsletter.model import SkippedPaper
from newsletter.sources.base import DateRange
from newsletter.sources.errors import SourceError
from newsletter.sources.factory import make_source
from newsletter.sources.http import HttpClient, user_agent
from newsletter.sources.source_reader import SourceReader, source_access
from newsletter.store.source_status import SourceStatus
from newsletter.support.hosts import is_example, is_loopback
from newsletter.support.text import to_single_line

_SECONDS = 10.0
_SOURCE_SECONDS = 60.0
_PAPERS = 20
_STALE = timedelta(days=3)
"""Longer than a weekend, when some sources publish nothing."""

_ONE_MAILBOX = "set site.reply_to to an address of that mailbox, or bounces.imap to read the other one"

HEALTH = "/healthz"
"""Path of the site's health check."""


def source(config: Config, name: str, record: SourceStatus | None, now: datetime, ahead: list[float]) -> CheckResult:
    """Check that a source answers, and report its last fetch. A few papers are read, and none are stored.

    Args:
        record: its status in the store. ``ahead``: collects by how much the server's clock is ahead.
    """
    line, asked = f"source {name}", make_source(name, config.sources[name], config.folder, config.contact)
    access = source_access(config, name, _once(config))
    try:
        with SourceReader(asked, DateRange(None, now.date()), access, _PAPERS) as reader:
            try:
                read = [bounded.item for block in reader.blocks() for bounded in block]
            finally:
                _take_time(reader.ahead, ahead)
    except SourceError as error:
        return bad(line, to_single_line(str(error)), f"check sources.{name} in config.yaml, or try again later")
    wrong = [paper for paper in read if isinstance(paper, SkippedPaper)]
    if wrong and len(wrong) == len(read):
        return warning(line, f"no paper can be read: {wrong[0].where}: {wrong[0].why}", "check the source's content")
    text = "answers" if read else "answers, nothing new today"
    return _with_record(line, name, text, record, now)


def _with_record(line: str, name: str, text: str, record: SourceStatus | None, now: datetime) -> CheckResult:
    if record is None:
        return ok(line, f"{text}; not fetched yet")
    if record.error is not None:
        return warning(line, f"{text}, but the last fetch failed: {record.error}", f"run 'newsletter fetch {name}'")
    assert record.last_success is not None  # noqa: S101 - without an error it succeeded
    when = f"{record.last_success:%Y-%m-%d %H:%M} UTC"
    if now - record.last_success > _STALE:
        return warning(
            line, f"{text}, but was last fetched {when}", "run 'newsletter fetch' every day, or 'newsletter run'"
        )
    return ok(line, f"{text}; last fetched {when}")


def site(config: Config, pages: bool, ahead: list[float]) -> CheckResult:
    """Check that the site answers, with a valid certificate.

    Args:
        pages: whether links in messages lead there.
    """
    name, url = "site", config.site.url
    if url is None:
        raise CheckSkipped("no public site, so nothing leads there; set site.url if there is to be one")
    host = urlsplit(url).hostname or ""
    needed = "readers unsubscribe there" if pages else "no link in a message leads there yet"
    if is_example(host):
        raise CheckSkipped(f"{url} is an example URL, {needed}; set site.url to your own")
    # The configuration names the site, wherever it is; its name may well have a private address in its own network.
    network = _once(config).model_copy(update={"allow_private": [*config.network.allow_private, host]})
    with HttpClient(network, user_agent(url, config.contact)) as http:
        try:
            http.get(f"{url}{HEALTH if pages else '/'}")
            text = "answers"
        except SourceError as error:
            if pages or error.status is None or error.status >= 500:
                return _no_answer(name, url, error, pages)
            text = f"answers with status {error.status}"
        finally:
            _take_time(http.ahead, ahead)
    if not (url.startswith("https:") or is_loopback(host)):
        return warning(
            name, f"{url} {text}, without TLS", "serve it over HTTPS, which RFC 8058 requires for unsubscribing"
        )
    return ok(name, f"{url} {text}; {needed}")


def _no_answer(name: str, url: str, error: SourceError, pages: bool) -> CheckResult:
    text = to_single_line(str(error))
    if pages:
        fix = "check the web server, its certificate and site.url: readers unsubscribe there"
        return bad(name, text, fix)
    if error.status is None and is_loopback(urlsplit(url).hostname or ""):
        raise CheckSkipped(f"{url} is on this machine only, and no link leads there yet; set a public URL later")
    return warning(name, f"{text}; no link in a message leads there yet", "set site.url to a URL that readers can open")


def unsubscribing(config: Config, pages: bool) -> CheckResult:
    """Report how readers unsubscribe."""
    name = "unsubscribe"
    if pages and config.site.url is not None:
        return ok(name, f"one click at {config.site.url}, or email")
    if (elsewhere := _read_elsewhere(config)) is not None:
        return warning(name, elsewhere, _ONE_MAILBOX)
    read = _read_emails(config)
    if read is not None:
        return ok(name, read)
    address = parseaddr(config.site.reply_to or config.site.sender)[1]
    text = f"email to {address}, which you process with 'newsletter unsubscribe'"
    return warning(name, text, "set bounces.imap or bounces.maildir to process these emails automatically")


def feedback(config: Config) -> CheckResult:
    """Report how readers give feedback and change their interests."""
    name = "feedback"
    if config.site.url is not None:
        return ok(name, f"pages at {config.site.url}")
    if (elsewhere := _read_elsewhere(config)) is not None:
        return warning(name, elsewhere, _ONE_MAILBOX)
    read = _read_emails(config)
    if read is not None:
        return ok(name, f"{read}; readers change their interests the same way, but not their schedule")
    text = "messages have no links for it, since there is neither a site nor a mailbox to read"
    return warning(name, text, "set site.url, or bounces.imap or bounces.maildir")


def _read_elsewhere(config: Config) -> str | None:
    """Return what is wrong if readers' emails probably do not arrive in the mailbox that is read; None if they do."""
    address, bounces = config.command_address or "", config.bounces
    # An address for bounces was chosen for this mailbox. A user name that is not an address tells nothing.
    if bounces.address is not None or bounces.imap is None or "@" not in bounces.imap.user:
        return None
    if mailbox_of(address) == mailbox_of(bounces.imap.user):
        return None
    return f"email to {address}, but 'newsletter run' reads the mailbox of {bounces.imap.user}"


def _read_emails(config: Config) -> str | None:
    """Describe where readers' emails go and how they are read; None if they are not."""
    address, bounces = config.command_address, config.bounces
    if address is None:
        return None
    if bounces.imap is not None:
        return f"email to {address}, which 'newsletter run' reads from {bounces.imap.folder} of {bounces.imap.user}"
    if bounces.maildir is not None:
        return f"email to {address}, which 'newsletter run' reads from {bounces.maildir}"
    return f"email to {address}, which its mail server must pass to 'newsletter bounces read -'"


def _once(config: Config) -> Network:
    """Return network limits for one attempt without retries."""
    limits = {"attempts": 1, "timeout_seconds": min(config.network.timeout_seconds, _SECONDS)}
    limits["source_seconds"] = min(config.network.source_seconds, _SOURCE_SECONDS)
    return config.network.model_copy(update=limits)


def _take_time(text: float | None, ahead: list[float]) -> None:
    if text is not None:
        ahead.append(text)
