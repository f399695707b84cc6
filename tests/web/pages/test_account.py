"""A subscriber's account over HTTP, with a real mail server: new links, signing out, and what email confirms first."""

import json
import threading
from datetime import UTC, datetime
from email.message import EmailMessage

import httpx
import pytest
from sqlalchemy import Engine, event

from newsletter.audience.signed_links import TokenPurpose
from newsletter.store import open_store, suppressions, writing
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import (
    dump,
    dump_when_mail_sent,
    first_link,
    forged_paths,
    links_of,
    path_of,
    row_of,
    serving,
    site_client,
    state_of,
    wait_for_messages,
)

pytestmark = pytest.mark.both_stores

ADA, NEW = "ada@example.org", "ada@new.example"
FILE = """\
# Ada's own words
email: ada@example.org
name: Ada
interests:
  - name: Several goals
    text: multi-objective reinforcement learning
"""
SUBSCRIBED_FOR = "2025-11-30T09:01"


@pytest.fixture
def page(newsletter: Newsletter) -> str:
    newsletter.subscriber("ada", FILE)
    newsletter.run("subscribers", "list")
    return path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, ADA)))


def emails(newsletter: Newsletter) -> dict[str, str]:
    return {str(row["email"]): str(row["state"]) for row in newsletter.run("subscribers", "list", "--json").rows}


def last(mail: Mailbox, number: int) -> EmailMessage:
    return wait_for_messages(mail, number)[-1]


def test_signed_out_links_are_worth_nothing_and_a_new_one_comes_by_email(
    newsletter: Newsletter, mail: Mailbox, page: str
) -> None:
    newsletter.with_sample()
    row, links = row_of(newsletter, ADA), links_of(newsletter)
    unsubscribe = path_of(links.url(TokenPurpose.UNSUBSCRIBE, row))
    feed = path_of(links.url(TokenPurpose.FEED, row)) + ".atom"
    feedback = path_of(links.feedback_url(row, 1, "more"))
    save, saved = path_of(links.save_url(row, 1)), path_of(links.url(TokenPurpose.SAVED, row))
    saved_feed = path_of(links.url(TokenPurpose.SAVED_FEED, row)) + ".atom"
    revoked = (feed, feedback, save, saved, saved_feed)
    with serving(newsletter) as where, site_client(where) as client:
        for path in (page, unsubscribe, *revoked):
            assert client.get(path).status_code == 200
        client.post(f"{page}/export")
        (asked,) = wait_for_messages(mail, 1)
        assert 'action="' + page + '/sign-out"' in client.get(page).text
        # The holder of a forwarded link gets no new one by pressing the button.
        out = client.post(f"{page}/sign-out")
        assert out.status_code == 200
        assert "Your links are disabled" in out.text
        assert "/preferences/" not in out.text
        for path in (page, *revoked, f"{page}/preview"):
            said = client.get(path) if path != f"{page}/preview" else client.post(path)
            assert said.status_code == 410
            assert "was disabled" in said.text
            assert 'href="/links"' in said.text
        for end in ("", "/pause", "/export", "/forget", "/address", "/sign-out"):
            assert client.post(f"{page}{end}", data={"email": NEW}).status_code == 410
        for path in (feedback, f"{feedback}/undo", save, f"{save}/undo", f"{saved}/remove"):
            assert client.post(path).status_code == 410
        # What was asked for by a link that is signed out is over, too.
        assert client.get(first_link(asked)).status_code == client.post(first_link(asked)).status_code == 410
        new = last(mail, 2)
        assert new["To"] == ADA
        assert client.get(first_link(new)).status_code == 200
        assert first_link(new) != page
        # Digests have the new links, the same each time.
        newsletter.run("send")
        digest = last(mail, 3)
        body = digest.get_body(["plain"])
        assert body is not None
        text = str(body.get_content())
        assert first_link(new) in text
        assert newsletter.run("preview", ADA, "--format", "text").out.count(first_link(new)) == 1
        assert client.get(unsubscribe).status_code == 200
        client.post(unsubscribe)
    assert state_of(newsletter, ADA) == "unsubscribed"


def test_a_new_link_is_asked_for_alike_whoever_has_the_address(
    newsletter: Newsletter, mail: Mailbox, page: str
) -> None:
    newsletter.run("subscribe", "gone@example.org", "-i", "Pareto fronts")
    newsletter.run("unsubscribe", "gone@example.org")
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        at = datetime(2025, 11, 1, tzinfo=UTC)
        suppressions.suppress(connection, "eve@example.org", suppressions.Reason.COMPLAINT, at)
    engine.dispose()
    done: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.current_thread().name != "signup-mailer":
            done.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with serving(newsletter) as where, site_client(where) as client:
            taken, said = [], set()
            for email in ("nobody@example.org", ADA, "gone@example.org", "eve@example.org", "new@example.com"):
                done.clear()
                answer = client.post("/links", data={"email": email})
                taken.append([*done])
                said.add((answer.status_code, answer.headers["location"], answer.text))
            assert taken[0] and all(one == taken[0] for one in taken)
            assert len(said) == 1
            assert client.get("/links/sent").status_code == 200
            came = wait_for_messages(mail, 2)
            assert {str(one["To"]) for one in came} == {ADA, "gone@example.org"}
            assert all(client.get(first_link(one)).status_code == 200 for one in came)
            assert dump_when_mail_sent(newsletter)["sign_ups"] == []
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert state_of(newsletter, "gone@example.org") == "unsubscribed"
    # Nobody became a subscriber, or stays known, by being asked for.
    assert set(emails(newsletter)) == {ADA, "gone@example.org"}


def test_ones_data_is_handed_over_after_a_click_in_ones_own_mailbox(
    newsletter: Newsletter, mail: Mailbox, page: str
) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        asked = client.post(f"{page}/export")
        assert asked.status_code == 200
        assert "Several goals" not in asked.text
        (letter,) = wait_for_messages(mail, 1)
        assert letter["To"] == ADA
        link = first_link(letter)
        for answer in (client.get(link), client.head(link), client.get(link)):
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
            assert "Several goals" not in answer.text
        assert client.post(link, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        for path in forged_paths(link):
            assert client.get(path).status_code == client.post(path).status_code == 404
        given = client.post(link)
        assert given.headers["content-disposition"].startswith("attachment")
        data = json.loads(given.text)
        assert (data["email"], data["consent"]) == (ADA, "file ada.yaml")
        assert [one["name"] for one in data["interests"]] == ["Several goals"]
        assert client.post(link).status_code == client.get(link).status_code == 410


def test_one_is_forgotten_after_a_click_in_ones_own_mailbox(newsletter: Newsletter, mail: Mailbox, page: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        asked = client.post(f"{page}/forget", data={"sure": "yes"})
        assert "Until then, nothing changes." in asked.text
        assert client.post(f"{page}/export").status_code == 200
        forget, export = sorted(
            wait_for_messages(mail, 2), key=lambda one: "delete your data" not in str(one["Subject"])
        )
        assert "cannot be undone" in client.get(first_link(forget)).text
        assert emails(newsletter) == {ADA: "active"}
        assert "Your data is deleted" in client.post(first_link(forget)).text
        assert emails(newsletter) == {}
        assert not (newsletter.folder / "subscribers" / "ada.yaml").exists()
        for path in (first_link(forget), first_link(export)):
            assert client.get(path).status_code == client.post(path).status_code == 410
        assert client.get(page).status_code == 410
    assert dump(newsletter)["sign_ups"] == []


def test_a_link_of_an_email_is_good_for_two_days(newsletter: Newsletter, mail: Mailbox, page: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        client.post(f"{page}/forget")
        link = first_link(wait_for_messages(mail, 1)[0])
    with serving(newsletter, SUBSCRIBED_FOR) as where, site_client(where) as client:
        assert client.get(link).status_code == client.post(link).status_code == 410
        newsletter.run("run", "--once", now=SUBSCRIBED_FOR, code=None)
    assert emails(newsletter) == {ADA: "active"}
    assert dump(newsletter)["sign_ups"] == []


def test_a_new_address_takes_a_click_in_both_mailboxes(newsletter: Newsletter, mail: Mailbox, page: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        same = client.post(f"{page}/address", data={"email": "ADA@example.org"})
        assert (same.status_code, "already your address" in same.text) == (422, True)
        assert client.post(f"{page}/address", data={"email": "x@mailinator.com"}).status_code == 422
        asked = client.post(f"{page}/address", data={"email": NEW})
        assert asked.status_code == 200
        (to_present,) = wait_for_messages(mail, 1)
        # Not a word goes to an address that a stranger may have written, nor does that address stand in the letter.
        assert to_present["To"] == ADA
        assert NEW not in to_present.as_string()
        assert NEW in client.get(first_link(to_present)).text
        assert client.post(first_link(to_present)).status_code == 200
        assert client.post(first_link(to_present)).status_code == 410
        to_new = last(mail, 2)
        assert to_new["To"] == NEW
        assert emails(newsletter) == {ADA: "active"}
        assert ADA in client.get(first_link(to_new)).text
        moved = client.post(first_link(to_new))
        assert moved.status_code == 303
        assert "are now sent to this address" in client.get(moved.headers["location"]).text
        assert emails(newsletter) == {NEW: "active"}
        assert client.get(page).status_code == 410  # A link of the old mailbox.
        assert client.post(first_link(to_new)).status_code == 410
    file = (newsletter.folder / "subscribers" / "ada.yaml").read_text()
    assert file == FILE.replace(ADA, NEW)
    shown = newsletter.run("subscribers", "show", NEW, "--json").rows[0]
    assert [one["name"] for one in shown["interests"]] == ["Several goals"]
    assert "moved from ada@example.org" in str(dump(newsletter)["subscribers"])
    newsletter.with_sample()
    newsletter.run("send")
    assert last(mail, 3)["To"] == f"Ada <{NEW}>"


@pytest.mark.parametrize("how", ["taken", "was here", "complained", "forgotten"])
def test_an_address_that_others_have_is_not_moved_to(
    newsletter: Newsletter, mail: Mailbox, page: str, how: str
) -> None:
    if how in ("taken", "was here"):
        newsletter.run("subscribe", NEW, "-i", "Pareto fronts")
    if how == "was here":
        newsletter.run("unsubscribe", NEW)
    with serving(newsletter) as where, site_client(where) as client:
        said = client.post(f"{page}/address", data={"email": NEW})
        free = client.post(f"{page}/address", data={"email": "free@new.example"})
        assert said.text == free.text  # The holder of a link does not learn who is subscribed.
        both = [client.post(first_link(one)).status_code for one in wait_for_messages(mail, 2)]
        assert both == [200, 200]
        to_new = next(one for one in wait_for_messages(mail, 4) if one["To"] == NEW)
        if how in ("complained", "forgotten"):
            engine = open_store(newsletter.config.store_url)
            with writing(engine) as connection:
                reason = suppressions.Reason.COMPLAINT if how == "complained" else suppressions.Reason.FORGOTTEN
                suppressions.suppress(connection, NEW, reason, datetime(2025, 11, 1, tzinfo=UTC))
            engine.dispose()
        answer = client.post(first_link(to_new))
    if how == "forgotten":  # Its owner asks to be back by this very click.
        assert answer.status_code == 303
        assert set(emails(newsletter)) == {NEW}
        return
    assert answer.status_code == 409
    assert emails(newsletter)[ADA] == "active"


def test_forms_about_an_account_count_in_the_limits_of_a_mailbox(
    newsletter: Newsletter, mail: Mailbox, page: str
) -> None:
    newsletter.configure(web={"sign_ups": {"per_address": 4, "per_address_per_day": 4}})
    with serving(newsletter) as where, site_client(where) as client:
        client.post("/subscribe", data={"email": "A.da+x@example.org"})  # Another mailbox, but at Gmail.
        client.post("/subscribe", data={"email": "Ada+x@example.org"})
        client.post("/links", data={"email": ADA})
        client.post(f"{page}/export")
        assert client.post(f"{page}/address", data={"email": NEW}).status_code == 200
        for end in ("/export", "/forget", "/address"):
            full = client.post(f"{page}{end}", data={"email": NEW})
            assert (full.status_code, "tomorrow" in full.text) == (429, True)
        assert client.post("/links", data={"email": ADA}).status_code == 303
        assert client.post("/subscribe", data={"email": ADA}).status_code == 303
        wait_for_messages(mail, 5)
        # Signing out works all the same.
        assert client.post(f"{page}/sign-out").status_code == 200
        assert client.get(page).status_code == 410
    assert sorted(mail.recipients()) == ["A.da+x@example.org", "Ada+x@example.org", ADA, ADA, ADA]


def test_to_an_address_that_bounces_nothing_is_sent(newsletter: Newsletter, mail: Mailbox, page: str) -> None:
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        at = datetime(2025, 11, 1, tzinfo=UTC)
        suppressions.suppress(connection, ADA, suppressions.Reason.BOUNCED, at)
    engine.dispose()
    with serving(newsletter) as where, site_client(where) as client:
        for end in ("/export", "/forget", "/address"):
            answer = client.post(f"{page}{end}", data={"email": NEW})
            assert (answer.status_code, "bounced" in answer.text) == (409, True)
    assert dump(newsletter)["sign_ups"] == []


def test_letters_that_cannot_be_made_hold_up_no_other(newsletter: Newsletter, mail: Mailbox) -> None:
    broken = newsletter.folder / "templates" / "already.txt"
    broken.parent.mkdir()
    broken.write_text("{{ nonesuch }}")
    subscribed = [f"reader{number}@example.org" for number in range(4)]
    for email in subscribed:
        newsletter.run("subscribe", email, "-i", "Pareto fronts", "--no-file")
    newsletter.run("pause")
    with serving(newsletter) as where, site_client(where) as client:
        for email in (*subscribed, "bob@example.org"):
            assert client.post("/subscribe", data={"email": email}).status_code == 303
    newsletter.run("resume")
    with serving(newsletter):
        assert [str(one["To"]) for one in wait_for_messages(mail, 1)] == ["bob@example.org"]
    broken.unlink()
    with serving(newsletter, "2025-11-28T09:02"):
        wait_for_messages(mail, 5)
    assert sorted(mail.recipients()) == ["bob@example.org", *subscribed]


def test_wrong_addresses_are_told_kindly(newsletter: Newsletter, page: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        for email, said in (("", "Please enter your email address."), ("x y", "That is not an email address.")):
            answer: httpx.Response = client.post("/links", data={"email": email})
            assert (answer.status_code, said in answer.text) == (422, True)
            answer = client.post(f"{page}/address", data={"email": email})
            assert (answer.status_code, said in answer.text) == (422, True)
        assert client.post("/links", data={"email": ADA}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
