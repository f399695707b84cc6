"""Signing up, over HTTP and with a real mail server."""

import threading
import time
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import Engine, event

from newsletter.store import open_store, suppressions, writing
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import first_link, forged_paths, serving, site_client, state_of, wait_for_messages

pytestmark = pytest.mark.both_stores

BOB = "bob@example.org"
IN_TIME, TOO_LATE = "2025-11-30T08:59", "2025-11-30T09:01"


def ask(client: httpx.Client, email: str, **fields: object) -> httpx.Response:
    return client.post("/subscribe", data={"email": email, "timezone": "Europe/Berlin", **fields})


def test_it_takes_a_letter_and_a_click(newsletter: Newsletter, mail: Mailbox) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        # The box on the other pages: the address stands in no URL, so that no log has it.
        assert '<form action="/subscribe/begin" method="post">' in client.get("/papers").text
        begun = client.post("/subscribe/begin", data={"email": BOB, "interest": "Pareto <fronts>"})
        assert (begun.status_code, begun.headers["cache-control"]) == (200, "no-store")
        assert 'value="bob@example.org"' in begun.text and ">Pareto &lt;fronts&gt;</textarea>" in begun.text
        assert newsletter.run("subscribers", "list", "--json").rows == []
        asked = ask(client, BOB, interests="Pareto fronts\n\nPareto fronts\n", topic=["robot learning"])
        assert (asked.status_code, asked.headers["location"]) == (303, "/subscribe/sent")
        (letter,) = wait_for_messages(mail, 1)
        assert letter["To"] == BOB
        assert letter["Auto-Submitted"] == "auto-generated"
        # What a stranger wrote into the form reaches nobody's mailbox.
        assert b"Pareto" not in mail.accepted[0][1]
        assert state_of(newsletter, BOB) == "pending"
        newsletter.run("send")
        assert len(mail.accepted) == 1
        link = first_link(letter)
        for answer in (client.head(link), client.get(link)):
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert "Pareto fronts" in answer.text
        assert state_of(newsletter, BOB) == "pending"
    with serving(newsletter, IN_TIME) as where, site_client(where) as client:
        confirmed = client.post(link)
        assert confirmed.status_code == 303
        assert confirmed.headers["location"].startswith("/preferences/")
        assert client.get(link).status_code == client.post(link).status_code == 410
    (row,) = newsletter.run("subscribers", "list", "--json").rows
    assert (row["state"], row["next_due"]) == ("active", "2025-11-30T08:59:00+00:00")
    assert row["schedule"]["timezone"] == "Europe/Berlin"
    assert [interest["name"] for interest in row["interests"]] == ["robot learning", "Pareto fronts"]


@pytest.mark.parametrize(("layout", "kept"), [("", None), ("compact", "compact"), ("posters", None)])
def test_the_layout_is_chosen_with_the_interests(
    newsletter: Newsletter, mail: Mailbox, layout: str, kept: str | None
) -> None:
    newsletter.configure(digest={"layout": "titles"})
    with serving(newsletter) as where, site_client(where) as client:
        form = client.get("/subscribe").text
        assert '<input type="radio" name="layout" value="" checked>Titles: one line for each paper' in form
        assert '<input type="radio" name="layout" value="full">Full: ' in form
        assert ask(client, BOB, interests="robots", layout=layout).status_code == 303
        wait_for_messages(mail, 1)
    (row,) = newsletter.run("subscribers", "list", "--json").rows
    assert row["layout"] == kept


def test_a_form_with_a_mistake_keeps_the_layout(newsletter: Newsletter) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        answer = ask(client, "no address", layout="compact")
    assert answer.status_code == 422
    assert '<input type="radio" name="layout" value="compact" checked>' in answer.text


def test_the_answer_is_the_same_whoever_has_the_address(newsletter: Newsletter, mail: Mailbox) -> None:
    for name in ("active", "gone", "forgotten", "paused"):
        newsletter.run("subscribe", f"{name}@example.org", "-i", "Pareto fronts")
    newsletter.run("unsubscribe", "gone@example.org")
    newsletter.run("subscribers", "forget", "forgotten@example.org", "--yes")
    (newsletter.folder / "paused.csv").write_text("email,state\npaused@example.org,paused\n")
    newsletter.run("subscribers", "import", "paused.csv")
    names = ("active", "gone", "forgotten", "paused", "new", "new")
    with serving(newsletter) as where, site_client(where) as client:
        answers = [ask(client, f"{name}@example.org", interests="robots") for name in names]
        seen = {(one.status_code, one.content, *sorted(_but_date(one))) for one in answers}
        assert len(seen) == 1
        by_name = {str(one["To"]).partition("@")[0]: one for one in wait_for_messages(mail, len(names))}
        assert {name for name, one in by_name.items() if "already" in one["Subject"]} == {"active", "paused"}
        assert "/preferences/" in first_link(by_name["active"])
        # Nothing has changed for anybody before the click.
        assert state_of(newsletter, "gone@example.org") == "unsubscribed"
        assert state_of(newsletter, "paused@example.org") == "paused"
        assert client.post(first_link(by_name["gone"])).status_code == 303
        assert client.post(first_link(by_name["forgotten"])).status_code == 303
    back = newsletter.run("subscribers", "show", "gone@example.org", "--json").rows[0]
    assert (back["state"], back["file"]) == ("active", "gone.yaml")
    assert [interest["name"] for interest in back["interests"]] == ["Pareto fronts", "robots"]
    assert "robots" in (newsletter.folder / "subscribers" / "gone.yaml").read_text()
    assert state_of(newsletter, "forgotten@example.org") == "active"


def _but_date(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(name, value) for name, value in answer.headers.items() if name != "date"]


def test_the_work_is_the_same_whoever_has_the_address(newsletter: Newsletter, mail: Mailbox, complained: str) -> None:
    newsletter.run("subscribe", BOB, "-i", "Pareto fronts")
    done: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.current_thread().name != "signup-mailer":
            done.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with serving(newsletter) as where, site_client(where) as client:
            taken = []
            for email in ("first@example.org", BOB, "new@example.org", complained):
                done.clear()
                ask(client, email, interests="robots")
                taken.append([*done])
            wait_for_messages(mail, 3)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert taken[0] and all(one == taken[0] for one in taken)


def test_who_complained_gets_no_letter(newsletter: Newsletter, mail: Mailbox, complained: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        assert ask(client, complained).headers["location"] == "/subscribe/sent"
        assert ask(client, BOB).headers["location"] == "/subscribe/sent"
        wait_for_messages(mail, 1)
    assert mail.recipients() == [BOB]


@pytest.fixture
def complained(newsletter: Newsletter) -> str:
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        now = datetime(2025, 11, 1, tzinfo=UTC)
        suppressions.suppress(connection, "eve@example.org", suppressions.Reason.COMPLAINT, now)
    engine.dispose()
    return "eve@example.org"


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("", "Please enter your email address."),
        ("bob@", "That is not an email address."),
        ('"bob+x"@example.org', "That is not an email address."),
        ("bob example.org", "That is not an email address."),
        ("bob@example.org\r\nBcc: eve@example.org", "That is not an email address."),
        ("bob@mailinator.com", "Addresses at mailinator.com are temporary"),
        ("bob@box.mailinator.com", "are temporary"),
        ("b" * 65 + "@example.org", "That is not an email address. The email address is too long before the @-sign"),
        ("ö" * 33 + "@example.org", "The part before the @-sign is over 64 bytes long."),
    ],
)
def test_a_wrong_address_is_told_kindly(newsletter: Newsletter, email: str, said: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        answer = ask(client, email, interests="<b>robots</b>")
    assert answer.status_code == 422
    assert said in answer.text
    assert "&lt;b&gt;robots&lt;/b&gt;</textarea>" in answer.text  # kept, to be sent again
    assert '<option selected value="Europe/Berlin">' in answer.text


def test_the_api_refuses_an_address_that_no_server_takes(newsletter: Newsletter) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        answer = client.post("/api/subscribe", json={"email": "b" * 65 + "@example.org"})
    assert answer.status_code == 422
    assert "too long before the @-sign" in answer.text


def test_an_international_address_gets_its_letter(newsletter: Newsletter, mail: Mailbox) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        assert ask(client, "χρήστης@παράδειγμα.ελ").status_code == 303
        (letter,) = wait_for_messages(mail, 1)
        assert mail.recipients() == ["χρήστης@παράδειγμα.ελ"]
        assert client.post(first_link(letter)).status_code == 303
    assert state_of(newsletter, "χρήστης@παράδειγμα.ελ") == "active"


def test_limits_and_the_field_that_nobody_sees(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.configure(web={"sign_ups": {"per_address": 1, "per_network": 4}})
    with serving(newsletter) as where, site_client(where) as client:
        trap = {"email": "trap@example.org", "website": "https://example.org"}
        assert client.post("/subscribe", data=trap).status_code == 303
        # Its file is not looked at.
        assert client.post("/subscribe", data=trap, files={"library": ("a.bib", b"%PDF-")}).status_code == 303
        answers = [ask(client, one) for one in (BOB, "BOB@example.org", BOB, "amy@example.org", "joe@example.org")]
        assert [one.status_code for one in answers] == [303, 303, 303, 303, 429]
        wait_for_messages(mail, 2)
        other = ask(site_client(where), "joe@example.org")
        assert other.status_code == 429
        forwarded = client.post(
            "/subscribe", data={"email": "joe@example.org"}, headers={"X-Forwarded-For": "192.0.2.9"}
        )
        assert forwarded.status_code == 303
        wait_for_messages(mail, 3)
    assert sorted(mail.recipients()) == ["amy@example.org", BOB, "joe@example.org"]
    store = b"".join(path.read_bytes() for path in (newsletter.folder / "var").glob("newsletter.db*"))
    assert b"192.0.2.9" not in store


def test_a_letter_that_cannot_go_yet_is_tried_again(newsletter: Newsletter, mail: Mailbox) -> None:
    mail.on_recipient = lambda address: "451 4.7.1 greylisted, come back later"
    with serving(newsletter) as where, site_client(where) as client:
        ask(client, BOB)
        # The second is taken up after the first was put off.
        ask(client, "amy@example.org")
        _wait_for(mail, 2)
    assert "signup-mailer" not in {thread.name for thread in threading.enumerate()}  # It stopped with the site.
    mail.on_recipient = lambda address: None
    with serving(newsletter, "2025-11-28T09:02"):  # A process that was started later.
        wait_for_messages(mail, 2)
    assert sorted(mail.recipients()) == ["amy@example.org", BOB]


def _wait_for(mail: Mailbox, connections: int) -> None:
    end = time.monotonic() + 20
    while mail.connections < connections:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_link_that_is_too_old_or_not_ours_confirms_nothing(newsletter: Newsletter, mail: Mailbox) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        ask(client, BOB)
        link = first_link(wait_for_messages(mail, 1)[0])
        for path in forged_paths(link):
            assert client.post(path).status_code == client.get(path).status_code == 404
        assert client.post(link, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    with serving(newsletter, TOO_LATE) as where, site_client(where) as client:
        assert client.post(link).status_code == client.get(link).status_code == 410
        assert state_of(newsletter, BOB) == "pending"
        newsletter.run("run", "--once", now=TOO_LATE, code=None)
        assert newsletter.run("subscribers", "list", "--json").rows == []
        assert client.post(link).status_code == 410
    assert newsletter.run("subscribers", "list", "--json").rows == []
