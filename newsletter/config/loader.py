"""Reading ``config.yaml``."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from newsletter.config.settings import Config, min_keep_days
from newsletter.config.yaml import check, parse
from newsletter.errors import UserError
from newsletter.support.files import read_text
from newsletter.support.text import is_utf8

_NO_SECRETS = "a secret does not belong in config.yaml; remove it and set {} or the keyring instead"
_NO_KEYRING = "a secret does not belong in config.yaml; remove it and set {} or {} instead"
_FIXES: Mapping[str, str] = {
    "smtp.password": _NO_SECRETS.format("NEWSLETTER_SMTP_PASSWORD, smtp.password_file"),
    "bounces.imap.password": _NO_SECRETS.format("NEWSLETTER_IMAP_PASSWORD, bounces.imap.password_file"),
    "schedule.keep_skipped_days": "was renamed; use log.keep_skipped_days",
    "site.secret_key": _NO_SECRETS.format("NEWSLETTER_SECRET_KEY"),
    "webhooks.providers.mailgun.signing_key": _NO_KEYRING.format("NEWSLETTER_MAILGUN_SIGNING_KEY", "signing_key_file"),
    "webhooks.providers.postmark.password": _NO_KEYRING.format("NEWSLETTER_POSTMARK_WEBHOOK_PASSWORD", "password_file"),
    "webhooks.providers.brevo.token": _NO_KEYRING.format("NEWSLETTER_BREVO_WEBHOOK_TOKEN", "token_file"),
}


def load_config(path: Path) -> Config:
    """Load and validate a config file.

    Raises:
        UserError: it cannot be read or has errors (one line each).
    """
    shown = str(path)
    with suppress(OSError):  # read_text reports it
        if not path.exists():
            raise UserError(
                f"{shown}: no such file; create one with 'newsletter init .', or pass another with --config"
            )
    if not is_utf8(str(path.absolute())):
        raise UserError(f"{path.absolute()}: the path is not UTF-8; rename the folder")
    return parse_config(read_text(path, shown), path)


def parse_config(text: str, path: Path) -> Config:
    """Validate the text of a config file.

    Raises:
        UserError: it has errors (one line each).
    """
    document = parse(text, str(path))
    config = check(document, Config, _FIXES)
    where = f"{document.where(('store', 'url'))}: store.url"
    try:
        url = make_url(config.store.url)
        password = url.password or url.query.get("password")
    except (ArgumentError, ValueError):
        # It may still contain a password.
        said = re.sub(r"//[^/]*@", "//...@", config.store.url)
        raise UserError(f"{where}: {said!r} is not a database URL; write it like sqlite:///var/newsletter.db") from None
    if password:
        raise UserError(f"{where}: {_NO_SECRETS.format('PGPASSWORD or ~/.pgpass').partition(' or the')[0]}")
    if config.accounts and "smtp" in config.model_fields_set:
        raise UserError(f"{document.where(('accounts',))}: accounts: cannot be combined with smtp; remove one of them")
    if config.digest.thumbnails == "site" and config.site.url is None:
        raise UserError(
            f"{document.where(('digest', 'thumbnails'))}: digest.thumbnails: 'site' needs a site that serves "
            "the images; set site.url, or write 'inline' to attach them"
        )
    if "keep_days" in config.log.model_fields_set:
        for key, days in min_keep_days(config).items():
            if config.log.keep_days < days:
                raise UserError(
                    f"{document.where(('log', 'keep_days'))}: log.keep_days: {config.log.keep_days} is too small; it "
                    f"must be {days} or more, as {key} is"
                )
    return config.in_folder(path.absolute().parent).with_lines(document.lines)
