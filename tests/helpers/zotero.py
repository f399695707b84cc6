"""A Zotero Web API on loopback: one user's library with versions, collections, keys, trash and deletions.

The shapes of requests and answers are those of version 3 (https://www.zotero.org/support/dev/web_api/v3/basics).
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "P9NiFoyLeZu2bZNvvuQPDWsd"
READ_ONLY_KEY = "aaaaFoyLeZu2bZNvvuQPDWsd"
USER = "475425"
_ALPHABET = "23456789ABCDEFGHIJKLMNPQRSTUVWXYZ"


def key_of(number: int) -> str:
    """The key of an object, in Zotero's alphabet."""
    key = ""
    for _ in range(8):
        number, digit = divmod(number, len(_ALPHABET))
        key = _ALPHABET[digit] + key
    return key


@dataclass
class Request:
    """A request that came, without its key."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def short(self) -> str:
        """The path and the query."""
        return f"{self.path}?{'&'.join(f'{name}={value}' for name, value in sorted(self.query.items()))}".rstrip("?")


@dataclass
class Answer:
    """An answer to a request."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class ZoteroServer:
    """The library of one user.

    Attributes:
        url: of the API.
        public: whether it can be read without a key.
        requests: all that came.
        faults: answers to the next requests, instead of what they asked for.
        before: called with each request, before it is answered.
        lose_writes: how many of the next writes take effect without an answer.
    """

    def __init__(self) -> None:
        self.version = 0
        self.public = False
        self.items: dict[str, dict[str, Any]] = {}
        self.collections: dict[str, dict[str, Any]] = {}
        self.deleted: list[tuple[int, str, str]] = []
        self.keys = {KEY: True, READ_ONLY_KEY: False}
        self.requests: list[Request] = []
        self.faults: list[Answer] = []
        self.before: Callable[[Request], None] = lambda request: None
        self.lose_writes = 0
        self.url = ""
        self._lock = threading.RLock()

    def add(self, kind: str = "journalArticle", key: str | None = None, **data: Any) -> str:
        """Add an item, or change the one of this key."""
        self.version += 1
        key = key or key_of(len(self.items) + 1)
        known = self.items.get(key, {}).get("data", {"creators": [], "tags": [], "collections": [], "relations": {}})
        changed = {**known, **({"itemType": kind} if "itemType" not in known else {}), **data}
        item = {**changed, "key": key, "version": self.version}
        library = {"type": "user", "id": int(USER), "name": "Ada", "links": {}}
        meta = {"creatorSummary": "Lovelace", "parsedDate": data.get("date", ""), "numChildren": 0}
        self.items[key] = {
            "key": key, "version": self.version, "library": library, "links": {}, "meta": meta, "data": item
        }  # fmt: skip
        return key

    def collection(self, name: str, parent: str | None = None, key: str | None = None) -> str:
        """Add a collection, or rename the one of this key."""
        self.version += 1
        key = key or key_of(1_000_000 + len(self.collections))
        data = {"key": key, "version": self.version, "name": name, "parentCollection": parent or False, "relations": {}}
        self.collections[key] = {"key": key, "version": self.version, "meta": {"numItems": 1}, "data": data}
        return key

    def delete(self, key: str) -> None:
        """Delete an item or a collection for good."""
        self.version += 1
        kind = "items" if key in self.items else "collections"
        del (self.items if kind == "items" else self.collections)[key]
        self.deleted.append((self.version, kind, key))

    def fill(self, count: int, **data: Any) -> list[str]:
        """Add papers."""
        return [
            self.add(
                title=f"Paper {number} on <i>E. coli</i>",
                creators=[{"creatorType": "author", "firstName": "Ada", "lastName": f"Lovelace{number}"}],
                abstractNote=f"We study the growth of bacteria in medium {number}. " * 10,
                DOI=f"10.1000/paper.{number}",
                date=f"20{number % 25:02}-03-01",
                publicationTitle="Journal of Growth",
                tags=[{"tag": "growth"}],
                **data,
            )
            for number in range(1, count + 1)
        ]

    def answer(self, request: Request, key: str | None, content: bytes) -> Answer:
        """Answer a request."""
        with self._lock:
            self.requests.append(request)
            self.before(request)
            if self.faults:
                return self.faults.pop(0)
            if request.path == "/keys/current":
                return self._key(key)
            if key is not None and key not in self.keys:
                return Answer(403, "Invalid key")
            prefix = f"/users/{USER}"
            if not request.path.startswith(f"{prefix}/"):
                return Answer(404, "Not found")
            if key is None and not self.public:
                return Answer(403, "Forbidden")
            if request.method == "POST":
                return (
                    self._write(json.loads(content)) if key and self.keys[key] else Answer(403, "Write access denied")
                )
            return self._read(request, request.path.removeprefix(prefix))

    def _key(self, key: str | None) -> Answer:
        if key not in self.keys:
            return Answer(403, "Invalid key")
        user = {"library": True, "files": True, "notes": True, **({"write": True} if self.keys[key] else {})}
        return Answer(200, {"key": key, "userID": int(USER), "username": "ada", "access": {"user": user}})

    def _read(self, request: Request, path: str) -> Answer:
        state = {"Last-Modified-Version": str(self.version)}
        if request.headers.get("If-Modified-Since-Version") == str(self.version):
            return Answer(304, None, state)
        since = int(request.query.get("since", 0))
        if path == "/deleted":
            gone = [(kind, key) for version, kind, key in self.deleted if version > since]
            kinds = ("collections", "items", "searches", "tags", "settings")
            return Answer(200, {kind: [key for one, key in gone if one == kind] for kind in kinds}, state)
        if path == "/collections":
            found = list(self.collections.values())
        else:
            found = [one for one in self.items.values() if "parentItem" not in one["data"]]
            found.sort(key=lambda one: one["version"], reverse=True)
            if request.query.get("includeTrashed") != "1":
                found = [one for one in found if not one["data"].get("deleted")]
            if path.startswith("/collections/"):
                found = [one for one in found if path.split("/")[2] in one["data"]["collections"]]
        found = [one for one in found if one["version"] > since]
        start, limit = int(request.query.get("start", 0)), int(request.query.get("limit", 25))
        return Answer(200, found[start : start + limit], {**state, "Total-Results": str(len(found))})

    def _write(self, items: list[dict[str, Any]]) -> Answer:
        done: dict[str, Any] = {"successful": {}, "success": {}, "unchanged": {}, "failed": {}}
        for place, item in enumerate(items):
            fields = {"preprint": {"archiveID", "repository"}, "journalArticle": {"publicationTitle", "extra"}}
            common = {"key", "version", "itemType", "title", "creators", "abstractNote", "date", "DOI", "url", "tags"}
            wrong = set(item) - common - fields[item["itemType"]]
            if item["key"] in self.items:
                done["failed"][str(place)] = {"key": item["key"], "code": 412, "message": "Item has been modified"}
            elif wrong:
                message = f"'{wrong.pop()}' is not a valid field for type '{item['itemType']}'"
                done["failed"][str(place)] = {"code": 400, "message": message}
            else:
                self.add(item["itemType"], **{**item, "collections": []})
                done["successful"][str(place)] = self.items[item["key"]]
        return Answer(200, done, {"Last-Modified-Version": str(self.version)})


@contextmanager
def zotero_server() -> Iterator[ZoteroServer]:
    """Run a library."""
    zotero = ZoteroServer()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name != "Zotero-API-Key"}
            request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers)
            answer = zotero.answer(request, self.headers.get("Zotero-API-Key"), content)
            if self.command == "POST" and zotero.lose_writes:
                zotero.lose_writes -= 1
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            body = b"" if answer.body is None else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    zotero.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield zotero
    server.shutdown()
    server.server_close()
    thread.join()
