"""The kit: what an edition's messages are made with on a host. On each host of a cluster it has to be the same."""

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
from newsletter.errors import UserError
from newsletter.rendering.template import BUNDLED

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "jinja2", "mjml")
"""What a digest, to the last byte, depends on beside the program."""


@dataclass(frozen=True, slots=True)
class HostFingerprint:
    """What a host works with, told without its secrets.

    Attributes:
        machine: what tells it from all others, also where several have one name.
        programs: versions. ``templates``: a digest of them. ``key``: what the signing key makes of a fixed text.
    """

    host: str
    machine: str
    programs: str
    templates: str
    key: str


def host_fingerprint(config: Config, key: str) -> HostFingerprint:
    """What this host works with; ``key`` signs links."""
    programs = [f"newsletter {__version__}", *(f"{name} {version(name)}" for name in _LIBRARIES)]
    mark = hmac.new(key.encode(), b"kit of an edition", "sha256").hexdigest()
    return HostFingerprint(socket.gethostname(), _machine(), ", ".join(programs), _templates(config), mark)


def verify_host(config: Config, wanted: HostFingerprint) -> None:
    """See that this host makes the same messages as the one that leads.

    Raises:
        UserError: it does not; a line for each difference.
    """
    here = f"engine: on the host {socket.gethostname()}"
    if not config.folder.is_dir():
        raise UserError(
            f"{here} there is no {config.folder}; have the newsletter's folder at the same path on each host"
        )
    try:
        own = host_fingerprint(config, signing_key(config.folder, make=False))
    except UserError as error:
        raise UserError(
            f"{here}: {error}; each host needs the key of {wanted.host}, or NEWSLETTER_SECRET_KEY"
        ) from None
    wrong = []
    if own.programs != wanted.programs:
        wrong.append(f"{here} it is {own.programs}; on {wanted.host} {wanted.programs}; install the same")
    if own.templates != wanted.templates:
        wrong.append(f"{here} the templates are not those of {wanted.host}; copy {config.folder / config.templates}")
    if own.key != wanted.key:
        wrong.append(f"{here} the signing key is not that of {wanted.host}; set the same NEWSLETTER_SECRET_KEY")
    if own.machine != wanted.machine and make_url(config.store_url).get_backend_name() == "sqlite":
        wrong.append(f"{here} the store of {wanted.host} cannot be used: SQLite is for one host; use PostgreSQL")
    if wrong:
        raise UserError(*wrong)


def _machine() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


def _templates(config: Config) -> str:
    digest = hashlib.sha256()
    for folder in (config.folder / config.templates, BUNDLED):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            text = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()} {len(text)}\n".encode() + text)
        digest.update(b"\0")
    return digest.hexdigest()
