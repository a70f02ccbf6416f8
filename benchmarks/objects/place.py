"""Where a store is, as one process tells another."""

from typing import Any

import attrs


@attrs.frozen
class Place:
    """A store's location, and the way there.

    Attributes:
        url: such as ``"s3://bucket/feedback"``.
        options: what the filesystem takes: the endpoint, and who asks.
    """

    url: str
    options: dict[str, Any] = attrs.field(repr=False)

    @property
    def root(self) -> str:
        """Where it is, as the filesystem names it."""
        return self.url.partition("://")[2]

    def told(self) -> dict[str, Any]:
        """Return it as the arguments of the class, in values that JSON has."""
        return {"url": self.url, "options": self.options}
