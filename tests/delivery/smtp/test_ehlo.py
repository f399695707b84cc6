"""What the newsletter calls itself in EHLO: many servers refuse a name that is not a full one."""

import socket
import ssl
from pathlib import Path

import pytest
import trustme

from newsletter.services.demo import LoopbackServer
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox


def host_is_called(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the operating system say that this host has a name."""
    monkeypatch.setattr(socket, "getfqdn", lambda *_: name)


def send(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.run("send")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mail.example.org", "mail.example.org"),
        ("Mail.Example.org.", "mail.example.org"),
        ("post.bücher.example", "post.xn--bcher-kva.example"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[ipv6:2001:DB8:0::1]", "[IPv6:2001:db8::1]"),
    ],
)
def test_the_name_is_a_setting(newsletter: Newsletter, mail: Mailbox, reader: str, name: str, said: str) -> None:
    newsletter.configure(smtp={"ehlo_name": name})
    send(newsletter)
    assert mail.recipients() == [reader]
    assert set(mail.greeted_by) == {said}


@pytest.mark.parametrize(
    "name", ["localhost", "9f3c1d2e4b5a", "localhost.localdomain", "1.0.0.127.in-addr.arpa", "a_b.lan"]
)
def test_a_host_without_a_full_name_gives_the_senders_domain(
    newsletter: Newsletter, mail: Mailbox, reader: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    host_is_called(monkeypatch, name)
    send(newsletter)
    assert set(mail.greeted_by) == {"example.org"}


def test_an_international_domain_is_given_in_ascii(
    newsletter: Newsletter, mail: Mailbox, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host_is_called(monkeypatch, "localhost")
    newsletter.configure(site={"from": "Papers <papers@bücher.example>"})
    send(newsletter)
    assert set(mail.greeted_by) == {"xn--bcher-kva.example"}


def test_a_host_with_a_full_name_gives_it(
    newsletter: Newsletter, mail: Mailbox, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host_is_called(monkeypatch, "mx7.host.example")
    send(newsletter)
    assert set(mail.greeted_by) == {"mx7.host.example"}


def test_each_account_has_a_name_of_its_own_also_after_starttls(
    newsletter: Newsletter, mail: Mailbox, reader: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host_is_called(monkeypatch, "localhost")
    authority, box = trustme.CA(), Mailbox()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with LoopbackServer(box, tls_context=context, require_starttls=True) as server:
        common = {"host": "localhost", "port": server.port}
        text = (newsletter.folder / "config.yaml").read_text()
        start = text.index("smtp:")
        (newsletter.folder / "config.yaml").write_text(text[:start] + text[text.index("network:") :])
        newsletter.configure(accounts={"named": {**common, "ehlo_name": "news.example.net"}})
        send(newsletter)
        assert (len(box.greeted_by), set(box.greeted_by)) == (2, {"news.example.net"})
        newsletter.configure(accounts={"named": {**common, "ehlo_name": "other.example.net"}, "plain": common})
        box.greeted_by.clear()
        newsletter.run("doctor", code=None)
    assert set(box.greeted_by) == {"other.example.net", "example.org"}


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "192.0.2.1",
        "[192.0.2.300]",
        "[2001:db8::1]",
        "my host.example",
        "a_b.example",
        "-a.example",
        "a..b",
    ],
)
def test_a_name_that_is_none_is_refused(newsletter: Newsletter, name: str) -> None:
    newsletter.configure(smtp={"ehlo_name": name})
    told = newsletter.run("log", code=2).err
    assert f"smtp.ehlo_name: '{name}' is not a full host name; write one like mail.example.org, or an address" in told
