"""A query as SQL: exactly what matches, or, where no column tells, a little more than that."""

from feedback_store.backends.postgres.rows import POSTGRES, bindable
from feedback_store.cursor import Cursor
from feedback_store.query import Query
from feedback_store.sql.conditions import Conditions, reads_lines
from feedback_store.sql.lines import hint_for, pattern_of

_MAY_HOLD = r"""
(entry.body ILIKE ? ESCAPE '\' OR octet_length(entry.body) > char_length(entry.body))"""
"""Case folds ASCII letters only, by the column's collation: other lines are looked at here."""


class Where(Conditions):
    """The condition of a query on rows of ``entry``.

    Attributes:
        is_exact: whether what it lets through is exactly what matches; else `filters` is to be
            asked, too.
        rest: what is asked beyond it.
    """

    def __init__(self, query: Query, after: Cursor | None = None) -> None:
        """Word a query, and that a row comes after a cursor."""
        super().__init__(POSTGRES)
        self.is_exact = not reads_lines(query)
        self.rest = Query(text=query.text, match=query.match)
        self.say_columns(query)
        for column, names in (("issues", query.issues), ("types", query.source_types)):
            if names:
                self._say_any(column, [t for t in map(bindable, names) if t is not None])
        if hint := "" if self.is_exact else hint_for(query):
            self.say(_MAY_HOLD, pattern_of(hint))
        self.say_after(after)

    def _say_any(self, column: str, names: list[str]) -> None:
        """Add that a column has any of these names, which are in its form already."""
        self._parts.append(f"entry.{column} && %s::text[]")
        self.values.append(names)
