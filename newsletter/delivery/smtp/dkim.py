"""DKIM (RFC 6376): sign messages in the name of the sender's domain."""

from dataclasses import dataclass
from email.parser import HeaderParser
from email.utils import parseaddr

import dkim

from newsletter.errors import UserError

# The headers that readers and mailbox providers rely on. RFC 8058, section 4, requires both unsubscribe headers.
_SIGNED = (
    *("from", "to", "reply-to", "subject", "date", "message-id", "mime-version", "content-type"),
    *("list-id", "list-unsubscribe", "list-unsubscribe-post", "feedback-id"),
)


@dataclass(frozen=True, slots=True)
class Signer:
    """A signing key of the sender's domain.

    Attributes:
        selector: the name of the public key in the DNS. ``key``: the private key (PEM).
    """

    selector: str
    key: str


def sign(content: bytes, signer: Signer) -> bytes:
    """Prepend the signature to a message, in the name of the domain in From.

    Raises:
        UserError: the key is invalid.
    """
    # Parse text: from bytes that are not ASCII, the parser does not return plain strings.
    headers = HeaderParser().parsestr(content.partition(b"\r\n\r\n")[0].decode())
    domain = parseaddr(headers["From"])[1].rpartition("@")[2]
    present = [name.encode() for name in _SIGNED if name in headers]
    try:
        signature: bytes = dkim.sign(
            content, signer.selector.encode(), domain.encode(), signer.key.encode(), include_headers=present
        )
    except (dkim.DKIMException, ValueError) as error:
        raise UserError(f"smtp.dkim_key_file: not a private key for signing ({error}); write one in PEM") from None
    return signature + content
