"""Unsubscribing, over HTTP and with a real mail server."""

import re
from collections.abc import Callable

import httpx
import pytest

from newsletter.audience.signed_links import TokenPurpose
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import forged_paths, links_of, path_of, row_of, serving, site_client, state_of

LATER, TOO_LATE = "2025-11-28T09:59", "2025-11-28T10:01"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def link(newsletter: Newsletter, reader: str) -> str:
    newsletter.run("subscribers", "list")
    return path_of(links_of(newsletter).url(TokenPurpose.UNSUBSCRIBE, row_of(newsletter, reader)))


def undo_in(page: str) -> str:
    found = re.search(r'action="(/undo/[^"]+)"', page)
    assert found is not None
    return found[1]


def test_a_page_with_one_button_that_looking_does_not_press(newsletter: Newsletter, reader: str, link: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        for answer in (client.get(link), client.head(link), client.get(link)):
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-robots-tag"] == "noindex"
        assert answer.text.count("<button") == 1
        assert state_of(newsletter, reader) == "active"
        pressed = client.post(link, headers={"Sec-Fetch-Site": "same-origin"})
        assert (pressed.status_code, pressed.headers["location"]) == (303, link)
        assert state_of(newsletter, reader) == "unsubscribed"
        assert "You are unsubscribed" in client.get(link).text


@pytest.mark.parametrize("how", [{"data": ONE_CLICK}, {"files": {"List-Unsubscribe": (None, "One-Click")}}])
def test_one_click_needs_no_page_and_comes_from_anywhere(
    newsletter: Newsletter, reader: str, link: str, how: dict[str, dict]
) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        for _ in range(2):  # Mail programs try again.
            answer = client.post(link, headers={"Sec-Fetch-Site": "cross-site"}, **how)
            assert answer.status_code == 200
    assert state_of(newsletter, reader) == "unsubscribed"


def test_another_site_cannot_press_the_button(newsletter: Newsletter, reader: str, link: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        answer = client.post(link, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
    assert state_of(newsletter, reader) == "active"


def test_it_is_undone_for_an_hour(newsletter: Newsletter, reader: str, link: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        client.post(link)
        undo = undo_in(client.get(link).text)
        assert client.get(undo).status_code == 405
        assert state_of(newsletter, reader) == "unsubscribed"
    with serving(newsletter, TOO_LATE) as where, site_client(where) as client:
        assert "undo" not in client.get(link).text.lower()
        assert client.post(undo).status_code == 410
        assert state_of(newsletter, reader) == "unsubscribed"
    with serving(newsletter, LATER) as where, site_client(where) as client:
        answer = client.post(undo)
        assert answer.status_code == 303
        assert "Welcome back" in client.get(answer.headers["location"]).text
        assert state_of(newsletter, reader) == "active"
        # Once: it is for that unsubscribing, and no later one.
        client.post(link)
        assert client.post(undo).status_code == 410
    assert state_of(newsletter, reader) == "unsubscribed"


def test_links_that_were_tampered_with_change_nothing(newsletter: Newsletter, reader: str, link: str) -> None:
    foreign = path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, reader)))
    others = [*forged_paths(link), link.rpartition("/")[0] + "/" + foreign.rpartition("/")[2]]
    with serving(newsletter) as where, site_client(where) as client:
        for path in others:
            for answer in (client.get(path), client.post(path, data=ONE_CLICK)):
                assert answer.status_code == 404
                assert "invalid or incomplete" in answer.text
                assert reader not in answer.text
        assert client.post(link, content=b"x" * 400_000).status_code == 413
    assert state_of(newsletter, reader) == "active"


def test_it_holds_for_messages_not_yet_on_the_wire(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.with_sample()
    newsletter.configure(smtp={"sessions": 1})
    newsletter.subscriber("bob", "email: bob@example.org\ninterests: [reinforcement learning]\n")
    newsletter.run("subscribers", "list")
    paths = {
        email: path_of(links_of(newsletter).url(TokenPurpose.UNSUBSCRIBE, row_of(newsletter, email)))
        for email in (reader, "bob@example.org")
    }
    with serving(newsletter) as where:
        mail.on_recipient = _while_first_is_on_the_wire(mail, where, paths)
        newsletter.run("send", code=None)
    (gone,) = mail.recipients()
    rows = newsletter.run("log", "--json").rows
    (other,) = [row for row in rows if row["email"] != gone]
    assert (other["state"], other["reason"]) == ("skipped", "the subscriber no longer gets mail")


def _while_first_is_on_the_wire(mail: Mailbox, where: str, paths: dict[str, str]) -> Callable[[str], None]:
    def unsubscribe_the_other(address: str) -> None:
        (other,) = set(paths) - {address}
        assert httpx.post(where + paths[other], data=ONE_CLICK, timeout=20).status_code == 200

    return unsubscribe_the_other
