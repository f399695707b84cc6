"""Checks of the sender's domain: SPF, DKIM, DMARC and the return address.

Gmail and Yahoo require SPF or DKIM from all senders, and both plus DMARC from bulk senders.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dkim
import spf
from dkim.util import InvalidTagValueList, parse_tag_value

from newsletter.config.mail import Smtp
from newsletter.config.secrets import secret_file
from newsletter.config.settings import Config
from newsletter.delivery.smtp.dkim import Signer, sign
from newsletter.doctor.dns import Resolver, ascii_name
from newsletter.doctor.result import CheckResult, CheckSkipped, bad, ok, warning
from newsletter.support.hosts import is_example

_NOBODY = "192.0.2.1"
"""A documentation address (RFC 5737), never a sender: with it, the whole SPF record is evaluated."""

_SHORTEST_KEY, _SHORT_KEY = 1024, 2048
"""Bits of an RSA key: verifiers must not take a shorter one, and signers should not use one (RFC 8301, section 3.2)."""

_MAIL_TO_SIGN = b"From: papers@%s\r\nSubject: newsletter doctor\r\n\r\nIs the key the one in the DNS?\r\n"


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of the mail.

    Attributes:
        domain: of From. ``envelope``: the address whose domain SPF is about, and to which bounces go.
    """

    domain: str
    envelope: str

    @property
    def return_domain(self) -> str:
        """The domain of the envelope's sender."""
        return self.envelope.rpartition("@")[2]


def sender_of(config: Config) -> Sender:
    """Return the sender of a newsletter's mail."""
    local, _, domain = parseaddr(config.site.sender)[1].rpartition("@")
    domain = ascii_name(domain)
    return Sender(domain, config.bounces.address or f"{local}@{domain}")


def spf_record(names: Resolver, sender: Sender, accounts: Mapping[str, Smtp]) -> CheckResult:
    """SPF (RFC 7208) of the return path's domain: one record that can be read, and that lists the mail servers."""
    domain = _real(sender.return_domain)
    records = [text for text in names.texts(domain) if f"{text.lower()} ".startswith("v=spf1 ")]
    if not records:
        record = f'"v=spf1 a:{next(iter(accounts.values())).host} ~all"'
        return bad("spf", f"{domain} has no SPF record", f"publish a TXT record at {domain}, like {record}")
    if len(records) > 1:
        return bad("spf", f"{domain} has {len(records)} SPF records, so none is valid", "merge them into one")
    read = _Spf(names, _NOBODY, sender.envelope)
    result, words = read.verdict()
    if result == "permerror":
        fix = "remove or flatten an include" if "lookups" in words else f"fix the TXT record at {domain}"
        return bad("spf", f"{domain}: {words} in {records[0]!r}", fix)
    if result == "pass":
        return warning("spf", f"{domain} lets anyone send in its name", "replace '+all' with '~all' in the record")
    return _covered(names, sender, accounts, f"{domain}: {read.lookups} of 10 look-ups")


def _covered(names: Resolver, sender: Sender, accounts: Mapping[str, Smtp], facts: str) -> CheckResult:
    outside = [one for account in accounts.values() for one in _addresses(names, account.host) if one.is_global]
    left_out = [str(one) for one in outside if _Spf(names, str(one), sender.envelope).verdict()[0] != "pass"]
    if left_out:
        found = f"{sender.return_domain} does not list the mail server's address {', '.join(left_out)}"
        return warning("spf", found, f"if mail leaves from there, add ip{6 if ':' in left_out[0] else 4}:{left_out[0]}")
    covers = "lists the mail server" if outside else "the public address of the mail server is unknown"
    return ok("spf", f"{facts}; {covers}")


def _addresses(names: Resolver, host: str) -> list[Any]:
    try:
        return [ip_address(host)]
    except ValueError:
        return [ip_address(one) for one in names.addresses(host)]


class _Spf(spf.query):  # type: ignore[misc]
    """Evaluates SPF with pyspf and our resolver."""

    def __init__(self, names: Resolver, address: str, envelope: str) -> None:
        super().__init__(i=address, s=envelope, h=envelope.rpartition("@")[2])
        self._names = names

    def verdict(self) -> tuple[str, str]:
        """Return the result for the address, and the reason."""
        result, _, words = self.check()
        if result == "temperror":
            raise CheckSkipped(str(self.prob))
        return result, str(words).removeprefix("SPF Permanent Error: ")

    def dns(self, name: Any, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        """Return the records in pyspf's form, and count lookups without an answer."""
        try:
            records = self._names.records(str(name), qtype)
        except CheckSkipped as error:
            raise spf.TempError(str(error)) from None
        if not records and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"more than {spf.MAX_VOID_LOOKUPS} missing names")
        return [_plain(record, qtype) for record in records]


def _plain(record: Any, kind: str) -> Any:
    match kind:
        case "TXT" | "SPF":
            return record.strings
        case "MX":
            return record.preference, record.exchange.to_text(omit_final_dot=True)
        case "PTR":
            return record.target.to_text(omit_final_dot=True)
    return record.address


def dkim_key(names: Resolver, name: str, account: Smtp, folder: Path, domain: str) -> CheckResult:
    """Check DKIM (RFC 6376): sign a message and verify it with the key in the DNS.

    Raises:
        UserError: the private key is invalid or cannot be read.
    """
    signed_domain = _real(domain).encode()
    if account.dkim_selector is None or account.dkim_key_file is None:
        fix = "set dkim_selector and dkim_key_file, unless the mail server signs messages"
        return warning(name, "messages are not signed here", fix)
    content = sign(
        _MAIL_TO_SIGN % signed_domain,
        Signer(account.dkim_selector, secret_file(folder / account.dkim_key_file)),
    )
    where = f"{account.dkim_selector}._domainkey.{domain}"
    texts = names.texts(where)
    if len(texts) != 1:
        fix = f"publish the public half of {account.dkim_key_file} there, as 'v=DKIM1; k=rsa; p=...'"
        count = "two keys, so none may be valid" if texts else "no key"
        return bad(name, f"{where} has {count}", fix if not texts else "keep the TXT record of the key in use")
    return _verified(name, content, where, texts[0], str(account.dkim_key_file))


def _verified(name: str, content: bytes, where: str, text: str, file: str) -> CheckResult:
    again, tags = f"publish the public half of {file} there", _tags(text)
    if tags.get("p") == "":
        return bad(name, f"{where}: its key is withdrawn (p= is empty)", again)
    # The key length is checked below.
    verifier = dkim.DKIM(content, minkey=1)
    try:
        good = verifier.verify(dnsfunc=lambda name, timeout: text.encode())
    except dkim.DKIMException as error:
        return bad(name, f"{where}: {error}", again)
    if not good:
        return bad(name, f"the key at {where} is not that of {file}: signatures fail", again)
    bits = verifier.keysize
    if bits < _SHORTEST_KEY:
        return bad(name, f"{where} has {bits} bits, which verifiers reject", "make a key of 2048 bits")
    if "y" in tags.get("t", "").split(":"):
        return warning(name, f"{where} is marked as a test (t=y)", "remove t=y from the TXT record")
    if bits < _SHORT_KEY:
        return warning(name, f"{where} has {bits} bits, which is short", "make a key of 2048 bits")
    return ok(name, f"{where} verifies what is signed here, {bits} bits")


def dmarc_policy(names: Resolver, sender: Sender, signs: bool) -> CheckResult:
    """DMARC (RFC 7489): a policy, and something that is aligned with the domain in From.

    Args:
        signs: whether messages are signed here, in the name of that domain.
    """
    organisation = _organisation(_real(sender.domain))
    where, records = sender.domain, _dmarc_records(names, sender.domain)
    if not records and organisation != sender.domain:
        where, records = organisation, _dmarc_records(names, organisation)
    if not records:
        fix = f'publish a TXT record at _dmarc.{sender.domain}, like "v=DMARC1; p=none"'
        return warning("dmarc", f"{sender.domain} has no policy, which Gmail and Yahoo require for bulk mail", fix)
    if len(records) > 1:
        return bad("dmarc", f"_dmarc.{where} has {len(records)} policies, so none is valid", "keep one of them")
    tags = _tags(records[0])
    policy = tags.get("p", "") if where == sender.domain else tags.get("sp", tags.get("p", ""))
    if policy.lower() not in ("none", "quarantine", "reject"):
        fix = "write p=none, p=quarantine or p=reject after v=DMARC1"
        return bad("dmarc", f"_dmarc.{where}: no policy in {records[0]!r}", fix)
    aligned = _aligned(sender, tags.get("aspf", "r"))
    if not aligned and not signs:
        found = (
            f"p={policy}, and neither the return path ({sender.return_domain}) nor a signature is of {sender.domain}"
        )
        fix = f"set bounces.address to one at {sender.domain}, or sign with DKIM"
        return (warning if policy.lower() == "none" else bad)("dmarc", found, fix)
    by = " and ".join(what for what, does in (("the return path", aligned), ("DKIM", signs)) if does)
    return ok("dmarc", f"_dmarc.{where}: p={policy}, met by {by}")


def _dmarc_records(names: Resolver, domain: str) -> list[str]:
    return [text for text in names.texts(f"_dmarc.{domain}") if text.replace(" ", "").startswith("v=DMARC1")]


def _aligned(sender: Sender, mode: str) -> bool:
    """Whether the return path is aligned with From (RFC 7489, section 3.1.2)."""
    if mode.lower() == "s":
        return sender.return_domain == sender.domain
    return _organisation(sender.return_domain) == _organisation(sender.domain)


@cache
def _organisation(domain: str) -> str:
    """Return the organisational domain (RFC 7489, section 3.2)."""
    from publicsuffixlist import PublicSuffixList  # Imported here: it reads a long list.

    return PublicSuffixList().privatesuffix(domain.lower()) or domain


def _tags(text: str) -> dict[str, str]:
    """Parse a record's tags; empty if it is invalid."""
    try:
        found: Mapping[bytes, bytes] = parse_tag_value(text.encode())
    except InvalidTagValueList:
        return {}
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in found.items()}


def return_address(names: Resolver, sender: Sender) -> CheckResult:
    """Check that the domain of bounces accepts mail (RFC 5321, section 5.1)."""
    domain, name = _real(sender.return_domain), "bounces"
    fix = f"publish an MX record for {domain}, or set bounces.address to an address that accepts mail"
    hosts = names.mail_hosts(domain)
    if hosts == [""]:
        return bad(name, f"{domain} accepts no mail (its MX is '.')", fix)
    if not hosts and not names.addresses(domain):
        return bad(name, f"mail cannot reach {domain}: it has neither an MX record nor an address", fix)
    if hosts and not _any_address(names, hosts):
        return bad(name, f"mail cannot reach {domain}: {', '.join(hosts)} (MX) has no address", fix)
    return ok(name, f"{sender.envelope} is reached by {', '.join(hosts) or domain}")


def _any_address(names: Resolver, hosts: Iterable[str]) -> bool:
    return any(names.addresses(host) for host in hosts)


def _real(domain: str) -> str:
    """Return a domain that can be looked up.

    Raises:
        CheckSkipped: it is an example domain.
    """
    if is_example(domain):
        raise CheckSkipped(f"{domain} is an example domain; set site.from (and bounces.address) to your own")
    return domain
