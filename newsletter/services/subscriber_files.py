"""Bringing the store up to date with the files in ``subscribers/``."""

from newsletter.audience.subscriptions import SyncReport, sync_files
from newsletter.services.context import AppContext
from newsletter.store import writing


def read_files(context: AppContext) -> SyncReport:
    """Bring the store up to date with the subscribers' files."""
    with writing(context.engine) as connection:
        return sync_files(connection, context.config.subscribers_folder, context.clock())
