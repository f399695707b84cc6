"""The settings in force: the value of each, where it comes from, and whether a reload can change it. Secrets are only
said to be set or not.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from newsletter.config.base import Settings
from newsletter.config.libraries import OPENALEX_KEY, ZOTERO_KEY
from newsletter.config.secrets import SIGNING_KEY, webhook_variable
from newsletter.config.settings import Config
from newsletter.delivery.bounces.bounce_mailbox import PASSWORD_VARIABLE
from newsletter.delivery.smtp.session import password_variable
from newsletter.services.reload import FIXED_FOR_SITE
from newsletter.sources import entrez, semantic_scholar

NOT_SET = "not set"
IS_SET = "set"

_MASK = "***"
_LONGEST = 300
_URL = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SECRET_NAME = re.compile(r"(^|[_-])(key|apikey|token|secret|password|passwd|pwd|auth|sig|signature|code)s?$", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingInForce:
    """A setting.

    Attributes:
        key: such as ``web.port``; that of a secret is where its file or user is set.
        value: as in the configuration; a secret is ``set`` or ``not set``.
        origin: ``default``, ``config.yaml:12``, ``environment variable NAME``, ``command line`` or ``file PATH``.
        line: in the configuration file, None if it is not set there.
        description: what it means; empty if its name says it.
        reloads: whether a reload changes it; otherwise a process that serves the site has to restart.
        is_secret: whether the value is not shown.
    """

    key: str
    value: str
    origin: str
    line: int | None = None
    description: str = ""
    reloads: bool = True
    is_secret: bool = False

    @property
    def section(self) -> str:
        """The first part of the key."""
        return self.key.partition(".")[0]


def settings_in_force(
    config: Config, file: str = "config.yaml", given: Mapping[str, Any] | None = None
) -> list[SettingInForce]:
    """Return all settings, in the order of the configuration, and after them the secrets.

    Args:
        file: the name of the configuration file. ``given``: settings given on the command line, by key.
    """
    return [*_walk(config, config, (), file, given or {}), *_secrets(config)]


def _walk(
    config: Config, section: Settings, path: tuple[str, ...], file: str, given: Mapping[str, Any]
) -> Iterator[SettingInForce]:
    for name, field in type(section).model_fields.items():
        own, value = (*path, field.alias or name), getattr(section, name)
        if isinstance(value, Settings):
            yield from _walk(config, value, own, file, given)
        elif isinstance(value, Mapping) and any(isinstance(one, Settings) for one in value.values()):
            for key, one in value.items():
                yield from _walk(config, one, (*own, str(key)), file, given)
        else:
            yield _setting(config, own, value, field.description or "", file, given)


def _setting(
    config: Config, path: tuple[str, ...], value: Any, description: str, file: str, given: Mapping[str, Any]
) -> SettingInForce:
    key = ".".join(path)
    line = _line(config, path)
    origin = "default" if line is None else f"{file}:{line}"
    if key in given:
        value, origin, line = given[key], "command line", None
    return SettingInForce(
        key=key,
        value=_shown(path, value),
        origin=origin,
        line=line,
        description=description,
        reloads=key not in FIXED_FOR_SITE,
    )


def _line(config: Config, path: tuple[str, ...]) -> int | None:
    """Return the line of a setting. A value that stands for a whole section, as in a short form, is its origin."""
    if path in config.lines:
        return config.lines[path]
    above = path[:-1]
    is_short = above in config.lines and len(above) > 0 and not any(one[:-1] == above for one in config.lines)
    return config.lines[above] if is_short else None


def _shown(path: tuple[str, ...], value: Any) -> str:
    text = _text(value)
    if path[:2] == ("webhooks", "endpoints") and path[-1] == "url":
        parts = urlsplit(text)  # Some services have a secret in the path.
        return f"{parts.scheme}://{parts.netloc}/…"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _text(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case Enum():
            return str(value.value)
        case time():
            return f"{value:%H:%M}"
        case Path() | date():
            return str(value)
        case float():
            return f"{value:g}"
        case Mapping():
            return ", ".join(f"{key}: {_text(one)}" for key, one in value.items()) or "none"
        case list() | tuple() | set() | frozenset():
            return ", ".join(_text(one) for one in value) or "none"
        case str():
            return _masked(value) or '""'
        case _:
            return str(value)


def _masked(text: str) -> str:
    """Hide a password in a URL, and values of its query whose names say that they are secrets."""
    if not _URL.match(text):
        return text
    try:
        parts = urlsplit(text)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return re.sub(r"//[^/]*@", f"//{_MASK}@", text)
    user, at, host = parts.netloc.rpartition("@")
    has_secret = any(_SECRET_NAME.search(name) for name, _ in query)
    if ":" not in user and not has_secret:
        return text
    if has_secret:
        hidden = [(name, _MASK if _SECRET_NAME.search(name) else value) for name, value in query]
        parts = parts._replace(query=urlencode(hidden, safe="*"))
    user = f"{user.partition(':')[0]}:{_MASK}" if ":" in user else user
    return parts._replace(netloc=f"{user}{at}{host}").geturl()


def _secrets(config: Config) -> Iterator[SettingInForce]:
    folder = config.folder
    yield _secret("secret_key", SIGNING_KEY, Path("var/secret.key"), folder, "Signs links and Message-IDs.")
    for name, account in config.mail_accounts.items():
        key = name if name == "smtp" else f"accounts.{name}"
        if account.oauth2_file is not None:
            yield _secret(f"{key}.oauth2", None, account.oauth2_file, folder, "Logs in to the mail server.")
        elif account.user is not None:
            variable, file = password_variable(name), account.password_file
            yield _secret(f"{key}.password", variable, file, folder, "Of the mail server.", with_keyring=True)
        if account.dkim_key_file is not None:
            yield _secret(f"{key}.dkim_key", None, account.dkim_key_file, folder, "Signs messages (DKIM).")
    if (imap := config.bounces.imap) is not None:
        words = "Of the mailbox for bounces."
        yield _secret("bounces.imap.password", PASSWORD_VARIABLE, imap.password_file, folder, words, with_keyring=True)
    yield from _webhook_secrets(config)
    for key, variable, words in (
        ("libraries.zotero_key", ZOTERO_KEY, "For Zotero libraries that have no other key."),
        ("libraries.openalex_key", OPENALEX_KEY, "Of the OpenAlex API."),
        ("sources.ncbi_key", entrez.KEY_VARIABLE, "Of the E-utilities, for sources of kind pubmed."),
        ("sources.semantic_scholar_key", semantic_scholar.KEY_VARIABLE, "Of the API of Semantic Scholar."),
    ):
        yield _secret(key, variable, None, folder, words)


def _webhook_secrets(config: Config) -> Iterator[SettingInForce]:
    providers = config.webhooks.providers
    for name, variable, file in (
        ("mailgun", "NEWSLETTER_MAILGUN_SIGNING_KEY", getattr(providers.mailgun, "signing_key_file", None)),
        ("postmark", "NEWSLETTER_POSTMARK_WEBHOOK_PASSWORD", getattr(providers.postmark, "password_file", None)),
        ("brevo", "NEWSLETTER_BREVO_WEBHOOK_TOKEN", getattr(providers.brevo, "token_file", None)),
    ):
        if name in providers.configured:
            words = "Proves what the provider reports."
            yield _secret(f"webhooks.providers.{name}.secret", variable, file, config.folder, words)
    for name, endpoint in config.webhooks.endpoints.items():
        key, variable = f"webhooks.endpoints.{name}.secret", webhook_variable(name)
        yield _secret(key, variable, endpoint.secret_file, config.folder, "Signs what is posted.")


def _secret(
    key: str, variable: str | None, file: Path | None, folder: Path, description: str, with_keyring: bool = False
) -> SettingInForce:
    """Say whether a secret is set, and where; the keyring is not asked, since that may open a window."""
    if variable is not None and os.environ.get(variable, "").strip():
        value, origin = IS_SET, f"environment variable {variable}"
    elif file is not None:
        value, origin = IS_SET if (folder / file).is_file() else NOT_SET, f"file {file}"
    elif with_keyring:
        value, origin = "in the keyring, if it is set there", f"no environment variable {variable}"
    else:
        value, origin = NOT_SET, f"no environment variable {variable}"
    # The environment of a process is fixed, and the key that signs links is read at its start.
    reloads = origin.startswith("file ") and key != "secret_key"
    return SettingInForce(key=key, value=value, origin=origin, description=description, reloads=reloads, is_secret=True)
