"""The site of a running process, which a new configuration replaces."""

import threading
from collections.abc import Callable

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from newsletter.services.context import AppContext
from newsletter.services.reload import Reloader
from newsletter.web.app import make_app
from newsletter.web.metrics import RequestMetrics
from newsletter.web.page_processes import usual_number


class LiveApp:
    """Passes each request to the application as the present configuration has it.

    A new configuration gets an application of its own; requests under way end in the previous one.
    """

    def __init__(self, reloader: Reloader) -> None:
        """Create the site of a process.

        Raises:
            UserError: ``site.url`` is not set.
        """
        self._reloader, self._requests = reloader, RequestMetrics()
        self._app = self._make(reloader.context)
        reloader.add_part(self._prepare)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await run_in_threadpool(self._app.state.close)
        await send({"type": "lifespan.shutdown.complete"})

    def _make(self, context: AppContext) -> FastAPI:
        wanted = context.config.web.page_processes
        number = usual_number() if wanted is None else wanted
        return make_app(context, warm=True, requests=self._requests, reloader=self._reloader, processes=number)

    def _prepare(self, context: AppContext) -> Callable[[], None]:
        app = self._make(context)

        def apply() -> None:
            previous, self._app = self._app, app
            # It may wait for the email that it is sending.
            threading.Thread(target=previous.state.close, daemon=True).start()

        return apply
