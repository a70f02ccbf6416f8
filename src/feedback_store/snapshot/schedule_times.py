"""When an export is due: what people write for it, and what is understood."""

import math
import re
from collections.abc import Iterator

LONGEST_S = 366 * 86_400.0
"""A longer period is a mistake, such as milliseconds given as seconds."""

_UNITS_S = {
    "s": 1.0, "sec": 1.0, "second": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0,
    "h": 3_600.0, "hr": 3_600.0, "hour": 3_600.0,
    "d": 86_400.0, "day": 86_400.0,
    "w": 604_800.0, "week": 604_800.0,
}  # fmt: skip
_PERIOD = re.compile(r"(?P<count>\d+(?:\.\d+)?)?\s*(?P<unit>[a-z]+)")

_CRON_FIELDS = 5
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As cron counts them: 0 and 7 are Sunday."""
_LAST_WEEKDAY = 6
_WEEKDAY_SPAN = re.compile(r"(?P<first>\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?")


def parse_every(text: str) -> float:
    """Return the seconds of a period such as ``hour``, ``15 minutes``, ``30s``, ``1h`` or ``day``.

    Units are seconds, minutes (``m``), hours, days and weeks, spelled out or not; without a number
    it is one of them.

    Raises:
        ValueError: it is no period, or is zero, or longer than a year.
    """
    match = _PERIOD.fullmatch(text.strip().lower())
    unit_s = _unit_s(match["unit"]) if match else None
    if match is None or unit_s is None:
        msg = f"{text!r} is no period; write 'hour', '15 minutes', '30s', '1h' or 'day'"
        raise ValueError(msg)
    return checked_every(float(match["count"] or 1) * unit_s)


def _unit_s(unit: str) -> float | None:
    # Only what is spelled out has a plural: "ms" would be read as minutes.
    singular = unit[:-1] if unit.endswith("s") and len(unit) > len("ms") else unit
    return _UNITS_S.get(singular)


def checked_every(every_s: float) -> float:
    """Return a period in seconds as it is.

    Raises:
        ValueError: it is not above zero, or longer than a year.
    """
    if not (math.isfinite(every_s) and 0 < every_s <= LONGEST_S):
        msg = f"every_s must be above 0 and at most {LONGEST_S:,.0f} seconds (a year)"
        raise ValueError(msg)
    return every_s


def checked_cron(text: str) -> str:
    """Return a line of five cron fields in which weekdays are named.

    Names mean the same to everybody. Numbers do not: cron counts from Sunday, and APScheduler from
    Monday, so that ``0`` would come a day late.

    Raises:
        ValueError: there are not five fields, a weekday is unknown, or both a day of the month and
            a weekday are given: to some either is enough, to others both must hold.
    """
    fields = text.split()
    if len(fields) != _CRON_FIELDS:
        msg = (
            f"cron must have five fields (minute, hour, day, month, weekday), such as "
            f"'0 3 * * *' for three o'clock, and not {len(fields)}"
        )
        raise ValueError(msg)
    *others, weekday = fields
    if weekday == "*":
        return text
    if others[2] != "*":
        msg = "cron has a day of the month and a weekday; give one of them, and * for the other"
        raise ValueError(msg)
    days = {_WEEKDAYS[number] for item in weekday.lower().split(",") for number in _days(item)}
    return " ".join([*others, ",".join(sorted(days, key=_WEEKDAYS.index))])


def _days(item: str) -> Iterator[int]:
    """Yield the weekdays of one item of a list: ``1``, ``mon``, ``1-5``, ``mon-fri``, ``*/2``."""
    match = _WEEKDAY_SPAN.fullmatch(item.replace("*", f"0-{_LAST_WEEKDAY}", 1))
    if match is None:
        raise _no_weekday(item)
    first = _day(match["first"], item)
    # As cron has it: 1/2 goes on to the end of the week.
    to_the_end = match["step"] and not match["last"]
    last = _LAST_WEEKDAY if to_the_end else _day(match["last"] or match["first"], item)
    if last < first and last == 0:
        last = len(_WEEKDAYS) - 1  # up to the Sunday at the week's end
    if last < first or match["step"] == "0":
        raise _no_weekday(item)
    yield from range(first, last + 1, int(match["step"] or 1))


def _day(text: str, item: str) -> int:
    number = int(text) if text.isdecimal() else -1
    if 0 <= number < len(_WEEKDAYS):
        return number
    if text not in _WEEKDAYS:
        raise _no_weekday(item)
    return _WEEKDAYS.index(text)


def _no_weekday(item: str) -> ValueError:
    return ValueError(
        f"cron has the weekday {item!r}; write names or ranges of them, such as mon-fri, "
        "or numbers from 0 (Sunday) to 6"
    )
