"""Readers for the exports of other newsletter programs."""

import re
from collections.abc import Iterable, Sequence

from newsletter.audience.other_programs import ghost, listmonk, mailchimp, substack
from newsletter.audience.other_programs.base import TableReader

_LIST = re.compile(r"email_list|subscribers?(?![a-z])|members(?![a-z])")


def other_export(columns: Sequence[str], file: str) -> TableReader | None:
    """Return the reader for the export with these columns (in lower case), None for our own format.

    Args:
        file: the file's name.
    """
    if set(columns) >= listmonk.COLUMNS:
        return listmonk.Listmonk(columns)
    if ghost.is_ghost(columns):
        return ghost.Ghost(columns)
    if mailchimp.is_mailchimp(columns, file):
        return mailchimp.Mailchimp(columns, file)
    return substack.Substack(columns) if substack.is_substack(columns) else None


def files_in_archive(names: Iterable[str]) -> list[str]:
    """Return the CSV files with contacts in an archive of Mailchimp, Substack or Ghost, in the order to read them."""
    files = [one for one in names if one.lower().endswith(".csv") and not one.startswith("__MACOSX/")]
    contacts = [one for one in files if mailchimp.named_kind(one)]
    contacts = contacts or [one for one in files if _LIST.search(one.rpartition("/")[2].lower())]
    return in_reading_order(sorted(contacts or files))


def in_reading_order(names: Iterable[str]) -> list[str]:
    """Return files with those of contacts who left first, so that no other file brings them back."""
    return sorted(names, key=mailchimp.is_agreed)
