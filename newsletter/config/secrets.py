"""Secrets: from the environment, or from a file that its owner alone can read. Never from config.yaml, never logged."""

import os
import secrets
import stat
from pathlib import Path

from newsletter.errors import UserError

_KEY_VARIABLE = "NEWSLETTER_SECRET_KEY"
_SHORTEST_KEY = 16
"""Bytes: 128 bits, below which a key could be guessed by trying (RFC 2104, section 3)."""


def secret_file(path: Path) -> str:
    """The secret in a file, without the line end.

    Raises:
        UserError: it cannot be read, others than its owner may read it, or it is empty.
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
        raise UserError(f"{path}: not a text file; write the secret alone into it") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; make the file, or name another in config.yaml") from None
    if stat.S_IMODE(mode) & 0o077:
        raise UserError(f"{path}: others may read it (mode {stat.S_IMODE(mode):04o}); run 'chmod 600 {path}'")
    return text


def password(variable: str, service: str, user: str, file: Path | None, folder: Path, section: str) -> str:
    """The password of a login: from an environment variable, else its file, else the system's keyring.

    Args:
        service: under which the keyring has it.
        file: its file, counted from ``folder``, where one is named.
        section: of the configuration, like ``smtp``.

    Raises:
        UserError: it is in none of them, or cannot be read.
    """
    if given := os.environ.get(variable):
        return given
    if file is not None:
        return secret_file(folder / file)
    import keyring  # Slow to import, and seldom needed.
    from keyring.errors import KeyringError, NoKeyringError

    others = f"{variable} or {section}.password_file"
    try:
        stored = keyring.get_password(service, user)
    except NoKeyringError:
        raise UserError(f"{section}: no password for {user}, and no keyring here; set {others}") from None
    except KeyringError as error:
        raise UserError(
            f"{section}: the keyring does not give the password of {user}: {error}; unlock it, or set {others}"
        ) from None
    if not stored:
        raise UserError(f"{section}: no password for {user}; set {others}, or run 'keyring set {service} {user}'")
    return str(stored)


def signing_key(folder: Path, make: bool = True) -> str:
    """The key that signs links: NEWSLETTER_SECRET_KEY, else ``var/secret.key`` in ``folder``, made at first use.

    Args:
        make: whether to make it where there is none.

    Raises:
        UserError: the key is too short to be safe, or its file is not there, or cannot be read or made.
    """
    path = folder / "var" / "secret.key"
    key = os.environ.get(_KEY_VARIABLE, "")
    if key:
        return _long_enough(key, _KEY_VARIABLE, "set a long random one, as 'openssl rand -base64 48' prints")
    if make:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _make_once(path)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; make it writable, or set {_KEY_VARIABLE}") from None
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
        # A link, unlike a rename, fails when another process was first; its key is then the key.
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink()
