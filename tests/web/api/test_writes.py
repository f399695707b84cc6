"""Changes of subscribers through the API: who may make them, what they do, and what they never do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from newsletter.model import Scope
from newsletter.store import open_store, suppressions, writing
from newsletter.store.schema import audit_log
from newsletter.support.clock import parse_moment
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.web import dump, serving, site_client, token_of

GRACE = {
    "email": "grace@example.org",
    "name": "Grace",
    "consent": {"source": "list at the door", "date": "2025-11-20"},
    "interests": ["diffusion models"],
    "tags": ["guests"],
}
LATER = "2025-12-24T09:00:00+01:00"


@contextmanager
def program(newsletter: Newsletter, *scopes: Scope) -> Iterator[httpx.Client]:
    """A client of the site with a token, by default one that may change and read subscribers."""
    header = token_of(newsletter, *(scopes or (Scope.SUBSCRIBERS_WRITE, Scope.READ)))
    with serving(newsletter) as where, site_client(where) as client:
        client.headers.update(header)
        yield client


def audited(newsletter: Newsletter) -> list[tuple[str, str, str]]:
    """Actor, action and target of the lines of the audit log, oldest first."""
    places = [list(audit_log.c.keys()).index(name) for name in ("actor", "action", "target")]
    return [tuple(str(row[place]) for place in places) for row in dump(newsletter)["audit_log"]]  # type: ignore[misc]


def changed_tables(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> set[str]:
    """The tables that differ, except for when a token was used."""
    return {name for name in before if before[name] != after[name]} - {"operator_tokens"}


def test_a_subscriber_is_added_changed_tagged_paused_blocked_and_forgotten(newsletter: Newsletter) -> None:
    with program(newsletter) as client:
        added = client.post("/api/subscribers", json=GRACE)
        assert added.status_code == 201
        grace = added.json()
        assert (grace["state"], grace["consent"]) == ("active", "list at the door, 2025-11-20")
        assert (grace["tags"], grace["interests"][0]["text"]) == (["guests"], "diffusion models")
        one = f"/api/subscribers/{grace['id']}"
        assert client.get(one).json() == grace

        schedule = {"days": ["mon"], "timezone": "Asia/Tokyo"}
        changed = client.patch(one, json={"papers": 3, "schedule": schedule, "never": ["survey"]}).json()
        assert (changed["papers"], changed["never"], changed["name"]) == (3, ["survey"], "Grace")
        assert changed["schedule"] == {"days": ["mon"], "time": "07:30", "timezone": "Asia/Tokyo"}
        assert client.patch(one, json={"papers": None}).json()["papers"] == grace["papers"]
        interests = [{"name": "Proteins", "text": "protein design", "weight": 2}]
        assert client.put(f"{one}/interests", json={"interests": interests}).json()["interests"][0]["weight"] == 2
        assert client.put(f"{one}/tags", json={"tags": ["vip"]}).json()["tags"] == ["vip"]

        assert client.post(f"{one}/pause", json={"until": LATER}).json()["state"] == "paused"
        assert client.post(f"{one}/pause", json={}).status_code == 409
        assert client.post(f"{one}/resume").json()["state"] == "active"
        assert client.post(f"{one}/resume").status_code == 409
        assert client.post(f"{one}/block", json={"reason": "asked by telephone"}).json()["state"] == "unsubscribed"
        assert client.delete(one).status_code == 204
        assert [client.get(one).status_code, client.delete(one).status_code] == [404, 404]
    lines = audited(newsletter)[1:]
    assert {actor for actor, *_ in lines} == {"token crm"}
    actions = [action.removeprefix("subscriber.") for _, action, _ in lines]
    assert actions == ["create", *["change"] * 3, "tag", "pause", "resume", "block", "forget"]
    assert {target for *_, target in lines} == {""}, "the log has no address of who was forgotten"
    (kept,) = newsletter.run("token", "list", "--json").rows
    assert kept["last_used"] is not None


def test_a_subscribers_file_follows(newsletter: Newsletter, reader: str) -> None:
    newsletter.run("subscribers", "list")
    with program(newsletter) as client:
        assert client.patch("/api/subscribers/1", json={"papers": 4}).status_code == 200
        text = (newsletter.folder / "subscribers" / "ada.yaml").read_text()
        assert "papers: 4" in text and "Several goals" in text
        assert client.put("/api/subscribers/1/tags", json={"tags": ["vip"]}).json()["tags"] == ["vip"]
        path = newsletter.folder / "subscribers" / "ada.yaml"
        path.write_text(path.read_text().replace("name: Ada", "name: Ada L."))
        changed = client.patch("/api/subscribers/1", json={"papers": 5}).json()
        assert (changed["name"], changed["papers"], changed["tags"]) == ("Ada L.", 5, ["vip"])
    assert all(said in path.read_text() for said in ("name: Ada L.", "papers: 5", "- vip"))


@pytest.mark.parametrize(
    ("consent", "words"),
    [
        (None, "consent: missing; add it"),
        ("yes", "consent"),
        ({"source": "door"}, "consent.date: missing; add it"),
        ({"source": " ", "date": "2025-11-20"}, "consent.source: is empty"),
        ({"source": "door", "date": "2025-12-24"}, "is yet to come"),
        ({"source": "door", "date": "0001-01-01T00:00:00+14:00"}, "consent.date"),
        ({"source": "door", "date": 5}, "consent.date"),
    ],
)
def test_nobody_is_added_without_consent(served: tuple[str, Newsletter], consent: object, words: str) -> None:
    where, newsletter = served
    given = {key: value for key, value in {**GRACE, "consent": consent}.items() if value is not None}
    header = token_of(newsletter, Scope.SUBSCRIBERS_WRITE)
    refused = httpx.post(f"{where}/api/subscribers", json=given, headers=header)
    assert (refused.status_code, words in refused.json()["error"]) == (422, True), refused.text
    assert dump(newsletter)["subscribers"] == []


def test_no_write_revives_a_suppressed_address(newsletter: Newsletter) -> None:
    people = {name: f"{name}@example.org" for name in ("gone", "blocked", "forgotten", "listed", "paused", "live")}
    for email in people.values():
        newsletter.run("subscribe", email, "--no-file")
    newsletter.run("unsubscribe", people["gone"])
    (newsletter.folder / "list.txt").write_text(f"{people['listed']}\n{people['paused']}\n")
    templates = newsletter.folder / "templates" / "messages"
    templates.mkdir(parents=True)
    (templates / "hello.md").write_text("# Hello\n\nHello.\n")
    with program(newsletter, *Scope) as client:
        rows = {one["email"]: one["id"] for one in client.get("/api/subscribers").json()["subscribers"]}
        paths = {name: f"/api/subscribers/{rows[email]}" for name, email in people.items()}
        assert client.post(f"{paths['blocked']}/block", json={}).status_code == 200
        assert client.delete(paths["forgotten"]).status_code == 204
        assert client.post(f"{paths['paused']}/pause", json={}).status_code == 200
        suppress(newsletter, people["listed"], people["paused"])
        before = dump(newsletter)

        sent = {"template": "hello"}
        for number, (name, email) in enumerate(people.items()):
            if name == "live":
                continue
            tries = {
                "create": client.post("/api/subscribers", json={**GRACE, "email": email}),
                "shout": client.post("/api/subscribers", json={**GRACE, "email": email.upper()}),
                "move": client.patch(paths["live"], json={"email": email}),
                "resume": client.post(f"{paths[name]}/resume"),
                "message": client.post(
                    "/api/messages", json={**sent, "email": email}, headers={"Idempotency-Key": str(number)}
                ),
                "test": client.post("/api/announcements/test", json={"source": "# Hi", "email": email}),
            }
            answers = {what: answer.status_code for what, answer in tries.items()}
            assert set(answers.values()) <= {404, 409}, (name, answers)
        after = dump(newsletter)
        assert {"subscribers", "suppressions", "sends", "mailings"}.isdisjoint(changed_tables(before, after))
        client.patch(paths["gone"], json={"papers": 3, "announcements": True})
        client.put(f"{paths['blocked']}/tags", json={"tags": ["vip"]})
        states = {one["email"]: one["state"] for one in client.get("/api/subscribers").json()["subscribers"]}
    assert (states[people["gone"]], states[people["blocked"]]) == ("unsubscribed", "unsubscribed")
    assert states[people["paused"]] == "paused"
    (newsletter.folder / "all.csv").write_text("email\n" + "\n".join(people.values()) + "\n")
    newsletter.run("subscribers", "import", "all.csv", "--consent", "door", code=None)
    states = {one["email"]: one["state"] for one in newsletter.run("subscribers", "list", "--json").rows}
    assert (states[people["gone"]], states[people["blocked"]]) == ("unsubscribed", "unsubscribed")
    assert people["forgotten"] not in states


def suppress(newsletter: Newsletter, *emails: str) -> None:
    """Put addresses on the suppression list, as a provider's list of complaints does."""
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        for email in emails:
            suppressions.suppress(connection, email, suppressions.Reason.COMPLAINT, parse_moment(NOW))
    engine.dispose()


def operations(client: httpx.Client) -> list[tuple[str, str, str]]:
    """Method, path and scope of the operations that need a token."""
    paths = client.get("/api/openapi.json").json()["paths"]
    return [
        (method.upper(), path.replace("{id}", "1"), one["security"][0]["token"][0])
        for path, methods in paths.items()
        for method, one in methods.items()
        if "security" in one
    ]


def test_each_operation_needs_its_scope(newsletter: Newsletter, reader: str) -> None:
    newsletter.run("subscribers", "list")
    newsletter.run("announce", announcement(newsletter), "--at", "2025-12-24T09:00", "--yes")
    ended = token_of(newsletter, *Scope, name="ended", expires_at=parse_moment(NOW) - timedelta(seconds=1))
    revoked = token_of(newsletter, *Scope, name="revoked")
    newsletter.run("token", "revoke", "revoked")
    body = {**GRACE, "until": LATER, "source": "# Hi", "to": "all", "template": "hello"}
    with serving(newsletter) as where, site_client(where) as client:
        found = operations(client)
        assert len(found) == 23
        others = {scope: token_of(newsletter, *(set(Scope) - {scope}), name=f"all but {scope}") for scope in Scope}
        before, texts = dump(newsletter), set()
        for method, path, scope in found:
            for header in ({}, {"Authorization": "Bearer nl_wrong"}, ended, revoked):
                answer = client.request(method, path, json=body, headers={**header, "Idempotency-Key": "1"})
                assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), (method, path)
                texts.add(answer.text)
            answer = client.request(method, path, json=body, headers={**others[Scope(scope)], "Idempotency-Key": "1"})
            assert (answer.status_code, scope in answer.json()["error"]) == (403, True), (method, path)
            assert f'scope="{scope}"' in answer.headers["WWW-Authenticate"]
        assert len(texts) == 1, "nobody learns why"
        assert changed_tables(before, dump(newsletter)) == set()


def announcement(newsletter: Newsletter) -> str:
    """Write the file of an announcement."""
    (newsletter.folder / "news.md").write_text("# News\n\nNews.\n")
    return "news.md"


def test_strangers_learn_nothing_of_who_is_subscribed(newsletter: Newsletter, reader: str) -> None:
    newsletter.run("subscribers", "list")
    with serving(newsletter) as where, site_client(where) as client:
        for email, number in ((reader, 1), ("nobody@example.org", 99)):
            answers = [
                client.get("/api/subscribers", params={"email": email}),
                client.post("/api/subscribers", json={**GRACE, "email": email}),
                client.post("/api/messages", json={"template": "x", "email": email}),
                *(client.get(f"/api/{kind}/{number}") for kind in ("subscribers", "messages", "announcements")),
                client.delete(f"/api/subscribers/{number}"),
                client.patch(f"/api/subscribers/{number}", json={"papers": "x"}),
            ]
            assert {(one.status_code, one.text) for one in answers} == {(401, answers[0].text)}


def test_the_rate_is_limited_by_token(newsletter: Newsletter) -> None:
    newsletter.configure(web={"api_per_minute": 5})
    other = token_of(newsletter, Scope.READ, name="other")
    with program(newsletter) as client:
        answers = [
            client.get("/api/subscribers"),
            client.get("/api/subscribers/9"),
            client.post("/api/subscribers", json={}),
            client.post("/api/subscribers/9/resume"),
            client.delete("/api/subscribers/9"),
        ]
        assert [one.status_code for one in answers] == [200, 404, 422, 404, 404]
        assert [one.headers["RateLimit-Remaining"] for one in answers] == ["4", "3", "2", "1", "0"]
        assert {one.headers["RateLimit-Limit"] for one in answers} == {"5"}
        assert all(0 < int(one.headers["RateLimit-Reset"]) <= 60 for one in answers)
        refused = client.post("/api/subscribers", json=GRACE)
        assert (refused.status_code, refused.headers["RateLimit-Remaining"]) == (429, "0")
        assert 0 < int(refused.headers["Retry-After"]) <= 60 and "error" in refused.json()
        assert client.get("/api/stats", headers=other).status_code == 200
        public = client.get("/api/papers")
        assert public.status_code == 200 and "RateLimit-Limit" not in public.headers
    assert dump(newsletter)["subscribers"] == []


def new(**values: object) -> tuple[str, str, object]:
    return "POST", "/api/subscribers", {**GRACE, **values}


HOSTILE = {
    "a header in an address": new(email="grace@example.org\r\nBcc: all@example.org"),
    "two addresses": new(email="grace@example.org, all@example.org"),
    "a name in an address": new(email="Grace <grace@example.org>"),
    "a header in a name": new(name="Grace\nBcc: all@example.org"),
    "a line separator in a name": new(name="Grace\u2028Bcc: all@example.org"),
    "a header in a consent": new(consent={"source": "x\r\ny", "date": "2025-11-20"}),
    "NUL": new(name="Gr\0ce"),
    "an escape": new(interests=["\x1b[2Jprotein"]),
    "half a character": new(interests=[{"name": "\ud800", "text": "x"}]),
    "half a character in a key": new(interests=[{"\ud800": "x"}]),
    "a wrong number": new(papers=True),
    "a number in quotes": new(papers="5"),
    "a yes in quotes": new(announcements="yes"),
    "not a number": new(interests=[{"name": "x", "weight": float("nan")}]),
    "infinity": new(schedule={"time": float("inf")}),
    "deep": new(schedule={"days": [[[[[[[[[[[[[[[[[[[[[[["mon"]]]]]]]]]]]]]]]]]]]]]]]}),
    "many values": new(interests=[{"name": "x", "keywords": dict.fromkeys(map(str, range(20_001)), 1)}]),
    "a tag like no other": new(tags=["<b>"]),
    "an unknown key": new(state="active"),
    "a file of the machine": new(interests=[{"name": "x", "file": ["/etc/passwd"]}]),
    "null": ("POST", "/api/subscribers", None),
    "a list": ("POST", "/api/subscribers", [GRACE]),
    "a year before there were any": ("POST", "/api/subscribers/1/pause", {"until": "0001-01-01T00:00:00+14:00"}),
    "a year after all": ("POST", "/api/subscribers/1/pause", {"until": "9999-12-31T23:59:59-14:00"}),
    "the past": ("POST", "/api/subscribers/1/pause", {"until": "2025-11-28T08:59:59Z"}),
    "seconds": ("POST", "/api/subscribers/1/pause", {"until": 4_000_000_000}),
    "a header in a reason": ("POST", "/api/subscribers/1/block", {"reason": "x\ny"}),
    "no number": ("PATCH", "/api/subscribers/one", {"papers": 5}),
    "a high number": ("DELETE", "/api/subscribers/99999999999999999999", None),
    "a header in a subject": (
        "POST",
        "/api/announcements",
        {"source": "x", "subject": "x\r\nBcc: all@example.org", "to": "all"},
    ),
    "an include": (
        "POST",
        "/api/announcements/preview",
        {"source": '<mjml><mj-include path="../../config.yaml" /></mjml>', "format": "mjml", "subject": "x"},
    ),
    "the insides of Python": ("POST", "/api/announcements/preview", {"source": "# {{ ''.__class__.mro() }}"}),
    "a template elsewhere": ("POST", "/api/messages", {"template": "../../config.yaml", "subscriber": 1}),
    "values of the site": ("POST", "/api/messages", {"template": "hello", "subscriber": 1, "data": {"site": 1}}),
    "neither address nor id": ("POST", "/api/messages", {"template": "hello"}),
    "not even a number": ("POST", "/api/messages", {"template": "hello", "subscriber": 1, "data": {"x": float("nan")}}),
}
RAW = {
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00",
    "a long number": b'{"papers": ' + b"9" * 5000 + b"}",
    "very deep": b'{"interests": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "huge": b'{"name": "' + b"x" * 5_000_001 + b'"}',
}


def test_what_is_hostile_is_refused_and_changes_nothing(newsletter: Newsletter, reader: str) -> None:
    newsletter.run("subscribers", "list")
    templates = newsletter.folder / "templates" / "messages"
    templates.mkdir(parents=True)
    (templates / "hello.md").write_text("# Hello\n\nHello.\n")
    with program(newsletter, *Scope) as client:
        before = dump(newsletter)
        cases = {what: (*case[:2], json.dumps(case[2]).encode()) for what, case in HOSTILE.items()}
        cases |= {what: ("POST", "/api/subscribers", raw) for what, raw in RAW.items()}
        for number, (what, (method, path, content)) in enumerate(cases.items()):
            headers = {"Content-Type": "application/json", "Idempotency-Key": str(number)}
            answer = client.request(method, path, content=content, headers=headers)
            assert answer.status_code in (400, 404, 413, 422), (what, answer.text)
            assert len(answer.json()["error"]) > 10, what
        for key in ("", "x" * 256, "two words", "\N{POUND SIGN}"):
            body = {"template": "hello", "subscriber": 1}
            answer = client.post("/api/messages", json=body, headers={"Idempotency-Key": key.encode("latin-1")})
            assert (answer.status_code, "Idempotency-Key" in answer.json()["error"]) == (400, True), key
        assert changed_tables(before, dump(newsletter)) == set()
