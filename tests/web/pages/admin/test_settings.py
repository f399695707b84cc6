"""The pages of settings and webhooks in the admin site, and a reload of the configuration through it."""

import html
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.config.secrets import new_webhook_secret
from newsletter.model import Role
from newsletter.services.context import open_context
from newsletter.services.reload import FIXED_FOR_SITE, Reloader
from newsletter.services.webhooks import deliver
from newsletter.store import webhook_deliveries, writing
from newsletter.support.clock import frozen_clock, parse_moment
from newsletter.web.live_app import LiveApp
from newsletter.web.server import listen, serving
from tests.helpers.newsletter import NOW, Newsletter, free_port, wait_until
from tests.helpers.web import session_of

HOST = {"Host": "papers.example.org"}


@contextmanager
def live(newsletter: Newsletter) -> Iterator[tuple[str, Reloader]]:
    """The site of a newsletter whose configuration can be reloaded; gives its address."""
    newsletter.configure(web={"port": free_port()})
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    given = {"web.host": "127.0.0.1"}
    reloader = Reloader(
        context, newsletter.folder / "config.yaml", "serve", lambda *_, **__: None, FIXED_FOR_SITE, given
    )
    web = context.config.web
    with listen(web) as listener, serving(LiveApp(reloader), listener, web):
        yield f"http://127.0.0.1:{web.port}", reloader
    context.engine.dispose()


def client_of(where: str, newsletter: Newsletter, name: str = "ada", role: Role = Role.OWNER) -> httpx.Client:
    cookies, own = session_of(newsletter, name, role), {"Origin": where}
    return httpx.Client(base_url=where, cookies=cookies, headers=own, timeout=30, verify=False, follow_redirects=True)


def values_in(page: str) -> dict[str, tuple[str, str]]:
    """The settings of the page: value and origin."""
    found = re.findall(
        r'<dt><code>([^<]+)</code></dt>\s*<dd><span class="value">([^<]*)</span> <span class="sub">([^<;]*)', page
    )
    return {key: (html.unescape(value), origin.strip()) for key, value, origin in found}


def test_each_setting_has_its_value_and_origin_and_no_secret_is_shown(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = new_webhook_secret()
    monkeypatch.setenv("NEWSLETTER_WEBHOOK_SECRET_CRM", secret)
    monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "hunter2hunter2")
    newsletter.configure(
        smtp={"user": "papers"},
        sources={"lab": {"kind": "feed", "url": "https://ada:pa55@lab.example/feed?token=t0k3n&lang=en"}},
        webhooks={"endpoints": {"crm": {"url": "https://crm.example.org/hooks/T0PSECRET"}}},
    )
    with live(newsletter) as (where, _), client_of(where, newsletter, "vera", Role.VIEWER) as viewer:
        page = viewer.get("/admin/settings").text
        assert "Reload config.yaml" not in page
    for one in (secret, "hunter2", "pa55", "t0k3n", "T0PSECRET"):
        assert one not in page
    shown = values_in(page)
    lines = (newsletter.folder / "config.yaml").read_text().splitlines()
    name_line = 1 + next(number for number, line in enumerate(lines) if "Test Papers" in line)
    assert shown["site.name"] == ("Test Papers", f"config.yaml:{name_line}")
    assert shown["web.keep_seconds"] == ("15", "default")
    assert shown["web.host"] == ("127.0.0.1", "command line")
    assert shown["sources.lab.url"][0] == "https://ada:***@lab.example/feed?token=***&lang=en"
    assert shown["webhooks.endpoints.crm.url"][0] == "https://crm.example.org/…"
    assert shown["store.url"][0] == "sqlite:///var/newsletter.db"
    assert shown["smtp.password"] == ("set", "environment variable NEWSLETTER_SMTP_PASSWORD")
    assert shown["webhooks.endpoints.crm.secret"] == ("set", "environment variable NEWSLETTER_WEBHOOK_SECRET_CRM")
    assert shown["libraries.zotero_key"][0] == "not set"
    # The command says the same.
    rows = {row["key"]: row for row in newsletter.run("config", "show", "--json").rows}
    assert set(rows) == set(shown)
    assert (rows["site.name"]["line"], rows["web.port"]["reload"]) == (name_line, False)
    assert rows["smtp.password"]["secret"] and "hunter2" not in str(rows)
    assert {row["key"] for row in newsletter.run("config", "show", "log", "--json").rows} == {
        key for key in rows if key.startswith("log.")
    }


def test_a_reload_is_in_force_at_once_and_a_bad_file_changes_nothing(newsletter: Newsletter) -> None:
    with live(newsletter) as (where, reloader), client_of(where, newsletter) as owner:
        newsletter.configure(
            site={"name": "Other Papers"},
            web={"port": 1},
            webhooks={"endpoints": {"crm": {"url": "https://crm.example.org/in"}}},
        )
        page = owner.post("/admin/settings/reload").text
        assert "Settings marked below count only after a restart." in page
        assert "the file has another value, which counts after a restart" in page
        assert values_in(page)["site.name"][0] == "Other Papers"
        assert ">crm</h2>" in owner.get("/admin/webhooks").text
        # Events are recorded for the new endpoint, and for none once it is removed.
        with client_of(where, newsletter) as editor:
            form = {"email": "bo@example.org", "interests": "robots", "consent": "asked"}
            assert editor.post("/admin/subscribers/new", data=form).status_code == 200
        assert "subscriber.created" in owner.get("/admin/webhooks").text
        path = newsletter.folder / "config.yaml"
        good = path.read_text()
        path.write_text(good.replace("name: Other Papers", "name: Third Papers\n  nmae: x"))
        refused = owner.post("/admin/settings/reload")
        assert refused.status_code == 422 and "Nothing was changed" in refused.text
        assert "site.nmae: unknown key; did you mean" in refused.text
        assert values_in(refused.text)["site.name"][0] == "Other Papers"
        assert "refused" in owner.get("/admin/settings").text
        newsletter.configure(site={"name": "Other Papers"})
        path.write_text(good.partition("webhooks:")[0])
        assert "Reload" in owner.post("/admin/settings/reload").text
        assert reloader.context.config.webhooks.endpoints == {}
        with writing(reloader.context.engine) as connection:
            before = len(webhook_deliveries.latest(connection, 100))
        form["email"] = "cy@example.org"
        assert owner.post("/admin/subscribers/new", data=form).status_code == 200
        with writing(reloader.context.engine) as connection:
            assert len(webhook_deliveries.latest(connection, 100)) == before > 0
        audit = owner.get("/admin/audit", params={"actor": "ada"}).text
        assert audit.count("config.reload") == 3
        with client_of(where, newsletter, "ed", Role.EDITOR) as editor:
            for path_of in ("settings/reload", "webhooks/crm/test", "webhooks/crm/retry"):
                assert editor.post(f"/admin/{path_of}").status_code == 403


def test_deliveries_are_seen_tested_and_retried(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    monkeypatch.setenv("NEWSLETTER_WEBHOOK_SECRET_CRM", new_webhook_secret())
    answers = [Response("no room", 500), Response("gone", 410), Response("fine", 200)]
    httpserver.expect_request("/in").respond_with_handler(lambda _: answers.pop(0))
    newsletter.configure(
        webhooks={"endpoints": {"crm": {"url": httpserver.url_for("/in")}, "bare": {"url": "https://x.example/in"}}}
    )
    newsletter.run("subscribe", "bo@example.org", "--no-file")
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    deliver(context, "crm", lambda: False)
    context.engine.dispose()
    with live(newsletter) as (where, _), client_of(where, newsletter) as owner:
        page = html.unescape(re.sub("<[^>]+>", "", owner.get("/admin/webhooks").text))
        assert "1 attempt; status 500: 'no room'; next attempt 2025-11-28 09:00" in page
        assert "no secret; set NEWSLETTER_WEBHOOK_SECRET_BARE" in page
        assert "Test of bare: webhooks.endpoints.bare: no secret" in owner.post("/admin/webhooks/bare/test").text
        assert "Test of crm: status 410: 'gone'" in html.unescape(owner.post("/admin/webhooks/crm/test").text)
        tested = owner.post("/admin/webhooks/crm/test").text
        assert "Test of crm: accepted with status 200. It said: fine" in tested
        assert "is due now" in owner.post("/admin/webhooks/crm/retry").text
        for action in ("test", "retry"):
            assert owner.post(f"/admin/webhooks/nobody/{action}").status_code == 404
            assert f"webhook.{action}" in owner.get("/admin/audit", params={"actor": "ada"}).text
        assert "not tried yet" in owner.get("/admin/webhooks").text


@pytest.mark.system
def test_a_signal_adds_an_endpoint_that_gets_the_next_event(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    monkeypatch.setenv("NEWSLETTER_WEBHOOK_SECRET_CRM", new_webhook_secret())
    arrived: list[str] = []

    def take(request: Request) -> Response:
        arrived.append(request.get_json()["type"])
        return Response(status=204)

    httpserver.expect_request("/in").respond_with_handler(take)
    port = free_port()
    newsletter.configure(web={"port": port}, schedule={"tick_seconds": 1})
    process = newsletter.start("run", "--web")
    where = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{where}/papers", headers=HOST).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(answers, process)
    newsletter.configure(webhooks={"endpoints": {"crm": {"url": httpserver.url_for("/in")}}})
    process.send_signal(signal.SIGHUP)
    cookies, own = session_of(newsletter, now=datetime.now(UTC)), {"Origin": where}
    wait_until(lambda: ">crm</h2>" in httpx.get(f"{where}/admin/webhooks", cookies=cookies).text, process)
    form = {"email": "bo@example.org", "interests": "robots", "consent": "asked"}
    assert httpx.post(f"{where}/admin/subscribers/new", data=form, cookies=cookies, headers=own).status_code == 303
    wait_until(lambda: "subscriber.created" in arrived, process)
