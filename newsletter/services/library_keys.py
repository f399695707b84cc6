"""Keys of Zotero libraries: encrypted in the store, or in the environment or keyring of the newsletter's host.

A key that was given on the site or by command is encrypted with Fernet (https://github.com/fernet/spec), by a key
derived from the newsletter's signing key (HKDF, RFC 5869). The store alone, or a backup of it, reveals no key.
"""

import base64
import os
import re

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from newsletter.audience.identifiers import STORED_KEY
from newsletter.config.libraries import ZOTERO_KEY
from newsletter.errors import UserError
from newsletter.model import LibraryRef, Subscriber
from newsletter.sources.zotero import KEYS_PAGE
from newsletter.store.libraries import Library

_INFO = b"newsletter library keys"
_KEY = re.compile(r"[A-Za-z0-9]{24}", re.ASCII)
_SERVICE = "newsletter"
"""The name of the service in the keyring; the user is the address of the library."""


def valid_key(text: str, where: str) -> str:
    """Return a key of the Zotero API without surrounding spaces.

    Raises:
        UserError: it is not one; the message does not repeat it.
    """
    key = text.strip()
    if not _KEY.fullmatch(key):
        raise UserError(f"{where}: not a Zotero API key (24 letters and digits); create one at {KEYS_PAGE}")
    return key


def encrypt_key(signing_key: str, key: str) -> str:
    """Encrypt a key for the store."""
    return _fernet(signing_key).encrypt(key.encode()).decode()


def decrypt_key(signing_key: str, encrypted: str, address: str) -> str:
    """Decrypt a key from the store; ``address`` names its library in errors.

    Raises:
        UserError: it was encrypted under another signing key.
    """
    try:
        return _fernet(signing_key).decrypt(encrypted.encode()).decode()
    except InvalidToken:
        raise UserError(
            f"{address}: its key cannot be decrypted, since the newsletter has another signing key now; "
            "restore var/secret.key, or add the library again with its key"
        ) from None


def replaces_stored_key(ref: LibraryRef) -> bool:
    """Return whether a reference names a place outside of the store for the key."""
    return ref.key not in ("", STORED_KEY)


def find_key(signing_key: str, subscriber: Subscriber, library: Library, ref: LibraryRef) -> str | None:
    """Return the key of a library: the stored one, else the one in the place that the reference names, else that of
    the environment variable NEWSLETTER_ZOTERO_KEY; None without any, as for a public library.

    The environment and the keyring belong to the operator, who writes the subscriber files. A library that was added on
    the site, or whose subscriber has no file, gets no key from there.

    Raises:
        UserError: the key cannot be decrypted, is not in its place, or is no key.
    """
    if library.encrypted_key is not None:
        return decrypt_key(signing_key, library.encrypted_key, ref.address)
    if ref.key == STORED_KEY:
        return None
    if subscriber.file is None:
        if ref.key:
            raise UserError(f"{ref.address}: key: only a subscriber with a file may use {ref.key!r}; store the key")
        return None
    if ref.key == "keyring":
        return valid_key(_from_keyring(ref), f"{ref.address}: key of the keyring")
    name = ref.key.removeprefix("env:") if ref.key else ZOTERO_KEY
    key = os.environ.get(name, "")
    if not key and ref.key:
        raise UserError(f"{ref.address}: key: the environment variable {name} is not set; set it to the key")
    return valid_key(key, f"{ref.address}: {name}") if key else None


def _from_keyring(ref: LibraryRef) -> str:
    import keyring  # Imported here: slow and rarely needed.
    from keyring.errors import KeyringError

    fix = f"run 'keyring set {_SERVICE} {ref.address}'"
    try:
        stored = keyring.get_password(_SERVICE, ref.address)
    except KeyringError as error:
        raise UserError(f"{ref.address}: key: cannot read the keyring: {error}; unlock it, or {fix}") from None
    if not stored:
        raise UserError(f"{ref.address}: key: the keyring has none; {fix}")
    return str(stored)


def _fernet(signing_key: str) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO).derive(signing_key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
