"""The templates in the admin site: their text, and a digest as they render it, for a subscriber or a sample reader."""

from html import unescape

from newsletter.model import Role
from tests.helpers.admin import add_subscriber, operator_of
from tests.helpers.newsletter import Newsletter
from tests.helpers.web import dump, serving

ADA = "ada@example.org"


def test_a_digest_is_previewed_and_its_links_have_no_rights(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    add_subscriber(newsletter, ADA, "<script>alert(1)</script>")
    with serving(newsletter) as where, operator_of(where, newsletter, Role.VIEWER) as viewer:
        before = dump(newsletter)
        for asked in (
            {},
            {"part": "text"},
            {"email": ADA},
            {"email": ADA, "part": "text", "layout": "titles"},
            {"email": ADA, "layout": "compact"},
        ):
            page = viewer.get("/admin/templates", params=asked)
            assert (page.status_code, "<iframe" in page.text) == (200, True)
            shown = viewer.get("/admin/templates/message", params=asked)
            assert (shown.status_code, "<pre" in shown.text) == (200, asked.get("part") == "text"), asked
            assert len(shown.text) > 500
            assert "sandbox" in shown.headers["Content-Security-Policy"]
            assert "<script>alert" not in shown.text
            # No signed link of the subscriber, nor one of anybody.
            for purpose in ("preferences", "unsubscribe", "feedback", "save", "digest"):
                assert f"/{purpose}/" not in shown.text, (asked, purpose)
        assert dump(newsletter) == before
        for wrong in ("nobody@example.org", "no address", '"><script>alert(1)</script>'):
            page = viewer.get("/admin/templates", params={"email": wrong})
            assert (page.status_code, "is not a subscriber" in unescape(page.text)) == (422, True)
            assert ("<script>alert" in page.text, "<iframe" in page.text) == (False, False)
            assert viewer.get("/admin/templates/message", params={"email": wrong}).status_code == 422
        assert viewer.get("/admin/templates", params={"part": "pdf"}).status_code == 422
        assert viewer.get("/admin/templates", params={"layout": "wide"}).status_code == 200


def test_files_are_shown_as_they_are_and_errors_in_words(newsletter: Newsletter) -> None:
    own = newsletter.folder / "templates"
    (own / "partials").mkdir(parents=True)
    with serving(newsletter) as where, operator_of(where, newsletter, Role.VIEWER) as viewer:
        built_in = viewer.get("/admin/templates/source/partials/footer.mjml")
        assert "Built in." in built_in.text
        (own / "partials" / "footer.mjml").write_text("<mj-text>{{ nothing.there }} </pre><b></mj-text>")
        page = viewer.get("/admin/templates/source/partials/footer.mjml")
        assert ("Your own file" in page.text, "&lt;/pre&gt;&lt;b&gt;" in page.text) == (True, True)
        broken = viewer.get("/admin/templates/message")
        assert (broken.status_code, "nothing" in broken.text) == (422, True)
        (own / "partials" / "footer.mjml").write_bytes(b"\xff\xfe\x00")
        page = viewer.get("/admin/templates/source/partials/footer.mjml")
        assert (page.status_code, "footer.mjml" in page.text, 'role="alert"' in page.text) == (422, True, True)
        for wrong in ("..%2f..%2fconfig.yaml", "../config.yaml", "%2fetc%2fpasswd", "nothing.mjml", "digest"):
            assert viewer.get(f"/admin/templates/source/{wrong}").status_code == 404, wrong
