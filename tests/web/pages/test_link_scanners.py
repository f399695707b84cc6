"""Opening links of emails in a real browser, scripts and all, as programs that guard mailboxes do: nothing changes."""

from email.message import EmailMessage

from playwright.sync_api import Browser

from newsletter.audience.signed_links import TokenPurpose
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import (
    dump,
    dump_when_mail_sent,
    first_link,
    links_of,
    path_of,
    row_of,
    serving,
    site_client,
    urls_in,
    wait_for_messages,
)


def by_subject(mail: Mailbox, number: int, words: str) -> EmailMessage:
    return next(one for one in wait_for_messages(mail, number) if words in str(one["Subject"]))


def test_opening_every_link_of_every_email_changes_nothing(
    newsletter: Newsletter, mail: Mailbox, reader: str, browser: Browser
) -> None:
    newsletter.with_sample()
    newsletter.configure(web={"sign_ups": {"per_address": 9, "per_address_per_day": 9}})
    newsletter.run("send")
    page = path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, reader)))
    with serving(newsletter) as where, site_client(where) as client:
        client.post("/subscribe", data={"email": reader})
        client.post("/subscribe", data={"email": "new@example.org"})
        client.post("/links", data={"email": reader})
        for end in ("export", "forget", "address"):
            client.post(f"{page}/{end}", data={"email": "ada@new.example"})
        wait_for_messages(mail, 7)
        client.post(first_link(by_subject(mail, 7, "change of address")))
        client.post(f"{page}/address", data={"email": "ada@other.example"})
        messages = wait_for_messages(mail, 9)
        urls = {
            path_of(url) for one in messages for url in urls_in(one) if url.startswith("https://papers.example.org")
        }
        kinds = {url.split("/")[1] for url in urls}
        assert kinds == {"feedback", "save", "digest", "papers", "preferences", "unsubscribe", "confirm", "approve"}
        # One each for the new address, one's data, being forgotten, and the address that was asked for last.
        assert len([url for url in urls if "/approve/" in url]) == 5
        before = dump_when_mail_sent(newsletter)
        assert len(before["sign_ups"]) == 5
        tab = browser.new_page()
        posted: list[str] = []
        tab.on("request", lambda request: posted.append(request.url) if request.method != "GET" else None)
        for url in sorted(urls):
            answer = tab.goto(where + url, wait_until="networkidle")
            assert answer is not None
            assert answer.status in (200, 410), url
            if answer.status == 410:
                assert first_link(by_subject(mail, 9, "change of address")) == url  # It was used above.
        tab.close()
        assert posted == []
        assert dump(newsletter) == before
