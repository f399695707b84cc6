"""The server of the site: uvicorn, until it is told to stop."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from newsletter.config import Web
from newsletter.errors import UserError


def listen(web: Web) -> socket.socket:
    """A socket at the address that ``web`` names.

    Raises:
        UserError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        listener = socket.create_server((web.host, web.port), family=family, backlog=2048)
        # Its connections inherit this. Without it the body of an answer waits 40 ms until its head was acknowledged.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise UserError(f"web.port: {web.host}:{web.port}: {os.strerror(error.errno or 0)}; choose another") from None


def serve(app: FastAPI, listener: socket.socket, web: Web) -> None:
    """Answer until Ctrl-C or SIGTERM, which let what was begun come to its end."""
    _server(app, web).run(sockets=[listener])


@contextmanager
def serving(app: FastAPI, listener: socket.socket, web: Web) -> Iterator[None]:
    """Answer in a thread beside whatever is done meanwhile; then let what was begun come to its end."""
    server = _server(app, web)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="site", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def _server(app: FastAPI, web: Web) -> uvicorn.Server:
    settings = uvicorn.Config(
        app,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=web.trusted_proxies,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(settings)
