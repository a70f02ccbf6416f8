"""Feedback in a PostgreSQL database. Needs the extra ``postgres``."""

from feedback_store.backends.postgres._extra import require_extra

require_extra()

from feedback_store.backends.postgres.store import PostgresStore  # noqa: E402  # what it needs comes first

__all__ = ["PostgresStore"]
