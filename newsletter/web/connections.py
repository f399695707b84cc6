"""Limit the site's connections, in total and by client, and choose which to close when there are too many."""

import logging
import resource
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol

RESERVED_FILES = 256
"""Files that the rest of the process may open while all connections are in use: the store (three for each connection
to SQLite), the index, sources, DNS, the log and child processes."""

ACCEPTED_AT_ONCE = 32
"""Connections accepted in one iteration of the event loop. Each iteration also reads from all open connections, so a
client that sends its request right away is never the one that has waited longest."""

_BACKLOG = 2048
"""Connections that wait in the kernel before they are accepted."""

log = logging.getLogger("uvicorn.error")


class Droppable(Protocol):
    """A connection that can be closed immediately."""

    def drop(self) -> None:
        """Close it and discard what has not been sent."""


class Connections:
    """Counts the open connections, in total and by address.

    When all are in use, a new client is accepted and the client that has kept the site waiting longest is dropped,
    whether the site waits for a request, for the rest of one, or for the client to read a response. A flood of clients
    that only hold connections therefore does not lock out a client that sends a request.

    Args:
        most: the limit in total.
        most_per_address: the limit for one IPv4 address or one IPv6 /64 (one machine may have a whole /64).
        is_proxy: whether an address is a trusted proxy. It connects for many clients, so only the total limits it.
    """

    def __init__(self, most: int, most_per_address: int, is_proxy: Callable[[str], bool]) -> None:
        self._most, self._most_per_address, self._is_proxy = most, most_per_address, is_proxy
        self._open = 0
        self._by_network = Counter[str]()
        # Ordered by when the wait began.
        self._waiting: dict[Droppable, None] = {}

    @property
    def is_full(self) -> bool:
        """Whether no connection can be accepted before dropped ones have closed."""
        # Dropped ones close in the next iteration, so for a moment as many more may be open as are accepted in one.
        return self._open >= self._most + ACCEPTED_AT_ONCE

    def admit(self, host: str) -> bool:
        """Count a connection from an address, unless it must be refused. Call :meth:`release` when it closes."""
        network = network_of(host)
        if self._by_network[network] >= self._most_per_address and not self._is_proxy(host):
            reason = "connections are open (web.max_connections_per_address)"
            log.warning("%s: connection refused: %d %s", network, self._most_per_address, reason)
            return False
        if self._open >= self._most:
            in_use = "all %d connections (web.max_connections) are in use"
            if not self._waiting:
                log.warning(f"{in_use} and none is idle; a new one is refused", self._most)
                return False
            log.warning(f"{in_use}; the one that is idle longest is closed", self._most)
            oldest = next(iter(self._waiting))
            self.mark_busy(oldest)
            oldest.drop()
        self._open += 1
        self._by_network[network] += 1
        return True

    def release(self, host: str) -> None:
        """Stop counting a connection that has closed."""
        network = network_of(host)
        self._open -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]

    def mark_waiting(self, connection: Droppable) -> None:
        """Record that the site waits for the client from now on."""
        self.mark_busy(connection)
        self._waiting[connection] = None

    def mark_busy(self, connection: Droppable) -> None:
        """Record that the client waits for the site, or that the connection has closed."""
        self._waiting.pop(connection, None)


class Listener(socket.socket):
    """A listening socket that closes refused connections right away, before asyncio creates anything for them."""

    def __init__(self, listening: socket.socket, connections: Connections) -> None:
        super().__init__(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self._connections = connections

    def listen(self, _backlog: int = 0, /) -> None:
        """Listen with a long backlog. asyncio passes the number of connections it accepts in one iteration."""
        super().listen(_BACKLOG)

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept the next connection that is admitted.

        Raises:
            BlockingIOError: nothing left to accept in this iteration of the event loop.
        """
        for _ in range(ACCEPTED_AT_ONCE):
            if self._connections.is_full:
                break
            connection, address = super().accept()
            if self._connections.admit(address[0]):
                return connection, address
            connection.close()
        raise BlockingIOError


def network_of(host: str) -> str:
    """The key that connections are counted by: an IPv4 address, or the /64 of an IPv6 address."""
    address = ip_address(host)
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def possible_connections(wanted: int, reserved: int) -> int:
    """Return how many connections this process can hold, up to ``wanted``, with ``reserved`` other files left over.

    Raises the limit of open files (RLIMIT_NOFILE) if allowed. If it stays too low, at least half of the files are left
    to the rest of the process.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + reserved
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < needed:
        raised = needed if hard == unlimited else min(hard, needed)
        with suppress(ValueError, OSError):  # A sandbox may forbid it.
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == unlimited or soft >= needed:
        return wanted
    return max(1, soft - reserved, soft // 2 - ACCEPTED_AT_ONCE)
