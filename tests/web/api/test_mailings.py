"""Announcements and messages through the API, and requests with an idempotency key."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import httpx
import pytest
from sqlalchemy import select

from newsletter.model import Scope
from newsletter.services.context import open_context
from newsletter.services.jobs import housekeeping
from newsletter.store import idempotency, open_store, tokens, writing
from newsletter.store.schema import idempotency_keys
from newsletter.support.clock import frozen_clock, parse_moment
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import dump, serving, site_client, token_of

TEXT = "# New on {{ site.name }}\n\n{{ greeting }} digests have a **new layout**.\n"
MESSAGE = {"template": "receipt", "email": "ada@example.org", "data": {"number": 7, "link": "https://shop.example.org"}}


@pytest.fixture
def shop(newsletter: Newsletter, reader: str) -> Newsletter:
    """A newsletter with a template for receipts and a subscriber."""
    folder = newsletter.folder / "templates" / "messages"
    folder.mkdir(parents=True)
    (folder / "receipt.md").write_text("# Receipt {{ number }}\n\n{{ greeting }} [see it]({{ link }})\n")
    newsletter.run("subscribers", "list")
    return newsletter


def post(client: httpx.Client, key: str | None, path: str = "messages", **changes: object) -> httpx.Response:
    """Send a message with a key, or post something else."""
    body = {**MESSAGE, **changes} if path == "messages" else changes
    return client.post(f"/api/{path}", json=body, headers={"Idempotency-Key": key} if key is not None else {})


def test_an_announcement_from_its_preview_to_its_end(newsletter: Newsletter, mail: Mailbox, reader: str) -> None:
    newsletter.run("subscribe", "grace@example.org", "--no-file")
    newsletter.run("subscribers", "tag", "grace@example.org", "--add", "guests")
    header = token_of(newsletter, Scope.ANNOUNCEMENTS_WRITE, Scope.READ)
    with serving(newsletter) as where, site_client(where) as client:
        client.headers.update(header)
        shown = client.post("/api/announcements/preview", json={"source": TEXT}).json()
        assert shown["subject"] == "New on Test Papers" and "<strong>new layout</strong>" in shown["html"]
        row = client.get("/api/subscribers", params={"email": reader}).json()["subscribers"][0]["id"]
        as_ada = client.post("/api/announcements/preview", json={"source": TEXT, "subscriber": row}).json()
        assert "Hello Ada," in as_ada["text"]
        assert client.post("/api/announcements/preview", json={"source": TEXT, "subscriber": 99}).status_code == 404

        test = client.post("/api/announcements/test", json={"source": TEXT, "email": "boss@example.com"})
        assert (test.status_code, test.json()["email"]) == (200, "boss@example.com")
        assert [str(one["Subject"]) for one in mail.messages()] == ["[Test] New on Test Papers"]

        wrong = client.post("/api/announcements", json={"source": "# Hi {{ nmae }}", "to": "all"})
        assert (wrong.status_code, "'nmae' is undefined" in wrong.json()["error"]) == (422, True)
        unknown = client.post("/api/announcements", json={"source": TEXT, "to": "nobody"}).json()["error"]
        assert unknown == "to: no subscriber has the tag 'nobody'; the tags are guests"
        made = client.post("/api/announcements", json={"source": TEXT, "to": "guests"})
        assert (made.status_code, made.json()["created_by"]) == (201, "token crm")
        later = {"source": TEXT, "to": "all", "at": "2025-12-24T09:00", "local_time": True}
        assert client.post("/api/announcements", json=later).json()["send_at"] == "2025-12-24T09:00:00+00:00"
        assert client.post("/api/announcements/2/pause").json()["paused_at"] == "2025-11-28T09:00:00+00:00"
        assert client.post("/api/announcements/2/resume").json()["paused_at"] is None

        newsletter.run("send", "--due")
        done = client.get("/api/announcements/1").json()
        assert (done["state"], done["sends"], done["to"]) == ("sent", {"sent": 1}, "guests")
        assert "grace@example.org" in mail.recipients()
        assert client.post("/api/announcements/1/cancel").status_code == 409
        cancelled = client.post("/api/announcements/2/cancel").json()
        assert (cancelled["cancelled"], cancelled["announcement"]["state"]) == (0, "cancelled")
        first = client.get("/api/announcements", params={"limit": 1}).json()
        rest = client.get("/api/announcements", params={"before": first["next"]}).json()
        assert [one["id"] for one in (*first["announcements"], *rest["announcements"])] == [2, 1]
        assert rest["next"] is None


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"at": "2025-12-24T09:00"}, "at: add an offset, such as Z"),
        ({"at": "2025-12-24T09:00Z", "local_time": True}, "at: drop the offset, since 'local_time' is true"),
        ({"local_time": True}, "local_time: needs the time; add 'at'"),
        ({"at": 1766566800}, "at: is not a time; write it like 2026-02-01T09:00:00Z"),
    ],
)
def test_a_time_is_clear(served: tuple[str, Newsletter], when: dict[str, object], words: str) -> None:
    where, newsletter = served
    header = token_of(newsletter, Scope.ANNOUNCEMENTS_WRITE)
    refused = httpx.post(f"{where}/api/announcements", json={"source": TEXT, "to": "all", **when}, headers=header)
    assert (refused.status_code, refused.json()) == (422, {"error": words})


def test_a_subscriber_is_shown_only_to_who_may_read(shop: Newsletter) -> None:
    header = token_of(shop, Scope.ANNOUNCEMENTS_WRITE)
    with serving(shop) as where, site_client(where) as client:
        client.headers.update(header)
        asked = {"source": TEXT, "subscriber": 1}
        assert client.post("/api/announcements/preview", json=asked).status_code == 403
        assert client.post("/api/announcements/preview", json={"source": TEXT}).status_code == 200


def test_a_message_is_sent_to_one_and_to_nobody_who_left(shop: Newsletter, mail: Mailbox) -> None:
    header = token_of(shop, Scope.MESSAGES_WRITE, Scope.READ, Scope.SUBSCRIBERS_WRITE)
    with serving(shop) as where, site_client(where) as client:
        client.headers.update(header)
        sent = post(client, "1")
        assert (sent.status_code, sent.json()["subject"], sent.json()["sends"]) == (202, "Receipt 7", {"planned": 1})
        shop.run("send", "--due")
        assert [str(one["Subject"]) for one in mail.messages() if one["To"].startswith("Ada")] == ["Receipt 7"]
        assert client.get("/api/messages/1").json()["sends"] == {"sent": 1}
        # A message is no announcement.
        assert client.get("/api/announcements/1").status_code == 404
        assert client.get("/api/announcements").json()["announcements"] == []

        for key, changes, status, words in (
            ("2", {"data": {"number": 7}}, 422, "'link' is undefined"),
            ("2", {"template": "bill"}, 422, "the templates are receipt.md"),
            ("2", {"email": "nobody@example.org"}, 404, "No subscriber has this address."),
            ("2", {"email": "ada"}, 404, "No subscriber has this address."),
        ):
            refused = post(client, key, **changes)
            assert (refused.status_code, words in refused.json()["error"]) == (status, True), refused.text
        # What was refused has used no key up.
        assert post(client, "2").status_code == 202
        client.post("/api/subscribers/1/block", json={})
        assert post(client, "3").status_code == 409
        shop.run("send", "--due")
        assert len([one for one in mail.messages() if str(one["Subject"]).startswith("Receipt")]) == 1


@pytest.mark.both_stores
def test_a_request_with_a_key_is_executed_once(shop: Newsletter) -> None:
    header, other = token_of(shop, *Scope), token_of(shop, Scope.MESSAGES_WRITE, name="other")
    grace = {"email": "grace@example.org", "consent": {"source": "door", "date": "2025-11-20"}}
    with serving(shop) as where, site_client(where) as client:
        client.headers.update(header)
        missing = post(client, None)
        assert (missing.status_code, "Idempotency-Key" in missing.json()["error"]) == (400, True)
        first, again = post(client, "a-1"), post(client, '"a-1"')
        assert (first.status_code, first.text) == (again.status_code, again.text)
        assert "Idempotent-Replayed" not in first.headers and again.headers["Idempotent-Replayed"] == "true"
        changed = post(client, "a-1", data={"number": 8, "link": "x"})
        assert (changed.status_code, "Idempotency-Key" in changed.json()["error"]) == (422, True)
        assert post(client, "a-1", "announcements", source=TEXT, to="all").status_code == 422
        assert client.post("/api/messages", json=MESSAGE, headers={**other, "Idempotency-Key": "a-1"}).json()["id"] == 2

        added = [post(client, "b", "subscribers", **grace) for _ in range(2)]
        assert [one.status_code for one in added] == [201, 201] and added[0].text == added[1].text
        made = [post(client, "c", "announcements", source=TEXT, to="all") for _ in range(2)]
        assert [one.status_code for one in made] == [201, 201] and made[0].text == made[1].text
    held = dump(shop)
    assert (len(held["mailings"]), len(held["sends"]), len(held["subscribers"])) == (3, 2, 2)


@pytest.mark.both_stores
def test_two_at_once_send_one_message(shop: Newsletter) -> None:
    header, ready = token_of(shop, Scope.MESSAGES_WRITE), Barrier(4)
    with serving(shop) as where:

        def send(_: int) -> httpx.Response:
            with site_client(where) as client:
                client.headers.update(header)
                ready.wait()
                return post(client, "at-once")

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(send, range(4)))
        assert {one.status_code for one in answers} <= {202, 409}
        assert len({one.text for one in answers if one.status_code == 202}) == 1
        assert len(dump(shop)["mailings"]) == len(dump(shop)["sends"]) == 1
        with site_client(where) as client:
            client.headers.update(header)
            assert post(client, "at-once").headers["Idempotent-Replayed"] == "true"


@pytest.mark.both_stores
def test_a_request_in_progress_is_not_executed_beside_it(shop: Newsletter) -> None:
    header, now = token_of(shop, Scope.MESSAGES_WRITE), parse_moment(NOW)
    engine = open_store(shop.config.store_url)
    with serving(shop) as where, site_client(where) as client:
        client.headers.update(header)
        assert post(client, "first").status_code == 202
        with writing(engine) as connection:
            content = connection.execute(select(idempotency_keys.c.request_digest)).scalar_one()
            token = tokens.find(connection, header["Authorization"].split()[1], now)
            assert token is not None
            slow = idempotency.begin(connection, token.row, "slow", content, now)
            lost = idempotency.begin(connection, token.row, "lost", content, now - timedelta(minutes=6))
            assert isinstance(slow, idempotency.Attempt) and isinstance(lost, idempotency.Attempt)
        waits = post(client, "slow")
        assert (waits.status_code, waits.headers["Retry-After"]) == (409, "1")
        assert post(client, "lost").status_code == 202, "the process that began it was killed"
        with writing(engine) as connection:
            assert not idempotency.finish(connection, lost, 202, {}, None), "and would be undone"
            idempotency.abandon(connection, slow)
        assert post(client, "slow").status_code == 202
    engine.dispose()


def test_answers_are_kept_for_a_day_and_go_with_the_person(shop: Newsletter, mail: Mailbox) -> None:
    header = token_of(shop, Scope.MESSAGES_WRITE, Scope.SUBSCRIBERS_WRITE)
    with serving(shop) as where, site_client(where) as client:
        client.headers.update(header)
        assert post(client, "1").json()["id"] == 1
    with serving(shop, "2025-11-29T09:01") as where, site_client(where) as client:
        client.headers.update(header)
        assert post(client, "1").json()["id"] == 2, "a new day"
        assert post(client, "2").json()["id"] == 3
        assert "ada@example.org" in str(dump(shop)["idempotency_keys"])
        assert client.delete("/api/subscribers/1").status_code == 204
        assert dump(shop)["idempotency_keys"] == []
        assert post(client, "2").status_code == 404
        grace = {"email": "grace@example.org", "consent": {"source": "door", "date": "2025-11-20"}}
        assert post(client, "3", "subscribers", **grace).status_code == 201
    clean_up(shop, "2025-11-30T09:02")
    assert dump(shop)["idempotency_keys"] == []


def clean_up(newsletter: Newsletter, now: str) -> None:
    """Delete what is old at a time."""
    context = open_context(newsletter.config, frozen_clock(parse_moment(now)))
    assert housekeeping(context, lambda *_, **__: None, lambda: False)
    context.engine.dispose()


def test_old_lines_of_the_audit_log_are_deleted(shop: Newsletter) -> None:
    token_of(shop, Scope.READ)
    shop.configure(log={"keep_audit_days": 30})
    clean_up(shop, "2025-12-27T09:00")
    assert len(dump(shop)["audit_log"]) == 1
    clean_up(shop, "2025-12-29T09:00")
    assert dump(shop)["audit_log"] == []
