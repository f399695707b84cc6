"""The rounds: what is looked at, and in which order it is told."""

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
from newsletter.doctor import domain, http, machine, mail, project, store
from newsletter.doctor.dns import Resolver
from newsletter.doctor.result import Check, CheckResult, not_checked, of_error, ok, warning
from newsletter.doctor.runner import run_in_thread, run_parallel
from newsletter.errors import NewsletterError, UserError
from newsletter.model import Message, SubscriberState
from newsletter.services.context import AppContext
from newsletter.services.messages import render_message
from newsletter.store import health, open_store, reading, source_status, subscribers
from newsletter.support.clock import Clock

LONGEST = 25.0
"""Seconds that the rounds take in all, though nothing answers."""

_STORE_SECONDS = 5.0
_STORE_MEND = "see who else uses the store, and the disk it lies on"
_NO_KEY = "doctor"
_OURS = "tell its makers what it says here"
_SMTP_MEND = "check host, port and security of the account, and the network"


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The newsletter that is looked at.

    Attributes:
        names: the DNS. ``pages``: whether links in messages lead to the site.
        ahead: fills, as servers answer, with how many seconds their clocks are ahead of this machine's.
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
    """Look at everything that a newsletter needs. A line comes as soon as it and those before it are known.

    Args:
        file: the configuration's. ``config``: what stands in it.
        names: the DNS; the machine's own unless given.
        send_to: an address to which each account sends a message, with a digest of the sample papers.
        offline: whether what needs the network is left out.
        pages: whether links in messages lead to the site.
    """
    end = time.monotonic() + LONGEST
    context = CheckContext(config, clock, names or Resolver(), pages)
    yield _config(file, config)
    yield machine.programs(clock())
    engine = _open(config)
    checks = [*_files(context), *_kept(context, engine), *_network(context, engine, send_to)]
    yield from run_parallel([one for one in checks if not (offline and one.network)], end - time.monotonic())
    # The last, since it hears of the time from whoever answered.
    yield from run_parallel([Check("clock", partial(_clock, context, engine), _STORE_MEND)], _STORE_SECONDS)
    if offline:
        yield not_checked("network", "left out: sources, site, mail servers, DNS", "run it without --offline")


def config_problems(error: UserError) -> Iterator[CheckResult]:
    """What is told when there is no configuration to go by: its mistakes, a line each."""
    for line in error.lines:
        yield of_error("config", UserError(line), "mend the file")
    yield not_checked("all else", "waits for the configuration", "mend it and run this again")


def _config(file: Path, config: Config) -> CheckResult:
    sources, accounts = len(config.sources), len(config.mail_accounts)
    text = f"{sources} source{'' if sources == 1 else 's'}, {accounts} mail server{'' if accounts == 1 else 's'}"
    if not sources:
        return warning(
            "config", "no source of papers", "add one under 'sources', or bring files with 'newsletter import'"
        )
    return ok("config", f"{file}: {text}")


def _open(config: Config) -> Engine | NewsletterError:
    """The store, or why there is none."""
    try:
        return run_in_thread(partial(open_store, config.store_url)).result(timeout=_STORE_SECONDS)
    except NewsletterError as error:
        return error
    except TimeoutError:
        return NewsletterError(f"store: it did not open within {_STORE_SECONDS:g} s; {_STORE_MEND}")


def _files(context: CheckContext) -> Iterator[Check]:
    """What needs the files of the newsletter alone."""
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
    yield Check("templates", partial(project.templates, config), "mend the template")
    yield Check("unsubscribe", partial(http.unsubscribing, config, context.pages), _OURS)
    if config.bounces.maildir is not None:
        yield Check("bounce mailbox", partial(mail.mailbox, config.bounces, folder), "check bounces.maildir")


def _kept(context: CheckContext, opened: Engine | NewsletterError) -> Iterator[Check]:
    """What needs the store."""
    config, clock = context.config, context.clock
    if isinstance(opened, NewsletterError):
        yield Check("store", partial(_raise, opened), _STORE_MEND)
        yield Check("disk", partial(_disk, context, None), _STORE_MEND)
        return
    yield Check("store", partial(store.store, config, opened), _STORE_MEND)
    yield Check("disk", partial(_disk, context, opened), _STORE_MEND)
    yield Check("subscribers", lambda: store.people(config, opened, clock()), _STORE_MEND)
    yield Check("sends", lambda: store.sends(opened, clock()), _STORE_MEND)
    yield Check("schedule", lambda: store.schedule(opened, clock()), _STORE_MEND)


def _network(context: CheckContext, opened: Engine | NewsletterError, send_to: str | None) -> Iterator[Check]:
    """What needs the network."""
    config, names, folder = context.config, context.names, context.config.folder
    for name, source in config.sources.items():
        fix = f"see sources.{name} in config.yaml, and the network"
        look = partial(_source, context, opened, name)
        yield Check(f"source {name}", look, fix, network=source.kind != "file")
    look = partial(http.site, config, context.pages, context.ahead)
    yield Check("site", look, "see site.url in config.yaml, and the network", network=True)
    sender = domain.sender_of(config)
    address = config.bounces.address
    # As messages have it: a server may refuse what has a plus sign.
    envelope = return_path(address, _NO_KEY, 0, context.clock().date()) if address else sender.envelope
    for name, account in config.mail_accounts.items():
        line = _line("smtp", name)
        look = partial(mail.session, line, name, account, folder, envelope)
        yield Check(line, look, _SMTP_MEND, network=True)
        if send_to is not None:
            line = _line("message", name)
            look = partial(mail.test_message, line, name, account, folder, partial(_compose, context, opened, send_to))
            yield Check(line, look, _SMTP_MEND, network=True)
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
    """What the line of an account is called."""
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
    """A message as readers get them, for nobody's digest."""
    if isinstance(opened, NewsletterError):
        raise opened
    config = context.config
    app = AppContext(config, opened, context.clock, Links(config.site.url, signing_key(config.folder)))
    identity = make_msgid("doctor", domain=domain.sender_of(config).domain)
    digest = project.sample_digest(context.clock().date())
    return render_message(app, {}, project.sample_reader(address), digest, identity)
