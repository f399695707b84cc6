"""What all pages of the site share: the application context, the templates, and how pages are rendered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from newsletter.audience import challenges
from newsletter.errors import UserError
from newsletter.rendering.template import BUNDLED
from newsletter.services.context import AppContext
from newsletter.services.index import LiveIndex
from newsletter.services.reload import Reloader
from newsletter.services.signup_mail import SignupMailer
from newsletter.web.rate_limit import RateLimiter

PRIVATE = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
"""Headers of a page for one reader."""


@dataclass(frozen=True, slots=True)
class WebContext:
    """What pages need to be rendered.

    Attributes:
        url: the site's public URL.
        pages: the templates of ``templates/pages``; the newsletter's own override the built-in ones.
        index: returns the index of the store's papers, kept loaded; call it each time.
        mailer: sends the emails of the sign-up forms.
        limiter: counts the requests of programs.
        reloader: reads the configuration again; None where it is read once.
    """

    context: AppContext
    url: str
    pages: Environment = field(repr=False)
    index: LiveIndex = field(repr=False)
    mailer: SignupMailer = field(repr=False)
    limiter: RateLimiter = field(repr=False, default_factory=RateLimiter)
    reloader: Reloader | None = field(default=None, repr=False)

    def page(
        self, request: Request, name: str, /, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
    ) -> HTMLResponse:
        """Render a page from the template ``NAME.html``.

        Raises:
            UserError: the template is missing or invalid.
        """
        return HTMLResponse(self.render(request, name, **values), status, dict(headers or {}))

    def challenge(self) -> str:
        """Create a challenge for a page's script, as JSON."""
        context = self.context
        tries = context.config.web.sign_ups.challenge_tries
        return json.dumps(challenges.create_challenge(context.links.key, tries, context.clock()))

    def render(self, request: Request, name: str, /, **values: Any) -> str:
        """Render the text of such a page."""
        try:
            template = self.pages.get_template(f"{name}.html")
            config = self.context.config
            return template.render(
                site=config.site, has_logo=config.logo_file is not None, path=request.url.path, **values
            )
        except TemplateError as error:
            raise UserError(f"templates/pages/{name}.html: {error}; correct the template") from error


def make_context(context: AppContext, reloader: Reloader | None = None) -> WebContext:
    """Create the web context of a newsletter.

    Raises:
        UserError: ``site.url`` is not set.
    """
    if context.config.site.url is None:
        raise UserError(
            "site.url: not set, but the site's emails and feeds need it; set it in config.yaml to the site's public "
            "address, or to http://localhost:8000 to try the site on this machine"
        )
    own = context.config.folder / context.config.templates / "pages"
    folders = [folder for folder in (own, BUNDLED / "pages") if folder.is_dir()]
    pages = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return WebContext(context, context.config.site.url, pages, LiveIndex(context), SignupMailer(context), reloader=reloader)


def static(name: str) -> bytes:
    """Return a built-in style sheet or script."""
    return (files("newsletter.web") / "static" / Path(name).name).read_bytes()


def as_json(value: Any, status: int = 200) -> Response:
    """Create a JSON response."""
    return Response(json.dumps(value, ensure_ascii=False), status, media_type="application/json")
