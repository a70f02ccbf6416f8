"""A query as SQL: every condition of it, so that what comes back is exactly what matches."""

import re
from contextlib import ExitStack
from typing import Any

from feedback_store.backends.sqlite.names import ISSUE, SOURCE_TYPE, marks
from feedback_store.backends.sqlite.rows import CLASS_OF, Tests, bindable, hint_of, plain_part
from feedback_store.entry import UNKNOWN_SOURCE_TYPE
from feedback_store.query import Order, Query, has_any_issue, has_any_source_type
from feedback_store.stamps import stamp_of

FOLDED = "(SELECT value FROM state WHERE key = 'folded')"

ORDERS = {
    Order.NEWEST: "entry.stamp DESC, entry.id DESC",
    Order.OLDEST: "entry.stamp, entry.id",
    Order.RATING_DESC: "entry.rating DESC, entry.stamp DESC, entry.id DESC",
    Order.RATING_ASC: "entry.rating IS NULL, entry.rating, entry.stamp DESC, entry.id DESC",
}
"""NULL is the smallest value: the unrated come last in all of them."""

_MAY_HOLD = r"""
(entry.body LIKE ? ESCAPE '\' OR length(entry.body) < length(CAST(entry.body AS BLOB)))"""
"""LIKE folds ASCII letters only, but is fast: only other lines go to Python at once."""

_WILD = re.compile("[%_]")

BY_NUMBER = "NOT INDEXED"
"""Keeps SQLite from an index where a few rows are wanted by their numbers: it cannot know."""

_HAS_LABEL = f"""
CASE WHEN entry.n <= {FOLDED} THEN EXISTS (
  SELECT 1 FROM label
  WHERE label.name IN (SELECT k FROM name WHERE kind = ? AND text IN ({{marks}}))
    AND label.class = entry.class AND label.stamp = entry.stamp AND label.n = entry.n
) ELSE instr(entry.body, ?) AND holds(?, entry.body) END"""  # noqa: S608  # its values are bound


def times(query: Query) -> tuple[int | None, int | None]:
    """Return the first stamp that a query takes, and the one after the last; None for no bound."""
    since = None if query.since is None else stamp_of(query.since)
    until = None if query.until is None else stamp_of(query.until)
    return since, until


def labelled(query: Query) -> tuple[int, tuple[str, ...]] | None:
    """Return kind and texts when the query asks for one kind of label, time and rating only."""
    if _asks_for_more(query) or bool(query.issues) is bool(query.source_types):
        return None
    kind = ISSUE if query.issues else SOURCE_TYPE
    return kind, tuple(dict.fromkeys(query.issues or query.source_types))


def timed(query: Query) -> bool:
    """Say whether the query asks for time and rating only."""
    return not (_asks_for_more(query) or query.issues or query.source_types)


def _asks_for_more(query: Query) -> bool:
    """Say whether the query asks for more than time, rating, issues and source types."""
    exact = (query.message_id, query.conversation_id, query.user_id, query.has_explanation)
    return bool(query.text or query.match) or exact != (None, None, None, None)


class Where:
    """The condition of a query on rows of ``entry``.

    Attributes:
        values: the values that it takes.
        reads_lines: whether it looks into the line of every entry.
    """

    def __init__(self, query: Query, tests: Tests, stack: ExitStack) -> None:
        """Word a query; what it asks of Python is known while the stack is open."""
        self._parts: list[str] = []
        self.reads_lines = bool(query.text or query.match)
        self.values: list[Any] = []
        self._say_columns(query)
        for kind, texts, same in (
            (ISSUE, query.issues, has_any_issue),
            (SOURCE_TYPE, query.source_types, has_any_source_type),
        ):
            if texts:
                key = stack.enter_context(tests.known(same(texts)))
                part = plain_part(texts[0]) if len(texts) == 1 else ""
                if texts[0] == UNKNOWN_SOURCE_TYPE:
                    part = ""  # it stands for none
                self._say(_HAS_LABEL.format(marks=marks(texts)), kind, *texts, part, key)
        if self.reads_lines:
            rest = Query(text=query.text, match=query.match)
            told = (value for value in query.match.values() if isinstance(value, str))
            hint = hint_of(max([query.text or "", *told], key=len))
            if hint:
                self._say(_MAY_HOLD, "%" + _WILD.sub(r"\\\g<0>", hint) + "%")
            self._say("holds(?, entry.body)", stack.enter_context(tests.known(rest.matches, hint)))

    @property
    def sql(self) -> str:
        """The condition; true where nothing is asked."""
        return " AND ".join(self._parts) or "1"

    def _say(self, sql: str, *values: object) -> None:
        self._parts.append(sql)
        self.values.extend(bindable(v) if isinstance(v, str) else v for v in values)

    def _say_columns(self, query: Query) -> None:
        since, until = times(query)
        for sql, value in (
            ("entry.class = ?", None if query.rating is None else CLASS_OF[query.rating]),
            ("entry.stamp >= ?", since),
            ("entry.stamp < ?", until),
            ("entry.conversation = ?", query.conversation_id),
            ("entry.user = ?", query.user_id),
            ("entry.explained = ?", query.has_explanation),
        ):
            if value is not None:
                self._say(sql, value)
        if (about := query.message_id) is not None:
            self._say(
                "(entry.message = ? OR (entry.id = ? AND entry.message IS NULL))", about, about
            )
