"""Updates the store from the subscriber files."""

from newsletter.audience.subscriptions import SyncReport, sync_files
from newsletter.services.context import AppContext
from newsletter.store import writing


def read_files(context: AppContext) -> SyncReport:
    """Update the store from the subscriber files."""
    with writing(context.engine) as connection:
        return sync_files(connection, context.config.subscribers_folder, context.clock())
