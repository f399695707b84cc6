"""The overview: the newsletter's status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from newsletter.model import SendState, SubscriberState
from newsletter.services.status import Status, read_status
from newsletter.web.auth import Operator, viewer
from newsletter.web.context import WebContext
from newsletter.web.pages.admin.layout import admin_page
from newsletter.web.pages.charts import BarChart, stacked_chart

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
    """Create the router of the page."""
    router = APIRouter()

    @router.get("")
    def show(request: Request, operator: Annotated[Operator, Depends(viewer(site))]) -> Response:
        known = read_status(site.context)
        return admin_page(
            site,
            request,
            operator,
            "overview",
            known=known,
            plots={"people": _people(known), "editions": _editions(known), "trouble": _trouble(known)},
            days=_deliverability(known),
            rates=_delivered(known),
            under_way=_under_way(known),
        )

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
