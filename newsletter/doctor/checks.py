"""The list of checks, in the order of their results."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import make_msgid
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from newsletter.audience.signed_links import Links
from newsletter.config.secrets import signing_key
from newsletter.config.settings import Config
from newsletter.delivery.bounces.verp import return_path
from newsletter.doctor import domain, http, machine, mail, project, store, webhooks
from newsletter.doctor.dns import Resolver
from newsletter.doctor.result import Check, CheckResult, not_checked, of_error, ok, warning
from newsletter.doctor.runner import run_parallel
from newsletter.doctor.sentence_model import sentence_model
from newsletter.errors import NewsletterError, UserError
from newsletter.model import Message, SubscriberState
from newsletter.services.context import AppContext
from newsletter.services.messages import render_message
from newsletter.services.sample_data import sample_digest, sample_reader
from newsletter.store import health, open_store, reading, source_status, subscribers
from newsletter.support.clock import Clock
from newsletter.support.threads import run_in_thread

LONGEST = 25.0
"""Time limit for all checks, in seconds."""

_STORE_SECONDS = 5.0
_STORE_FIX = "check what else uses the store, and its disk"
_NO_KEY = "doctor"
_OURS = "report this message as a bug"
_SMTP_FIX = "check host, port and security of the account, and the network"


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What the checks need.

    Attributes:
        names: the DNS resolver. ``pages``: whether links in messages lead to the site.
        ahead: collects by how many seconds the clocks of servers are ahead of this machine's.
    """

    config: Config
    clock: Clock
    names: Resolver
    pages: bool
    ahead: list[float] = field(default_factory=list)


def run_checks(
    file: Path,
    config: Config,
    clock: Clock,
    names: Resolver | None = None,
    send_to: str | None = None,
    offline: bool = False,
    pages: bool = True,
) -> Iterator[CheckResult]:
    """Run all checks; yields each result as soon as it and those before it are known.

    Args:
        file: the path of the configuration. ``config``: its content.
        names: the DNS resolver (default: the system's).
        send_to: address to which each account sends a digest of sample papers.
        offline: whether to skip checks that need the network.
        pages: whether links in messages lead to the site.
    """
    end = time.monotonic() + LONGEST
    context = CheckContext(config, clock, names or Resolver(), pages)
    yield _config(file, config)
    yield machine.programs(clock())
    engine = _open(config)
    checks = [*_files(context), *_kept(context, engine), *_network(context, engine, send_to)]
    yield from run_parallel([one for one in checks if not (offline and one.network)], end - time.monotonic())
    # Last, since it compares the clocks of the servers that answered.
    yield from run_parallel([Check("clock", partial(_clock, context, engine), _STORE_FIX)], _STORE_SECONDS)
    if offline:
        yield not_checked("network", "skipped: sources, site, mail servers, DNS", "run it without --offline")


def config_problems(error: UserError) -> Iterator[CheckResult]:
    """Yield the results when the configuration is invalid: one for each error."""
    for line in error.lines:
        yield of_error("config", UserError(line), "correct this line")
    yield not_checked("everything else", "needs a valid configuration", "fix the configuration first")


def _config(file: Path, config: Config) -> CheckResult:
    sources, accounts = len(config.sources), len(config.mail_accounts)
    text = f"{sources} source{'' if sources == 1 else 's'}, {accounts} mail server{'' if accounts == 1 else 's'}"
    if not sources:
        return warning(
            "config", "no sources of papers", "run 'newsletter sources add', or import files with 'newsletter import'"
        )
    return ok("config", f"{file}: {text}")


def _open(config: Config) -> Engine | NewsletterError:
    """Open the store, or return the error."""
    try:
        return run_in_thread(partial(open_store, config.store_url)).result(timeout=_STORE_SECONDS)
    except NewsletterError as error:
        return error
    except TimeoutError:
        return NewsletterError(f"store: opening it timed out after {_STORE_SECONDS:g} s; {_STORE_FIX}")


def _files(context: CheckContext) -> Iterator[Check]:
    """Yield the checks that only need files."""
    config, folder = context.config, context.config.folder
    yield Check("sender", partial(project.sender, config), _OURS)
    yield Check("signing key", partial(project.key, folder), _OURS)
    for name, account in config.mail_accounts.items():
        if account.user is not None:
            line = _line("password", name)
            look = partial(project.account_password, line, name, account, folder)
            yield Check(line, look, "unlock the keyring, or set a password file")
    if config.bounces.imap is not None:
        look = partial(project.mailbox_password, config.bounces.imap, folder)
        yield Check("password bounces", look, "unlock the keyring, or set a password file")
    yield Check("templates", partial(project.templates, config), "fix the template")
    yield Check("unsubscribe", partial(http.unsubscribing, config, context.pages), _OURS)
    yield Check("feedback", partial(http.feedback, config), _OURS)
    for name in config.webhooks.providers.configured:
        yield Check(f"webhook {name}", partial(webhooks.provider, name, config), "check webhooks.providers")
    if config.bounces.maildir is not None:
        yield Check("bounce mailbox", partial(mail.mailbox, config.bounces, folder), "check bounces.maildir")


def _kept(context: CheckContext, opened: Engine | NewsletterError) -> Iterator[Check]:
    """Yield the checks that need the store."""
    config, clock = context.config, context.clock
    if isinstance(opened, NewsletterError):
        yield Check("store", partial(_raise, opened), _STORE_FIX)
        yield Check("disk", partial(_disk, context, None), _STORE_FIX)
        return
    yield Check("store", partial(store.store, config, opened), _STORE_FIX)
    yield Check("disk", partial(_disk, context, opened), _STORE_FIX)
    yield Check("subscribers", lambda: store.people(config, opened, clock()), _STORE_FIX)
    if config.ranking.semantic is not None:
        yield Check("sentence model", lambda: sentence_model(config, opened), "check ranking.semantic in config.yaml")
    for name in config.webhooks.endpoints:
        yield Check(f"webhook {name}", partial(webhooks.endpoint, config, opened, name), _OURS)
    yield Check("sends", lambda: store.sends(opened, clock()), _STORE_FIX)
    yield Check("schedule", lambda: store.schedule(opened, clock()), _STORE_FIX)
    yield Check("reload", lambda: store.reload(opened), _STORE_FIX)


def _network(context: CheckContext, opened: Engine | NewsletterError, send_to: str | None) -> Iterator[Check]:
    """Yield the checks that need the network."""
    config, names, folder = context.config, context.names, context.config.folder
    for name, source in config.sources.items():
        fix = f"check sources.{name} in config.yaml, and the network"
        look = partial(_source, context, opened, name)
        yield Check(f"source {name}", look, fix, network=source.kind != "file")
    look = partial(http.site, config, context.pages, context.ahead)
    yield Check("site", look, "check site.url in config.yaml, and the network", network=True)
    sender = domain.sender_of(config)
    address = config.bounces.address
    # As in real messages: a server may refuse a plus sign.
    envelope = return_path(address, _NO_KEY, 0, context.clock().date()) if address else sender.envelope
    for name, account in config.mail_accounts.items():
        line = _line("smtp", name)
        look = partial(mail.session, line, name, account, folder, envelope)
        yield Check(line, look, _SMTP_FIX, network=True)
        if send_to is not None:
            line = _line("message", name)
            look = partial(mail.test_message, line, name, account, folder, partial(_compose, context, opened, send_to))
            yield Check(line, look, _SMTP_FIX, network=True)
    if config.bounces.imap is not None:
        yield Check("bounce mailbox", partial(mail.mailbox, config.bounces, folder), "check bounces.imap", network=True)
    yield Check("spf", partial(domain.spf_record, names, sender, config.mail_accounts), _OURS, network=True)
    for name, account in config.mail_accounts.items():
        line = _line("dkim", name)
        look = partial(domain.dkim_key, names, line, account, folder, sender.domain)
        yield Check(line, look, _OURS, network=True)
    signs = all(account.signs for account in config.mail_accounts.values())
    yield Check("dmarc", partial(domain.dmarc_policy, names, sender, signs), _OURS, network=True)
    yield Check("bounces", partial(domain.return_address, names, sender), _OURS, network=True)


def _line(what: str, account: str) -> str:
    """Return the name of an account's check."""
    return what if account == "smtp" else f"{what} {account}"


def _raise(error: NewsletterError) -> CheckResult:
    raise error


def _source(context: CheckContext, opened: Engine | NewsletterError, name: str) -> CheckResult:
    record = None
    if not isinstance(opened, NewsletterError):
        with reading(opened) as connection:
            record = source_status.statuses(connection).get(name)
    return http.source(context.config, name, record, context.clock(), context.ahead)


def _disk(context: CheckContext, engine: Engine | None) -> CheckResult:
    config, readers = context.config, 0
    if engine is not None:
        with reading(engine) as connection:
            readers = subscribers.counts(connection).get(SubscriberState.ACTIVE, 0)
    file = store.file_of(config)
    folders = [config.index_folder, config.folder / "var", *([file.parent] if file else [])]
    return machine.disk(folders, config.index_folder, readers)


def _clock(context: CheckContext, opened: Engine | NewsletterError) -> CheckResult:
    newest = None
    if not isinstance(opened, NewsletterError):
        with reading(opened) as connection:
            newest = health.newest(connection)
    return machine.clock(context.clock(), newest, context.ahead)


def _compose(context: CheckContext, opened: Engine | NewsletterError, address: str) -> Message:
    """Compose a message like a real digest, from sample papers."""
    if isinstance(opened, NewsletterError):
        raise opened
    config = context.config
    app = AppContext(config, opened, context.clock, Links(config.site.url, signing_key(config.folder)))
    identity = make_msgid("doctor", domain=domain.sender_of(config).domain)
    digest = sample_digest(context.clock().date(), project.INTEREST)
    return render_message(app, {}, sample_reader(address, project.INTEREST), digest, identity)
