"""The sender's domain, against a real DNS server: what is well, and each way to be wrong, with its mend."""

import re
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from newsletter.config.mail import Smtp
from newsletter.doctor.domain import Sender, dkim_key, dmarc_policy, return_address, spf_record
from newsletter.doctor.result import CheckSkipped, CheckState
from tests.helpers.dns import NameServer, Records

OURS = Sender("papers-lab.org", "bounces@papers-lab.org")
RELAY = {"smtp": Smtp(host="smtp.papers-lab.org")}
ADDRESS = {"smtp.papers-lab.org": ["A 93.184.216.34"]}


def spf(record: str, **others: list[str]) -> Records:
    return {"papers-lab.org": [f'TXT "{record}"', 'TXT "another thing"'], **ADDRESS, **others}


def long_chain() -> Records:
    includes = {f"s{number}.net": ['TXT "v=spf1 a:smtp.papers-lab.org -all"'] for number in range(6)}
    return spf("v=spf1 " + " ".join(f"include:{name}" for name in includes) + " -all", **includes)


@pytest.mark.parametrize(
    ("records", "state", "found", "fix"),
    [
        (spf("v=spf1 ip4:93.184.216.0/24 -all"), CheckState.OK, "0 of 10 look-ups; lists the mail server", ""),
        (spf("v=spf1 a:smtp.papers-lab.org ~all"), CheckState.OK, "1 of 10 look-ups; lists the mail server", ""),
        (
            spf("v=spf1 include:relay.net ?all", **{"relay.net": ['TXT "v=spf1 ip4:93.184.216.34 -all"']}),
            CheckState.OK,
            "1 of 10",
            "",
        ),
        (spf("v=spf1 ip4:198.51.100.7 -all"), CheckState.WARNING, "does not list", "add ip4:93.184.216.34"),
        (spf("v=spf1 +all"), CheckState.WARNING, "lets anyone send", "replace '+all' with '~all'"),
        ({"papers-lab.org": []}, CheckState.BAD, "has no SPF record", '"v=spf1 a:smtp.papers-lab.org ~all"'),
        (
            {"papers-lab.org": ['TXT "v=spf1 -all"', 'TXT "v=spf1 a -all"']},
            CheckState.BAD,
            "2 SPF records, so none is valid",
            "merge them into one",
        ),
        (spf("v=spf1 ipv4:93.184.216.34 -all"), CheckState.BAD, "ipv4:93.184.216.34", "fix the TXT record"),
        (long_chain(), CheckState.BAD, "Too many DNS lookups", "flatten an include"),
        (
            spf("v=spf1 a:x.net a:y.net a:z.net -all"),
            CheckState.BAD,
            "more than 2 missing names",
            "fix the",
        ),
    ],
)
def test_spf(records: Records, state: CheckState, found: str, fix: str) -> None:
    with NameServer(records) as names:
        finding = spf_record(names, OURS, RELAY)
    assert (finding.state, found in finding.found, fix in finding.fix) == (state, True, True), finding


def test_spf_of_mail_that_leaves_by_this_machine() -> None:
    with NameServer(spf("v=spf1 mx -all")) as names:
        finding = spf_record(names, OURS, {"smtp": Smtp(host="127.0.0.1")})
    assert finding.state is CheckState.OK
    assert "the public address of the mail server is unknown" in finding.found


@pytest.mark.parametrize(("silent", "why"), [(True, "timed out after 0.5 s"), (False, "SERVFAIL")])
def test_a_dns_that_does_not_answer_says_nothing_of_the_domain(silent: bool, why: str) -> None:
    with NameServer({}, silent=silent, broken=not silent) as names, pytest.raises(CheckSkipped, match=why) as raised:
        spf_record(names, OURS, RELAY)
    assert "check the network and the DNS server" in str(raised.value)


def test_a_name_for_examples_is_asked_nothing() -> None:
    with NameServer({}) as names, pytest.raises(CheckSkipped, match=r"an example domain; set site\.from"):
        spf_record(names, Sender("newsletter.example", "papers@newsletter.example"), RELAY)


# Nothing makes keys so short any more.
SHORT_KEY = """\
-----BEGIN RSA PRIVATE KEY-----
MIIBywIBAAJhANf6HvphUCpwMZCPXiKwn6I/ftEWu4gq5aBxQbB9wuSfIxbymyjR
XWCYH67c6vSeJ9p978vcErJzwtbE9ARMUVNAJ7ykAOrunk81ChGJxSZjbF6NZ6Mr
NMbC0seanmDPiwIDAQABAmEAj1qprS9icoi9nWJL7WKm0p6qokYge6VdfT0viOIw
tmcad2TYsCMng7H1da+VFIDUYuodywuC8i/dcmt0A1GIwxatTvsyVuUS9iqHEtDn
SAU5oNjpAEFWjhvYT9Pe8VyBAjEA8K7VDXM1rpL0oAkZDTy6MW0WfNzcbbIniIfm
OfTxAptHYJfjz32B22IhCQk4p6FxAjEA5bjIvw+iV8hTah3o3G2D8XPeTF5zjGxP
ceAq/Y1IkHbNpUSfbsV1P07cMHph2wK7AjBnVvndU4lKEoj8Kcva1icvz6HnLMFs
TCETSx575gKRVvCXtb+3uDDIbGK4yX/M4dECMA7R8QGCfLK1FcyOyWsPFagKFZlP
rpyskCOElsFsz/Wh9HppBvAahQnkiIgIHTAH6QIxAIzRSaTRC91ky5IGsskzKU7p
vD8lILzTkhhY1BLHvuRGeTIUj3OP9ORg1di3JkAd4A==
-----END RSA PRIVATE KEY-----
"""
SHORT_PUBLIC = (
    "MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhANf6HvphUCpwMZCPXiKwn6I/ftEWu4gq5aBxQbB9wuSfIxbymyjRXWCYH67c6vSeJ9p9"
    "78vcErJzwtbE9ARMUVNAJ7ykAOrunk81ChGJxSZjbF6NZ6MrNMbC0seanmDPiwIDAQAB"
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with RSA keys by their bits."""
    folder = tmp_path_factory.mktemp("keys")
    for bits in (1024, 2048):
        make_key(folder, bits)
    (folder / "768.pem").write_text(SHORT_KEY)
    (folder / "768.pem").chmod(0o600)
    return folder


def make_key(folder: Path, bits: int) -> None:
    """A private key, as ``2048.pem``."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    path = folder / f"{bits}.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    path.chmod(0o600)


def public(keys: Path, bits: int) -> str:
    """Its public half, as the DNS has it."""
    if bits == 768:
        return SHORT_PUBLIC
    key = load_pem_private_key((keys / f"{bits}.pem").read_bytes(), None)
    return b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def key_record(*texts: str) -> Records:
    """TXT records, in parts of 255 at most as the DNS wants them."""
    parts = [" ".join(f'"{text[start : start + 250]}"' for start in range(0, len(text), 250)) for text in texts]
    return {"s1._domainkey.papers-lab.org": [f"TXT {part}" for part in parts]}


@pytest.mark.parametrize(
    ("signs_with", "texts", "state", "found", "fix"),
    [
        (2048, ["v=DKIM1; k=rsa; p=2048"], CheckState.OK, "verifies what is signed here, 2048 bits", ""),
        (1024, ["v=DKIM1; p=1024"], CheckState.WARNING, "1024 bits, which is short", "make a key of 2048 bits"),
        (768, ["v=DKIM1; p=768"], CheckState.BAD, "768 bits, which verifiers reject", "make a key of 2048 bits"),
        (2048, ["v=DKIM1; t=y; p=2048"], CheckState.WARNING, "a test (t=y)", "remove t=y"),
        (2048, ["v=DKIM1; p=1024"], CheckState.BAD, "is not that of 2048.pem", "publish the public half of 2048.pem"),
        (2048, ["v=DKIM1; p="], CheckState.BAD, "withdrawn (p= is empty)", "publish the public half"),
        (2048, ["v=DKIM1; p=2048", "v=DKIM1; p=1024"], CheckState.BAD, "two keys", "keep the TXT record"),
        (2048, [], CheckState.BAD, "s1._domainkey.papers-lab.org has no key", "publish the public half of 2048.pem"),
    ],
)
def test_dkim(keys: Path, signs_with: int, texts: list[str], state: CheckState, found: str, fix: str) -> None:
    written = [re.sub(r"p=(\d+)", lambda bits: f"p={public(keys, int(bits[1]))}", text) for text in texts]
    account = Smtp(dkim_selector="s1", dkim_key_file=Path(f"{signs_with}.pem"))
    with NameServer(key_record(*written)) as names:
        finding = dkim_key(names, "dkim", account, keys, "papers-lab.org")
    assert (finding.state, found in finding.found, fix in finding.fix) == (state, True, True), finding


def test_dkim_that_is_not_set_up(keys: Path) -> None:
    with NameServer({}) as names:
        finding = dkim_key(names, "dkim main", Smtp(), keys, "papers-lab.org")
    assert (finding.name, finding.state) == ("dkim main", CheckState.WARNING)
    assert "set dkim_selector and dkim_key_file" in finding.fix


ELSEWHERE = Sender("news.papers-lab.co.uk", "bounces@mailer.net")
BELOW = Sender("news.papers-lab.co.uk", "bounces@bounce.papers-lab.co.uk")


@pytest.mark.parametrize(
    ("sender", "records", "signs", "state", "found", "fix"),
    [
        (
            OURS,
            {"_dmarc.papers-lab.org": ['TXT "v=DMARC1; p=reject"']},
            True,
            CheckState.OK,
            "p=reject, met by the return path and DKIM",
            "",
        ),
        (
            BELOW,
            {"_dmarc.papers-lab.co.uk": ['TXT "v=DMARC1; p=reject; sp=none"']},
            False,
            CheckState.OK,
            "_dmarc.papers-lab.co.uk: p=none, met by the return path",
            "",
        ),
        (ELSEWHERE, {"_dmarc.papers-lab.co.uk": ['TXT "v=DMARC1; p=reject"']}, True, CheckState.OK, "met by DKIM", ""),
        (
            ELSEWHERE,
            {"_dmarc.papers-lab.co.uk": ['TXT "v=DMARC1; p=reject"']},
            False,
            CheckState.BAD,
            "return path (mailer.net)",
            "set bounces.address",
        ),
        (
            ELSEWHERE,
            {"_dmarc.papers-lab.co.uk": ['TXT "v=DMARC1; p=none"']},
            False,
            CheckState.WARNING,
            "p=none, and neither",
            "sign with DKIM",
        ),
        (
            BELOW,
            {"_dmarc.news.papers-lab.co.uk": ['TXT "v=DMARC1; p=reject; aspf=s"']},
            False,
            CheckState.BAD,
            "neither the return path",
            "or sign with DKIM",
        ),
        (OURS, {}, True, CheckState.WARNING, "has no policy", '"v=DMARC1; p=none"'),
        (
            OURS,
            {"_dmarc.papers-lab.org": ['TXT "v=DMARC1; p=none"', 'TXT "v=DMARC1; p=reject"']},
            True,
            CheckState.BAD,
            "2 policies",
            "keep one",
        ),
        (
            OURS,
            {"_dmarc.papers-lab.org": ['TXT "v=DMARC1; p=block"']},
            True,
            CheckState.BAD,
            "no policy in",
            "write p=none",
        ),
        (
            OURS,
            {"_dmarc.papers-lab.org": ['TXT "v=DMARC1 p=none"']},
            True,
            CheckState.BAD,
            "no policy in",
            "write p=none",
        ),
    ],
)
def test_dmarc(sender: Sender, records: Records, signs: bool, state: CheckState, found: str, fix: str) -> None:
    with NameServer(records) as names:
        finding = dmarc_policy(names, sender, signs)
    assert (finding.state, found in finding.found, fix in finding.fix) == (state, True, True), finding


TAKES_MAIL = {
    "papers-lab.org": ["MX 20 b.papers-lab.org.", "MX 10 a.papers-lab.org."],
    "a.papers-lab.org": ["A 93.184.216.34"],
}


@pytest.mark.parametrize(
    ("records", "state", "found"),
    [
        (TAKES_MAIL, CheckState.OK, "reached by a.papers-lab.org, b.papers-lab.org"),
        ({"papers-lab.org": ["AAAA 2606:2800:220:1::1"]}, CheckState.OK, "reached by papers-lab.org"),
        ({"papers-lab.org": ["MX 0 ."]}, CheckState.BAD, "accepts no mail"),
        ({"papers-lab.org": ["MX 10 gone.papers-lab.org."]}, CheckState.BAD, "gone.papers-lab.org (MX) has no address"),
        ({}, CheckState.BAD, "neither an MX record nor an address"),
    ],
)
def test_where_bounces_go(records: Records, state: CheckState, found: str) -> None:
    with NameServer(records) as names:
        finding = return_address(names, OURS)
    assert (finding.state, found in finding.found) == (state, True), finding
    assert ("publish an MX record for papers-lab.org" in finding.fix) == (state is CheckState.BAD)
