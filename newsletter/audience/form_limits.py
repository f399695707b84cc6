"""How often the site's forms may cause an email: by mailbox, domain and network, and from everywhere.

What is counted is normalised, so that many spellings of one mailbox, or many addresses of one network, count as one.
The address that is kept and written to stays as its owner writes it.
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network

import idna
from publicsuffixlist import PublicSuffixList
from sqlalchemy import Connection

from newsletter.audience import challenges
from newsletter.config.web import SignUps
from newsletter.store import rate_limit, sign_ups

_HOUR, _DAY = 60, 24 * 60
_KEPT = 2 * _DAY
_GMAIL = frozenset({"gmail.com", "googlemail.com"})


class LimitVerdict(Enum):
    """The verdict of the limits on a request."""

    TAKEN = auto()
    FULL_MAILBOX = auto()
    """The mailbox has reached its limit. The request is ignored silently: it may come from a stranger."""
    TOO_MANY = auto()
    CHALLENGE = auto()
    """The browser must solve a challenge first."""


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """The origin of a request: its network (see :func:`network_of`) and challenge solution."""

    network: str
    solution: str = ""


def mailbox_of(email: str) -> str:
    """Normalise all spellings of a mailbox: case, subaddress after a plus sign (RFC 5233), international domain, and
    the dots that Gmail ignores.
    """
    local, _, domain = email.strip().rpartition("@")
    # In that order: the compatible form of a full-width plus sign is a plus sign.
    local = unicodedata.normalize("NFKC", local).casefold().strip('"').partition("+")[0]
    domain = _ascii(domain)
    if domain in _GMAIL:
        return f"{local.replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


def domain_of(email: str) -> str:
    """Return the registered domain of an address: its owner can create any name below it."""
    domain = _ascii(email.rpartition("@")[2])
    if domain in _GMAIL:
        return "gmail.com"
    return _suffixes().privatesuffix(domain) or domain


def network_of(host: str | None) -> str:
    """Return the network of an IP address, the only part that is stored: a /24, or for IPv6 a /48, the smallest that a
    site gets (RFC 6177). IPv4-mapped IPv6 addresses count as IPv4.
    """
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return "an unknown network"
    if isinstance(address, IPv6Address):
        teredo = address.teredo
        address = address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)
    return str(ip_network((int(address), 24) if address.version == 4 else (int(address), 48), strict=False))


def check_and_count(
    connection: Connection,
    key: str,
    email: str,
    asked: RequestOrigin,
    limits: SignUps,
    now: datetime,
    challenge: bool = True,
) -> LimitVerdict:
    """Count a request for an email to an address, unless a limit is reached. The work is the same for every address.

    Args:
        key: hashes the counted values in the store.
        challenge: whether to require a challenge under load; not for holders of a subscriber's link.
    """
    sign_ups.one_by_one(connection)
    minute = int(now.timestamp() // 60)
    network, domain = f"network {asked.network}", domain_of(email)
    mailbox = f"mailbox {mailbox_of(email)}"
    used = {
        what: _used(connection, _counted_by(key, what), minute)
        for what in (network, mailbox, f"domain {domain}", "all")
    }
    verdict = _verdict(used, network, mailbox, domain, limits)
    if verdict is LimitVerdict.TOO_MANY:
        return verdict
    needed = challenge and _needs_challenge(used[network].hour, used["all"].hour, limits)
    if needed and not challenges.redeem_solution(connection, key, asked.solution, now):
        return LimitVerdict.CHALLENGE
    for what in used:
        # What does not go to a mailbox fills neither it nor its domain: nobody could keep its owner out for long.
        if verdict is LimitVerdict.TAKEN or what in (network, "all"):
            rate_limit.count(connection, _counted_by(key, what), minute, 1)
    return verdict


@dataclass(frozen=True, slots=True)
class _Used:
    hour: int
    day: int


def _used(connection: Connection, key: str, minute: int) -> _Used:
    counts = rate_limit.counts(connection, key, minute - _DAY - 1)
    hour = sum(number for at, number in counts if at > minute - _HOUR - 1)
    return _Used(hour, sum(number for _, number in counts))


def _verdict(used: Mapping[str, _Used], network: str, mailbox: str, domain: str, limits: SignUps) -> LimitVerdict:
    large = domain in map(domain_of, limits.large_domains)
    full_domain = not large and used[f"domain {domain}"].day >= limits.per_domain_per_day
    of_network = used[network]
    full_network = of_network.hour >= limits.per_network or of_network.day >= limits.per_network_per_day
    if full_domain or full_network or used["all"].hour >= limits.per_hour:
        return LimitVerdict.TOO_MANY
    if used[mailbox].hour >= limits.per_address or used[mailbox].day >= limits.per_address_per_day:
        return LimitVerdict.FULL_MAILBOX
    return LimitVerdict.TAKEN


def _needs_challenge(of_network: int, of_all: int, limits: SignUps) -> bool:
    for used, threshold in ((of_network, limits.challenge_per_network), (of_all, limits.challenge_per_hour)):
        if threshold is not None and used >= threshold:
            return True
    return False


def forget_counts(connection: Connection, now: datetime) -> None:
    """Delete expired counts."""
    rate_limit.forget_old_counts(connection, int(now.timestamp() // 60) - _KEPT)
    challenges.forget(connection, now)


def _counted_by(key: str, what: str) -> str:
    return "sign-up " + hmac.new(key.encode(), f"sign-up|{what}".encode(), hashlib.sha256).hexdigest()[:32]


def _ascii(domain: str) -> str:
    domain = domain.rstrip(".")
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        return domain.lower()


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
