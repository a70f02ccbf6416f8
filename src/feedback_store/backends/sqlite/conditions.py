"""A query as SQL: every condition of it, so that what comes back is exactly what matches."""

from contextlib import ExitStack

from feedback_store.backends.sqlite.names import ISSUE, SOURCE_TYPE, marks
from feedback_store.backends.sqlite.rows import SQLITE, Tests
from feedback_store.entry import UNKNOWN_SOURCE_TYPE
from feedback_store.query import Query, has_any_issue, has_any_source_type
from feedback_store.sql.conditions import Conditions, asks_for_more, reads_lines
from feedback_store.sql.lines import hint_for, pattern_of, plain_part

FOLDED = "(SELECT value FROM state WHERE key = 'folded')"

_MAY_HOLD = r"""
(entry.body LIKE ? ESCAPE '\' OR length(entry.body) < length(CAST(entry.body AS BLOB)))"""
"""LIKE folds ASCII letters only, but is fast: only other lines go to Python at once."""

BY_NUMBER = "NOT INDEXED"
"""Keeps SQLite from an index where a few rows are wanted by their numbers: it cannot know."""

_HAS_LABEL = f"""
CASE WHEN entry.n <= {FOLDED} THEN EXISTS (
  SELECT 1 FROM label
  WHERE label.name IN (SELECT k FROM name WHERE kind = ? AND text IN ({{marks}}))
    AND label.class = entry.class AND label.stamp = entry.stamp AND label.n = entry.n
) ELSE instr(entry.body, ?) AND holds(?, entry.body) END"""  # noqa: S608  # its values are bound


def labelled(query: Query) -> tuple[int, tuple[str, ...]] | None:
    """Return kind and texts when the query asks for one kind of label, time and rating only."""
    if asks_for_more(query) or bool(query.issues) is bool(query.source_types):
        return None
    kind = ISSUE if query.issues else SOURCE_TYPE
    return kind, tuple(dict.fromkeys(query.issues or query.source_types))


class Where(Conditions):
    """The condition of a query on rows of ``entry``.

    Attributes:
        reads_lines: whether it looks into the line of every entry.
    """

    def __init__(self, query: Query, tests: Tests, stack: ExitStack) -> None:
        """Word a query; what it asks of Python is known while the stack is open."""
        super().__init__(SQLITE)
        self.reads_lines = reads_lines(query)
        self.say_columns(query)
        for kind, texts, same in (
            (ISSUE, query.issues, has_any_issue),
            (SOURCE_TYPE, query.source_types, has_any_source_type),
        ):
            if texts:
                key = stack.enter_context(tests.known(same(texts)))
                part = plain_part(texts[0]) if len(texts) == 1 else ""
                if texts[0] == UNKNOWN_SOURCE_TYPE:
                    part = ""  # it stands for none
                self.say(_HAS_LABEL.format(marks=marks(texts)), kind, *texts, part, key)
        if self.reads_lines:
            rest = Query(text=query.text, match=query.match)
            if hint := hint_for(query):
                self.say(_MAY_HOLD, pattern_of(hint))
            self.say("holds(?, entry.body)", stack.enter_context(tests.known(rest.matches, hint)))
