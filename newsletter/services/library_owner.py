"""Whose a key of Zotero is, so that readers need not look up their user ID."""

from newsletter.errors import ReaderError
from newsletter.services.context import AppContext
from newsletter.services.library_keys import valid_key
from newsletter.services.library_reading import http_client
from newsletter.sources.errors import SourceError
from newsletter.sources.zotero import RefusedError, find_user

_SECONDS = 10.0


def zotero_user(context: AppContext, key: str) -> str:
    """Return the ID of the user that a Zotero key belongs to.

    Raises:
        ReaderError: Zotero does not know it or does not answer.
        UserError: it is no key.
    """
    url = context.config.libraries.zotero_url
    try:
        with http_client(context, url, _SECONDS) as http:
            return find_user(http, url, valid_key(key, "the key"))
    except RefusedError:
        raise ReaderError("Zotero does not know this key; copy it again, or make a new one") from None
    except SourceError:
        raise ReaderError("Zotero does not answer right now; please try again later") from None
