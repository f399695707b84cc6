"""Checks of the newsletter's files: settings, secrets and templates."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from email.utils import parseaddr
from pathlib import Path

from newsletter.audience.signup import SignupMail
from newsletter.config.mail import Imap, Smtp
from newsletter.config.secrets import secret_file, signing_key
from newsletter.config.settings import Config
from newsletter.delivery.bounces.bounce_mailbox import imap_password
from newsletter.delivery.smtp.session import account_password as account_secret
from newsletter.doctor.result import CheckResult, ok, warning
from newsletter.errors import UserError
from newsletter.model import (
    EventKind,
    Layout,
    Paper,
    PaperEvent,
    PaperUpdate,
)
from newsletter.rendering.announcement import FRAME, MailingLinks, compile_mailing, mailing_values, render_mailing
from newsletter.rendering.message import CLIPPED_FROM
from newsletter.rendering.template import BUNDLED, Look, Templates, load_templates, render
from newsletter.rendering.template_context import PersonalLinks, digest_context, interests_context, signup_context
from newsletter.services.email_images import read_logo
from newsletter.services.messages import look_of, sender_warnings, with_layout
from newsletter.services.sample_data import sample_digest, sample_reader
from newsletter.support.hosts import is_example

_DAY = date(2025, 11, 25)
_SITE = "https://papers.example.org"
"""In sample links of a newsletter without a site."""

INTEREST = "A test by the doctor"


def sender(config: Config) -> CheckResult:
    """Check that the sender is not an example."""
    site, name = config.site, "sender"
    domain = parseaddr(site.sender)[1].rpartition("@")[2]
    if is_example(domain):
        return warning(name, f"site.from: {site.sender} is an example address", "set site.from to your own")
    for doubt in sender_warnings(config):
        found, _, fix = doubt.rpartition("; ")
        return warning(name, found, fix)
    if "example" in site.postal_address.lower():
        return warning(name, f"site.postal_address: {site.postal_address} is an example", "set it to your own")
    return ok(name, f"{site.sender}, {site.postal_address}")


def key(folder: Path) -> CheckResult:
    """Check the key that signs links.

    Raises:
        UserError: it is not available, or readable by others.
    """
    return ok("signing key", f"{len(signing_key(folder))} characters, not readable by others")


def account_password(name: str, account_name: str, account: Smtp, folder: Path) -> CheckResult:
    """Check the password of an account. Raises the same errors as :func:`key`."""
    if account.user is None:
        return ok(name, "not needed: no login")
    if account.oauth2_file is not None:
        secret_file(folder / account.oauth2_file)
        return ok(name, f"{account.user}: OAuth2, {account.oauth2_file}")
    account_secret(account, folder, account_name)
    return ok(name, f"{account.user}: found")


def mailbox_password(settings: Imap, folder: Path) -> CheckResult:
    """Check the password of the bounce mailbox. Raises the same errors as :func:`key`."""
    imap_password(settings, folder)
    return ok("password bounces", f"{settings.user}: found")


def templates(config: Config) -> CheckResult:
    """Check that all templates compile, that the logo can be used, and that a digest of sample papers is below Gmail's
    clipping limit.

    Raises:
        UserError: a template in use has an error, or the logo cannot be used.
    """
    name, own = "templates", config.folder / config.templates
    used = list(dict.fromkeys(filter(None, (config.digest.template, config.digest.weekly_template))))
    read_logo(config)
    look = look_of(config)
    loaded = {one: load_templates(own, one, look) for one in used}
    sizes = {one: _largest_sample(config, filled) for one, filled in loaded.items()}
    unused = sorted(
        {path.stem for folder in (own, BUNDLED) for path in folder.glob("*.mjml")} - {*used, *SignupMail, FRAME}
    )
    for one in unused:
        try:
            _largest_sample(config, load_templates(own, one, look))
        except UserError as error:
            found, _, fix = error.lines[0].rpartition("; ")
            return warning(name, found, f"{fix}, or remove it: it is not in use")
    for mail in SignupMail:
        _sample_signup_mail(config, load_templates(own, mail.value, look))
    _sample_announcement(config, own, look)
    largest = max(sizes, key=lambda one: sizes[one])
    text = f"{largest}: ten papers make {sizes[largest] / 1000:.0f} kB of HTML"
    if sizes[largest] > CLIPPED_FROM:
        fix = f"make it smaller: over {CLIPPED_FROM // 1000} kB, the last papers are listed by title only"
        return warning(name, text, fix)
    for one, filled in loaded.items():
        if (ending := _without_updates(config, filled)) is not None:
            fix = f"include partials/updates.{ending} where the program's own digest.{ending} does"
            return warning(name, f"{one}.{ending} does not show what became of papers", fix)
    return ok(name, f"{', '.join((*used, *unused))}; {text}")


def _largest_sample(config: Config, filled: Templates) -> int:
    """Render a digest in each layout, and return the size in bytes of the largest HTML."""
    return max(len(_sample(config, filled, layout).encode()) for layout in Layout)


def _without_updates(config: Config, filled: Templates) -> str | None:
    """Return the ending of the template that does not show updates, if one of the two does not."""
    seen = datetime.combine(_DAY, time(), UTC)
    # Two, so that neither of them is the subject, which templates show too.
    examples = [Paper(title=f"Example {number} of a paper that was corrected", row=number) for number in (1, 2)]
    updates = (PaperUpdate(one, PaperEvent(kind=EventKind.CORRECTED, paper=one.row, seen_at=seen)) for one in examples)
    digest = replace(sample_digest(_DAY, INTEREST), updates=tuple(updates))
    values = digest_context(config.site, filled, sample_reader("you@example.org", INTEREST), digest, _links(config))
    shown = {"mjml": render(filled.html, values), "txt": render(filled.text, values)}
    return next((ending for ending, text in shown.items() if examples[1].title not in text), None)


def _sample(config: Config, filled: Templates, layout: Layout) -> str:
    reader = with_layout(sample_reader("you@example.org", INTEREST), layout)
    values = digest_context(config.site, filled, reader, sample_digest(_DAY, INTEREST), _links(config))
    render(filled.text, values)
    return render(filled.html, values)


def _links(config: Config) -> PersonalLinks:
    link = f"{config.site.url or _SITE}/preferences/1.{'x' * 43}"
    return PersonalLinks(
        link,
        link,
        link,
        one_click=link,
        browser=link,
        judge=lambda row, verdict: f"{link}.{verdict}",
        save=lambda row: link,
    )


def _sample_signup_mail(config: Config, filled: Templates) -> None:
    logo = filled.look.images.logo
    link, interests = f"{config.site.url or _SITE}/confirm/1.{'x' * 43}", ["As an example"]
    values = {
        **signup_context(config.site, "As an example", link, 48, logo),
        **interests_context(config.site, "As an example", link, True, interests, logo),
    }
    for part in (filled.text, filled.html):
        render(part, values)


def _sample_announcement(config: Config, own: Path, look: Look) -> None:
    compiled = compile_mailing(own, "As an example", False, "announcement.md", "As an example", look)
    link = f"{config.site.url or _SITE}/preferences/1.{'x' * 43}"
    links = MailingLinks(link, link, link, None, None)
    render_mailing(
        compiled, mailing_values(compiled, config.site, sample_reader("you@example.org", INTEREST), links, {})
    )
