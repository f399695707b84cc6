"""The addresses that sources may connect to: public ones, and private ones only if the configuration names them,
whatever a redirect or the DNS says.
"""

import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

import httpx

from newsletter.sources.bounds import MAX_RESPONSE_BYTES

_ADDRESSES_TRIED = 4
_LOCAL_NAMES = ("localhost", "local", "internal", "home.arpa")
"""Names of private networks (RFC 6761, RFC 6762, ICANN, RFC 8375), which no stranger can register."""

_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214, section 6.1


_OF_A_BODY = ("content-encoding", "content-length", "transfer-encoding")


class PrivateAddressError(Exception):
    """A host is on a private address that the configuration does not allow."""


class ResponseTooLarge(Exception):
    """A response, as transferred, is larger than allowed."""


class AddressPolicy:
    """Decides which addresses may be connected to.

    Args:
        urls: the URLs that the configuration has for a source. Their hosts may be private if they are obviously so: a
            private address, a name without a dot, or one like ``wiki.local``.
        allowed: further hosts and networks that may be private (``network.allow_private``).
    """

    def __init__(self, urls: Iterable[str], allowed: Iterable[str]) -> None:
        hosts = {_normalized(urlsplit(url).hostname or "") for url in urls}
        self._hosts = {host for host in hosts if _is_private_name(host)}
        self._networks = []
        for one in allowed:
            try:
                self._networks.append(ip_network(one))
            except ValueError:
                self._hosts.add(_normalized(one))

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host that may be connected to.

        Raises:
            OSError: the host is unknown.
            PrivateAddressError: it has no allowed address.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        named = _normalized(host) in self._hosts
        allowed = [address for address in addresses if named or self._is_allowed(address)]
        if not allowed:
            raise PrivateAddressError(_words(host, addresses[0] if addresses else host))
        return allowed

    def check_name(self, host: str) -> None:
        """Check a host whose address is looked up by a proxy.

        Raises:
            PrivateAddressError: it is obviously private, and the configuration does not allow it.
        """
        if _normalized(host) in self._hosts or not _is_private_name(_normalized(host)):
            return
        literal = _literal(host)
        if literal is None or not self._is_allowed(literal):
            raise PrivateAddressError(_words(host, literal or host))

    def _is_allowed(self, address: str) -> bool:
        parsed = ip_address(address)
        return is_public(parsed) or any(one in network for network in self._networks for one in _meant(parsed))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is public, and so are all addresses embedded in it: an IPv6 address may contain an IPv4
    address that a gateway connects to.
    """
    return all(
        one.is_global and not (one.is_multicast or one.is_reserved or getattr(one, "is_site_local", False))
        for one in _meant(address)
    )


def _meant(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """Yield the IPv4 addresses embedded in an address, and the address itself unless it is just another notation."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFF_FFFF)
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
        yield IPv4Address(int(address) & 0xFFFF_FFFF)


def _normalized(host: str) -> str:
    return host.rstrip(".").lower()


def _literal(host: str) -> str | None:
    """Return the address that a host is, however it is written: 127.0.0.1, 0x7f.1, 2130706433, ::1."""
    try:
        return str(ip_address(host.strip("[]").partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _is_private_name(host: str) -> bool:
    if (literal := _literal(host)) is not None:
        return not is_public(ip_address(literal))
    return "." not in host or any(host == name or host.endswith(f".{name}") for name in _LOCAL_NAMES)


def _words(host: str, address: str) -> str:
    where = f"{host} is a private address" if host == address else f"{host} has the private address {address}"
    return f"{where}, which the configuration does not allow; if it is correct, add {host} to network.allow_private"


class CheckedTransport(httpx.BaseTransport):
    """Connects only to addresses that were checked.

    Each name is looked up once, so that nothing can change between the check and the connection. Redirects pass through
    here too.

    With a proxy, the proxy looks names up and decides what it connects to.

    Args:
        max_bytes: maximum size of a response as transferred.
    """

    def __init__(
        self,
        inner: httpx.BaseTransport,
        policy: AddressPolicy,
        proxied: bool,
        max_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        self._inner, self._policy, self._proxied, self._max_bytes = inner, policy, proxied, max_bytes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._through_proxy(request) if self._proxied else self._connected(request)
        if response.has_redirect_location:
            # httpx would read and decompress the body, which nobody uses and which may be of any size.
            response.close()
            headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_A_BODY]
            return httpx.Response(response.status_code, headers=headers, extensions=response.extensions)
        stream = response.stream
        assert isinstance(stream, httpx.SyncByteStream)  # noqa: S101 - the client is synchronous
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_LimitedStream(stream, self._max_bytes),
            extensions=response.extensions,
        )

    def _through_proxy(self, request: httpx.Request) -> httpx.Response:
        self._policy.check_name(request.url.host)
        return self._inner.handle_request(request)

    def _connected(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        try:
            addresses = self._policy.addresses(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error), request=request) from error
        *others, last = addresses[:_ADDRESSES_TRIED]
        for address in others:
            try:
                return self._inner.handle_request(_sent_to(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return self._inner.handle_request(_sent_to(request, last))

    def close(self) -> None:
        self._inner.close()


def _sent_to(request: httpx.Request, address: str) -> httpx.Request:
    """Return the same request, with the same host in its header and in TLS, for one of the host's addresses."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )


class _LimitedStream(httpx.SyncByteStream):
    """A server's response, up to the size limit. Compressed data may be endless and decompress to nothing."""

    def __init__(self, inner: httpx.SyncByteStream, most: int) -> None:
        self._inner, self._most = inner, most

    def __iter__(self) -> Iterator[bytes]:
        received = 0
        for chunk in self._inner:
            received += len(chunk)
            if received > self._most:
                raise ResponseTooLarge
            yield chunk

    def close(self) -> None:
        self._inner.close()
