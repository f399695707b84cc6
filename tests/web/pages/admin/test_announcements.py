"""Announcements in the admin site: written, previewed, tested, scheduled, paused and cancelled."""

import html
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from newsletter.model import Role
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import serving, session_of

Served = tuple[str, Newsletter]
NEW = "/admin/announcements/new"
TEXT = "# News of {{ site.name }}\n\n{{ greeting }} there is **much** to tell.\n"


@pytest.fixture
def editor(served: Served) -> Iterator[httpx.Client]:
    """A browser of an editor named ed."""
    where, newsletter = served
    cookies = session_of(newsletter, "ed", Role.EDITOR)
    with httpx.Client(base_url=where, cookies=cookies, headers={"Origin": where}, timeout=30) as client:
        yield client


def fields_of(page: str) -> dict[str, str]:
    """The hidden fields of a page's form, as a browser posts them."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}


def problem_in(answer: httpx.Response) -> str:
    """What an answer says is wrong with a form."""
    found = re.search(r'role="alert">([^<]*)<', answer.text)
    assert (answer.status_code, found is not None) == (422, True), answer.text
    return html.unescape(found[1])


def write(editor: httpx.Client, **typed: str) -> httpx.Response:
    """Open the form, fill it in and ask for the preview."""
    hidden = fields_of(editor.get(NEW).text)
    return editor.post(NEW, data={**hidden, "source": TEXT, "when": "now", "action": "preview", **typed})


def press(editor: httpx.Client, preview: httpx.Response, action: str, **typed: str) -> httpx.Response:
    """Press a button of the preview."""
    assert preview.status_code == 200, preview.text
    return editor.post(NEW, data={**fields_of(preview.text), "action": action, **typed})


def listed(newsletter: Newsletter) -> list[dict]:
    return newsletter.run("announcements", "list", "--json").rows


@pytest.mark.both_stores
def test_it_is_previewed_tested_scheduled_paused_and_cancelled(
    mail: Mailbox, reader: str, served: Served, editor: httpx.Client
) -> None:
    _, newsletter = served
    when = {"when": "local", "day": "2025-12-01", "time": "09:00"}
    seen = write(editor, **when)
    assert "Monday 1 December 2025, 09:00 in each reader’s own time zone" in seen.text
    assert "News of Test Papers" in seen.text and "Schedule it for 1 subscriber<" in seen.text
    assert "&lt;strong&gt;much&lt;/strong&gt;" in seen.text and "Hello Ada, there is much to tell." in seen.text
    assert listed(newsletter) == [] and mail.recipients() == []
    tested = press(editor, seen, "test", address="me@example.org")
    assert "A test was sent to me@example.org." in tested.text
    assert (mail.recipients(), mail.messages()[0]["Subject"]) == (["me@example.org"], "[Test] News of Test Papers")
    made = press(editor, tested, "create")
    assert (made.status_code, made.headers["Location"]) == (303, "/admin/announcements/1?done=created")
    page = editor.get(made.headers["Location"]).text
    assert "The announcement was created." in page and "Nothing is planned yet." in page
    for change, said in (("pause", "is paused"), ("resume", "is resumed")):
        moved = editor.post(f"/admin/announcements/1/{change}").headers["Location"]
        assert said in editor.get(moved).text
    assert "Tick the box" in problem_in(editor.post("/admin/announcements/1/cancel"))
    assert listed(newsletter)[0]["state"] == "scheduled"
    moved = editor.post("/admin/announcements/1/cancel", data={"confirmed": "yes"}).headers["Location"]
    assert "is cancelled" in editor.get(moved).text
    again = editor.post("/admin/announcements/1/pause")
    assert (again.status_code, "already cancelled" in again.text) == (409, True)
    audit = editor.get("/admin/audit", params={"actor": "ed"}).text
    for action in ("test", "create", "pause", "resume", "cancel"):
        assert f"announcement.{action}" in audit
