"""Where two databases would word the same SQL in two ways."""

from collections.abc import Callable

import attrs


@attrs.frozen
class Dialect:
    """How one database words things. All shared SQL is written with question marks.

    Attributes:
        mark: what stands for a value.
        true: a condition that always holds.
        text: what is bound for a text that somebody asks for; None, which equals nothing, for one
            that no entry can have.
    """

    mark: str
    true: str
    text: Callable[[str], str | None]

    def word(self, sql: str) -> str:
        """Return SQL with this database's marks."""
        return sql.replace("?", self.mark)

    def bind(self, value: object) -> object:
        """Return a value as it is bound."""
        return self.text(value) if isinstance(value, str) else value
