"""Host fingerprints: what an edition's messages depend on. All hosts of a cluster must have the same."""

import hashlib
import hmac
import socket
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sqlalchemy.engine import make_url

from newsletter import __version__
from newsletter.config.secrets import signing_key
from newsletter.config.settings import Config
from newsletter.errors import NewsletterError, UserError
from newsletter.rendering.template import BUNDLED
from newsletter.services.sentence_model import configured_encoder

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "jinja2", "mjml", "pillow")
"""The libraries that a digest depends on, to the last byte, in addition to the program."""


@dataclass(frozen=True, slots=True)
class HostFingerprint:
    """What the messages of a host depend on, without its secrets.

    Attributes:
        machine: identifies the host, even among hosts of the same name.
        programs: versions. ``templates``: a digest of them. ``logo``: likewise, empty without one.
       ``key``: a fixed text signed with the signing key.
        sentence_model: the fingerprint of the sentence model, empty without one.
    """

    host: str
    machine: str
    programs: str
    templates: str
    logo: str
    key: str
    sentence_model: str


def host_fingerprint(config: Config, key: str) -> HostFingerprint:
    """Return the fingerprint of this host; ``key`` signs links.

    Raises:
        NewsletterError: the sentence model of the configuration cannot be used here.
    """
    programs = [f"newsletter {__version__}", *(f"{name} {version(name)}" for name in _LIBRARIES)]
    mark = hmac.new(key.encode(), b"kit of an edition", "sha256").hexdigest()
    encoder = configured_encoder(config)
    return HostFingerprint(
        host=socket.gethostname(),
        machine=_machine(),
        programs=", ".join(programs),
        templates=_templates(config),
        logo=_logo(config),
        key=mark,
        sentence_model=encoder.fingerprint if encoder is not None else "",
    )


def verify_host(config: Config, wanted: HostFingerprint) -> None:
    """Verify that this host renders the same messages as the one that leads the edition.

    Raises:
        UserError: it does not; one line for each difference.
    """
    here = f"engine: on the host {socket.gethostname()}"
    if not config.folder.is_dir():
        raise UserError(f"{here} {config.folder} is missing; put the newsletter's folder at the same path on each host")
    try:
        key = signing_key(config.folder, make=False)
    except UserError as error:
        raise UserError(
            f"{here}: {error}; each host needs the key of {wanted.host}, or NEWSLETTER_SECRET_KEY"
        ) from None
    try:
        own = host_fingerprint(config, key)
    except NewsletterError as error:  # about the sentence model
        raise UserError(f"{here}: {error}") from None
    wrong = []
    if own.programs != wanted.programs:
        wrong.append(
            f"{here} the versions are {own.programs}; on {wanted.host} they are {wanted.programs}; install the same"
        )
    if own.templates != wanted.templates:
        wrong.append(
            f"{here} the templates differ from those of {wanted.host}; copy {config.folder / config.templates}"
        )
    if own.logo != wanted.logo:
        wrong.append(f"{here} the logo differs from that of {wanted.host}; copy {config.logo_file}")
    if own.key != wanted.key:
        wrong.append(f"{here} the signing key differs from that of {wanted.host}; set the same NEWSLETTER_SECRET_KEY")
    if own.sentence_model != wanted.sentence_model:
        wrong.append(
            f"{here} the sentence model or its tokenizer differs from that of {wanted.host}; copy both to the same path"
        )
    if own.machine != wanted.machine and make_url(config.store_url).get_backend_name() == "sqlite":
        wrong.append(
            f"{here} the store of {wanted.host} is unavailable, since SQLite works on one host only; use PostgreSQL"
        )
    if wrong:
        raise UserError(*wrong)


def _machine() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


def _logo(config: Config) -> str:
    if config.logo_file is None:
        return ""
    try:
        return hashlib.sha256(config.logo_file.read_bytes()).hexdigest()
    except OSError:
        return "missing"


def _templates(config: Config) -> str:
    digest = hashlib.sha256()
    for folder in (config.folder / config.templates, BUNDLED):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            text = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()} {len(text)}\n".encode() + text)
        digest.update(b"\0")
    return digest.hexdigest()
