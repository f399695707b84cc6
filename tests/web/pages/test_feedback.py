"""More, or less, like a paper, by a link of an email, over HTTP."""

import re
from datetime import date

import pytest

from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import feedback_of, forged_paths, links_of, path_of, row_of, serving, site_client


@pytest.fixture
def message(newsletter: Newsletter, mail: Mailbox, reader: str) -> str:
    newsletter.with_sample()
    newsletter.run("send")
    body = mail.messages()[0].get_body(["plain"])
    assert body is not None
    return str(body.get_content())


def link(message: str, kind: str) -> str:
    found = re.search(rf"{kind} like this: (\S+)", message)
    assert found is not None
    return path_of(found[1])


def test_it_acts_by_post_says_what_changed_and_is_undone(newsletter: Newsletter, reader: str, message: str) -> None:
    first = re.findall(r"^1\. (.+)$", message, re.MULTILINE)[0]
    less = link(message, "Less")
    with serving(newsletter) as where, site_client(where) as client:
        before = newsletter.run("rank", reader, "--json").rows
        for answer in (client.head(less), client.get(less)):
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert feedback_of(newsletter, reader) == []
        acted = client.post(less)
        assert (acted.status_code, acted.headers["location"]) == (303, less)
        ((title, verdict, interest),) = feedback_of(newsletter, reader)
        assert title.startswith(first.rstrip("…")[:30])
        assert (verdict, interest) == ("less", "Several goals")
        noted = client.get(less).text
        assert "<b>Several goals</b>" in noted
        assert re.findall(r"<li>([^<]+)</li>", noted)
        assert newsletter.run("rank", reader, "--json").rows != before
        # The other verdict takes its place.
        client.post(link(message, "More"))
        assert [one[1] for one in feedback_of(newsletter, reader)] == ["more"]
        undone = client.post(f"{link(message, 'More')}/undo").headers["location"]
        assert "Undone." in client.get(undone).text
        assert feedback_of(newsletter, reader) == []
    assert newsletter.run("rank", reader, "--json").rows == before


def test_wrong_links_and_other_sites_say_nothing(newsletter: Newsletter, reader: str, message: str) -> None:
    less = link(message, "Less")
    foreign = path_of(links_of(newsletter).digest_url(row_of(newsletter, reader), date(2025, 11, 28)))
    with serving(newsletter) as where, site_client(where) as client:
        for path in (*forged_paths(less), less.rpartition("/")[0] + "/" + foreign.rpartition("/")[2]):
            assert client.get(path).status_code == client.post(path).status_code == 404
            assert client.post(f"{path}/undo").status_code == 404
        assert client.post(less, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert feedback_of(newsletter, reader) == []


def test_a_scanner_that_follows_every_link_changes_nothing(newsletter: Newsletter, reader: str, message: str) -> None:
    links = [path_of(one) for one in re.findall(r"https://papers\.example\.org/\S+", message)]
    kinds = {one.split("/")[1] for one in links}
    assert kinds == {"feedback", "save", "digest", "papers", "preferences", "unsubscribe"}
    listed = newsletter.run("subscribers", "list", "--json").rows
    with serving(newsletter) as where, site_client(where) as client:
        for path in links:
            assert client.head(path).status_code == client.get(path).status_code == 200
        assert feedback_of(newsletter, reader) == []
    assert newsletter.run("subscribers", "list", "--json").rows == listed
