"""Secrets from the environment or from files that only their owner can read; never from config.yaml, never logged."""

import base64
import os
import re
import secrets
import stat
from pathlib import Path

from newsletter.errors import UserError

SIGNING_KEY = "NEWSLETTER_SECRET_KEY"
"""The environment variable of the key that signs links."""
_SHORTEST_KEY = 16
"""Bytes (128 bits); a shorter key could be guessed by brute force (RFC 2104, section 3)."""

_WEBHOOK_SECRET = "whsec_"  # noqa: S105 - how each begins


def secret_file(path: Path) -> str:
    """Read the secret in a file, without the line end.

    Raises:
        UserError: the file cannot be read, is readable by others, or is empty.
    """
    text = _private_text(path)
    if not text:
        raise UserError(f"{path}: empty; write the secret into it")
    return text


def _private_text(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file; write only the secret into it") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; create the file, or set another one in config.yaml") from None
    if stat.S_IMODE(mode) & 0o077:
        raise UserError(f"{path}: readable by others (mode {stat.S_IMODE(mode):04o}); run 'chmod 600 {path}'")
    return text


def password(variable: str, service: str, user: str, file: Path | None, folder: Path, section: str) -> str:
    """Look up a password in an environment variable, then its file, then the system's keyring.

    Args:
        service: its service name in the keyring.
        file: its file, relative to ``folder``, if configured.
        section: of the configuration, like ``smtp``.

    Raises:
        UserError: there is no password, or it cannot be read.
    """
    if given := os.environ.get(variable):
        return given
    if file is not None:
        return secret_file(folder / file)
    import keyring  # Imported here: slow and rarely needed.
    from keyring.errors import KeyringError, NoKeyringError

    others = f"{variable} or {section}.password_file"
    try:
        stored = keyring.get_password(service, user)
    except NoKeyringError:
        raise UserError(f"{section}: no password for {user}, and no keyring available; set {others}") from None
    except KeyringError as error:
        raise UserError(
            f"{section}: cannot read the password of {user} from the keyring: {error}; unlock it, or set {others}"
        ) from None
    if not stored:
        raise UserError(f"{section}: no password for {user}; set {others}, or run 'keyring set {service} {user}'")
    return str(stored)


def webhook_secret(variable: str, file: Path | None, folder: Path, setting: str) -> str:
    """Look up the secret of a webhook in an environment variable, then its file.

    Args:
        file: relative to ``folder``, if configured with ``setting``.

    Raises:
        UserError: there is none, or the file cannot be read.
    """
    if given := os.environ.get(variable, "").strip():
        return given
    if file is None:
        raise UserError(
            f"{setting.rpartition('.')[0]}: no secret, so its requests are rejected; set {variable} or {setting}"
        )
    return secret_file(folder / file)


def api_key(variable: str) -> str | None:
    """Return the key of an API from an environment variable; None without one."""
    return os.environ.get(variable, "").strip() or None


def webhook_secrets(name: str, file: Path | None, folder: Path) -> list[str]:
    """Return the secrets that sign what is posted to an endpoint: one, or several while it is replaced.

    Args:
        file: its file, relative to ``folder``, if configured.

    Raises:
        UserError: there is none, or it is not as Standard Webhooks has them: ``whsec_`` and 24 to 64 bytes in base64.
    """
    variable = webhook_variable(name)
    section = f"webhooks.endpoints.{name}"
    found = os.environ.get(variable, "").split()
    where = variable
    if not found and file is not None:
        found, where = secret_file(folder / file).split(), str(folder / file)
    fix = "'newsletter webhooks secret' prints one"
    if not found:
        raise UserError(f"{section}: no secret; set {variable} or {section}.secret_file; {fix}")
    for secret in found:
        if not _is_webhook_secret(secret):
            raise UserError(f"{where}: not a secret of Standard Webhooks, like whsec_ and 44 characters; {fix}")
    return found


def webhook_variable(name: str) -> str:
    """Return the environment variable for the secret of an endpoint."""
    return f"NEWSLETTER_WEBHOOK_SECRET_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}"


def new_webhook_secret() -> str:
    """Create a secret for an endpoint."""
    return _WEBHOOK_SECRET + base64.b64encode(secrets.token_bytes(32)).decode()


def _is_webhook_secret(secret: str) -> bool:
    if not secret.startswith(_WEBHOOK_SECRET):
        return False
    encoded = secret.removeprefix(_WEBHOOK_SECRET)
    try:
        size = len(base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
    except ValueError:
        return False
    return 24 <= size <= 64


def signing_key(folder: Path, make: bool = True) -> str:
    """Return the key that signs links: NEWSLETTER_SECRET_KEY, otherwise ``var/secret.key`` in ``folder``.

    Args:
        make: whether to create a missing key file.

    Raises:
        UserError: the key is too short, or its file is missing or cannot be read or created.
    """
    path = folder / "var" / "secret.key"
    key = os.environ.get(SIGNING_KEY, "")
    if key:
        return _long_enough(key, SIGNING_KEY, "set a long random one, as 'openssl rand -base64 48' prints")
    if make:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _make_once(path)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; make it writable, or set {SIGNING_KEY}") from None
    fix = "restore it from a backup, or delete it to get a new one (links in emails already sent then stop working)"
    return _long_enough(_private_text(path), str(path), fix)


def _long_enough(key: str, where: str, fix: str) -> str:
    size = len(key.strip().encode())
    if size < _SHORTEST_KEY:
        raise UserError(f"{where}: the signing key has {size} bytes and needs {_SHORTEST_KEY} or more; {fix}")
    return key


def _make_once(path: Path) -> None:
    if path.exists():
        return
    made = path.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
    try:
        # A link, unlike a rename, fails if another process was first; its key is then used.
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink()
