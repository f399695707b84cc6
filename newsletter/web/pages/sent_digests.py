"""Digests in the browser, each at its own URL that may be shared, and a subscriber's digests as a feed.

Neither contains personal links, a name or an address.
"""

from datetime import date
from xml.etree import ElementTree

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import HTMLResponse

from newsletter.audience.signed_links import TokenPurpose
from newsletter.model import Digest, SendState, Subscriber
from newsletter.rendering.paper_card import labelled_title
from newsletter.rendering.subject import subject
from newsletter.rendering.template_context import format_day
from newsletter.rendering.updates import by_paper, update_title
from newsletter.services.messages import render_shared
from newsletter.store import reading, send_log
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import PAGE, subscriber_at, subscriber_of, wrong_link
from newsletter.web.pages.feeds import private_feed_id

_POLICY = (
    # As in a mail client: no scripts, only inline styles.
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation; default-src 'none'; "
    # The site's own images are named, since a site that is being tried out has no https.
    "style-src 'unsafe-inline'; img-src https: data: {site}/thumbnails/ {site}/brand/; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_NO_DIGEST = "This digest is no longer available."
_ATOM = "http://www.w3.org/2005/Atom"
_IN_FEED = 30


def routes(site: WebContext) -> APIRouter:
    """Create the router of a subscriber's digests, as pages and as a feed."""
    router = APIRouter(include_in_schema=False)
    context = site.context

    @router.api_route("/digest/{token}", methods=PAGE)
    def digest(token: str) -> Response:
        found = context.links.digest(token)
        if found is None:
            raise wrong_link()
        row, edition = found
        subscriber = subscriber_at(site, row)
        shown = _digest(site, subscriber, edition)
        if shown is None:
            raise HTTPException(410, _NO_DIGEST, headers=PRIVATE)
        html = render_shared(context, subscriber, shown)
        return HTMLResponse(html, 200, {**PRIVATE, "Content-Security-Policy": _POLICY.format(site=site.url)})

    @router.api_route("/feeds/private/{token}.atom", methods=PAGE)
    def feed(token: str) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.FEED, token)
        with reading(context.engine) as connection:
            sends = send_log.last_sent(connection, subscriber.row, _IN_FEED)
            digests = send_log.digests(connection, sends)
        content = _feed(site, subscriber, [one for send in sends if (one := digests[send.row]).choices or one.updates])
        return Response(content, 200, PRIVATE, "application/atom+xml")

    return router


def _digest(site: WebContext, subscriber: Subscriber, edition: date) -> Digest | None:
    with reading(site.context.engine) as connection:
        send = send_log.of_edition(connection, subscriber.row, edition)
        if send is None or send.state is SendState.SKIPPED:
            return None
        found = send_log.digests(connection, [send])[send.row]
    return found if found.choices or found.updates else None


def _feed(site: WebContext, subscriber: Subscriber, digests: list[Digest]) -> bytes:
    """Build the Atom feed (RFC 4287) of digests, newest first, each with the titles of its papers."""
    context, settings = site.context, site.context.config.site
    ElementTree.register_namespace("", _ATOM)
    feed = ElementTree.Element(f"{{{_ATOM}}}feed")
    # Feed readers share entries with the id and links of their feed (section 4.2.11). The feed therefore does not
    # contain its own URL, which gives access to all digests.
    _text(feed, "id", private_feed_id(context.links.key, "feed", subscriber.row))
    _text(feed, "title", f"{settings.name}: digests")
    _text(feed, "updated", _noon(digests[0].edition if digests else context.clock().date()))
    author = ElementTree.SubElement(feed, f"{{{_ATOM}}}author")
    _text(author, "name", settings.name)
    for one in digests:
        link = context.links.digest_url(subscriber.row, one.edition)
        entry = ElementTree.SubElement(feed, f"{{{_ATOM}}}entry")
        _text(entry, "id", link)
        _text(entry, "title", f"{format_day(one.edition)}: {subject(context.config.digest.subject, settings, one)}")
        _text(entry, "updated", _noon(one.edition))
        ElementTree.SubElement(entry, f"{{{_ATOM}}}link", href=link)
        told = [update_title(own) for own in by_paper(one.updates)]
        titles = [f"{choice.rank}. {labelled_title(choice.paper)}" for choice in one.choices]
        _text(entry, "content", "\n".join([*told, *titles]))
    content: bytes = ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)
    return content


def _text(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, f"{{{_ATOM}}}{name}").text = text


def _noon(day: date) -> str:
    return f"{day.isoformat()}T12:00:00Z"
