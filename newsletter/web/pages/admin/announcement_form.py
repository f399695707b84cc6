"""The form for an announcement: its fields as they were typed, and the draft that they make."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath

from starlette.datastructures import FormData

from newsletter.errors import UserError
from newsletter.services.announcement_times import read_local_time, read_time, time_in_words
from newsletter.services.announcements import MailingDraft, NoSubject, UnknownTag, format_of
from newsletter.store.mailings import Mailing, MailingFormat
from newsletter.support.text import to_single_line
from newsletter.web.forms import Upload, text

NOW, AT_TIME, LOCAL = "now", "at", "local"

_TYPED = "text"
"""The name of a text that was typed, in errors such as ``text:3``."""

_LONGEST_SUBJECT, _LONGEST_NAME = 500, 100
_NONCE = re.compile(r"[\w-]{20,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncementForm:
    """The fields of the form, as they were typed.

    Attributes:
        form: identifies the form: posted twice, it creates one announcement.
        name: of the file that was uploaded.
        to: a tag; empty for all subscribers.
        when: ``now``, ``at`` a time in a time zone, or at the ``local`` time of each reader.
    """

    form: str
    name: str = _TYPED
    format: str = MailingFormat.MARKDOWN.value
    subject: str = ""
    source: str = ""
    to: str = ""
    when: str = NOW
    day: str = ""
    time: str = "09:00"
    zone: str = "UTC"

    @property
    def fields(self) -> Mapping[str, str]:
        """All fields by name, to post them again."""
        return asdict(self)

    def draft(self, now: datetime) -> MailingDraft:
        """Return the announcement.

        Raises:
            UserError: a field is wrong.
        """
        if not _NONCE.fullmatch(self.form):
            raise UserError("This form is incomplete. Copy your text, and begin a new announcement.")
        if len(self.subject) > _LONGEST_SUBJECT:
            raise UserError(f"Subject: longer than {_LONGEST_SUBJECT} characters; shorten it")
        if not self.source.strip():
            raise UserError("Text: missing; write it, or choose a file")
        return MailingDraft(
            name=self.name,
            format=MailingFormat.MJML if self.format == MailingFormat.MJML else MailingFormat.MARKDOWN,
            source=self.source,
            subject=self.subject,
            tag=self.to or None,
            send_at=self._send_at(now),
            local_time=self.when == LOCAL,
        )

    def _send_at(self, now: datetime) -> datetime | None:
        if self.when == LOCAL:
            return read_local_time(self.day, self.time, now)
        return read_time(self.day, self.time, self.zone, now) if self.when == AT_TIME else None

    def time_in_words(self, draft: MailingDraft) -> str:
        """Return in words when a draft of this form is sent."""
        if draft.send_at is None:
            return "now"
        return time_in_words(draft.send_at, self.zone, draft.local_time)


def empty_form(zone: str, mailing: Mailing | None = None) -> AnnouncementForm:
    """Return a new form, empty or with the text of an announcement.

    Args:
        zone: the time zone of the site.
    """
    form = AnnouncementForm(form=secrets.token_urlsafe(20), zone=zone)
    if mailing is None:
        return form
    return replace(form, name=mailing.name, format=mailing.format.value, source=mailing.source, to=mailing.tag or "")


def read_form(posted: FormData, upload: Upload | None) -> tuple[AnnouncementForm, str]:
    """Read the form as it was posted; a file replaces what was typed.

    Returns:
        The form, and what is wrong with the file; empty if nothing is.
    """
    # Browsers send line ends as CR and LF.
    given = {name: text(posted, name).replace("\r\n", "\n") for name in AnnouncementForm.__dataclass_fields__}
    source = given.pop("source")
    form = AnnouncementForm(source=source, **{name: value.strip() for name, value in given.items()})
    form = replace(form, name=_file_name(form.name) or _TYPED)
    if upload is None:
        return form, ""
    try:
        return _with_file(form, upload), ""
    except UserError as error:
        return form, str(error)


def _with_file(form: AnnouncementForm, upload: Upload) -> AnnouncementForm:
    name = _file_name(upload.name)
    kind = format_of(name)
    try:
        source = upload.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{name}: not UTF-8; save the file in this encoding") from None
    source = source.replace("\r\n", "\n").replace("\0", "")
    return replace(form, name=name, format=kind.value, source=source)


def _file_name(given: str) -> str:
    """Return a name without folders: a template can include others by their paths."""
    return to_single_line(PurePosixPath(given.replace("\\", "/")).name)[-_LONGEST_NAME:]


def problem_of(error: UserError) -> str:
    """Return what is wrong in words of the page; errors of the service also speak of options of commands."""
    if isinstance(error, NoSubject):
        return "Subject: missing; write one, or begin Markdown with a line like '# Subject' and give MJML an <mj-title>"
    if isinstance(error, UnknownTag):
        return "To: no subscriber has this tag any more; choose another one"
    return "\n".join(error.lines)
