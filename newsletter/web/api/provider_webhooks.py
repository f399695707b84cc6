"""Webhooks of mail providers: they post what bounced, and who complained or unsubscribed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from newsletter.delivery.provider_webhooks.base import ForgedRequest, ProviderRequest, UnreadableRequest
from newsletter.services.provider_events import process_request
from newsletter.services.sns import SnsClient
from newsletter.web.context import PRIVATE, WebContext, as_json
from newsletter.web.middleware.security import log


async def _read(request: Request) -> ProviderRequest:
    # Names are in lower case already; of a repeated header the first counts.
    headers = dict(reversed(request.headers.items()))
    return ProviderRequest(headers, await request.body())


def routes(site: WebContext) -> APIRouter:
    """Create the router of the mail providers' webhooks."""
    context = site.context
    router, sns = APIRouter(), SnsClient(context.config)

    # The response is the same for every address. Mailgun takes no other status than 200 for success.
    @router.post("/webhooks/{provider}", include_in_schema=False)
    def receive(provider: str, request: Annotated[ProviderRequest, Depends(_read)]) -> Response:
        if provider not in context.config.webhooks.providers.configured:
            raise HTTPException(404, headers=PRIVATE)
        try:
            process_request(context, provider, request, sns)
        except ForgedRequest as error:
            log.warning("webhooks: a request to /webhooks/%s was rejected: %s", provider, error)
            if error.challenge:
                raise HTTPException(401, headers={**PRIVATE, "WWW-Authenticate": error.challenge}) from None
            raise HTTPException(403, headers=PRIVATE) from None
        except UnreadableRequest as error:
            log.warning("webhooks: a request to /webhooks/%s cannot be read: %s", provider, error)
            raise HTTPException(400, headers=PRIVATE) from None
        answer = as_json({"status": "accepted"})
        answer.headers.update(PRIVATE)
        return answer

    return router
