"""DKIM signatures (RFC 6376): the sender's domain vouches for a message."""

from dataclasses import dataclass
from email.parser import HeaderParser
from email.utils import parseaddr

import dkim

from newsletter.errors import UserError

# What a reader or a mailbox provider relies on. RFC 8058, section 4, requires both unsubscribe headers to be signed.
_SIGNED = (
    *("from", "to", "reply-to", "subject", "date", "message-id", "mime-version", "content-type"),
    *("list-id", "list-unsubscribe", "list-unsubscribe-post", "feedback-id"),
)


@dataclass(frozen=True, slots=True)
class Signer:
    """A key of the sender's domain.

    Attributes:
        selector: the name under which the DNS has the public key. ``key``: the private key (PEM).
    """

    selector: str
    key: str


def sign(content: bytes, signer: Signer) -> bytes:
    """Return a message with a signature, in the name of the domain in From, put before it.

    Raises:
        UserError: the key is not a private key.
    """
    # Parsed as text: from bytes that are not ASCII, the parser makes header objects rather than strings.
    headers = HeaderParser().parsestr(content.partition(b"\r\n\r\n")[0].decode())
    domain = parseaddr(headers["From"])[1].rpartition("@")[2]
    present = [name.encode() for name in _SIGNED if name in headers]
    try:
        signature: bytes = dkim.sign(
            content, signer.selector.encode(), domain.encode(), signer.key.encode(), include_headers=present
        )
    except (dkim.DKIMException, ValueError) as error:
        raise UserError(f"smtp.dkim_key_file: not a private key that signs ({error}); write one in PEM") from None
    return signature + content
