"""The entries that are measured: about 901 bytes a line, always the same ones.

Entry number ``i`` of a data set is a pure function of ``i``, so that every process can make the
entries that it needs, and knows the ids that others have stored, without being told.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import attrs
import msgspec

LAST_MONTH = (2025, 10)
"""The newest month of every data set. A fixed one: a run must not depend on the day."""

_PRIME = 2_654_435_761  # near 2**32 over the golden ratio: neighbours get far-apart values
_WORDS = tuple(
    # One text is easier to read and to change than thirty strings.
    "retrieval index latency invoice contract warranty summary quarter deployment schedule "  # noqa: SIM905  # see above
    "customer migration payment threshold policy calendar firmware archive forecast subsidy "
    "tenant inspection pipeline ledger battery coolant amendment supplier clause dashboard".split()
)
_ISSUES = ("inaccurate", "too_verbose", "outdated", "incomplete", "off_topic")
_TYPES = ("manual", "faq", "ticket", "wiki")
_TEXT = " ".join(_WORDS[i * 7 % 30] for i in range(400))


@attrs.frozen
class DataSet:
    """A number of entries, spread evenly over the last months.

    Attributes:
        size: how many entries there are.
        months: over how many months.
    """

    size: int
    months: int = 3

    def names(self) -> list[str]:
        """Return the months, such as ``"2025-10"``, the oldest first."""
        return [f"{start.year:04}-{start.month:02}" for start in _starts(self.months)[:-1]]

    def month_of(self, i: int) -> int:
        """Return the number of the month of an entry; what comes after the size is of the last."""
        return min(i * self.months // self.size, self.months - 1)

    def time_of(self, i: int) -> datetime:
        """Return an entry's time: it grows with the number."""
        starts = _starts(self.months)
        if i >= self.size:  # written while measuring: the last hour of the last month
            return starts[-1] - timedelta(hours=1) + timedelta(microseconds=250 * (i % 10**7))
        month = self.month_of(i)
        first = -(-month * self.size // self.months)
        share = (i - first) / (self.size / self.months)
        length = starts[month + 1] - starts[month] - timedelta(hours=2)
        time = starts[month] + share * length
        return time.replace(microsecond=time.microsecond // 1000 * 1000)

    def mappings(self, first: int, count: int) -> Iterator[dict[str, Any]]:
        """Yield the entries from number ``first`` on, as an app has them before it stores them."""
        return (mapping_of(i, self.time_of(i)) for i in range(first, first + count))


@cache
def _starts(months: int) -> list[datetime]:
    """Return the first instant of each of the last months, and of the one after them."""
    year, month = LAST_MONTH
    numbers = range(12 * year + month - months, 12 * year + month + 1)
    return [datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in numbers]


def id_of(i: int) -> str:
    """Return the id of an entry: as random as a UUID, and looking like one."""
    digits = hashlib.blake2b(i.to_bytes(8, "little"), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def timestamp_of(time: datetime) -> str:
    """Return a time in UTC as entries tell it; such strings sort as their times do."""
    return f"{time.isoformat(timespec='milliseconds')[:23]}Z"


def mapping_of(i: int, time: datetime) -> dict[str, Any]:
    """Return entry number ``i`` as a plain dictionary, in the order of its JSON."""
    chance = i * _PRIME % 2**32
    metadata: dict[str, Any] = {
        "response_time": round(0.4 + chance % 5000 / 1000, 3),
        "token_count": 60 + chance % 400,
        "conversation_id": f"conversation-{i // 4:08}",
    }
    if chance % 10 < 4:
        metadata["explanation"] = _text(chance >> 5, 40 + chance % 60)
        metadata["issues"] = [_ISSUES[chance % 5]]
    return {
        "message_id": id_of(i),
        "question": _text(chance, 40 + chance % 120) + "?",
        "answer": _text(chance >> 3, 107 + (chance >> 7) % 340) + ".",
        "rating": 0 if chance % 10 < 4 else 1,
        "timestamp": timestamp_of(time),
        "sources": [_source(chance, k) for k in range(2 + chance % 3)],
        "metadata": metadata,
    }


def line_of(mapping: dict[str, Any]) -> bytes:
    """Return the mapping as one line of JSON, without its newline."""
    return msgspec.json.encode(mapping)


def _text(chance: int, size: int) -> str:
    start = chance % 1500
    return _TEXT[start : start + size]


def _source(chance: int, k: int) -> dict[str, str]:
    document = (chance >> k) % 9973
    title = f"{_text(document, 18).strip()} {document}"
    return {"title": title, "type": _TYPES[document % 4], "url": f"https://docs.test/{document}"}
