"""What every answer of the site has."""

import httpx

from tests.helpers.newsletter import Newsletter


def test_every_answer_has_the_headers_that_keep_it_safe(served: tuple[str, Newsletter]) -> None:
    where, _ = served
    for path in ("/static/site.css", "/static/nonesuch", "/nonesuch"):
        headers = httpx.get(where + path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
    assert httpx.get(f"{where}/nonesuch").status_code == 404
    # A page that calls this machine by a name of its own gets nothing.
    assert httpx.get(f"{where}/static/site.css", headers={"Host": "evil.example"}).status_code == 400
