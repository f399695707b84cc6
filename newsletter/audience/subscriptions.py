"""Subscribing and changing preferences, in the store and in the files of ``subscribers/``."""

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from newsletter.audience import subscriber_states
from newsletter.audience.subscriber_file import (
    files_in,
    read_contents,
    read_preferences_text,
    rewritten,
    with_tags,
    write_preferences,
)
from newsletter.errors import UserError
from newsletter.model import Preferences, Subscriber, SubscriberState
from newsletter.store import audit, suppressions, tags
from newsletter.store import subscribers as store
from newsletter.store.preferences import to_json
from newsletter.support.files import atomic_write_bytes as write_file
from newsletter.support.files import read_text


@dataclass(slots=True)
class SyncReport:
    """The result of reading the subscriber files: file names by outcome, and one line per error."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def sync_files(connection: Connection, folder: Path, now: datetime) -> SyncReport:
    """Update the store from the files in ``folder``; unchanged files are not read again.

    A new file makes an active subscriber, unless its address is suppressed. A file that is wrong is reported, and the
    subscriber keeps what the store has. A file never changes a state: who unsubscribed stays so. When the folder is not
    there, nobody's file counts as gone; and nobody misses it where all subscribers live in the store alone.
    """
    report = SyncReport()
    store.lock_files(connection)
    known = store.files(connection)
    if not known and not folder.exists() and store.counts(connection):
        return report
    try:
        present, report.problems = files_in(folder)
    except UserError as error:
        report.problems.extend(error.lines)
        return report
    for path in present:
        try:
            _read_file(connection, path, known, now, report)
        except UserError as error:
            report.problems.extend(error.lines)
    for name in sorted(set(known) - {path.name for path in present}):
        _file_removed(connection, folder / name, report)
    return report


def _read_file(
    connection: Connection, path: Path, known: dict[str, str | None], now: datetime, report: SyncReport
) -> None:
    text = read_text(path, str(path))
    digest = _digest(text)
    if known.get(path.name) == digest:
        return
    contents = read_contents(text, str(path))
    preferences = contents.preferences
    subscriber = store.by_file(connection, path.name)
    namesake = store.by_email(connection, preferences.email)
    if namesake is not None and namesake != subscriber:
        if namesake.file is not None and (path.parent / namesake.file).exists():
            raise UserError(f"{path}: email: {preferences.email} already has a file, {namesake.file}; keep one of them")
        if subscriber is not None:
            raise UserError(f"{path}: email: {preferences.email} is another subscriber; create a new file for it")
        subscriber = namesake
    if namesake is None and (subscriber is None or subscriber.state not in subscriber_states.ENDED):
        subscriber_states.check_not_suppressed(connection, preferences.email, f"{path}: email: ")
    if subscriber is None:
        subscriber = store.add(
            connection, preferences, SubscriberState.ACTIVE, f"file {path.name}", now, file=path.name
        )
        report.added.append(path.name)
    else:
        store.set_preferences(connection, subscriber.row, preferences, now)
        report.changed.append(path.name)
    if contents.tags is not None:
        set_tags(connection, subscriber.row, contents.tags)
    store.set_file(connection, subscriber.row, path.name, digest)
    subscriber_states.replan(connection, replace(subscriber, preferences=preferences), now, subscriber.preferences)


def _file_removed(connection: Connection, path: Path, report: SyncReport) -> None:
    subscriber = store.by_file(connection, path.name)
    if subscriber is None:
        return
    store.set_file(connection, subscriber.row, None, None)
    if subscriber.state is SubscriberState.ACTIVE:
        report.problems.append(
            f"{path}: the file was removed; {subscriber.email} keeps the previous interests until "
            f"'newsletter unsubscribe {subscriber.email}'"
        )


def subscribe(
    connection: Connection,
    preferences: Preferences,
    consent: str,
    now: datetime,
    folder: Path | None,
    again: bool = False,
) -> Subscriber:
    """Subscribe an address, or change the preferences of a subscriber.

    Args:
        consent: where the agreement to get mail came from, in words.
        folder: where the subscriber's file is kept; None for a new subscriber without one.
        again: the person asked to be back after unsubscribing.

    Raises:
        UserError: the address is suppressed, or it unsubscribed and ``again`` is not set; or the file cannot be
            written.
    """
    subscriber = store.by_email(connection, preferences.email)
    ended = subscriber is not None and subscriber.state in subscriber_states.ENDED
    # Other states have their own error below.
    subscriber_states.check_not_suppressed(connection, preferences.email, "", strict=again or ended)
    if again:
        suppressions.lift(connection, preferences.email)
    if subscriber is None:
        subscriber = store.add(connection, preferences, SubscriberState.ACTIVE, consent, now, file=None)
        if folder is not None:
            path = new_file_path(folder, preferences, set(store.files(connection)))
            _write_stored(connection, subscriber.row, path, preferences)
    else:
        if ended and not again:
            raise UserError(
                f"{subscriber.email} is {subscriber.state.value}; pass --again if that person asked to come back"
            )
        if again or subscriber.state is not SubscriberState.ACTIVE:
            store.set_state(connection, subscriber.row, SubscriberState.ACTIVE, now, consent if again else None)
        change_preferences(connection, subscriber, preferences, folder, now)
    active = replace(subscriber, preferences=preferences, state=SubscriberState.ACTIVE, next_due=None)
    subscriber_states.replan(connection, active, now, preferences)
    found = store.by_email(connection, preferences.email)
    assert found is not None  # noqa: S101 - added or updated above
    return found


def change_preferences(
    connection: Connection, subscriber: Subscriber, preferences: Preferences, folder: Path | None, now: datetime
) -> None:
    """Change a subscriber's preferences in the store and, if there is one, in the file.

    Raises:
        UserError: the file cannot be written, or was changed since the store read it.
    """
    store.set_preferences(connection, subscriber.row, preferences, now)
    subscriber_states.replan(connection, replace(subscriber, preferences=preferences), now, subscriber.preferences)
    path = _unchanged_file(connection, subscriber, folder)
    if path is not None:
        _write_stored(connection, subscriber.row, path, preferences)


def _unchanged_file(connection: Connection, subscriber: Subscriber, folder: Path | None) -> Path | None:
    """Return the path of a subscriber's file, None without one.

    Raises:
        UserError: it has errors, or changed since the store read it.
    """
    if subscriber.file is None or folder is None or not (folder / subscriber.file).exists():
        return None
    path = folder / subscriber.file
    if _digest(read_text(path, str(path))) != store.file_digest(connection, subscriber.row):
        read_preferences_text(read_text(path, str(path)), str(path))  # Report errors in the file.
        raise UserError(f"{path}: the file has just changed; run the command again")
    return path


def refresh(connection: Connection, subscriber: Subscriber, folder: Path, now: datetime) -> tuple[Subscriber, bool]:
    """Read a subscriber again from the store, and from the file if it changed; returns the present subscriber, and
    whether the file exists and is valid, so that it may be written.

    Raises:
        UserError: the subscriber was deleted meanwhile.
    """
    present = store.by_rows(connection, [subscriber.row]).get(subscriber.row)
    if present is None:
        raise UserError(f"{subscriber.email!r} is no longer a subscriber; see 'newsletter subscribers list'")
    path = folder / present.file if present.file is not None else None
    if path is None or not path.exists():
        return present, False
    try:
        _read_file(connection, path, {path.name: store.file_digest(connection, subscriber.row)}, now, SyncReport())
    except UserError:
        return present, False
    return store.by_rows(connection, [subscriber.row])[subscriber.row], True


@dataclass(frozen=True, slots=True)
class StoredPreferences:
    """A subscriber's preferences as stored in the store or the file.

    Attributes:
        mark: a hash that changes with the preferences or the file.
        file: the name of the file that is home to it, with its ``text``; None without one.
        problems: what is wrong in the file, a line each; the preferences are then those that the store has.
    """

    preferences: Preferences
    mark: str
    file: str | None
    text: str
    problems: tuple[str, ...] = ()


def read_stored(subscriber: Subscriber, folder: Path) -> StoredPreferences:
    """Read a subscriber's preferences, from the file if there is one: it may be newer than the store.

    Raises:
        UserError: the file cannot be read.
    """
    path = folder / subscriber.file if subscriber.file else None
    text = read_text(path, str(path)) if path is not None and path.exists() else None
    kept = json.dumps([subscriber.email, to_json(subscriber.preferences), text], sort_keys=True)
    mark = hashlib.sha256(kept.encode()).hexdigest()[:32]
    if text is None:
        return StoredPreferences(subscriber.preferences, mark, None, "")
    try:
        return StoredPreferences(read_preferences_text(text, str(path)), mark, subscriber.file, text)
    except UserError as error:
        return StoredPreferences(subscriber.preferences, mark, subscriber.file, text, error.lines)


def save_preferences(
    connection: Connection,
    subscriber: Subscriber,
    wanted: Preferences,
    mark: str,
    folder: Path,
    now: datetime,
    actor: str = audit.SUBSCRIBER,
) -> bool:
    """Save a subscriber's preferences, unless they were changed elsewhere meanwhile. The audit log says which.

    Args:
        mark: that of the :class:`StoredPreferences` from which ``wanted`` was made. ``actor``: who changes them.

    Returns:
        Whether it was saved.

    Raises:
        UserError: the file has a mistake, or cannot be written.
    """
    present = store.by_rows(connection, [subscriber.row]).get(subscriber.row)
    home = read_stored(present, folder) if present is not None else None
    if present is None or home is None or home.mark != mark:
        return False
    if home.file is not None:
        path = folder / home.file
        text = rewritten(home.text, wanted, str(path))
        if read_text(path, str(path)) != home.text:  # An editor may save at any time.
            return False
        write_file(path, text.encode(), mode=0o600)
        store.set_file(connection, present.row, home.file, _digest(text))
    store.set_preferences(connection, present.row, wanted, now)
    subscriber_states.replan(connection, replace(present, preferences=wanted), now, present.preferences)
    changed = [name for name in Preferences.__slots__ if getattr(wanted, name) != getattr(home.preferences, name)]
    if changed:
        audit.record(connection, actor, "subscriber.change", wanted.email, now, present.row, changed=changed)
    return True


def stop_announcements(connection: Connection, subscriber: Subscriber, folder: Path, now: datetime) -> None:
    """End announcements for a subscriber at once, in the file too if it can be written; digests go on."""
    wanted = replace(subscriber.preferences, announcements=False)
    with suppress(UserError):  # The file has a mistake, or cannot be written: the store counts until it is read again.
        home = read_stored(subscriber, folder)
        changed = replace(home.preferences, announcements=False)
        if not home.problems and save_preferences(connection, subscriber, changed, home.mark, folder, now):
            return
    store.set_preferences(connection, subscriber.row, wanted, now)
    subscriber_states.replan(connection, replace(subscriber, preferences=wanted), now, subscriber.preferences)


def merged(present: Preferences, read: Preferences, said: Mapping[str, Any]) -> Preferences:
    """Merge the given values into a subscriber's preferences.

    An interest that is only given as text, as in CSV, keeps its keywords, liked papers and weight.

    Args:
        said: the keys that were said, ``schedule`` with keys of its own; ``read`` holds their values.
    """
    schedule = replace(present.schedule, **{key: getattr(read.schedule, key) for key in said.get("schedule", {})})
    known = {one.text or one.name: one for one in present.interests} | {one.name: one for one in present.interests}
    interests = tuple(known.get(one.name, one) if one.text == one.name else one for one in read.interests)
    changes: dict[str, Any] = {
        key: getattr(read, key)
        for key in (
            *("name", "papers", "trending", "layout", "never", "never_authors", "alerts", "updates"),
            "announcements",
        )
        if key in said
    }
    if "interests" in said:
        changes["interests"] = interests
    return replace(present, schedule=schedule, **changes)


def change_tags(
    connection: Connection, subscriber: Subscriber, add: Sequence[str], remove: Sequence[str], folder: Path
) -> list[str]:
    """Change a subscriber's tags in the store and, if there is one, in the file.

    Returns:
        The tags after the change, in alphabetical order.

    Raises:
        UserError: the file cannot be written, or was changed since the store read it.
    """
    present = tags.of_subscribers(connection, [subscriber.row]).get(subscriber.row, [])
    wanted = sorted({*present, *add} - set(remove))
    if wanted == present:
        return present
    set_tags(connection, subscriber.row, wanted)
    path = _unchanged_file(connection, subscriber, folder)
    if path is not None:
        write_file(path, with_tags(read_text(path, str(path)), wanted).encode(), mode=0o600)
        store.set_file(connection, subscriber.row, path.name, _digest(read_text(path, str(path))))
    return wanted


def set_tags(connection: Connection, row: int, wanted: Sequence[str]) -> None:
    """Replace the tags that the store has for a subscriber (by row)."""
    present = tags.of_subscribers(connection, [row]).get(row, [])
    tags.add(connection, row, wanted)
    tags.remove(connection, row, set(present) - set(wanted))


def new_file_path(folder: Path, preferences: Preferences, taken: set[str]) -> Path:
    """Choose an unused file name, after the local part of the address."""
    local = re.sub(r"[^\w.-]+", "-", preferences.email.partition("@")[0], flags=re.ASCII).strip(".-").lower()
    names = [f"{local or 'subscriber'}{suffix}.yaml" for suffix in ("", *(f"-{number}" for number in range(2, 1000)))]
    return folder / next(name for name in names if name not in taken and not (folder / name).exists())


def get_subscriber(connection: Connection, email: str) -> Subscriber:
    """Return the subscriber with an address.

    Raises:
        UserError: the address is not a subscriber; the message suggests similar ones.
    """
    subscriber = store.by_email(connection, email)
    if subscriber is None:
        gone = suppressions.find(connection, email)
        if gone is not None:
            raise UserError(f"{email!r} is no longer a subscriber: {gone.reason} on {gone.since:%Y-%m-%d}")
        near = difflib.get_close_matches(email, store.similar_emails(connection, email), n=1, cutoff=0.8)
        fix = f"did you mean {near[0]}?" if near else "see 'newsletter subscribers list'"
        raise UserError(f"{email!r} is not a subscriber; {fix}")
    return subscriber


def _write_stored(connection: Connection, row: int, path: Path, preferences: Preferences) -> None:
    write_preferences(path, preferences)
    store.set_file(connection, row, path.name, _digest(read_text(path, str(path))))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
