"""An email inside a page of the admin site: in a frame without scripts, forms and an origin of its own.

It is part of the page, since what is only a preview has no address. The frame is sandboxed, and a policy inside of it
allows styles and images alone.
"""

import re

from newsletter.web.middleware.security import POLICY

_IN_FRAME = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' https: data:; base-uri 'none'"
_META = f'<meta http-equiv="Content-Security-Policy" content="{_IN_FRAME}">'
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)

# A frame of this kind inherits the policy of its page, so the page has to allow what emails need.
WITH_EMAIL = {
    "Content-Security-Policy": POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace(
        "img-src 'self' data:", "img-src 'self' https: data:"
    )
}
"""Headers of a page with an email in a frame."""


def framed(html: str) -> str:
    """Return the HTML of an email with the policy of the frame, for the attribute ``srcdoc``."""
    found = _HEAD.search(html)
    return f"{html[: found.end()]}{_META}{html[found.end() :]}" if found else _META + html
