"""Classify hosts by name."""

from ipaddress import ip_address

_EXAMPLES = ("example", "test", "invalid", "example.com", "example.net", "example.org")
"""Reserved domains that nobody owns (RFC 2606)."""


def is_example(host: str) -> bool:
    """Return whether a host is in a reserved domain."""
    return any(f".{host.lower()}".endswith(f".{example}") for example in _EXAMPLES)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or its address."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return f".{host.lower()}".endswith(".localhost")
    return address.is_loopback or address.is_unspecified
