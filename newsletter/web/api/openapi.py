"""The OpenAPI document of the API: what the framework derives from the routes, and what it does not."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

_DESCRIPTION = """\
Reading papers is public. All else needs a token; each operation names its scope. Errors are `{"error": "..."}`. A token
may make a limited number of requests a minute; the headers `RateLimit-Limit`, `RateLimit-Remaining` and
`RateLimit-Reset` (seconds) say how many are left, and 429 has `Retry-After`.
"""

_TAGS = {
    "papers": "Papers, search and similar papers, for everybody.",
    "sign-up": "Signing up, with a confirmation by email.",
    "operators": "Subscribers, editions, the log and figures, with the scope `read`.",
    "subscribers": "Changes of subscribers, with the scope `subscribers:write`.",
    "announcements": "What is written to all subscribers or to those with a tag, with the scope `announcements:write`.",
    "messages": "Emails to one subscriber from a template, with the scope `messages:write`.",
}

_SECONDS = {"type": "integer", "minimum": 0}
_RATE_HEADERS = {
    "RateLimit-Limit": {"description": "Requests a minute.", "schema": {"type": "integer", "minimum": 1}},
    "RateLimit-Remaining": {"description": "Requests left.", "schema": {"type": "integer", "minimum": 0}},
    "RateLimit-Reset": {"description": "Seconds until all are there again.", "schema": _SECONDS},
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": _SECONDS}}


def operation_id(route: APIRoute) -> str:
    """Return the operation id of a route: the name of its function."""
    return route.name


def document_routes(app: FastAPI) -> None:
    """Have an application serve a complete document."""
    app.description = _DESCRIPTION
    app.openapi_tags = [{"name": name, "description": text} for name, text in _TAGS.items()]
    made_by_framework = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made_by_framework()
            for operations in document["paths"].values():
                for operation in operations.values():
                    _complete(operation)
        return made_by_framework()

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(operation: dict[str, Any]) -> None:
    operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
    if "security" not in operation:
        return
    for status, response in operation["responses"].items():
        if status not in ("400", "401", "403", "413", "503"):
            response["headers"] = {**_RATE_HEADERS, **(_RETRY_AFTER if status == "429" else {})}
