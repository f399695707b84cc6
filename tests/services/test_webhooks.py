"""Webhooks: events are recorded with what happened, signed, posted until they are accepted, and never to one only."""

import json
import signal
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import func, select
from standardwebhooks import Webhook
from werkzeug import Request, Response

from newsletter.config.secrets import new_webhook_secret
from newsletter.model import SubscriberState
from newsletter.services import retention, webhooks
from newsletter.services.context import AppContext, open_context
from newsletter.services.jobs import deliver_webhooks, housekeeping
from newsletter.store import reading, schema, subscribers, tags, writing
from newsletter.support.clock import frozen_clock, parse_moment
from tests.helpers.bounce_reports import About, yahoo_complaint
from tests.helpers.newsletter import NOW, Newsletter, wait_until
from tests.helpers.smtp import Mailbox

SECRET = new_webhook_secret()
START = parse_moment(NOW)


class Receiver:
    """A program of the operator: it verifies what it gets as the library for receivers does."""

    def __init__(self, server: HTTPServer) -> None:
        self.server, self.got, self.ids = server, list[dict](), list[str]()
        self.answers = list[Response]()
        server.expect_request("/hooks", method="POST").respond_with_handler(self._take)
        self.url = server.url_for("/hooks")

    def _take(self, request: Request) -> Response:
        self.got.append(Webhook(SECRET).verify(request.get_data(), dict(request.headers)))
        self.ids.append(request.headers["webhook-id"])
        return self.answers.pop(0) if self.answers else Response(status=204)

    @property
    def kinds(self) -> list[str]:
        return [one["type"] for one in self.got]


@pytest.fixture
def receiver(newsletter: Newsletter, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    received = Receiver(httpserver)
    monkeypatch.setenv("NEWSLETTER_WEBHOOK_SECRET_CRM", SECRET)
    newsletter.configure(webhooks={"endpoints": {"crm": {"url": received.url}}})
    return received


def context_at(newsletter: Newsletter, moment: datetime = START) -> AppContext:
    return open_context(newsletter.config, frozen_clock(moment))


def deliver(newsletter: Newsletter, after: timedelta = timedelta()) -> bool:
    """Post what is due some time after the start."""
    context = context_at(newsletter, START + after)
    try:
        return deliver_webhooks(context, lambda *_, **__: None, lambda: False)
    finally:
        context.engine.dispose()


def with_a_paper(newsletter: Newsletter) -> None:
    """Have something to send, also to those whom nothing in it concerns."""
    file = newsletter.folder / "papers.jsonl"
    file.write_text(json.dumps({"title": "Weaving by hand", "abstract": "How looms are set up."}))
    newsletter.run("import", file)
    newsletter.configure(digest={"when_nothing": "send"})


def number_of_events(newsletter: Newsletter) -> tuple[int, int]:
    context = context_at(newsletter)
    with reading(context.engine) as connection:
        tables = (schema.webhook_events, schema.webhook_deliveries)
        events, deliveries = (
            connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables
        )
    context.engine.dispose()
    return events, deliveries


@pytest.mark.both_stores
def test_endpoints_are_told_what_happens_to_subscribers_and_sends(
    newsletter: Newsletter, mail: Mailbox, receiver: Receiver, reader: str
) -> None:
    with_a_paper(newsletter)
    newsletter.run("subscribe", "bob@example.org", "--interest", "looms")
    newsletter.run("subscribe", "bob@example.org", "--interest", "looms")  # It changes nothing.
    newsletter.run("send")
    newsletter.run("unsubscribe", "bob@example.org")
    newsletter.run("subscribe", "--again", "bob@example.org", "--interest", "carpets")
    context = context_at(newsletter)
    with writing(context.engine) as connection:
        bob = subscribers.by_email(connection, "bob@example.org")
        tags.add(connection, bob.row, ["weavers"], START)
        tags.add(connection, bob.row, ["weavers"], START)
    context.engine.dispose()
    assert deliver(newsletter)

    of_bob = [one for one in receiver.got if one["data"].get("email") == "bob@example.org"]
    assert sorted(one["type"] for one in of_bob) == [
        "send.sent",
        "subscriber.changed",
        "subscriber.created",
        "subscriber.resumed",
        "subscriber.tagged",
        "subscriber.unsubscribed",
    ]
    by_kind = {one["type"]: one for one in of_bob}
    told = {"id": bob.row, "email": "bob@example.org"}
    assert by_kind["subscriber.created"]["data"] == {**told, "state": "active"}
    assert by_kind["subscriber.unsubscribed"]["data"] == {**told, "state": "unsubscribed"}
    assert by_kind["subscriber.tagged"]["data"] == {**told, "state": "active", "tags": ["weavers"]}
    assert by_kind["subscriber.created"]["timestamp"] == "2025-11-28T09:00:00Z"
    sent = by_kind["send.sent"]["data"]
    assert (sent["subscriber"], sent["state"], sent["edition"]) == (bob.row, "sent", "2025-11-28")
    assert sent["message_id"] in {message["Message-ID"] for message in mail.messages()}
    assert "looms" not in json.dumps(receiver.got)
    before = len(receiver.got)
    assert deliver(newsletter, timedelta(days=1))
    assert len(receiver.got) == before
    assert len(set(receiver.ids)) == before


@pytest.mark.both_stores
def test_refused_messages_and_complaints_are_told(newsletter: Newsletter, mail: Mailbox, receiver: Receiver) -> None:
    with_a_paper(newsletter)
    newsletter.configure(bounces={"hard_limit": 1})
    mail.on_recipient = lambda address: "550 5.1.1 no such user" if address.startswith("bob") else None
    newsletter.run("subscribe", "bob@example.org", "--interest", "looms")
    newsletter.run("send", code=1)
    newsletter.run("subscribe", "eve@example.org", "--interest", "looms")
    newsletter.run("send", "--only", "eve@example.org")
    (message,) = mail.messages()
    report = newsletter.folder / "report.eml"
    report.write_bytes(yahoo_complaint(About("eve@example.org", message_id=message["Message-ID"])))
    newsletter.run("bounces", "read", report)
    assert deliver(newsletter)
    of = {
        name: [one for one in receiver.got if one["data"]["email"] == f"{name}@example.org"] for name in ("bob", "eve")
    }
    assert sorted(one["type"] for one in of["bob"]) == [
        "send.bounced",
        "send.failed",
        "subscriber.bounced",
        "subscriber.created",
    ]
    bounced = next(one for one in of["bob"] if one["type"] == "send.bounced")["data"]
    assert bounced["bounce"]["kind"] == "hard"
    assert bounced["bounce"]["status"] == "5.1.1"
    assert {one["type"] for one in of["eve"]} >= {"send.complained", "subscriber.complained", "subscriber.unsubscribed"}


def test_each_endpoint_gets_only_what_it_asks_for(newsletter: Newsletter, receiver: Receiver) -> None:
    receiver.server.expect_request("/other").respond_with_data("", status=204)
    other = {"url": receiver.server.url_for("/other"), "events": ["send.failed", "*.unsubscribed"]}
    newsletter.configure(webhooks={"endpoints": {"crm": {"url": receiver.url, "events": "send.*"}, "mail-log": other}})
    newsletter.run("subscribe", "bob@example.org", "--interest", "looms")
    assert number_of_events(newsletter) == (0, 0)
    newsletter.run("unsubscribe", "bob@example.org")
    assert number_of_events(newsletter) == (1, 1)


def test_without_endpoints_nothing_is_recorded(newsletter: Newsletter) -> None:
    newsletter.run("subscribe", "bob@example.org", "--interest", "looms")
    newsletter.run("unsubscribe", "bob@example.org")
    assert number_of_events(newsletter) == (0, 0)


@pytest.mark.both_stores
def test_an_event_is_recorded_only_with_the_change_itself(newsletter: Newsletter, receiver: Receiver) -> None:
    newsletter.run("subscribe", "bob@example.org", "--interest", "looms")
    context = context_at(newsletter)
    with pytest.raises(RuntimeError), writing(context.engine) as connection:
        subscribers.set_state(connection, 1, SubscriberState.PAUSED, START)
        raise RuntimeError
    context.engine.dispose()
    assert number_of_events(newsletter) == (1, 1)
    assert deliver(newsletter)
    assert receiver.kinds == ["subscriber.created"]


def test_an_event_is_tried_for_24_hours_with_growing_waits(newsletter: Newsletter, receiver: Receiver) -> None:
    newsletter.run("subscribe", "bob@example.org", "--interest", "looms")
    receiver.answers = [Response("busy", status=500) for _ in range(20)]
    tried, since = list[timedelta](), timedelta()
    while since <= timedelta(hours=26):
        before = len(receiver.got)
        deliver(newsletter, since)
        if len(receiver.got) > before:
            tried.append(since)
        (row,) = newsletter.run("webhooks", "failures", "crm", "--json").rows
        if row["next_at"] is None:
            break
        since = datetime.fromisoformat(row["next_at"]) - START + timedelta(seconds=1)
    waits = [later - earlier for earlier, later in pairwise(tried)]
    usual = [timedelta(seconds=one) for one in (5, 300, 1800, 7200, 18000, 36000)]
    for wait, expected in zip(waits, usual, strict=False):
        assert 0.9 * expected <= wait <= 1.1 * expected + timedelta(seconds=2)
    assert timedelta(hours=24) <= tried[-1] <= timedelta(hours=24, seconds=2)
    assert row["status"] == 500
    assert row["error"] == "status 500: 'busy'"
    assert len(set(receiver.ids)) == 1
    assert {json.dumps(one, sort_keys=True) for one in receiver.got} == {json.dumps(receiver.got[0], sort_keys=True)}

    receiver.answers = []
    newsletter.run("webhooks", "retry", "crm", now="2025-12-01T09:00")
    assert deliver(newsletter, timedelta(days=3))
    assert len(set(receiver.ids)) == 1
    (row,) = newsletter.run("webhooks", "list", "--json").rows
    assert (row["waiting"], row["delivered"], row["failed"]) == (0, 1, 0)


def test_an_endpoint_that_wants_a_pause_gets_it(newsletter: Newsletter, receiver: Receiver) -> None:
    newsletter.configure(webhooks={"endpoints": {"crm": {"url": receiver.url, "parallel": 1}}})
    for name in ("ada", "bob"):
        newsletter.run("subscribe", f"{name}@example.org", "--interest", "looms")
    receiver.answers = [Response(status=429, headers={"Retry-After": "600"})]
    assert not deliver(newsletter)
    deliver(newsletter, timedelta(minutes=9))
    assert len(receiver.got) == 1
    assert deliver(newsletter, timedelta(minutes=11))
    assert len(receiver.got) == 3


def test_an_endpoint_that_is_gone_gets_nothing_until_it_is_tried_again(
    newsletter: Newsletter, receiver: Receiver
) -> None:
    newsletter.run("subscribe", "ada@example.org", "--interest", "looms")
    receiver.answers = [Response(status=410)]
    deliver(newsletter)
    newsletter.run("subscribe", "bob@example.org", "--interest", "looms")
    deliver(newsletter, timedelta(days=2))
    assert len(receiver.got) == 1
    assert newsletter.run("webhooks", "list", "--json").rows[0]["stopped_at"] == "2025-11-28T09:00:00+00:00"
    assert "410" in newsletter.run("doctor", "--offline", code=None).out
    newsletter.run("webhooks", "retry", "crm")
    assert deliver(newsletter)
    assert sorted(one["data"]["email"] for one in receiver.got[1:]) == ["ada@example.org", "bob@example.org"]


def test_redirects_are_not_followed(newsletter: Newsletter, receiver: Receiver) -> None:
    target = receiver.server.url_for("/elsewhere")
    receiver.answers = [Response(status=307, headers={"Location": target})]
    ended = newsletter.run("webhooks", "test", "crm", code=1)
    assert "status 307" in ended.err
    assert [request.path for request, _ in receiver.server.log] == ["/hooks"]


def test_an_endpoint_that_hangs_does_not_delay_another(newsletter: Newsletter, receiver: Receiver) -> None:
    ended = threading.Event()

    def hang(_: Request) -> Response:
        ended.wait(60)
        return Response(status=204)

    with HTTPServer(threaded=True) as slow:
        slow.expect_request("/").respond_with_handler(hang)
        stuck, silent = ({"url": slow.url_for("/"), "timeout_seconds": seconds} for seconds in (60, 0.2))
        for name in ("STUCK", "SILENT"):
            newsletter._monkeypatch.setenv(f"NEWSLETTER_WEBHOOK_SECRET_{name}", SECRET)
        newsletter.configure(webhooks={"endpoints": {"stuck": stuck, "silent": silent, "crm": {"url": receiver.url}}})
        for number in range(10):
            newsletter.run("subscribe", f"reader{number}@example.org", "--interest", "looms")
        context = context_at(newsletter)
        sender = webhooks.WebhookSender(context, lambda *_, **__: None, lambda: False)
        sender.start()
        wait_until(lambda: len(receiver.got) == 10)
        newsletter.run("subscribe", "late@example.org", "--interest", "looms")
        wait_until(lambda: sender.start() or len(receiver.got) == 11)  # While the other endpoint still hangs.
        wait_until(lambda: newsletter.run("webhooks", "failures", "silent", "--json").rows)
        ended.set()
        sender.wait()
        context.engine.dispose()
    rows = {row["name"]: row for row in newsletter.run("webhooks", "list", "--json").rows}
    assert (rows["crm"]["delivered"], rows["stuck"]["delivered"]) == (11, 11)
    assert newsletter.run("webhooks", "failures", "silent", "--json").rows[-1]["error"].startswith("no ")


@pytest.mark.system
def test_a_process_that_is_killed_while_it_posts_loses_and_invents_nothing(
    newsletter: Newsletter, receiver: Receiver
) -> None:
    first, hold = threading.Event(), threading.Event()

    def stall(request: Request) -> Response:
        receiver._take(request)
        first.set()
        hold.wait(30)
        return Response(status=204)

    receiver.server.clear()
    receiver.server.expect_request("/hooks").respond_with_handler(stall)
    now = datetime.now(UTC)
    newsletter.run("subscribe", "bob@example.org", "--interest", "looms", now=now.isoformat())
    process = newsletter.start("run", NEWSLETTER_WEBHOOK_SECRET_CRM=SECRET)
    wait_until(first.is_set, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    hold.set()
    deliver(newsletter, now - START + timedelta(seconds=10))
    assert len(receiver.got) == 1
    assert deliver(newsletter, now - START + timedelta(minutes=3))
    assert receiver.kinds == ["subscriber.created"] * 2
    assert len(set(receiver.ids)) == 1
    assert deliver(newsletter, now - START + timedelta(days=1))
    assert len(receiver.got) == 2


@pytest.mark.both_stores
def test_of_somebody_forgotten_endpoints_get_only_the_number(newsletter: Newsletter, receiver: Receiver) -> None:
    newsletter.run("subscribe", "bob@example.org", "--interest", "looms")
    newsletter.run("subscribe", "eve@example.org", "--interest", "looms")
    newsletter.run("subscribers", "forget", "bob@example.org", "--yes")
    assert deliver(newsletter)
    assert sorted(receiver.kinds) == ["subscriber.created", "subscriber.forgotten"]
    assert next(one["data"] for one in receiver.got if one["type"] == "subscriber.forgotten") == {"id": 1}
    assert "bob" not in json.dumps(receiver.got)


@pytest.mark.both_stores
def test_old_events_are_deleted(newsletter: Newsletter, receiver: Receiver) -> None:
    newsletter.run("subscribe", "bob@example.org", "--interest", "looms")
    assert deliver(newsletter)
    newsletter.run("subscribe", "eve@example.org", "--interest", "looms")
    newsletter.configure(webhooks={"endpoints": {"new": {"url": receiver.url}}})
    document = (newsletter.folder / "config.yaml").read_text()
    (newsletter.folder / "config.yaml").write_text(document.replace("    crm:", "    other:"))
    kept = []
    for days in (0, 8, 31):
        context = context_at(newsletter, START + timedelta(days=days))
        housekeeping(context, lambda *_, **__: None, lambda: False)
        context.engine.dispose()
        kept.append(number_of_events(newsletter))
    assert kept == [(2, 2), (1, 1), (0, 0)]
    assert retention.purge_expired(context, lambda: False).get("webhooks") is None


def test_test_shows_the_answer_and_signs_with_all_secrets(newsletter: Newsletter, receiver: Receiver) -> None:
    newsletter._monkeypatch.setenv("NEWSLETTER_WEBHOOK_SECRET_CRM", f"{new_webhook_secret()} {SECRET}")
    receiver.answers = [Response("welcome")]
    assert newsletter.run("webhooks", "test", "crm").out == "crm: accepted with status 200: welcome\n"
    assert receiver.kinds == ["webhook.test"]
    assert receiver.ids[0].startswith("msg_")
    assert number_of_events(newsletter) == (0, 0)


def test_errors_name_the_endpoint_and_what_to_do(newsletter: Newsletter, receiver: Receiver) -> None:
    assert "did you mean 'crm'?" in newsletter.run("webhooks", "test", "crmm", code=2).err
    secret = newsletter.run("webhooks", "secret").out.strip()
    for value, said in (
        ("", "webhooks.endpoints.crm: no secret; set NEWSLETTER_WEBHOOK_SECRET_CRM"),
        ("whsec_abc", "NEWSLETTER_WEBHOOK_SECRET_CRM: not a secret of Standard Webhooks"),
    ):
        newsletter._monkeypatch.setenv("NEWSLETTER_WEBHOOK_SECRET_CRM", value)
        ended = newsletter.run("webhooks", "test", "crm", code=2)
        assert said in ended.err
        assert "whsec_abc" not in ended.err
        assert said.partition(";")[0] in newsletter.run("doctor", "--offline", code=1).out.replace("\n" + " " * 12, " ")
    newsletter._monkeypatch.setenv("NEWSLETTER_WEBHOOK_SECRET_CRM", "")
    file = newsletter.folder / "crm.secret"
    file.write_text(secret)
    file.chmod(0o644)
    newsletter.configure(webhooks={"endpoints": {"crm": {"url": receiver.url, "secret_file": "crm.secret"}}})
    assert "chmod 600" in newsletter.run("webhooks", "test", "crm", code=2).err
    newsletter.configure(webhooks={"endpoints": {"crm": {"url": receiver.url, "events": ["subscriber.add"]}}})
    assert "is not an event" in newsletter.run("webhooks", "list", code=2).err
