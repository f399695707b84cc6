"""The command that serves the site."""

from typing import Annotated

import typer

from newsletter.cli.common import event_log, open_context_for, options, say


def serve(
    ctx: typer.Context,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on (default: web.host).")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=65535, help="Port to listen on (default: web.port).")
    ] = None,
) -> None:
    """Serve the site: sign-up, preferences, the papers by day, search, feeds and the API.

    Runs until Ctrl-C or SIGTERM; SIGHUP reloads the configuration. On the internet, put nginx or Caddy in front of it;
    see docs/how-to/deploy-behind-nginx.md.
    """
    from newsletter.config.web import Web
    from newsletter.services.reload import FIXED_FOR_SITE, Reloader
    from newsletter.web.live_app import LiveApp
    from newsletter.web.server import listen
    from newsletter.web.server import serve as answer

    context = open_context_for(ctx, running=True)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    web = Web(**{**context.config.web.model_dump(), **given})
    on_command_line = {f"web.{name}": value for name, value in given.items()}
    reloader = Reloader(context, options(ctx).config, "serve", event_log(), FIXED_FOR_SITE, on_command_line)
    app = LiveApp(reloader)
    listener = listen(web)
    at = f"[{web.host}]" if ":" in web.host else web.host
    say(f"Serving the site at http://{at}:{web.port}/ (press Ctrl-C to stop).")
    with reloader.watching():
        answer(app, listener, web)
