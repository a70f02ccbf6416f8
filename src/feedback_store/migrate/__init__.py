"""Moving feedback from where it is to another store."""

from feedback_store.migrate.copying import CopyResult, copy

__all__ = ["CopyResult", "copy"]
