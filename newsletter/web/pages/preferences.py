"""Preferences pages: change interests and schedule in the browser, with a signed link."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.audience import subscriber_states, subscriptions
from newsletter.audience.next_due import local_day
from newsletter.audience.signed_links import TokenPurpose
from newsletter.audience.subscriptions import StoredPreferences
from newsletter.errors import NewsletterError, UserError
from newsletter.model import Day, Preferences, Subscriber, SubscriberState
from newsletter.rendering.plain_text import latex_to_text
from newsletter.rendering.template_context import format_day
from newsletter.services.interest_findings import find_interests
from newsletter.services.interest_sentences import describe_findings
from newsletter.services.ranking_snapshot import RankingSnapshot, build_snapshot
from newsletter.services.recommend import rank_papers
from newsletter.store import audit, feedback, papers, reading, writing
from newsletter.support.time_zones import get_zone, is_known
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import PAGE, Posted, SameOrigin, path_for, subscriber_of, text
from newsletter.web.pages.alert_form import ALERT_KINDS, AlertFields
from newsletter.web.pages.libraries import library_values
from newsletter.web.pages.preference_form import (
    UPDATES,
    Fields,
    FormError,
    InterestFields,
    fields_of,
    layout_choices,
    posted_fields,
    read_fields,
    renamed,
)
from newsletter.web.pages.ranked_papers import ranked_papers
from newsletter.web.pages.rate import rate_path
from newsletter.web.pages.signup import zones

_PAUSE = timedelta(days=14)
_SHOWN = 10
_LOOKED_UP = 200
_FINDINGS_SHOWN = 12
_DAYS = dict(zip(Day, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True))
_SAID = {
    "welcome": "Welcome! Your first digest will arrive within minutes.",
    "saved": "Saved. Your next digest will use these preferences.",
    "paused": "Paused for two weeks. Your digests then resume automatically.",
    "resumed": "Your digests are resumed.",
    "moved": "Your digests are now sent to this address. Links in emails sent to the old address no longer work.",
}
_LOST = (
    "Your preferences were changed elsewhere since you opened this page, so nothing was saved yet. Your version is "
    "below, next to the saved one. Save again to replace it with yours."
)


def routes(site: WebContext) -> APIRouter:
    """Create the router of the preferences pages."""
    router = APIRouter(prefix="/preferences/{token}", include_in_schema=False)
    context, folder = site.context, site.context.config.subscribers_folder

    def form_page(
        request: Request,
        token: str,
        subscriber: Subscriber,
        home: StoredPreferences,
        fields: Fields,
        status: int = 200,
        **values: Any,
    ) -> Response:
        """Render the form with its fields, next to a ranking for ``ranked``."""
        ranked: Preferences | None = values.pop("ranked", home.preferences)
        shown = {
            "note": "",
            "problems": (),
            "usual_trending": context.config.digest.trending,
            "kept": None,
            "alert_problems": {},
            **values,
            **_ranking(site, subscriber, ranked, with_findings=ranked == home.preferences),
            **_standing(site, subscriber, home),
            **library_values(site, subscriber),
            "problem": "",
        }
        return site.page(
            request,
            "preferences",
            status,
            headers=PRIVATE,
            token=token,
            fields=fields,
            interests=[*fields.interests, InterestFields()],
            alerts=[*fields.alerts, AlertFields()],
            alert_kinds=ALERT_KINDS,
            mark=home.mark,
            titles=_titles(site, fields),
            days=_DAYS,
            update_kinds=UPDATES,
            layouts=layout_choices(fields.layout, context.config.digest.layout),
            zones=zones(),
            **shown,
        )

    @router.api_route("", methods=PAGE)
    def show(request: Request, token: str, said: str = "") -> Response:
        subscriber = subscriber_of(site, TokenPurpose.PREFERENCES, token)
        home = subscriptions.read_stored(subscriber, folder)
        return form_page(request, token, subscriber, home, fields_of(home.preferences), note=_SAID.get(said, ""))

    @router.post("", dependencies=[SameOrigin])
    def save(request: Request, token: str, form: Posted) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.PREFERENCES, token)
        home, fields = subscriptions.read_stored(subscriber, folder), posted_fields(form)
        try:
            wanted = read_fields(fields, home.preferences)
        except FormError as error:
            wrong = {"problems": error.lines, "alert_problems": error.alerts}
            return form_page(request, token, subscriber, home, fields, 422, **wrong, ranked=None)
        if text(form, "act") == "preview":
            # Keep the mark of the form: a preview must not hide changes made elsewhere.
            looked = replace(home, mark=text(form, "mark"))
            return form_page(request, token, subscriber, looked, fields, ranked=wanted, note="Not saved yet.")
        try:
            with writing(context.engine) as connection:
                saved = subscriptions.save_preferences(
                    connection, subscriber, wanted, text(form, "mark"), folder, context.clock()
                )
                if saved:
                    for old, new in renamed(fields, wanted).items():
                        feedback.rename_interest(connection, subscriber.row, old, new)
        except UserError:
            problems = [f"Nothing was saved: {home.file}, which has your interests, cannot be changed right now."]
            return form_page(request, token, subscriber, home, fields, 409, problems=problems, ranked=wanted)
        if saved:
            return RedirectResponse(f"/preferences/{token}?said=saved", 303, headers=PRIVATE)
        now = subscriber_of(site, TokenPurpose.PREFERENCES, token)
        home = subscriptions.read_stored(now, folder)
        kept = fields_of(home.preferences)
        return form_page(request, token, now, home, fields, 409, problems=[_LOST], kept=kept, ranked=wanted)

    @router.post("/preview", dependencies=[SameOrigin])
    def preview(request: Request, token: str, form: Posted) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.PREFERENCES, token)
        try:
            wanted = read_fields(posted_fields(form), subscriber.preferences)
        except UserError as error:
            return site.page(request, "ranking", 200, headers=PRIVATE, choices=[], nothing=" ".join(error.lines))
        return site.page(request, "ranking", headers=PRIVATE, **_ranking(site, subscriber, wanted))

    @router.post("/pause", dependencies=[SameOrigin])
    def pause(token: str) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.PREFERENCES, token)
        if subscriber.state in (SubscriberState.ACTIVE, SubscriberState.PAUSED):
            with writing(context.engine) as connection:
                now = context.clock()
                subscriber_states.pause(connection, subscriber, now, now + _PAUSE)
                details = {"until": (now + _PAUSE).isoformat()}
                audit.record(
                    connection, audit.SUBSCRIBER, "subscriber.pause", subscriber.email, now, subscriber.row, **details
                )
        return RedirectResponse(f"/preferences/{token}?said=paused", 303, headers=PRIVATE)

    @router.post("/resume", dependencies=[SameOrigin])
    def resume(token: str) -> Response:
        subscriber = subscriber_of(site, TokenPurpose.PREFERENCES, token)
        if subscriber.state is SubscriberState.PAUSED:
            with writing(context.engine) as connection:
                now = context.clock()
                subscriber_states.set_state(connection, subscriber, SubscriberState.ACTIVE, now)
                audit.record(connection, audit.SUBSCRIBER, "subscriber.resume", subscriber.email, now, subscriber.row)
        return RedirectResponse(f"/preferences/{token}?said=resumed", 303, headers=PRIVATE)

    return router


def _ranking(
    site: WebContext, subscriber: Subscriber, wanted: Preferences | None, with_findings: bool = False
) -> Mapping[str, Any]:
    """Rank today's papers by some preferences, and say what each interest finds."""
    if wanted is None:
        return {"choices": [], "nothing": "Correct the form to see your matches here.", "findings": {}}
    person = replace(subscriber, preferences=wanted)
    try:
        snapshot = build_snapshot(site.context)
        found = rank_papers(site.context, person, _SHOWN, snapshot)
        findings = _findings(site, snapshot, person) if snapshot is not None and with_findings else {}
    except NewsletterError:
        return {"choices": [], "nothing": "The matches are currently unavailable.", "findings": {}}
    return {**ranked_papers(found.choices, found.nothing), "findings": findings}


def _findings(site: WebContext, snapshot: RankingSnapshot, subscriber: Subscriber) -> Mapping[int, Sequence[str]]:
    """Say what each interest finds, by its position in the form."""
    ranking = site.context.config.ranking
    found = find_interests(site.context, snapshot, subscriber, _LOOKED_UP)
    return {
        place: describe_findings(one, ranking.max_age_days, ranking.min_score)[:_FINDINGS_SHOWN]
        for place, one in enumerate(found)
    }


def _standing(site: WebContext, subscriber: Subscriber, home: StoredPreferences) -> Mapping[str, Any]:
    """Describe the state of the subscription for the page."""
    context, config = site.context, site.context.config
    return {
        "email": subscriber.email,
        "state": subscriber.state.value,
        "next_digest": _when(subscriber.next_due, subscriber, context.clock()),
        "paused_until": _day(subscriber.paused_until, subscriber),
        "file": f"{config.subscribers.name}/{home.file}" if home.file else None,
        "file_wrong": bool(home.problems),
        "unknown_zone": "" if is_known(named := subscriber.preferences.schedule.timezone) else named,
        "unsubscribe": path_for(site, TokenPurpose.UNSUBSCRIBE, subscriber),
        "ratings": path_for(site, TokenPurpose.RATINGS, subscriber),
        "rate": rate_path(site, subscriber),
        "reading_list": path_for(site, TokenPurpose.SAVED, subscriber),
        "feed": f"{context.links.url(TokenPurpose.FEED, subscriber.row, subscriber.link_version)}.atom",
    }


def _when(moment: datetime | None, subscriber: Subscriber, now: datetime) -> str:
    if moment is None:
        return ""
    if moment <= now:
        return "within minutes"
    schedule = subscriber.preferences.schedule
    local = moment.astimezone(get_zone(schedule.timezone))
    return f"{format_day(local.date())}, {local:%H:%M}"


def _day(moment: datetime | None, subscriber: Subscriber) -> str:
    return format_day(local_day(subscriber.preferences.schedule, moment)) if moment else ""


def _titles(site: WebContext, fields: Fields) -> Mapping[str, str]:
    """Look up the titles of the papers that interests name; unknown papers are left out."""
    named: Sequence[str] = [name for one in fields.interests for name in (*one.liked, *one.disliked)]
    with reading(site.context.engine) as connection:
        found = papers.find_all(connection, named)
    return {name: latex_to_text(paper.title) for name in named if (paper := found.get(name)) is not None}
