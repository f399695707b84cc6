"""Webhooks of mail providers, end to end: they lead to what bounces by email lead to, and nobody else can send one."""

import base64
import json
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

from newsletter.store import schema
from tests.helpers import bounce_reports as reports
from tests.helpers import provider_posts as posts
from tests.helpers.bounce_reports import About
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.provider_posts import BUILDERS, SECRETS, Post, SnsServers
from tests.helpers.smtp import Mailbox
from tests.helpers.web import dump, serving

KINDS = ("hard", "soft", "complaint", "unsubscribe")
LATER = "2025-11-28T10:00"


@pytest.fixture
def sns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SnsServers]:
    with posts.sns_servers(tmp_path, monkeypatch) as servers:
        yield servers


@pytest.fixture
def hooked(newsletter: Newsletter, mail: Mailbox, sns: SnsServers, monkeypatch: pytest.MonkeyPatch) -> Newsletter:
    """A newsletter with two readers that takes events of all providers."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    newsletter.configure(
        webhooks=posts.settings(),
        network={"proxy": sns.proxy},
        smtp={"sessions": 1},
        bounces={"address": "bounces@papers.example.org", "soft_limit": 1},
    )
    add_readers(newsletter, "hard", "soft")
    return newsletter


def add_readers(newsletter: Newsletter, *names: str) -> None:
    for name in names:
        newsletter.subscriber(name, f"email: {name}@example.org\ninterests: [language models]\n")


def send(newsletter: Newsletter, mail: Mailbox, day: int = 28) -> dict[str, About]:
    """Send everybody a paper; return what a report about each message can know, by the name of the reader."""
    paper = json.dumps({"title": f"Language models, {day}", "abstract": "Language models"})
    (newsletter.folder / "new.jsonl").write_text(paper)
    newsletter.run("import", "new.jsonl", now=f"2025-11-{day}T07:00")
    paths: dict[str, str] = {}
    senders: list[str] = []
    mail.on_sender = senders.append  # type: ignore[assignment]
    before = len(mail.accepted)
    newsletter.run("send", now=f"2025-11-{day}T08:00")
    for (recipient, content), sender in zip(mail.accepted[before:], senders, strict=True):
        paths[recipient.partition("@")[0]] = About(recipient, sender, message_from_bytes(content)["Message-ID"])
    return paths


def outcome(newsletter: Newsletter) -> dict[str, dict[str, object]]:
    """Return the states of all, the suppressed addresses, and what was recorded of each, by name."""
    people = newsletter.run("subscribers", "list", "--json").rows
    suppressed = newsletter.run("bounces", "suppressed", "--json").rows
    recorded: dict[str, list[tuple[str, str | None, str | None]]] = {}
    for one in newsletter.run("bounces", "list", "--json").rows:
        recorded.setdefault(one["email"].partition("@")[0], []).append((one["kind"], one["status"], one["effect"]))
    return {
        "states": {one["email"].partition("@")[0]: one["state"] for one in people},
        "suppressed": {one["email"].partition("@")[0]: one["reason"] for one in suppressed},
        "recorded": recorded,
    }


ENDED = {"hard": "bounced", "soft": "paused", "complaint": "unsubscribed", "unsubscribe": "unsubscribed"}
SUPPRESSED = {"hard": "bounced", "complaint": "complaint", "unsubscribe": "unsubscribed"}
STATUSES = {"hard": "5.1.1", "soft": "4.2.2"}


def test_all_providers_lead_to_the_same_as_bounces_by_email(hooked: Newsletter, mail: Mailbox) -> None:
    providers = ("email", *BUILDERS)
    add_readers(hooked, *(f"{provider}-{kind}" for provider in providers for kind in KINDS))
    sent = send(hooked, mail)
    by_email = {kind: sent[f"email-{kind}"] for kind in KINDS}
    asked = next(one for one in mail.messages() if by_email["unsubscribe"].recipient in one["To"])
    token = asked["List-Unsubscribe"].partition("subject=")[2].partition(">")[0].replace("%20", " ")
    for content in (
        reports.postfix(by_email["hard"]),
        reports.postfix(by_email["soft"], status="4.2.2", said="smtp; 452 4.2.2 mailbox full"),
        reports.yahoo_complaint(by_email["complaint"]),
        reports.letter(token),
    ):
        (hooked.folder / "came.eml").write_bytes(content)
        hooked.run("bounces", "read", "came.eml", now=LATER)
    with serving(hooked, LATER) as site:
        for provider, build in BUILDERS.items():
            for number, kind in enumerate(KINDS):
                post = build(kind, sent[f"{provider}-{kind}"], LATER, number)
                assert (post.to(site), post.answer.json()) == (200, {"status": "accepted"})
    came = outcome(hooked)
    for provider in providers:
        assert {kind: came["states"][f"{provider}-{kind}"] for kind in KINDS} == ENDED, provider
        assert {kind: came["suppressed"].get(f"{provider}-{kind}") for kind in KINDS} == {"soft": None, **SUPPRESSED}
        for kind in KINDS:
            # Of somebody who unsubscribes, Postmark reports only that it suppresses the address.
            recorded = "suppressed" if (provider, kind) == ("postmark", "unsubscribe") else kind
            assert came["recorded"][f"{provider}-{kind}"] == [(recorded, STATUSES.get(kind), ENDED[kind])]


def test_bounces_count_up_to_the_limits(hooked: Newsletter, mail: Mailbox) -> None:
    hooked.configure(bounces={"hard_limit": 2, "soft_limit": 2})
    names = [f"{provider}-{kind}" for provider in BUILDERS for kind in ("hard", "soft")]
    add_readers(hooked, *names)
    for number, day in enumerate((26, 27), 1):
        now = f"2025-11-{day}T10:00"
        sent = send(hooked, mail, day)
        with serving(hooked, now) as site:
            for name in names:
                provider, _, kind = name.partition("-")
                # Twice for one message is once.
                for post in (BUILDERS[provider](kind, sent[name], now, one) for one in (number, number + 10)):
                    if provider == "postmark":
                        post.body = post.body.replace(b"true", b"false")  # An inactive address is suppressed at once.
                    assert post.to(site) == 200
        states = outcome(hooked)["states"]
        expected = {"hard": "active", "soft": "active"} if number == 1 else {"hard": "bounced", "soft": "paused"}
        assert {name: states[name] for name in names} == {name: expected[name.partition("-")[2]] for name in names}


def test_a_suppression_at_the_provider_reaches_the_store(hooked: Newsletter, mail: Mailbox) -> None:
    hooked.configure(bounces={"hard_limit": 5})
    add_readers(hooked, *BUILDERS)
    sent = send(hooked, mail)
    with serving(hooked, LATER) as site:
        for provider, build in BUILDERS.items():
            assert build("suppressed", sent[provider], LATER).to(site) == 200
            assert build("suppressed", sent[provider], LATER, 2).to(site) == 200
        dropped = posts.sendgrid_event("suppressed", sent["hard"], LATER) | {"reason": "Spam Reporting Address"}
        assert posts.signed_by_sendgrid(json.dumps([dropped]).encode(), LATER).to(site) == 200
        dropped = {"event": "failed", "reason": "suppress-unsubscribe", "recipient": "soft@example.org"}
        assert posts.signed_by_mailgun(dropped, LATER).to(site) == 200
    came = outcome(hooked)
    assert came["suppressed"] == {**dict.fromkeys(BUILDERS, "bounced"), "hard": "complaint", "soft": "unsubscribed"}
    # The second says nothing new.
    recorded = [[(kind, effect) for kind, _, effect in came["recorded"][provider]] for provider in BUILDERS]
    assert recorded == [[("suppressed", "bounced")]] * len(BUILDERS)


def test_an_event_about_an_unknown_message_counts_by_its_address(hooked: Newsletter) -> None:
    names = [f"{provider}-{kind}" for provider in BUILDERS for kind in KINDS]
    add_readers(hooked, *names)
    hooked.run("subscribers", "list")
    with serving(hooked) as site:
        for number, name in enumerate(names):
            provider, _, kind = name.partition("-")
            assert BUILDERS[provider](kind, About(f"{name.upper()}@example.org"), NOW, number).to(site) == 200
        before = dump(hooked)
        for build in BUILDERS.values():
            assert build("complaint", About("nobody@example.org")).to(site) == 200
        assert changed(before, dump(hooked)) == []
    came = outcome(hooked)
    for name in names:
        kind = name.partition("-")[2]
        assert came["states"][name] == {**ENDED, "soft": "active"}[kind]  # no message that could be counted
        assert came["suppressed"].get(name) == SUPPRESSED.get(kind)
        assert len(came["recorded"][name]) == 1


def changed(before: dict[str, list], after: dict[str, list]) -> list[str]:
    """Return the tables that differ, apart from the requests that were processed."""
    return [name for name in before if before[name] != after[name] and name != schema.provider_notices.name]


def _other_key(post: Post) -> Post:
    """Sign a request of SendGrid with another key."""
    other = posts.ec.generate_private_key(posts.ec.SECP256R1())
    said = post.headers["X-Twilio-Email-Event-Webhook-Timestamp"].encode() + post.body
    signature = base64.b64encode(other.sign(said, posts.ec.ECDSA(posts.SHA256()))).decode()
    return Post(post.provider, post.body, {**post.headers, "X-Twilio-Email-Event-Webhook-Signature": signature})


def _edited(post: Post, **changes: object) -> Post:
    """Change fields of a signed body."""
    return Post(post.provider, json.dumps({**json.loads(post.body), **changes}).encode(), post.headers)


def _without(post: Post) -> Post:
    return Post(post.provider, post.body)


def _header(post: Post, name: str, value: str) -> Post:
    return Post(post.provider, post.body, {**post.headers, name: value})


A = About("hard@example.org")
SES, GRID, GUN = posts.ses("complaint", A), posts.sendgrid("complaint", A), posts.mailgun("complaint", A)
PM, BREVO = posts.postmark("complaint", A), posts.brevo("complaint", A)
GUN_SIGNATURE = json.loads(GUN.body)["signature"]
CONFIRM = {
    "kind": "SubscriptionConfirmation",
    "Token": "t1",
    "SubscribeURL": f"https://{posts.SNS}/?Action=ConfirmSubscription",
}

FORGED: dict[str, tuple[Post, int]] = {
    "ses: another message": (_edited(SES, Message=json.loads(posts.ses("hard", A).body)["Message"]), 403),
    "ses: another topic": (posts.sns("{}", TopicArn=posts.TOPIC.replace("papers", "others")), 403),
    "ses: old": (posts.ses("complaint", A, "2025-11-28T07:30"), 403),
    "ses: of the future": (posts.ses("complaint", A, "2025-11-28T10:30"), 403),
    "ses: certificate elsewhere": (_edited(SES, SigningCertURL="https://evil.example/sns.pem"), 403),
    "ses: host that ends alike": (
        _edited(SES, SigningCertURL="https://sns.eu-north-1.amazonaws.com.evil.example/sns.pem"),
        403,
    ),
    "ses: user in the URL": (_edited(SES, SigningCertURL=f"https://{posts.SNS}@evil.example/sns.pem"), 403),
    "ses: without TLS": (_edited(SES, SigningCertURL=posts.CERTIFICATE.replace("https", "http")), 403),
    "ses: certificate that is not there": (_edited(SES, SigningCertURL=f"https://{posts.SNS}/other.pem"), 403),
    "ses: signature version 3": (_edited(SES, SignatureVersion="3"), 403),
    "ses: version 1 of a version 2": (_edited(SES, SignatureVersion="1"), 403),
    "ses: no signature": (_edited(SES, Signature=""), 403),
    "ses: raw delivery": (Post("ses", json.dumps({"notificationType": "Complaint"}).encode()), 400),
    "ses: confirmation of another host": (
        posts.sns("Confirm", **{**CONFIRM, "SubscribeURL": "https://evil.example/?Action=ConfirmSubscription"}),
        403,
    ),
    "ses: confirmation that is not signed": (_edited(posts.sns("Confirm", **CONFIRM), Token="t2"), 403),
    "sendgrid: no signature": (_without(GRID), 403),
    "sendgrid: another body": (Post("sendgrid", posts.sendgrid("hard", A).body, GRID.headers), 403),
    "sendgrid: another time": (_header(GRID, "X-Twilio-Email-Event-Webhook-Timestamp", "1764320401"), 403),
    "sendgrid: another key": (_other_key(GRID), 403),
    "sendgrid: old": (posts.sendgrid("complaint", A, "2025-11-28T08:30"), 403),
    "mailgun: no signature": (_edited(GUN, signature=None), 403),
    "mailgun: wrong signature": (_edited(GUN, signature={**GUN_SIGNATURE, "signature": "0" * 64}), 403),
    "mailgun: another token": (_edited(GUN, signature={**GUN_SIGNATURE, "token": "a" * 50}), 403),
    "mailgun: old": (
        posts.signed_by_mailgun({"event": "complained", "recipient": A.recipient}, "2025-11-28T08:00"),
        403,
    ),
    "postmark: no password": (_without(PM), 401),
    "postmark: wrong password": (posts.with_password("postmark", json.loads(PM.body), "guess"), 403),
    "postmark: wrong secret in the header": (_header(_without(PM), "X-Webhook-Secret", "guess"), 403),
    "postmark: not base64": (_header(PM, "Authorization", "Basic !!"), 403),
    "brevo: no token": (_without(BREVO), 401),
    "brevo: wrong token": (_header(BREVO, "Authorization", "Bearer guess"), 403),
    "brevo: token of another": (_header(BREVO, "Authorization", PM.headers["Authorization"]), 403),
    "unknown provider": (Post("mailjet", b"{}"), 404),
    "not JSON": (_header(Post("postmark", b"RecordType=Bounce"), "Authorization", PM.headers["Authorization"]), 400),
    "too large": (Post("brevo", b"[" + b" " * 1_000_001 + b"]", BREVO.headers), 413),
}


def test_forged_and_old_requests_change_nothing(hooked: Newsletter, sns: SnsServers) -> None:
    hooked.run("subscribers", "list")
    with serving(hooked) as site:
        before = dump(hooked)
        statuses = {name: post.to(site) for name, (post, _) in FORGED.items()}
        assert statuses == {name: status for name, (_, status) in FORGED.items()}
        assert dump(hooked) == before
        for post, _ in FORGED.values():
            assert "hard@example.org" not in post.answer.text
            assert "set-cookie" not in post.answer.headers
        # Only SNS was asked, and for no subscription that it did not sign.
        assert set(sns.hosts) == {posts.SNS}
        assert all(path.endswith(".pem") for path in sns.paths)
        # The requests that they were made of are good, but the one that another was made of is not good twice.
        assert [post.to(site) for post in (SES, GRID, GUN, PM, BREVO)] == [200] * 5


def test_a_request_that_is_sent_again_changes_nothing(hooked: Newsletter) -> None:
    add_readers(hooked, *BUILDERS)
    hooked.run("subscribers", "list")
    sent = {name: build("hard", About(f"{name}@example.org")) for name, build in BUILDERS.items()}
    with serving(hooked) as site:
        assert [post.to(site) for post in sent.values()] == [200] * len(sent)
        hooked.run("bounces", "forgive", "--all", "--yes")
        before = dump(hooked)
        assert [post.to(site) for post in sent.values() for _ in range(3)] == [200] * 3 * len(sent)
        # The signature of Mailgun does not cover the event.
        other = {"event-data": {"event": "complained", "recipient": "soft@example.org"}}
        assert _edited(sent["mailgun"], **other).to(site) == 200
        assert dump(hooked) == before


@pytest.mark.both_stores
def test_a_bad_event_in_a_batch_loses_no_other(hooked: Newsletter) -> None:
    add_readers(hooked, "one", "two", "three")
    hooked.run("subscribers", "list")
    good = [posts.sendgrid_event("hard", About(f"{name}@example.org")) for name in ("one", "two")]
    bad: list[object] = [None, 7, {}, {"event": "bounce"}, {"event": ["bounce"], "email": {}}, {"event": "open"}]
    bad += [{"event": "bounce", "email": "nobody@example.org", "timestamp": 1e300, "status": []}]
    with serving(hooked) as site:
        assert posts.signed_by_sendgrid(json.dumps([*bad, good[0], *bad, good[1]]).encode()).to(site) == 200
        recipients = [None, {"emailAddress": ["x"]}, {"emailAddress": "Three <three@example.org>"}]
        report = {"eventType": "Complaint", "complaint": {"complainedRecipients": recipients}, "mail": {}}
        assert posts.sns(json.dumps(report), version="1").to(site) == 200
    assert outcome(hooked)["suppressed"] == {"one": "bounced", "two": "bounced", "three": "complaint"}


def test_a_subscription_of_a_topic_is_confirmed(hooked: Newsletter, sns: SnsServers) -> None:
    with serving(hooked) as site:
        ask = posts.sns("Confirm the subscription", **CONFIRM)
        assert [ask.to(site), ask.to(site)] == [200, 200]
        assert sns.paths == ["/" + posts.CERTIFICATE.rpartition("/")[2], "/?Action=ConfirmSubscription"]
        # The certificate is kept; what SES writes to a new topic is no event; neither is the end of a subscription.
        assert posts.sns("Successfully validated SNS topic for Amazon SES event publishing.").to(site) == 200
        end = {**CONFIRM, "kind": "UnsubscribeConfirmation"}
        assert posts.sns("You have chosen to end the subscription", **end).to(site) == 200
        assert len(sns.paths) == 2


def test_a_certificate_is_not_taken_from_where_sns_redirects_to(hooked: Newsletter, sns: SnsServers) -> None:
    sns.moved = "https://evil.example/sns.pem"
    with serving(hooked) as site:
        assert posts.ses("complaint", A).to(site) == 503
    assert set(sns.hosts) == {posts.SNS}


def test_kinds_of_events_that_need_nothing_are_accepted(hooked: Newsletter) -> None:
    hooked.run("subscribers", "list")
    brevo, postmark = SECRETS["NEWSLETTER_BREVO_WEBHOOK_TOKEN"], SECRETS["NEWSLETTER_POSTMARK_WEBHOOK_PASSWORD"]
    common = {"recipient": A.recipient, "email": A.recipient, "Email": A.recipient, "Recipient": A.recipient}
    with serving(hooked) as site:
        before = dump(hooked)
        for post in (
            posts.with_password("brevo", [{**common, "event": "delivered"}, {**common, "event": "new_kind"}], brevo),
            posts.with_password("postmark", {**common, "RecordType": "Delivery"}, postmark),
            posts.with_password(
                "postmark", {**common, "RecordType": "SubscriptionChange", "SuppressSending": False}, postmark
            ),
            posts.with_password("postmark", {**common, "RecordType": "Bounce", "Type": "AutoResponder"}, postmark),
            posts.signed_by_mailgun({**common, "event": "opened"}),
            posts.signed_by_mailgun({**common, "event": "failed", "severity": "temporary", "reason": "greylisted"}),
            posts.signed_by_sendgrid(json.dumps([{**common, "event": "dropped", "reason": "Spam Content"}]).encode()),
            posts.sns(json.dumps({"eventType": "Delivery", "mail": {}, "delivery": {}})),
        ):
            assert post.to(site) == 200
        assert changed(before, dump(hooked)) == []


def test_the_server_says_more_than_the_verdict(hooked: Newsletter, mail: Mailbox) -> None:
    """A provider calls it hard, but the server refused the sender, as in a bounce by email."""
    sent = send(hooked, mail)
    refused = posts.sendgrid_event("hard", sent["hard"]) | {"status": "5.7.1", "reason": "550 5.7.1 sender rejected"}
    unspecific = posts.sendgrid_event("hard", sent["soft"], number=2) | {
        "status": "5.0.0",
        "reason": "500 unknown user",
    }
    with serving(hooked) as site:
        assert posts.signed_by_sendgrid(json.dumps([refused, unspecific]).encode()).to(site) == 200
    came = outcome(hooked)
    assert came["recorded"] == {"hard": [("refused", "5.7.1", None)], "soft": [("hard", "5.0.0", "bounced")]}


def test_without_its_secret_a_request_waits(hooked: Newsletter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEWSLETTER_MAILGUN_SIGNING_KEY")
    with serving(hooked) as site:
        assert posts.mailgun("complaint", A).to(site) == 503
        key = hooked.folder / "mailgun.key"
        key.write_text(SECRETS["NEWSLETTER_MAILGUN_SIGNING_KEY"] + "\n")
        key.chmod(0o600)
    hooked.configure(webhooks={"providers": {"mailgun": {"signing_key_file": "mailgun.key"}, "postmark": None}})
    with serving(hooked) as site:
        assert posts.mailgun("complaint", A).to(site) == 200
        header = {"X-Webhook-Secret": SECRETS["NEWSLETTER_POSTMARK_WEBHOOK_PASSWORD"]}
        assert Post("postmark", PM.body, header).to(site) == 200
        assert SES.to(site) == 404


def test_old_notices_are_forgotten(hooked: Newsletter) -> None:
    hooked.run("subscribers", "list")
    with serving(hooked) as site:
        assert PM.to(site) == 200
    assert len(dump(hooked)["provider_notices"]) == 2
    hooked.run("run", "--once", now="2025-12-20T09:00", code=None)
    assert len(dump(hooked)["provider_notices"]) == 2
    hooked.run("run", "--once", now="2025-12-29T09:00", code=None)
    assert dump(hooked)["provider_notices"] == []
