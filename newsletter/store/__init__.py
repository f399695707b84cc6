"""The store: papers, subscribers and sends in SQLite or PostgreSQL. All queries live here."""

from newsletter.store.database import open_store, reading, secure_delete, vacuum, writing

__all__ = ["open_store", "reading", "secure_delete", "vacuum", "writing"]
