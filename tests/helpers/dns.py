"""A real DNS server on loopback, with given records."""

import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

from newsletter.doctor.dns import Resolver

Records = Mapping[str, Sequence[str]]
"""The records of each name, as in a zone file: ``"MX 10 mx.example.org."``."""


class NameServer:
    """A context manager; yields the :class:`Resolver` that queries it.

    Args:
        records: what it knows; all else is no name.
        silent: whether it answers nothing at all. ``broken``: whether it answers with SERVFAIL.
    """

    def __init__(self, records: Records, silent: bool = False, broken: bool = False) -> None:
        self._records = {name.lower(): list(lines) for name, lines in records.items()}
        self._silent, self._broken = silent, broken

    def __enter__(self) -> Resolver:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], self._socket.getsockname()[1]
        resolver.lifetime = 0.5 if self._silent else 10.0
        return Resolver(resolver)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                asked, whom = self._socket.recvfrom(4096)
                if asked and not self._silent:
                    self._socket.sendto(self._answer(dns.message.from_wire(asked)).to_wire(), whom)

    def _answer(self, asked: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.RA
        (question,) = asked.question
        lines = self._records.get(question.name.to_text(omit_final_dot=True).lower())
        if self._broken or lines is None:
            answer.set_rcode(dns.rcode.SERVFAIL if self._broken else dns.rcode.NXDOMAIN)
            return answer
        kinds = [line.split(" ", 1) for line in lines]
        kind = dns.rdatatype.to_text(question.rdtype)
        found = [value for one, value in kinds if one == kind]
        if found:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
        return answer
