"""Rating ten papers over HTTP: what is asked, what it changes, and the first digest that waits for it."""

import html
import re

import httpx
import pytest

from newsletter.audience.signed_links import TokenPurpose
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import (
    feedback_of,
    first_link,
    links_of,
    path_of,
    row_of,
    serving,
    site_client,
    wait_for_messages,
)

BOB = "bob@example.org"


def page_of(newsletter: Newsletter, email: str) -> str:
    return path_of(links_of(newsletter).url(TokenPurpose.RATINGS, row_of(newsletter, email))).replace(
        "/ratings/", "/rate/"
    )


def asked(answer: httpx.Response) -> dict[str, str]:
    """The papers that a page asks about: title by field."""
    found = re.findall(r'<h2 id="(p\d+)-title"><a [^>]*>([^<]+)', answer.text)
    return {field: html.unescape(title) for field, title in found}


def due(newsletter: Newsletter) -> str:
    return str(newsletter.run("subscribers", "show", BOB, "--json").rows[0]["next_due"])


def test_ratings_make_the_digest_and_are_not_asked_again(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.run("subscribe", BOB)
    page = page_of(newsletter, BOB)
    with serving(newsletter) as where, site_client(where) as client:
        form = client.get(page)
        assert (form.status_code, form.headers["cache-control"]) == (200, "no-store")
        papers = asked(form)
        assert len(papers) == 10
        assert len(re.findall('value="" checked', form.text)) == 10
        before = newsletter.run("preview", BOB, "--format", "text").out
        liked, second, *_, disliked = papers
        said = {liked: "more", second: "more", disliked: "less"}
        acted = client.post(page, data={**dict.fromkeys(papers, ""), **said, "act": "rate"})
        assert acted.status_code == 303
        given = {title: verdict for title, verdict, _ in feedback_of(newsletter, BOB)}
        assert given == {papers[field]: verdict for field, verdict in said.items()}
        for _ in range(2):  # Seen again, it is the same.
            result = client.get(acted.headers["location"])
            assert "Saved: you rated 3 papers." in result.text
            titles = [html.unescape(one) for one in re.findall(r'class="title">(?:<a[^>]*>)?([^<]+)', result.text)]
            now = " ".join(newsletter.run("preview", BOB, "--format", "text").out.split())
            assert titles
            assert all(" ".join(title.split())[:60] in now for title in titles)
            marked = result.text.count("new because of your ratings</b>")
            old = " ".join(before.split())
            assert marked == sum(" ".join(title.split())[:60] not in old for title in titles) > 0
        again = asked(client.get(page))
        assert len(again) == 10
        assert not said.keys() & again.keys()
        # Nothing said is nothing stored, and an opinion on no paper neither.
        client.post(page, data={"p999999": "more", "p1": "maybe", "p٣": "more", "act": "rate"})
        assert len(feedback_of(newsletter, BOB)) == 3
        assert client.get(f"{page}?since=yesterday").status_code == 200
        assert "No ratings were saved." in client.get(f"{page}?since=20991231T000000.000000Z").text


def test_papers_that_were_sent_are_not_asked_about(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    newsletter.run("subscribe", BOB)
    page = page_of(newsletter, BOB)
    with serving(newsletter) as where, site_client(where) as client:
        first = asked(client.get(page))
        newsletter.run("send")
        body = wait_for_messages(mail, 1)[0].get_body(["plain"])
        assert body is not None
        sent = {title for title in first.values() if title[:50] in " ".join(body.get_content().split())}
        assert sent
        assert not sent & {*asked(client.get(page)).values()}


def test_without_papers_it_says_so(newsletter: Newsletter) -> None:
    newsletter.run("subscribe", BOB)
    with serving(newsletter) as where, site_client(where) as client:
        page = page_of(newsletter, BOB)
        assert "There are no papers to rate right now." in client.get(page).text
        acted = client.post(page, data={"act": "rate"})
        assert "There are no papers yet." in client.get(acted.headers["location"]).text


def confirm(newsletter: Newsletter, mail: Mailbox, client: httpx.Client, **fields: str) -> str:
    """Sign Bob up, and return where the confirmation leads."""
    client.post("/subscribe", data={"email": BOB, **fields})
    acted = client.post(first_link(wait_for_messages(mail, 1)[0]))
    assert acted.status_code == 303
    return str(acted.headers["location"])


@pytest.mark.parametrize("act", ["rate", "skip", "nothing"])
def test_the_first_digest_waits_for_ratings(newsletter: Newsletter, mail: Mailbox, act: str) -> None:
    newsletter.with_sample()
    with serving(newsletter) as where, site_client(where) as client:
        leads_to = confirm(newsletter, mail, client)
        assert leads_to == f"{page_of(newsletter, BOB)}?said=welcome"
        form = client.get(leads_to)
        assert "Otherwise it arrives in ten minutes" in form.text
        newsletter.run("send", "--due", now="2025-11-28T09:09")
        assert len(mail.accepted) == 1
        if act != "nothing":
            page, first = leads_to.partition("?")[0], next(iter(asked(form)))
            acted = client.post(page, data={first: "more", "act": act})
            assert acted.headers["location"].startswith("/rate/" if act == "rate" else "/preferences/")
            shown = client.get(acted.headers["location"])
            assert "Your first digest will arrive within minutes." in shown.text
            assert "waits up to" not in client.get(page).text
            assert [one[1] for one in feedback_of(newsletter, BOB)] == (["more"] if act == "rate" else [])
            assert due(newsletter) == "2025-11-28T09:00:00+00:00"
    newsletter.run("send", "--due", now=NOW if act != "nothing" else "2025-11-28T09:10")
    assert len(wait_for_messages(mail, 2)) == 2


def test_a_sign_up_with_interests_does_not_wait(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    with serving(newsletter) as where, site_client(where) as client:
        leads_to = confirm(newsletter, mail, client, interests="robots")
        assert leads_to.startswith("/preferences/") and leads_to.endswith("?said=welcome")
        assert due(newsletter) == "2025-11-28T09:00:00+00:00"
        newsletter.run("send", "--due")
        wait_for_messages(mail, 2)
        before = due(newsletter)
        # Ratings at another time make nothing due.
        page = page_of(newsletter, BOB)
        assert "waits up to" not in client.get(page).text
        client.post(page, data={"act": "skip"})
        client.post(page, data={next(iter(asked(client.get(page)))): "more", "act": "rate"})
        assert due(newsletter) == before
