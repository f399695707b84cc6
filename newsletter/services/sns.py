"""Requests to Amazon SNS: for certificates that its messages are signed with, and to confirm a subscription."""

import time
from collections import deque
from threading import Lock

from newsletter.config.settings import Config
from newsletter.delivery.provider_webhooks.base import ForgedRequest
from newsletter.errors import NewsletterError
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, user_agent

_KEPT_SECONDS = 24 * 3600.0
_MOST_KEPT = 16
_LARGEST = 64 * 1024
_SECONDS = 10.0
_MOST_REQUESTS, _WITHIN_SECONDS = 20, 60.0
_HEADERS = {"Accept": "*/*"}
"""Given so that a redirect, which could lead to any host, is an error."""


class SnsClient:
    """Requests URLs of SNS that were checked to be of it.

    Certificates are kept in memory. The number of requests is limited, since a forged message can name a certificate
    that does not exist.
    """

    def __init__(self, config: Config) -> None:
        self._agent = user_agent(config.site.url, config.contact)
        # SNS sends a message again, so one attempt will do while it waits for the response.
        self._network = config.network.model_copy(update={"attempts": 1})
        self._kept: dict[str, tuple[float, bytes]] = {}
        self._requests: deque[float] = deque()
        self._lock = Lock()

    def certificate(self, url: str) -> bytes:
        """Return the certificate at a URL (PEM).

        Raises:
            ForgedRequest: SNS has no certificate there.
            NewsletterError: SNS does not answer, or was asked too often.
        """
        with self._lock:
            until, content = self._kept.get(url, (0.0, b""))
            if until > time.monotonic():
                return content
            try:
                content = self._get(url)
            except SourceError as error:
                if error.status is not None and 400 <= error.status < 500 and error.status != 429:
                    raise ForgedRequest("SNS does not have its certificate") from None
                raise
            while len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[url] = (time.monotonic() + _KEPT_SECONDS, content)
            return content

    def confirm(self, url: str) -> None:
        """Confirm a subscription by requesting its URL.

        Raises:
            NewsletterError: SNS does not confirm it, or was asked too often.
        """
        with self._lock:
            self._get(url)

    def _get(self, url: str) -> bytes:
        now = time.monotonic()
        while self._requests and self._requests[0] <= now - _WITHIN_SECONDS:
            self._requests.popleft()
        if len(self._requests) >= _MOST_REQUESTS:
            raise NewsletterError("webhooks: too many requests to Amazon SNS in a minute; it sends its messages again")
        self._requests.append(now)
        with HttpClient(self._network, self._agent, max_bytes=_LARGEST, max_seconds=_SECONDS) as http:
            return http.get(url, headers=_HEADERS).content
