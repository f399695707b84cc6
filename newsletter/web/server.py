"""The web server: runs uvicorn until it is stopped."""

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import LOGGING_CONFIG
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from newsletter.config.web import Web
from newsletter.errors import UserError
from newsletter.web.connections import ACCEPTED_AT_ONCE, RESERVED_FILES, Connections, Listener, possible_connections
from newsletter.web.log_throttle import RepeatFilter
from newsletter.web.middleware.security import LARGEST_HEADER
from newsletter.web.protocol import Connection

_MOST_UNSENT = 32_768
"""Bytes of a response that may wait in the kernel. With more, the site would notice later that a client reads."""

_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25 if sys.platform == "linux" else None)

log = logging.getLogger("uvicorn.error")


def listen(web: Web) -> socket.socket:
    """Open a socket at the configured address.

    Raises:
        UserError: the address is not available.
    """
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        listener = socket.create_server((web.host, web.port), family=family)
        # Connections inherit this. Without it the body of a response waits 40 ms for the acknowledgement of its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _TCP_NOTSENT_LOWAT is not None:
            with suppress(OSError):  # Without it, only slow clients are affected.
                listener.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _MOST_UNSENT)
        return listener
    except OSError as error:
        raise UserError(
            f"web.port: {web.host}:{web.port}: {os.strerror(error.errno or 0)}; choose another port"
        ) from None


def serve(app: ASGIApp, listener: socket.socket, web: Web, sessions: int = 0) -> None:
    """Serve until Ctrl-C or SIGTERM, then let requests in progress finish.

    Args:
        sessions: how many sessions with mail servers this process may have open at the same time.
    """
    server, door = _server(app, listener, web, sessions)
    server.run(sockets=[door])


@contextmanager
def serving(app: ASGIApp, listener: socket.socket, web: Web, sessions: int = 0) -> Iterator[None]:
    """Serve in a background thread; at the end, let requests in progress finish."""
    server, door = _server(app, listener, web, sessions)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, name="site", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def _server(app: ASGIApp, listener: socket.socket, web: Web, sessions: int) -> tuple[uvicorn.Server, Listener]:
    proxies = ProxyHeadersMiddleware(app, web.trusted_proxies).trusted_hosts  # type: ignore[arg-type]
    most = possible_connections(web.max_connections, RESERVED_FILES + sessions)
    connections = Connections(most, web.max_connections_per_address, lambda host: host in proxies)
    settings = uvicorn.Config(
        app,
        # Pinned: the deadlines depend on this protocol and the limits on this event loop. By default uvicorn uses
        # httptools, uvloop and websockets if they are installed.
        http=cast(type[asyncio.Protocol], partial(Connection, web, connections)),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=_logging(),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=web.trusted_proxies,
        backlog=ACCEPTED_AT_ONCE,
        h11_max_incomplete_event_size=LARGEST_HEADER,
        timeout_keep_alive=web.keep_alive_seconds,
        timeout_graceful_shutdown=5,
    )
    if most < web.max_connections:
        log.warning(
            "web.max_connections: only %d of %d connections, because this process may open too few files; raise the "
            "limit (ulimit -n, or LimitNOFILE in systemd) to %d",
            most,
            web.max_connections,
            web.max_connections + RESERVED_FILES + sessions,
        )
    return uvicorn.Server(settings), Listener(listener, connections)


class _Stderr:
    """Standard error at the time of writing, which may have been replaced since the start."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _logging() -> dict[str, Any]:
    """Configure the logging of uvicorn and asyncio, with a limit for repeated lines."""
    settings = deepcopy(LOGGING_CONFIG)
    settings["filters"] = {"repeats": {"()": RepeatFilter}}
    settings["handlers"]["default"]["filters"] = ["repeats"]
    settings["handlers"]["default"]["stream"] = _Stderr()
    settings["loggers"]["asyncio"] = {"handlers": ["default"], "level": "WARNING"}
    return settings
