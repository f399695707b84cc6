"""The store: papers, subscribers and sends in SQLite or PostgreSQL. All queries live here."""

from newsletter.store.database import erasing, open_store, reading, rewrite, writing

__all__ = ["erasing", "open_store", "reading", "rewrite", "writing"]
