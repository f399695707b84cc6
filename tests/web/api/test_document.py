"""The OpenAPI document: that it is complete, and that its examples work."""

from typing import Any

import pytest

from newsletter.model import Scope
from tests.helpers.newsletter import Newsletter
from tests.helpers.web import serving, site_client, token_of

READ = {"400", "401", "403", "404", "413", "422", "429"}
PROBLEM = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}


def test_each_operation_is_described(newsletter: Newsletter) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        document = client.get("/api/openapi.json").json()
    found = [(method, path, one) for path, methods in document["paths"].items() for method, one in methods.items()]
    assert len({one["operationId"] for *_, one in found}) == len(found) == 29
    assert {tag["name"] for tag in document["tags"]} == {tag for *_, one in found for tag in one["tags"]}
    scopes = set()
    for method, path, one in found:
        assert one["summary"] and one["description"].endswith("."), path
        responses = one["responses"]
        failures = {status: response for status, response in responses.items() if status >= "400"}
        assert all(response["content"] == PROBLEM for response in failures.values()), path
        if "security" not in one:
            continue
        (scope,) = one["security"][0]["token"]
        scopes.add(scope)
        assert set(responses) >= READ and (method == "get" or "409" in responses), path
        assert {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"} == set(
            responses["429"]["headers"]
        )
        if body := one.get("requestBody"):
            assert examples(document, body), path
    assert scopes == set(Scope) - {Scope.METRICS}
    (scheme,) = document["components"]["securitySchemes"].values()
    assert all(f"`{scope}`" in scheme["description"] for scope in Scope)


def examples(document: dict[str, Any], body: dict[str, Any]) -> list[Any]:
    """The examples of a request's body."""
    name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    found: list[Any] = document["components"]["schemas"][name].get("examples", [])
    return found


@pytest.mark.usefixtures("mail")
def test_its_examples_work(newsletter: Newsletter, reader: str) -> None:
    folder = newsletter.folder / "templates" / "messages"
    folder.mkdir(parents=True)
    (folder / "receipt.md").write_text("# Receipt {{ number }}\n\n[See it]({{ link }})\n")
    newsletter.run("subscribers", "list")
    header, tried = token_of(newsletter, *Scope), 0
    with serving(newsletter) as where, site_client(where) as client:
        client.headers.update(header)
        document = client.get("/api/openapi.json").json()
        # Whoever is paused or blocked gets no mail.
        paths = sorted(document["paths"], key=lambda path: ("block" in path, "pause" in path))
        for path in paths:
            for method, one in document["paths"][path].items():
                for example in examples(document, one["requestBody"]) if "requestBody" in one else ():
                    tried += 1
                    url = path.replace("{id}", "1")
                    answer = client.request(method, url, json=example, headers={"Idempotency-Key": str(tried)})
                    assert answer.is_success, (path, answer.text)
    assert tried == 10
