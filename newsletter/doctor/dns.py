"""DNS lookups."""

from collections.abc import Sequence
from typing import Any

import dns.exception
import dns.resolver
import idna

from newsletter.doctor.result import CheckSkipped

_FIX = "check the network and the DNS server in /etc/resolv.conf"


class Resolver:
    """Looks names up.

    Args:
        resolver: the resolver to use (default: the system's).
    """

    def __init__(self, resolver: dns.resolver.Resolver | None = None) -> None:
        self._resolver = resolver

    def texts(self, name: str) -> list[str]:
        """Return the TXT records of a name, with their parts joined; none if the name does not exist.

        Raises:
            CheckSkipped: the DNS did not answer.
        """
        return [b"".join(record.strings).decode("utf-8", "replace") for record in self.records(name, "TXT")]

    def addresses(self, name: str) -> list[str]:
        """Return the IPv4 and IPv6 addresses of a name. Raises the same errors as :meth:`texts`."""
        return [record.address for kind in ("A", "AAAA") for record in self.records(name, kind)]

    def mail_hosts(self, name: str) -> list[str]:
        """Return the mail hosts of a domain (MX); ``""`` is a null MX (RFC 7505). Raises the same errors."""
        records = sorted(self.records(name, "MX"), key=lambda record: int(record.preference))
        return [record.exchange.to_text(omit_final_dot=True).rstrip(".") for record in records]

    def records(self, name: str, kind: str) -> Sequence[Any]:
        """Return the records of a name as dnspython has them. Raises the same errors."""
        try:
            resolver = self._resolver or dns.resolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            raise CheckSkipped(f"this machine has no DNS server configured; {_FIX}") from None
        try:
            answer = resolver.resolve(ascii_name(name), kind, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return []
        except dns.exception.Timeout:
            raise CheckSkipped(f"the DNS lookup of {name} timed out after {resolver.lifetime:g} s; {_FIX}") from None
        except dns.resolver.NoNameservers:
            raise CheckSkipped(f"the DNS lookup of {name} failed (SERVFAIL); {_FIX}") from None
        except dns.exception.DNSException:
            return []  # Not a valid name.
        return list(answer.rrset or ())


def ascii_name(domain: str) -> str:
    """Encode a domain for the DNS (RFC 5891)."""
    try:
        return domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain
