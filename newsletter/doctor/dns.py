"""The DNS: what stands there under a name."""

from collections.abc import Sequence
from typing import Any

import dns.exception
import dns.resolver
import idna

from newsletter.doctor.result import CheckSkipped

_MEND = "check the network and the DNS server in /etc/resolv.conf"


class Resolver:
    """Looks names up.

    Args:
        resolver: whom to ask; the machine's own when it is None.
    """

    def __init__(self, resolver: dns.resolver.Resolver | None = None) -> None:
        self._resolver = resolver

    def texts(self, name: str) -> list[str]:
        """The TXT records of a name, each with its parts put together; none when there is no such name.

        Raises:
            CheckSkipped: the DNS did not answer, which says nothing of the name.
        """
        return [b"".join(record.strings).decode("utf-8", "replace") for record in self.records(name, "TXT")]

    def addresses(self, name: str) -> list[str]:
        """The IPv4 and IPv6 addresses of a name. It raises as :meth:`texts`."""
        return [record.address for kind in ("A", "AAAA") for record in self.records(name, kind)]

    def mail_hosts(self, name: str) -> list[str]:
        """The hosts that take mail for a domain (MX); ``""`` stands for "none does" (RFC 7505). It raises likewise."""
        records = sorted(self.records(name, "MX"), key=lambda record: int(record.preference))
        return [record.exchange.to_text(omit_final_dot=True).rstrip(".") for record in records]

    def records(self, name: str, kind: str) -> Sequence[Any]:
        """The records of a name as dnspython has them. It raises likewise."""
        try:
            resolver = self._resolver or dns.resolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            raise CheckSkipped(f"this machine names no DNS server; {_MEND}") from None
        try:
            answer = resolver.resolve(ascii_name(name), kind, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return []
        except dns.exception.Timeout:
            raise CheckSkipped(f"the DNS did not answer within {resolver.lifetime:g} s for {name}; {_MEND}") from None
        except dns.resolver.NoNameservers:
            raise CheckSkipped(f"the DNS fails for {name} (SERVFAIL); {_MEND}") from None
        except dns.exception.DNSException:
            return []  # A name that cannot be one.
        return list(answer.rrset or ())


def ascii_name(domain: str) -> str:
    """A domain as the DNS has it (RFC 5891)."""
    try:
        return domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain
