"""Repairs the links of sources, and chooses the best ones of a feed's entry."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from newsletter.sources.text import web_link
from newsletter.support.text import strip_invisible

_AROUND = " \t\r\n\f\v\u00a0\u3000\"'<>"
_BREAK = re.compile(r"[^\S\n\r]*[\t\r\n]\s*")
_SCHEMES = re.compile(
    r"^(?:(?:feed|url)[:=]\s?)?(?:https?:?/+(?=https?:?//))*(https?)(?::/*|//+)(?=[^/\s])", re.IGNORECASE
)
_SCHEME = re.compile(r"^(?:[a-z][a-z0-9+-]*:(?!\d)|[a-z][a-z0-9+.-]*://)", re.IGNORECASE)
_HOST = re.compile(r"^(?:www\.[\w-]+\.[\w.-]+|(?:[\w-]+\.)+([a-z]{2,24})(?=(?::\d{1,5})?/))", re.IGNORECASE)
_PAGES = frozenset(
    ("asp", "aspx", "cfm", "cgi", "do", "htm", "html", "jsp", "pdf", "php", "phtml", "pl", "shtml", "xml")
)
"""Ends of file names, which are no top-level domains ("index.php/article/1")."""

_UNSAFE = {character: f"%{ord(character):02X}" for character in ' "<>\\^`{|}'}
_OF_THE_ENTRY = ("", "alternate", "canonical", "enclosure")


def repair_link(text: str | None, base: str = "") -> str | None:
    """Return a complete http(s) URL for a link as sources write it; None for anything else.

    White space around it and line breaks are removed, spaces inside become ``%20``. A missing scheme is that of the
    base, or else https. A relative link is joined to the base, without its user name and password.

    Args:
        base: the http(s) address that relative links start from; empty if there is none, so that they are dropped.
    """
    link = _BREAK.sub("", strip_invisible(text or "").strip(_AROUND)).replace("\u00a0", " ").replace("&amp;", "&")
    if not link:
        return None
    start = _base(base)
    scheme = start.partition(":")[0] or "https"
    if _SCHEMES.match(link):
        link = _SCHEMES.sub(lambda found: f"{found[1].lower()}://", link, count=1)
    elif link.startswith("//"):
        link = f"{scheme}:{link}"
    elif (host := _HOST.match(link)) and (host[1] or "").lower() not in _PAGES:
        link = f"{scheme}://{link}"
    elif _SCHEME.match(link) or not start:
        return None
    link = "".join(_UNSAFE.get(character, character) for character in link)
    try:
        return web_link(urljoin(start, link) if start else link)
    except ValueError:
        return None


def _base(address: str) -> str:
    """Return an address to start from, without a user name, a password, a query and a fragment."""
    try:
        parts = urlsplit(address.strip())
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, host, parts.path, "", "")) if parts.scheme in ("http", "https") and host else ""


def feed_base(channel: Mapping[str, Any], address: str) -> str:
    """Return the address that the links of a feed start from: its own, or that of its site if that is elsewhere, as for
    feeds that another service distributes.
    """
    site = repair_link(str(channel.get("link") or ""), address) or ""
    own = _base(address)
    return site if site and (not own or urlsplit(site).hostname != urlsplit(own).hostname) else own


def page_links(entry: Mapping[str, Any], base: str) -> list[str]:
    """Return the web pages of a feed's entry, the best first: what a distributor's link leads to, the entry's own
    page, its permanent link.
    """
    links = [entry.get("feedburner_origlink"), *_hrefs(entry, "alternate"), entry.get("link")]
    name = str(entry.get("id") or "").strip()
    if not name.startswith(("http:", "https:", "/")):
        # feedparser takes an identifier that does not deny it for a permanent link.
        links = [link for link in links if link != entry.get("id")]
    elif entry.get("guidislink"):
        links.append(name)
    links += [*_hrefs(entry, "canonical"), entry.get("prism_url")]
    found = (repair_link(link, base) for link in links if isinstance(link, str))
    return list(dict.fromkeys(link for link in found if link))


def pdf_links(entry: Mapping[str, Any], base: str) -> list[str]:
    """Return the PDFs of a feed's entry."""
    links = [link for link in entry.get("links", ()) if link.get("rel", "") in (*_OF_THE_ENTRY, "related")]
    found = [
        repair_link(str(link.get("href") or link.get("url") or ""), base)
        for link in (*links, *entry.get("media_content", ()))
        if _is_pdf(link)
    ]
    return list(dict.fromkeys(link for link in found if link))


def _hrefs(entry: Mapping[str, Any], rel: str) -> Iterator[str]:
    """Yield the links of a relation to web pages, or of no type, HTML first."""
    links = [one for one in entry.get("links", ()) if one.get("rel", "alternate") == rel and not _is_pdf(one)]
    for link in sorted(links, key=lambda one: "html" not in str(one.get("type", "html"))):
        if link.get("href"):
            yield str(link["href"])


def _is_pdf(link: Mapping[str, Any]) -> bool:
    address = str(link.get("href") or link.get("url") or "")
    kind = str(link.get("type") or "").lower()
    return "application/pdf" in kind or address.strip().partition("?")[0].lower().endswith(".pdf")
