"""Announcements in the admin site: written, previewed, tested, scheduled, paused and cancelled."""

import html
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from newsletter.model import Role
from tests.helpers.newsletter import Newsletter
from tests.helpers.smtp import Mailbox
from tests.helpers.web import session_of

Served = tuple[str, Newsletter]
NEW = "/admin/announcements/new"
TEXT = "# News of {{ site.name }}\n\n{{ greeting }} there is **much** to tell.\n"


@pytest.fixture
def editor(served: Served) -> Iterator[httpx.Client]:
    """A browser of an editor named ed."""
    where, newsletter = served
    cookies = session_of(newsletter, "ed", Role.EDITOR)
    own = {"Origin": where}
    with httpx.Client(base_url=where, cookies=cookies, headers=own, timeout=30, verify=False) as client:
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
    mail: Mailbox, served: Served, editor: httpx.Client
) -> None:
    _, newsletter = served
    newsletter.run("subscribe", "bo@example.org", "--no-file")
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


@pytest.mark.both_stores
def test_a_form_creates_one_announcement_however_often_it_is_posted(served: Served, editor: httpx.Client) -> None:
    _, newsletter = served
    seen = write(editor)
    form = {**fields_of(seen.text), "action": "create"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: editor.post(NEW, data=form), range(4)))
    places = sorted(one.headers["Location"].partition("?")[2] for one in answers)
    assert places == ["done=already"] * 3 + ["done=created"]
    back = press(editor, seen, "create", source="# Other\n\ntext")
    assert "Nothing else was created." in editor.get(back.headers["Location"]).text
    assert len(listed(newsletter)) == 1
    # The preview of a used form offers a copy instead.
    used = press(editor, seen, "preview")
    assert "creates no other" in used.text and 'value="create"' not in used.text
    copy = editor.get("/admin/announcements/new?like=1").text
    assert TEXT.splitlines()[-1] in html.unescape(copy)
    assert fields_of(copy)["form"] != form["form"]
    audit = editor.get("/admin/audit", params={"actor": "ed"}).text
    assert audit.count("announcement.create") == 1


WRONG = [
    ({"source": " "}, "Text: missing"),
    ({"source": "no heading"}, "Subject: missing"),
    ({"source": "# Hi\n\n{{ nobody }}"}, "text:3: 'nobody' is undefined"),
    ({"source": "# Hi\n\n[x](javascript:alert(1))"}, "text:3: 'javascript:alert"),
    ({"source": "# Hi\n\n{{ ''.__class__.mro() }}"}, "text:3: access to attribute '__class__'"),
    ({"source": "<mjml>\n<mj-title>T</mj-title>\n<mj-bdy/></mjml>", "format": "mjml"}, "text:3: MJML has no"),
    (
        {"source": "<mjml><mj-title>T</mj-title><mj-body><mj-include path='./text' /></mj-body></mjml>"}
        | {"format": "mjml"},
        "include",
    ),
    ({"subject": "x" * 501}, "Subject: longer than 500 characters"),
    ({"subject": "{% for %}"}, "subject: "),
    ({"to": "nobody'--"}, "To: no subscriber has this tag any more"),
    ({"when": "at"}, "Day: missing"),
    ({"when": "at", "day": "2025-13-01", "time": "09:00"}, "Day: '2025-13-01' is not a date"),
    ({"when": "at", "day": "9999-12-31", "time": "09:00"}, "not in the years"),
    ({"when": "local", "day": "2025-12-01", "time": "25:00"}, "Time: '25:00' is not a time of day"),
    ({"when": "at", "day": "2025-12-01", "time": "09:00", "zone": "Berlin/X\r\ny"}, "is not a time zone"),
    (
        {"when": "at", "day": "2026-03-29", "time": "02:30", "zone": "Europe/Berlin"},
        "Time: 02:30 does not exist on 29 March 2026 in Europe/Berlin, where clocks are set forward; choose "
        "another time, such as 03:30",
    ),
    ({"when": "at", "day": "2025-11-28", "time": "08:59", "zone": "UTC"}, "(UTC) is over; choose a later time"),
    ({"when": "local", "day": "2025-11-27", "time": "20:00"}, "is over in every time zone"),
    ({"form": "x"}, "This form is incomplete."),
]


def test_what_is_wrong_is_said_beside_the_form_and_nothing_is_lost(served: Served, editor: httpx.Client) -> None:
    for typed, said in WRONG:
        answer = write(editor, **typed)
        assert said in problem_in(answer), typed
        kept = html.unescape(re.search(r"<textarea[^>]*>\n(.*?)</textarea>", answer.text, re.DOTALL)[1])
        assert kept == typed.get("source", TEXT)
    assert listed(served[1]) == []


IN_WORDS = [
    ({"zone": "Europe/Berlin", "day": "2026-12-01"}, "Tuesday 1 December 2026, 09:00 (Europe/Berlin, UTC+01:00)"),
    # The first of two.
    (
        {"zone": "Europe/Berlin", "day": "2026-10-25", "time": "02:30"},
        "Sunday 25 October 2026, 02:30 (Europe/Berlin, UTC+02:00)",
    ),
    ({"zone": "UTC", "day": "2026-12-01"}, "Tuesday 1 December 2026, 09:00 (UTC)"),
    ({"when": "local", "day": "2025-11-28", "time": "12:00"}, "This time is already over in some time zones."),
]


def test_the_time_is_repeated_in_words(editor: httpx.Client) -> None:
    for typed, words in IN_WORDS:
        assert words in write(editor, **{"when": "at", "time": "09:00", **typed}).text, typed


def test_what_is_written_cannot_leave_the_frame_or_add_headers(
    mail: Mailbox, served: Served, editor: httpx.Client
) -> None:
    source = "# Hi\n\n</iframe><script>alert(1)</script>"
    seen = write(editor, source=source, subject="Hi\r\nBcc: all@example.org <b>")
    assert "<script>alert" not in seen.text and "</iframe><script" not in seen.text
    (frame,) = re.findall(r"<iframe[^>]*>", seen.text)
    assert " sandbox " in frame and "default-src &#39;none&#39;" in frame
    policy = seen.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy and "frame-ancestors 'none'" in policy
    press(editor, seen, "test", address="me@example.org")
    (message,) = mail.messages()
    assert (message["Subject"], message["Bcc"]) == ("[Test] Hi Bcc: all@example.org <b>", None)
    wrong = press(editor, seen, "test", address="me@example.org\r\nBcc: x@example.org")
    assert "me@example.org" in problem_in(wrong) and len(mail.messages()) == 1
    # A message of a program is no announcement, and a number may be any.
    for row, status in (("7", 404), ("0", 422), ("9" * 30, 422)):
        assert editor.get(f"/admin/announcements/{row}").status_code == status


def test_a_file_replaces_what_was_typed(editor: httpx.Client) -> None:
    hidden = {**fields_of(editor.get(NEW).text), "action": "preview", "source": "old"}

    def upload(name: str, content: bytes) -> httpx.Response:
        return editor.post(NEW, data=hidden, files={"file": (name, content)})

    seen = upload("C:\\mails\\news.md", "\ufeff# Grüße\r\n\r\nan alle".encode())
    fields = fields_of(seen.text)
    assert (fields["name"], fields["source"]) == ("news.md", "# Grüße\n\nan alle")
    assert "news.md:3: " in problem_in(upload("news.md", b"# Hi\n\n{{ nobody }}"))
    assert "news.md: not UTF-8" in problem_in(upload("news.md", b"# Gr\xfc\xdfe"))
    assert "unknown file type" in problem_in(upload("news.exe", b"x"))
    assert upload("news.md", b"# Hi\n\n" + b"x " * 240_000).status_code == 200
    assert upload("news.md", b"x" * 1_100_000).status_code == 413


def test_failures_lead_to_the_queue_and_the_figures_are_shown(
    mail: Mailbox, served: Served, editor: httpx.Client
) -> None:
    _, newsletter = served
    for name in ("ann", "bo", "cy"):
        newsletter.run("subscribe", f"{name}@example.org", "--no-file")
    newsletter.run("subscribers", "tag", "ann@example.org", "bo@example.org", "--add", "beta", code=None)
    mail.on_recipient = lambda address: "550 5.1.1 no such user" if address == "bo@example.org" else None
    press(editor, write(editor), "create")
    newsletter.run("send", code=None)
    page = editor.get("/admin/announcements/1").text
    assert "3 settled of 3 planned" in page and "2 sent" in page
    assert '1 failed (<a href="/admin/queue#failed">' in page
    assert "2 sent, 1 failed" in editor.get("/admin/announcements").text


def test_a_viewer_sees_announcements_and_has_no_buttons(served: Served, editor: httpx.Client) -> None:
    where, newsletter = served
    press(editor, write(editor, when="local", day="2026-12-01", time="09:00"), "create")
    cookies = session_of(newsletter, "vera", Role.VIEWER)
    with httpx.Client(base_url=where, cookies=cookies) as viewer:
        for path in ("/admin/announcements", "/admin/announcements/1"):
            page = viewer.get(path)
            assert page.status_code == 200 and "News of Test Papers" in page.text
            assert "/pause" not in page.text and "/new" not in page.text
        assert viewer.get(NEW).status_code == 403


@pytest.mark.system
def test_it_is_written_tested_and_scheduled_with_the_keyboard_alone_on_a_phone(
    mail: Mailbox, served: Served, browser: Browser
) -> None:
    where, newsletter = served
    page = browser.new_page(java_script_enabled=False, viewport={"width": 375, "height": 740})
    page.context.add_cookies([{"name": "operator", "value": session_of(newsletter, "ed")["operator"], "url": where}])

    def reach(name: str) -> None:
        """Press the tab key until what has the focus has a name."""
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if focused.count() and name in (focused.get_attribute("id"), focused.get_attribute("value")):
                return
            if focused.count() and focused.inner_text().startswith(name):
                return
        raise AssertionError(f"the keyboard does not reach {name}")

    page.goto(f"{where}/admin/announcements")
    reach("Write an announcement")
    page.keyboard.press("Enter")
    reach("source")
    page.keyboard.type("# News\n\n{{ greeting }} it is **here**.")
    reach("now")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    reach("day")
    page.keyboard.type("12012026")
    reach("Preview")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Preview")).to_be_visible()
    expect(page.get_by_text("Tuesday 1 December 2026, 09:00 in each reader’s own time zone")).to_be_visible()
    expect(page.frame_locator("iframe").get_by_text("Hello Ada, it is here.")).to_be_visible()
    fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(fits)
    reach("address")
    page.keyboard.type("me@example.org")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("A test was sent to me@example.org.")
    assert mail.recipients() == ["me@example.org"]
    reach("Schedule it for")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The announcement was created.")
    assert page.evaluate(fits)
    assert listed(newsletter)[0]["local_time"] is True
    for path in ("announcements", "announcements/1", "announcements/new", "webhooks", "settings"):
        page.goto(f"{where}/admin/{path}")
        assert page.evaluate(fits), path
    page.close()


def test_the_new_pages_pass_axe(served: Served, browser: Browser) -> None:
    where, newsletter = served
    newsletter.run("announce", _file(newsletter), "--at", "2026-12-01", "--yes")
    page = browser.new_page(viewport={"width": 375, "height": 740})
    page.context.add_cookies([{"name": "operator", "value": session_of(newsletter)["operator"], "url": where}])
    for path in ("announcements", "announcements/1", "announcements/new", "webhooks", "settings"):
        page.goto(f"{where}/admin/{path}")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    page.close()


def _file(newsletter: Newsletter) -> Path:
    path = newsletter.folder / "news.md"
    path.write_text(TEXT)
    return path
