"""Times as whole microseconds since 1970: what an index holds and compares."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stamp_of(time: datetime) -> int:
    """Return an aware time as microseconds since 1970; negative before."""
    return (time - _EPOCH) // _MICROSECOND


def time_of(stamp: int) -> datetime:
    """Return the time, in UTC, of so many microseconds since 1970."""
    return _EPOCH + stamp * _MICROSECOND
