"""The command that serves the site."""

from typing import Annotated

import typer

from newsletter.cli.common import open_context_for, say
from newsletter.config.settings import Web


def serve(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen on (web.host).")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The port to listen on (web.port).")] = None,
) -> None:
    """Serve the site: sign-up, preferences, the papers by day, search, feeds and the API.

    Until Ctrl-C or SIGTERM. Put nginx or Caddy in front of it for the world: docs/deploy.md.
    """
    from newsletter.web.app import make_app  # Here, since it is slow to import.
    from newsletter.web.server import listen
    from newsletter.web.server import serve as answer

    context = open_context_for(ctx, running=True)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    web = Web(**{**context.config.web.model_dump(), **given})
    listener = listen(web)
    at = f"[{web.host}]" if ":" in web.host else web.host
    say(f"The site is at http://{at}:{web.port}/ (Ctrl-C ends it).")
    answer(make_app(context, warm=True), listener, web)
