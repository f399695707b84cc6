"""Helpers for tests of the admin site: subscribers and sends in any state, and a browser of an operator."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import httpx
from sqlalchemy import insert, select, update

from newsletter.model import Interest, Preferences, Role, SendState, SubscriberState
from newsletter.store import audit, open_store, reading, schema, subscribers, suppressions, tags, writing
from newsletter.store.suppressions import Reason
from newsletter.support.clock import parse_moment
from tests.helpers.newsletter import Newsletter
from tests.helpers.web import session_of

EARLIER = "2025-11-20T08:00"


def operator_of(where: str, newsletter: Newsletter, role: Role = Role.EDITOR, name: str = "ed") -> httpx.Client:
    """A browser of an operator, which follows redirects."""
    cookies = session_of(newsletter, name, role)
    return httpx.Client(base_url=where, cookies=cookies, headers={"Origin": where}, follow_redirects=True, timeout=30)


def add_subscriber(
    newsletter: Newsletter,
    email: str,
    name: str = "",
    state: SubscriberState = SubscriberState.ACTIVE,
    labels: Sequence[str] = (),
) -> int:
    """Add a subscriber without a file, with tags; returns the row."""
    engine = open_store(newsletter.config.store_url)
    preferences = Preferences(email=email, name=name, interests=(Interest(name="diffusion models"),))
    with writing(engine) as connection:
        added = subscribers.add(connection, preferences, state, "a form on paper", parse_moment(EARLIER), None)
        tags.add(connection, added.row, labels)
    engine.dispose()
    return added.row


def add_subscribers(newsletter: Newsletter, emails: Sequence[str]) -> None:
    """Add active subscribers."""
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        for email in emails:
            preferences = Preferences(email=email, interests=(Interest(name="graphs"),))
            subscribers.add(connection, preferences, SubscriberState.ACTIVE, "a list", parse_moment(EARLIER), None)
    engine.dispose()


def suppress(newsletter: Newsletter, email: str, reason: Reason) -> None:
    """Put an address on the suppression list."""
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        suppressions.suppress(connection, email, reason, parse_moment(EARLIER))
    engine.dispose()


def add_send(newsletter: Newsletter, subscriber: int, state: SendState, **values: Any) -> int:
    """Add a send of a digest without papers to a subscriber (by row); returns its row."""
    engine = open_store(newsletter.config.store_url)
    edition = values.pop("edition", date(2025, 11, 27))
    with writing(engine) as connection:
        email = subscribers.by_rows(connection, [subscriber])[subscriber].email
        usual = {
            "edition": edition,
            "subscriber": subscriber,
            "email": email,
            "domain": email.partition("@")[2],
            "state": state.value,
            "message_id": f"<{edition}-{subscriber}@papers.example.org>",
            "considered": 0,
            "seen_row": 0,
            "planned_at": parse_moment("2025-11-27T07:00"),
            "settled_at": None if state in (SendState.PLANNED, SendState.CLAIMED) else parse_moment("2025-11-27T07:05"),
            "attempts": 1,
        }
        row = connection.execute(insert(schema.sends).values({**usual, **values})).inserted_primary_key[0]
    engine.dispose()
    return int(row)


def change_send(newsletter: Newsletter, row: int, **values: Any) -> None:
    """Change a send, as another process would."""
    engine = open_store(newsletter.config.store_url)
    with writing(engine) as connection:
        connection.execute(update(schema.sends).where(schema.sends.c.row == row).values(**values))
    engine.dispose()


def send_state(newsletter: Newsletter, row: int) -> str:
    """The state of a send."""
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        found = connection.execute(select(schema.sends.c.state).where(schema.sends.c.row == row)).scalar_one()
    engine.dispose()
    return str(found)


def audited(newsletter: Newsletter) -> list[tuple[str, str, str, object]]:
    """The audit log, oldest first, without the logins: who, what, to what, and the details."""
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        found = audit.page(connection, None, None)
    engine.dispose()
    shown = [one for one in reversed(found) if one.action != "operator.login"]
    return [(one.actor, one.action, one.target, one.details) for one in shown]
