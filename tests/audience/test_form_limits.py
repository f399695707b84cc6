"""What counts as one mailbox, one domain and one network, and how much of each is too much."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from newsletter.audience import form_limits
from newsletter.audience.form_limits import LimitVerdict, RequestOrigin, domain_of, mailbox_of, network_of
from newsletter.config.web import SignUps
from newsletter.store import open_store, writing

pytestmark = pytest.mark.both_stores

NOW = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)
OFF = {"challenge_per_network": None, "challenge_per_hour": None}


@pytest.mark.parametrize(
    "spellings",
    [
        ("ada@example.org", "ADA@Example.ORG", "ada+news@example.org", "ada+a+b@example.org", "Ada+@example.org"),
        ("ada@example.org", "ada＋x@example.org", "ａda@example.org"),
        ("a.d.a@gmail.com", "ada@gmail.com", "A.D.A+x@googlemail.com", "ada@GMAIL.com", "a.da@googlemail.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example", "ada@BÜCHER.example", "ada@XN--BCHER-KVA.example"),
        ("χρήστης@παράδειγμα.ελ", "χρήστης+x@xn--hxajbheg2az3al.xn--qxam"),
    ],
)
def test_spellings_of_one_mailbox_count_as_one(spellings: tuple[str, ...]) -> None:
    assert len({mailbox_of(one) for one in spellings}) == 1


def test_other_mailboxes_count_apart() -> None:
    # Dots matter but at Gmail, and what follows a minus sign is no subaddress in general.
    others = (
        "a.da@example.org",
        "ada@example.org",
        "ada-x@yahoo.com",
        "ada@yahoo.com",
        "ada@gmail.com",
        "ada@x.example",
    )
    assert len({mailbox_of(one) for one in others}) == len(others)


@given(st.text(min_size=1), st.text())
def test_whatever_is_written_has_a_mailbox_and_a_domain(local: str, domain: str) -> None:
    email = f"{local}@{domain}"
    assert "+" not in mailbox_of(email).rpartition("@")[0]
    domain_of(email)


def test_a_domain_counts_as_it_is_registered() -> None:
    for one in ("a@example.org", "b@mail.example.org", "c@x.y.EXAMPLE.org"):
        assert domain_of(one) == "example.org"
    assert domain_of("a@one.co.uk") != domain_of("a@two.co.uk")
    assert domain_of("a@googlemail.com") == domain_of("a@gmail.com") == "gmail.com"
    assert domain_of("a@bücher.example") == domain_of("a@xn--bcher-kva.example")


@pytest.mark.parametrize(
    ("network", "hosts"),
    [
        ("192.0.2.0/24", ("192.0.2.1", "192.0.2.255", "::ffff:192.0.2.7", "::ffff:c000:0207", "2002:c000:0207::1")),
        ("2001:db8:1::/48", ("2001:db8:1::1", "2001:db8:1:ffff:ffff::1", "2001:0DB8:0001:8000::")),
        ("fe80::/48", ("fe80::1%eth0",)),
        ("an unknown network", (None, "", "unix:", "testclient", "999.1.1.1")),
    ],
)
def test_addresses_of_one_network_count_as_one(network: str, hosts: tuple[str | None, ...]) -> None:
    assert {network_of(one) for one in hosts} == {network}


@pytest.fixture
def engine(store_url: str) -> Engine:
    return open_store(store_url)


def take(engine: Engine, email: str, network: str, settings: SignUps, now: datetime = NOW) -> LimitVerdict:
    with writing(engine) as connection:
        return form_limits.check_and_count(connection, "key", email, RequestOrigin(network), settings, now)


def test_a_mailbox_gets_so_many_an_hour_and_a_day(engine: Engine) -> None:
    settings = SignUps(per_address=2, per_address_per_day=3, **OFF)
    spelt = (f"{'.'.join('ada'[: 1 + number % 3])}{'ada'[1 + number % 3 :]}+{number}@gmail.com" for number in range(99))
    taken = []
    # A request every ten minutes for a day and an hour, each from a network of its own.
    for number in range(150):
        network = f"10.0.{number}.0/24"
        now = NOW + timedelta(minutes=10 * number)
        if take(engine, next(spelt, "a.d.a@googlemail.com"), network, settings, now) is LimitVerdict.TAKEN:
            taken.append(now - NOW)
    # Those that went nowhere do not count: the mailbox is free again when the first is an hour, and a day, old.
    assert [one.total_seconds() / 60 for one in taken] == [0, 10, 70, 1450, 1460]


def test_a_domain_gets_so_many_a_day_but_for_the_large(engine: Engine) -> None:
    settings = SignUps(per_domain_per_day=3, per_hour=10_000, large_domains=["GoogleMail.com"], **OFF)
    for domain, last in (("sub{}.example.org", LimitVerdict.TOO_MANY), ("gmail.com", LimitVerdict.TAKEN)):
        said = [
            take(engine, f"reader{number}@{domain.format(number)}", f"10.{number}.0.0/24", settings)
            for number in range(5)
        ]
        assert said == [LimitVerdict.TAKEN] * 3 + [last] * 2
    tomorrow = NOW + timedelta(days=1, minutes=2)
    assert take(engine, "new@example.org", "10.9.0.0/24", settings, tomorrow) is LimitVerdict.TAKEN


def test_a_network_gets_so_many_an_hour_and_a_day(engine: Engine) -> None:
    settings = SignUps(per_network=2, per_network_per_day=3, **OFF)
    said = []
    for number, hour in enumerate((0, 0, 0, 2, 2, 2, 25, 25)):
        email = f"reader{number}@site{number}.example"
        said.append(take(engine, email, "2001:db8:1::/48", settings, NOW + timedelta(hours=hour)))
    many, taken = LimitVerdict.TOO_MANY, LimitVerdict.TAKEN
    assert said == [taken, taken, many, taken, many, many, taken, taken]


def test_nothing_readable_is_kept_of_who_asked(engine: Engine) -> None:
    take(engine, "ada@example.org", "192.0.2.0/24", SignUps())
    with engine.connect() as connection:
        kept = str(connection.exec_driver_sql("SELECT * FROM rate_limit_counts").all())
    assert "ada" not in kept
    assert "192.0.2" not in kept
    assert "example" not in kept
