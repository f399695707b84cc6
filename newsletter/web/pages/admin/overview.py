"""The operator's page: the newsletter's status, behind a login."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.model import SendState, SubscriberState
from newsletter.services.status import Status, read_status
from newsletter.web.auth import HOME, LoginThrottle, authenticate, begin_session, end_session, session
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import Posted, SameOrigin, text
from newsletter.web.pages.charts import BarChart, stacked_chart

_LOGIN = f"{HOME}/login"
_LONGEST_TOKEN = 200
_BAD = "This token is invalid or expired. See 'newsletter token list', or create one with 'newsletter token create'."
_OFTEN = "Too many attempts. Please try again in 15 minutes."

_PEOPLE = {state.value: state.value for state in SubscriberState}
_SENDS = {
    SendState.SENT.value: "sent",
    SendState.SKIPPED.value: "skipped",
    SendState.PLANNED.value: "planned",
    SendState.CLAIMED.value: "claimed",
    SendState.DEFERRED.value: "deferred",
    SendState.FAILED.value: "failed",
    SendState.UNSURE.value: "unsure",
}
_TROUBLE = {"deferred": "deferred", "failed": "refused", "back": "bounced", "complaint": "complained"}
_BOUNCED = ("hard", "soft", "refused")
_DAYS = 30


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page and its login."""
    router = APIRouter(prefix=HOME, include_in_schema=False)
    attempts = LoginThrottle()

    @router.get("")
    def show(request: Request) -> Response:
        token = session(site.context, request)
        if token is None:
            return RedirectResponse(_LOGIN, 303, PRIVATE)
        known = read_status(site.context)
        plots = {"people": _people(known), "editions": _editions(known), "trouble": _trouble(known)}
        rates = _delivered(known)
        days = _deliverability(known)
        return site.page(
            request,
            "operator",
            headers=PRIVATE,
            known=known,
            plots=plots,
            days=days,
            token=token,
            rates=rates,
            under_way=_under_way(known),
        )

    @router.get("/login")
    def ask(request: Request) -> Response:
        return site.page(request, "operator_login", headers=PRIVATE, problem="")

    @router.post("/login", dependencies=[SameOrigin])
    def login(request: Request, form: Posted) -> Response:
        if not attempts.allow(request.client.host if request.client else "", site.context.clock):
            return site.page(request, "operator_login", 429, {**PRIVATE, "Retry-After": "900"}, problem=_OFTEN)
        token = authenticate(site.context, text(form, "token")[:_LONGEST_TOKEN])
        if token is None:
            return site.page(request, "operator_login", 403, PRIVATE, problem=_BAD)
        answer = RedirectResponse(HOME, 303, PRIVATE)
        begin_session(site.context, request, answer, token)
        return answer

    @router.post("/logout", dependencies=[SameOrigin])
    def logout(request: Request) -> Response:
        answer = RedirectResponse(_LOGIN, 303, PRIVATE)
        end_session(site.context, request, answer)
        return answer

    return router


def _people(known: Status) -> BarChart:
    return stacked_chart(_PEOPLE, [(day.isoformat(), counts) for day, counts in known.by_day.items()])


def _editions(known: Status) -> BarChart:
    return stacked_chart(_SENDS, [(day.isoformat(), _plain(known.editions[day])) for day in sorted(known.editions)])


@dataclass(frozen=True, slots=True)
class _Progress:
    """The progress of an edition: planned and settled sends."""

    planned: int
    settled: int


def _under_way(known: Status) -> dict[date, _Progress]:
    """Return the editions that are being sent, newest first."""
    progress: dict[date, _Progress] = {}
    for day, counts in known.editions.items():
        planned = sum(number for state, number in counts.items() if state is not SendState.SKIPPED)
        if left := sum(counts.get(state, 0) for state in (SendState.PLANNED, SendState.CLAIMED)):
            progress[day] = _Progress(planned, planned - left)
    return progress


def _plain(counts: Mapping[SendState, int]) -> dict[str, int]:
    return {state.value: number for state, number in counts.items()}


def _deliverability(known: Status) -> dict[date, dict[str, int]]:
    """Count each day's sends, bounces and complaints in the last 30 days, oldest first."""
    today = known.now.date()
    days = {today - timedelta(days=back): dict[str, int]() for back in reversed(range(_DAYS))}
    for day, counts in days.items():
        sent, back = known.editions.get(day, {}), known.came_back.get(day, {})
        counts["sent"] = sent.get(SendState.SENT, 0)
        counts["deferred"] = sent.get(SendState.DEFERRED, 0)
        counts["failed"] = sent.get(SendState.FAILED, 0)
        counts["back"] = sum(back.get(kind, 0) for kind in _BOUNCED)
        counts["complaint"] = back.get("complaint", 0)
    return {day: counts for day, counts in days.items() if any(counts.values())}


def _trouble(known: Status) -> BarChart:
    return stacked_chart(_TROUBLE, [(day.isoformat(), counts) for day, counts in _deliverability(known).items()])


def _delivered(known: Status) -> dict[str, float]:
    """Return the bounce rate and the complaint rate of the last 30 days."""
    days = _deliverability(known).values()
    accepted = sum(counts["sent"] for counts in days)
    return {
        name: sum(counts[name] for counts in days) / accepted if accepted else 0.0 for name in ("back", "complaint")
    }
