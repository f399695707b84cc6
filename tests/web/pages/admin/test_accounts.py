"""The pages of accounts, API tokens and the audit log."""

import re

import httpx
import pytest

from newsletter.model import Role
from newsletter.store import audit, open_store, reading, writing
from newsletter.support.clock import parse_moment
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.web import PASSWORD, add_operator, log_in, session_of

Served = tuple[str, Newsletter]


def owner_of(where: str, newsletter: Newsletter) -> httpx.Client:
    """A browser of an owner named ada, which follows redirects."""
    cookies = session_of(newsletter)
    return httpx.Client(base_url=where, cookies=cookies, headers={"Origin": where}, follow_redirects=True)


def entries(newsletter: Newsletter) -> list[tuple[str, str, str, object]]:
    """The audit log, oldest first, without the logins."""
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        found = audit.page(connection, None, 100)
    engine.dispose()
    shown = [one for one in reversed(found) if one.action != "operator.login"]
    return [(one.actor, one.action, one.target, one.details) for one in shown]


@pytest.mark.both_stores
def test_an_owner_manages_accounts(served: Served) -> None:
    where, newsletter = served
    with owner_of(where, newsletter) as owner:
        form = {"name": "grace", "role": "viewer", "password": PASSWORD}
        added = owner.post("/admin/accounts", data=form)
        assert "The operator was added." in added.text
        path = re.search(r'href="(/admin/accounts/\d+)">grace', added.text)[1]
        cookies = dict(log_in(where, "grace").cookies)
        assert "grace is logged in with 1 session." in owner.get(path).text
        # Another role and another password each end what was begun with the one before.
        assert "The role was changed" in owner.post(f"{path}/role", data={"role": "editor"}).text
        assert httpx.get(f"{where}/admin", cookies=cookies).status_code == 303
        cookies = dict(log_in(where, "grace").cookies)
        changed = owner.post(f"{path}/password", data={"password": "harbour violin 93"})
        assert "The password was changed" in changed.text
        assert httpx.get(f"{where}/admin", cookies=cookies).status_code == 303
        assert log_in(where, "grace").status_code == 403
        cookies = dict(log_in(where, "grace", "harbour violin 93").cookies)
        assert "have ended" in owner.post(f"{path}/sessions").text
        assert httpx.get(f"{where}/admin", cookies=cookies).status_code == 303
        assert "Tick the box" in owner.post(f"{path}/remove").text
        assert "The operator was removed." in owner.post(f"{path}/remove", data={"confirmed": "yes"}).text
        assert owner.get(path).status_code == 404
    assert entries(newsletter) == [
        ("ada", "operator.add", "grace", {"role": "viewer"}),
        ("ada", "operator.role", "grace", {"before": "viewer", "role": "editor"}),
        ("ada", "operator.password", "grace", {}),
        ("ada", "operator.end_sessions", "grace", {"ended": 1}),
        ("ada", "operator.remove", "grace", {"role": "editor"}),
    ]


def test_what_cannot_be_done_is_said_and_changes_nothing(served: Served) -> None:
    where, newsletter = served
    with owner_of(where, newsletter) as owner:
        good = {"name": "grace", "role": "viewer", "password": PASSWORD}
        for wrong, said in (
            ({"name": "two words"}, "is not an operator name"),
            ({"name": "ADA"}, "already exists"),
            ({"role": "king"}, "Choose a role."),
            ({"password": "short"}, "it has 5 characters; use 12 or more"),
            ({"password": "password123456"}, "it is easy to guess"),
        ):
            answer = owner.post("/admin/accounts", data=good | wrong)
            assert (answer.status_code, said in answer.text) == (422, True), wrong
        for path, form in (("role", {"role": "viewer"}), ("remove", {"confirmed": "yes"})):
            answer = owner.post(f"/admin/accounts/1/{path}", data=form)
            assert (answer.status_code, "This is the only owner." in answer.text) == (422, True)
        # Whoever finds a browser that is logged in cannot take the account over.
        assert owner.post("/admin/accounts/1/password", data={"password": PASSWORD}).status_code == 403
        assert owner.get("/admin/accounts/99").status_code == 404
        assert owner.get("/admin").status_code == 200
    assert entries(newsletter) == []


def test_everyone_changes_the_own_password(served: Served) -> None:
    where, newsletter = served
    add_operator(newsletter, "vera", Role.VIEWER)
    other = dict(log_in(where, "vera").cookies)
    new = "harbour violin 93"
    with httpx.Client(base_url=where, headers={"Origin": where}, cookies=log_in(where, "vera").cookies) as viewer:
        before = viewer.cookies["operator"]
        good = {"present": PASSWORD, "password": new, "again": new}
        for wrong, said in (
            ({"present": "guess"}, "The present password is wrong."),
            ({"again": "harbour violin 94"}, "The two new passwords differ."),
            ({"password": "vera", "again": "vera"}, "it has 4 characters"),
        ):
            answer = viewer.post("/admin/accounts/password", data=good | wrong)
            assert (answer.status_code, said in answer.text) == (422, True), wrong
        assert viewer.post("/admin/accounts/password", data=good).headers["Location"] == "/admin/accounts?done=own"
        assert "Your password was changed" in viewer.get("/admin/accounts?done=own").text
        assert viewer.cookies["operator"] != before
    for cookies in (other, {"operator": before}):
        assert httpx.get(f"{where}/admin", cookies=cookies).status_code == 303
    assert (log_in(where, "vera").status_code, log_in(where, "vera", new).status_code) == (403, 303)
    assert entries(newsletter)[-1] == ("vera", "operator.password", "vera", {})


def test_a_token_is_shown_once_and_good_for_its_scopes_alone(served: Served) -> None:
    where, newsletter = served
    with owner_of(where, newsletter) as owner:
        form = {"name": "crm", "scope": ["read", "subscribers:write"], "days": "30"}
        made = owner.post("/admin/tokens", data=form)
        (token,) = re.findall(r'class="secret">(nl_[\w-]+)<', made.text)
        assert token not in owner.get("/admin/tokens").text
        assert "subscribers:write" in owner.get("/admin/tokens").text
        header = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{where}/api/stats", headers=header).status_code == 200
        proxied = {**header, "X-Forwarded-For": "192.0.2.7"}
        assert httpx.get(f"{where}/metrics", headers=proxied).status_code == 403
        for wrong, said in (
            ({}, "already exists"),
            ({"name": "x", "scope": []}, "a token needs a scope"),
            ({"name": "x", "days": "0"}, "1 to 3650"),
            ({"name": "x", "days": "²"}, "1 to 3650"),
            ({"name": "x", "days": "9" * 4000}, "1 to 3650"),
            ({"name": ""}, "is not a token name"),
        ):
            answer = owner.post("/admin/tokens", data=form | wrong)
            assert (answer.status_code, said in answer.text) == (422, True), wrong
        (listed,) = newsletter.run("token", "list", "--json").rows
        assert (listed["scopes"], listed["created_by"]) == (["read", "subscribers:write"], "ada")
        assert listed["expires_at"] == "2025-12-28T09:00:00+00:00"
        assert "The token was revoked." in owner.post("/admin/tokens/revoke", data={"name": "crm"}).text
        assert "did not exist" in owner.post("/admin/tokens/revoke", data={"name": "crm"}).text
    assert httpx.get(f"{where}/api/stats", headers=header).status_code == 401
    created = {"scopes": ["read", "subscribers:write"], "expires_at": "2025-12-28T09:00:00+00:00"}
    assert entries(newsletter) == [("ada", "token.create", "crm", created), ("ada", "token.revoke", "crm", {})]


def test_the_audit_log_has_pages_and_can_be_filtered(served: Served) -> None:
    where, newsletter = served
    newsletter.run("token", "create", "first")
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        for number in range(60):
            what = ("token crm", "subscriber.pause", f"r{number}@example.org", parse_moment(NOW))
            audit.record(connection, *what, why=["<b>", "&"], number=number)
    engine.dispose()
    cookies = session_of(newsletter, "vera", Role.VIEWER)
    with httpx.Client(base_url=where, cookies=cookies) as viewer:
        newest = viewer.get("/admin/audit").text
        assert "why: &lt;b&gt;, &amp;; number: 59" in newest
        assert ("r59@" in newest, "r9@" in newest) == (True, False)
        older = viewer.get(re.search(r'href="(/admin/audit\?before=\d+)"', newest)[1]).text
        assert ("r9@" in older, "token.create" in older, "Older" in older) == (True, True, False)
        own = viewer.get("/admin/audit", params={"actor": "command line"}).text
        assert ("token.create" in own, "r59@" in own) == (True, False)
        program = viewer.get("/admin/audit", params={"actor": "token crm"}).text
        further = re.search(r'href="(/admin/audit\?before=\d+&amp;actor=token%20crm)"', program)[1]
        assert "token.create" not in viewer.get(further.replace("&amp;", "&")).text
        assert "No entries of nobody" in viewer.get("/admin/audit", params={"actor": "nobody"}).text
        assert viewer.get("/admin/audit?before=x").status_code == 422
