"""The pages of subscribers in the admin site: each action, what it leaves in the store and the audit log, and what
strangers, other tabs and hostile texts do to it.
"""

import json
import re
from datetime import date
from html import unescape

import httpx
import pytest

from newsletter.audience.signed_links import TokenPurpose
from newsletter.model import Role, SendState, SubscriberState
from newsletter.store import open_store, reading, suppressions, tags
from newsletter.store.suppressions import Reason
from newsletter.support.clock import parse_moment
from tests.helpers.admin import add_send, add_subscriber, add_subscribers, audited, change_send, operator_of, suppress
from tests.helpers.newsletter import Newsletter
from tests.helpers.web import dump, links_of, path_of, row_of, state_of

Served = tuple[str, Newsletter]
ADA = "ada@example.org"
CLAIMED_AT = parse_moment("2025-11-28T08:59")
HOSTILE = '<script>alert(1)</script> "\u202egnp.exe'


def tags_of(newsletter: Newsletter, row: int) -> list[str]:
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        found = tags.of_subscribers(connection, [row]).get(row, [])
    engine.dispose()
    return found


def suppressed(newsletter: Newsletter, email: str) -> Reason | None:
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        found = suppressions.find(connection, email)
    engine.dispose()
    return found.reason if found is not None else None


def listed(page: httpx.Response) -> list[str]:
    """The addresses in the list."""
    return [unescape(one) for one in re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)</a>', page.text)]


def form_of(page: httpx.Response) -> dict[str, str]:
    """The form of the preferences, as the page has it."""
    mark = re.search(r'name="mark" value="(\w*)"', page.text)
    yaml = re.search(r'<textarea class="code"[^>]*>(.*?)</textarea>', page.text, re.DOTALL)
    assert mark and yaml
    return {"mark": mark[1], "yaml": unescape(yaml[1])}


@pytest.mark.both_stores
def test_subscribers_are_found_by_address_name_state_and_tag(served: Served) -> None:
    where, newsletter = served
    for email, name, state in (
        (ADA, "Ada Lovelace", SubscriberState.ACTIVE),
        ("oe@example.org", "Åsa Österberg", SubscriberState.PAUSED),
        ("x_y@uni.example", "100% real", SubscriberState.PENDING),
        ("xzy@uni.example", HOSTILE, SubscriberState.BOUNCED),
    ):
        add_subscriber(newsletter, email, name, state, ["vip"] if state is SubscriberState.PENDING else [])
    with operator_of(where, newsletter, Role.VIEWER) as viewer:
        for asked, expected in (
            ({}, [ADA, "oe@example.org", "x_y@uni.example", "xzy@uni.example"]),
            ({"q": "EXAMPLE.org"}, [ADA, "oe@example.org"]),
            ({"q": "lovel"}, [ADA]),
            ({"q": "österberg"}, ["oe@example.org"]),
            ({"q": "åsa"}, ["oe@example.org"]),
            ({"q": "x_y"}, ["x_y@uni.example"]),
            ({"q": "100%"}, ["x_y@uni.example"]),
            ({"q": "%"}, ["x_y@uni.example"]),
            ({"q": "<script>"}, ["xzy@uni.example"]),
            ({"state": "paused"}, ["oe@example.org"]),
            ({"state": "asleep"}, [ADA, "oe@example.org", "x_y@uni.example", "xzy@uni.example"]),
            ({"q": "uni.example", "state": "pending"}, ["x_y@uni.example"]),
            ({"q": "nobody"}, []),
            ({"tag": "vip"}, ["x_y@uni.example"]),
            ({"tag": "nothing"}, []),
        ):
            page = viewer.get("/admin/subscribers", params=asked)
            assert (page.status_code, listed(page)) == (200, expected), asked
            assert "<script>alert" not in page.text
        assert viewer.get("/admin/subscribers", params={"q": "y" * 321}).status_code == 422
        assert viewer.get("/admin/subscribers", params={"after": 2**63}).status_code == 422


def test_the_list_has_pages_and_keeps_what_was_asked(served: Served) -> None:
    where, newsletter = served
    add_subscribers(newsletter, [f"r{number}@example.org" for number in range(52)])
    with operator_of(where, newsletter, Role.VIEWER) as viewer:
        first = viewer.get("/admin/subscribers?q=example&state=active")
        onward = re.search(r'href="([^"]+)">Next page', first.text)
        assert onward is not None
        second = viewer.get(unescape(onward[1]))
        assert (len(listed(first)), listed(second)) == (50, ["r50@example.org", "r51@example.org"])
        assert "First page" in second.text
        assert "Next page" not in second.text


@pytest.mark.both_stores
def test_a_subscriber_is_added_with_consent_and_never_against_a_suppression(served: Served) -> None:
    where, newsletter = served
    newsletter.run("subscribe", "gone@example.org")
    newsletter.run("subscribers", "forget", "gone@example.org", "--yes")
    form = {
        "email": ADA,
        "name": "Ada “the first”",
        "interests": "graph learning\r\n\r\nprotein folding",
        "tags": "staff, vip",
        "consent": "asked at the stand, 2025-11-20",
    }
    with operator_of(where, newsletter) as editor:
        added = editor.post("/admin/subscribers/new", data=form)
        assert "The subscriber was added." in added.text
        row = row_of(newsletter, ADA)
        assert str(added.url).endswith(f"/admin/subscribers/{row}?done=added")
        for said in ("Ada “the first”", "protein folding", "staff, vip", "asked at the stand", "Added, by ed."):
            assert said in added.text
        before = dump(newsletter)
        for wrong, said in (
            ({}, "is a subscriber already"),
            ({"email": "ADA@EXAMPLE.ORG"}, "is a subscriber already"),
            ({"email": "gone@example.org"}, "gone@example.org is suppressed"),
            ({"email": "b@example.org", "consent": " "}, "consent: missing"),
            ({"email": "b@example.org", "tags": "No Tag!"}, "is not a tag"),
            ({"email": "no address"}, "email"),
            ({"email": "b@example.org", "name": "x" * 500}, "name"),
        ):
            answer = editor.post("/admin/subscribers/new", data=form | wrong)
            assert (answer.status_code, said in unescape(answer.text)) == (422, True), wrong
            assert 'value="asked at the stand' in answer.text or not wrong.get("consent", "x").strip()
        assert dump(newsletter) == before
    assert tags_of(newsletter, row) == ["staff", "vip"]
    assert audited(newsletter)[-1] == ("ed", "subscriber.create", ADA, {"consent": form["consent"]})


@pytest.mark.both_stores
def test_pause_tag_block_and_what_may_not_be_done(served: Served) -> None:
    where, newsletter = served
    row = add_subscriber(newsletter, ADA)
    path = f"/admin/subscribers/{row}"
    with operator_of(where, newsletter) as editor:
        for day, said in (
            ("28.11.2025", "is not a day"),
            ("2025-11-28", "not in the future"),
            ("9" * 400, "not a day"),
        ):
            answer = editor.post(f"{path}/pause", data={"until": day})
            assert (answer.status_code, said in unescape(answer.text)) == (409, True), day
        assert "The subscriber is paused." in editor.post(f"{path}/pause", data={"until": "2025-12-05"}).text
        again = editor.post(f"{path}/pause", data={})
        assert (again.status_code, "ada@example.org is paused, not active" in again.text) == (409, True)
        assert "The pause is over." in editor.post(f"{path}/resume").text
        assert editor.post(f"{path}/resume").status_code == 409
        assert "The tags were saved." in editor.post(f"{path}/tags", data={"tags": "vip größe, vip"}).text
        assert editor.post(f"{path}/tags", data={"tags": "<b>"}).status_code == 409
        assert "The tags were saved." in editor.post(f"{path}/tags", data={"tags": "größe vip"}).text
        for _ in range(2):  # A double click.
            page = editor.post(f"{path}/block", data={"reason": f"abuse {HOSTILE}"})
            assert "The subscriber is blocked and gets no more mail." in page.text
        assert "<script>alert" not in page.text
        for action in ("pause", "resume"):
            assert editor.post(f"{path}/{action}").status_code == 409
    assert (state_of(newsletter, ADA), suppressed(newsletter, ADA)) == ("unsubscribed", Reason.UNSUBSCRIBED)
    assert tags_of(newsletter, row) == ["größe", "vip"]
    assert [(action, details) for _, action, _, details in audited(newsletter)] == [
        ("subscriber.pause", {"until": "2025-12-05T00:00:00+00:00"}),
        ("subscriber.resume", {}),
        ("subscriber.tag", {"added": ["größe", "vip"], "removed": []}),
        ("subscriber.block", {"reason": f"abuse {HOSTILE}"}),
    ]


def test_who_bounced_or_complained_stays_so(served: Served) -> None:
    where, newsletter = served
    row = add_subscriber(newsletter, ADA, state=SubscriberState.BOUNCED)
    with operator_of(where, newsletter) as editor:
        editor.post(f"/admin/subscribers/{row}/block", data={})
        assert state_of(newsletter, ADA) == "bounced"
        paused = add_subscriber(newsletter, "p@example.org", state=SubscriberState.PAUSED)
        suppress(newsletter, "p@example.org", Reason.COMPLAINT)
        page = editor.post(f"/admin/subscribers/{paused}/resume")
        assert (page.status_code, "is suppressed and gets no mail (complaint" in page.text) == (409, True)
        assert "2025-11-20 08:00" in page.text
    assert state_of(newsletter, "p@example.org") == "paused"


def test_preferences_are_changed_where_nobody_else_did(served: Served) -> None:
    where, newsletter = served
    row = add_subscriber(newsletter, ADA)
    path = f"/admin/subscribers/{row}"
    with operator_of(where, newsletter) as editor:
        form = form_of(editor.get(path))
        wanted = form["yaml"].replace("diffusion models", "plasma physics")
        assert "were saved" in editor.post(f"{path}/preferences", data={**form, "yaml": wanted}).text
        page = editor.get(path)
        assert "Preferences changed (interests), by ed." in page.text
        # The other tab still has the form of before.
        lost = editor.post(f"{path}/preferences", data={**form, "yaml": wanted.replace("plasma", "solid state")})
        assert (lost.status_code, "changed elsewhere meanwhile" in lost.text) == (409, True)
        assert "solid state physics" in lost.text  # What was typed is not lost.
        form = form_of(page)
        for wrong, said in (
            ("email: [", "subscriber:"),
            (f"email: {ADA}\ninterests: [a]\ntags: [x]\n", "tags: nothing was saved"),
            (f"email: {ADA}\nwhat: 1\n", "what"),
            ("x" * 99_000, "subscriber"),
            ("", "email"),
        ):
            answer = editor.post(f"{path}/preferences", data={**form, "yaml": wrong})
            assert (answer.status_code, said in unescape(answer.text)) == (409, True), wrong[:60]
        add_subscriber(newsletter, "grace@example.org")
        taken = form["yaml"].replace(ADA, "grace@example.org")
        assert "is another subscriber" in editor.post(f"{path}/preferences", data={**form, "yaml": taken}).text
        assert editor.post(f"{path}/preferences", data={**form, "mark": "x"}).status_code == 409
        # What subscribers may have is more than a form usually has.
        many = "".join(f"- name: topic {number}\n  text: {'word ' * 60}\n" for number in range(30))
        large = {**form, "yaml": f"email: {ADA}\n# {'%' * 60_000}\ninterests:\n{many}"}
        assert editor.post(f"{path}/preferences", data=large).status_code in (200, 409)
    assert audited(newsletter)[0] == ("ed", "subscriber.change", ADA, {"changed": ["interests"]})


def test_tags_and_preferences_go_into_the_file(served: Served) -> None:
    where, newsletter = served
    file = newsletter.subscriber("ada", f"# mine\nemail: {ADA}\ntags: [old]\ninterests:\n- graphs  # dear to me\n")
    newsletter.run("check", code=None)
    newsletter.run("subscribers", "list")
    row = row_of(newsletter, ADA)
    with operator_of(where, newsletter) as editor:
        assert "The tags were saved." in editor.post(f"/admin/subscribers/{row}/tags", data={"tags": "new"}).text
        assert "new" in file.read_text()
        assert "# dear to me" in file.read_text()
        form = form_of(editor.get(f"/admin/subscribers/{row}"))
        form["yaml"] = form["yaml"].replace("graphs", "trees")
        assert "were saved" in editor.post(f"/admin/subscribers/{row}/preferences", data=form).text
        assert "trees" in file.read_text()
        # A file with a mistake is named, and not written.
        file.write_text(f"email: {ADA}\ninterests: [")
        page = editor.get(f"/admin/subscribers/{row}")
        assert (page.status_code, "ada.yaml" in page.text) == (200, True)
        assert editor.post(f"/admin/subscribers/{row}/tags", data={"tags": "other"}).status_code == 409
    assert tags_of(newsletter, row) == ["new"]


@pytest.mark.both_stores
def test_the_history_is_in_words(served: Served) -> None:
    where, newsletter = served
    row = add_subscriber(newsletter, ADA)
    add_send(newsletter, row, SendState.SENT)
    add_send(
        newsletter,
        row,
        SendState.FAILED,
        edition=date(2025, 11, 26),
        smtp_reply=f"550 5.1.1 {HOSTILE}",
        reason="the server refused it",
    )
    stop = path_of(links_of(newsletter).url(TokenPurpose.ANNOUNCEMENTS, row))
    leave = path_of(links_of(newsletter).url(TokenPurpose.UNSUBSCRIBE, row))
    assert [httpx.post(where + one).status_code for one in (stop, leave, leave)] == [303] * 3
    with operator_of(where, newsletter) as editor:
        assert "Unsubscribed, by the subscriber." in editor.get(f"/admin/subscribers/{row}").text
    undo = re.search(r'action="(/undo/[^"]+)"', httpx.get(where + leave).text)
    assert undo and httpx.post(where + undo[1]).status_code == 303
    with operator_of(where, newsletter) as editor:
        editor.post(f"/admin/subscribers/{row}/pause", data={"until": "2025-12-05"})
        editor.post(f"/admin/subscribers/{row}/tags", data={"tags": "vip"})
        page = editor.get(f"/admin/subscribers/{row}")
        words = [unescape(one) for one in re.findall(r"<td><bdi>(.*?)</bdi>", page.text)]
    assert set(words[:5]) == {
        "Unsubscribed, by the subscriber.",
        "Unsubscribing undone, by the subscriber.",
        "Paused until 2025-12-05, by ed.",
        "Tags changed (added vip), by ed.",
        "Preferences changed (announcements), by the subscriber.",
    }
    assert "Joined. Consent: a form on paper." in words
    assert "Digest of Thu 27 Nov: accepted by the mail server." in words
    failed = f"Digest of Wed 26 Nov: not sent: the server refused it; the server said “550 5.1.1 {HOSTILE}”."
    assert failed in words
    assert "<script>alert" not in page.text


@pytest.mark.both_stores
def test_an_export_is_all_data_and_is_recorded(served: Served) -> None:
    where, newsletter = served
    row = add_subscriber(newsletter, ADA, HOSTILE)
    with operator_of(where, newsletter) as editor:
        answer = editor.post(f"/admin/subscribers/{row}/export")
        assert answer.headers["Content-Disposition"] == f'attachment; filename="subscriber-{row}-2025-11-28.json"'
        assert answer.headers["Cache-Control"] == "no-store"
        data = json.loads(answer.text)
        assert (data["email"], data["name"], data["consent"]) == (ADA, HOSTILE, "a form on paper")
        assert editor.get(f"/admin/subscribers/{row}/export").status_code == 405
    assert audited(newsletter) == [("ed", "subscriber.export", ADA, {})]


@pytest.mark.both_stores
def test_who_is_forgotten_is_gone_in_every_tab(served: Served) -> None:
    where, newsletter = served
    row = add_subscriber(newsletter, ADA)
    path = f"/admin/subscribers/{row}"
    with operator_of(where, newsletter) as editor:
        editor.post(f"{path}/tags", data={"tags": "vip"})
        for typed in ("", "grace@example.org"):
            wrong = editor.post(f"{path}/forget", data={"email": typed})
            assert (wrong.status_code, "does not match" in wrong.text) == (409, True)
        claimed = add_send(newsletter, row, SendState.CLAIMED, claimed_by="elsewhere/1/x", claimed_at=CLAIMED_AT)
        busy = editor.post(f"{path}/forget", data={"email": ADA})
        assert (busy.status_code, "is being sent right now" in busy.text) == (503, True)
        change_send(newsletter, claimed, state="planned", claimed_by=None)
        gone = editor.post(f"{path}/forget", data={"email": " ADA@example.org "})
        assert "All data of the subscriber was deleted." in gone.text
        # Another tab still shows the forms.
        for action, form in (
            ("forget", {"email": ADA}),
            ("tags", {"tags": "x"}),
            ("pause", {}),
            ("resume", {}),
            ("block", {"reason": "x"}),
            ("export", {}),
            ("preferences", {"yaml": f"email: {ADA}\ninterests: [a]\n", "mark": "x"}),
        ):
            answer = editor.post(f"{path}/{action}", data=form)
            assert (answer.status_code, "does not exist any more" in answer.text) == (404, True), action
        assert editor.get(path).status_code == 404
    assert suppressed(newsletter, ADA) is Reason.FORGOTTEN
    # The log keeps that it was done, and not to whom.
    assert audited(newsletter) == [("ed", "subscriber.tag", "", {}), ("ed", "subscriber.forget", "", {})]


def test_forged_numbers_and_other_sites_change_nothing(served: Served) -> None:
    where, newsletter = served
    row = add_subscriber(newsletter, ADA)
    with operator_of(where, newsletter) as editor:
        for wrong in ("0", "99", "-1", "x", "1.5", str(2**31), str(2**63), "9" * 60):
            for method, path in (("GET", ""), ("POST", "/block"), ("POST", "/forget"), ("POST", "/preferences")):
                answer = editor.request(method, f"/admin/subscribers/{wrong}{path}")
                assert answer.status_code in (404, 405, 422), (wrong, path)
        before = dump(newsletter)
        for action in ("block", "forget", "tags", "pause", "export", "preferences"):
            for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
                answer = editor.post(
                    f"/admin/subscribers/{row}/{action}", data={"email": ADA}, headers={"Origin": where, **headers}
                )
                assert answer.status_code == 403, (action, headers)
        assert dump(newsletter) == before
