"""What a reader's mail program does: shows links, and writes the email that a ``mailto:`` link opens."""

from email.message import EmailMessage
from email.utils import make_msgid
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit


class _Links(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._open: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._open = dict(attributes)["href"]
            self.found.append(("", self._open or ""))

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            text, href = self.found[-1]
            self.found[-1] = (text + data, href)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._open = None


def part(message: EmailMessage, kind: str) -> str:
    """The content of the part of a kind, ``html`` or ``plain``."""
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def links(message: EmailMessage) -> list[tuple[str, str]]:
    """The links of the HTML part in order: their text and their target."""
    return _Links(part(message, "html")).found


def links_named(message: EmailMessage, text: str) -> list[str]:
    """The targets of the links with a text."""
    return [href for name, href in links(message) if name == text]


def written(link: str, sender: str = "Ada <ada@example.org>", body: str | None = None) -> EmailMessage:
    """The email that a ``mailto:`` link opens, as it is sent; with the body that the reader makes of it."""
    parts = urlsplit(link)
    assert parts.scheme == "mailto", link
    filled = {name: values[0] for name, values in parse_qs(parts.query.replace("+", "%2B")).items()}
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, parts.path, filled["subject"]
    message["Message-ID"] = make_msgid(domain="example.org")
    message.set_content(filled.get("body", "") if body is None else body)
    return message
