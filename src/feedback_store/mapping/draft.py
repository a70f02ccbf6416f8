"""A row on its way to becoming an entry: what is decided for it, and what that assumes.

In the end it is what `codec.from_mapping` reads, so that a row which already looks like a line of
ours becomes exactly the entry that a store would read from that line.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from feedback_store import codec
from feedback_store.entry import OWN_METADATA_KEYS
from feedback_store.errors import InvalidEntryError
from feedback_store.fields import aware_time
from feedback_store.mapping import scales, values
from feedback_store.mapping.assumptions import Assumption, Mapped

_QUARTER = timedelta(minutes=15)
_EDGES = ("0001", "9999")  # years whose times a zone may carry out of the calendar
_FARTHEST = timedelta(hours=14)
_ORDER = {assumption: number for number, assumption in enumerate(Assumption)}
# True is 1 here, and False 0.
_YES = frozenset({True, "true", "yes", "1"})
_NO = frozenset({False, "false", "no", "0"})
_NUMBERS = ("response_time", "token_count")


class Draft:
    """What will be an entry.

    Args:
        row: keys and values of JSON.
        assume_tz: the zone of times that name none.

    Attributes:
        fields: the keys of the entry's JSON, as far as they are known.
    """

    def __init__(self, row: Mapping[str, Any], assume_tz: tzinfo) -> None:
        self.fields: dict[str, Any] = dict(row)
        self._assume_tz = assume_tz
        self._assumed: set[Assumption] = set()
        self._offset: timedelta | None = None

    def assume(self, assumption: Assumption) -> None:
        """Note that something was assumed."""
        self._assumed.add(assumption)

    def metadata(self) -> dict[str, Any]:
        """Return the metadata, to be changed.

        Raises:
            InvalidEntryError: they are something else than an object.
        """
        given = self.fields.get("metadata") or {}
        if not isinstance(given, Mapping):
            msg = f"metadata must be a JSON object, not a {type(given).__name__}"
            raise InvalidEntryError(msg)
        metadata = self.fields["metadata"] = dict(given)
        return metadata

    # ------------------------------------------------------------------------- flat columns

    def unflatten(self) -> None:
        """Put columns of a table where they belong; those that say nothing are left out."""
        for key in ("sources", "metadata"):
            self.fields[key] = values.opened(self.fields.get(key), key)
        self.fields = {k: v for k, v in self.fields.items() if not _is_silent(k, v)}
        metadata = self.metadata()
        for column in list(self.fields):
            name = column.removeprefix("metadata.")
            if name == column and name not in OWN_METADATA_KEYS:
                continue
            if name not in metadata:  # else the two contradict: both stay
                metadata[name] = self.fields.pop(column)
        for name in _NUMBERS:
            if name in metadata:
                metadata[name] = values.number(metadata[name])
        self.fields["rating"] = values.number(self.fields.get("rating"))

    def split_issues(self) -> None:
        """Make a list of issues that stand in one text."""
        metadata = self.metadata()
        issues = values.opened(metadata.get("issues"), "issues")
        if isinstance(issues, str):
            parts = (part.strip() for part in issues.replace(";", ",").split(","))
            issues = [part for part in parts if part]
            self.assume(Assumption.ISSUES_SPLIT)
        if issues is not None:
            metadata["issues"] = issues

    def name_sources(self) -> None:
        """Make mappings of sources that are bare texts."""
        sources = values.opened(self.fields.get("sources"), "sources")
        if isinstance(sources, list) and any(isinstance(source, str) for source in sources):
            sources = [_named(source) for source in sources]
            self.assume(Assumption.SOURCES_NAMED)
        if sources is not None:
            self.fields["sources"] = sources

    # ---------------------------------------------------------------------- id, rating, text

    def identify(self, fallback_id: str | None) -> None:
        """Give it the ids that it lacks.

        A number beside a message id is a table's own count of its rows: it is kept as ``row_id``,
        because the message id is what other files of the same service know the entry by.

        Raises:
            InvalidEntryError: there is no id, and none can be made.
        """
        fields = self.fields
        if _is_number(fields.get("message_id")):
            fields["message_id"] = str(fields["message_id"])
            self.assume(Assumption.NUMBER_AS_ID)
        if _is_number(fields.get("id")):
            number = fields.pop("id")
            if not fields.get("message_id") and fallback_id is None:
                fields["id"] = str(number)
                self.assume(Assumption.NUMBER_AS_ID)
            else:
                fields.setdefault("row_id", number)
        if fields.get("message_id"):
            return
        if fields.get("id"):
            fields["message_id"] = fields["id"]
            self.assume(Assumption.ID_OF_MESSAGE)
        elif fallback_id is not None:
            fields["message_id"] = fallback_id
            self.assume(Assumption.ROW_ID)
        else:
            msg = "it has no id: neither id nor message_id is there"
            raise InvalidEntryError(msg)

    def word(self) -> None:
        """Make empty texts of a question and an answer that are null."""
        for key in ("question", "answer"):
            if key in self.fields and self.fields[key] is None:
                self.fields[key] = ""
                self.assume(Assumption.EMPTY_TEXT)

    def rate(self, scale: scales.Scale | None, positive_tags: Collection[str]) -> None:
        """Find the rating: as it stands, by ``helpful``, or by ``feedback_tags``.

        Raises:
            InvalidEntryError: the rating is on another scale than was told.
        """
        rating = self.fields.get("rating")
        if rating is not None:
            if scale is None or scale is scales.Scale.UNIT:
                scales.check_unit(rating)
            else:
                self.fields["rating"] = scale.rating_of(rating)
                self.assume(Assumption.RATING_SCALED)
            return
        helpful = _flag(self.fields.get("helpful"))
        if helpful is not None:
            del self.fields["helpful"]
            self.fields["rating"] = int(helpful)
            self.assume(Assumption.HELPFUL)
            return
        tags = values.texts(self.fields.get("feedback_tags"))
        if tags is not None:
            del self.fields["feedback_tags"]
            self.tag(tags, positive_tags)

    def tag(self, tags: Sequence[str], positive_tags: Collection[str]) -> None:
        """Let tags tell the rating, if nothing else does, and more issues."""
        told = scales.told_by(tags, positive_tags)
        if self.fields.get("rating") is None:
            self.fields["rating"] = told.rating
            self.assume(told.assumed)
        if told.issues:
            metadata = self.metadata()
            known = values.texts(metadata.get("issues")) or ()
            metadata["issues"] = list(dict.fromkeys((*known, *told.issues)))

    # ------------------------------------------------------------------------------- the end

    def finish(self, fallback_time: datetime) -> Mapped:
        """Return the entry.

        Raises:
            InvalidEntryError: it is none.
        """
        self._date(fallback_time)
        entry = codec.from_mapping(
            self.fields, naive_tz=self._assume_tz, fallback_time=fallback_time
        )
        return Mapped(entry, tuple(sorted(self._assumed, key=_ORDER.__getitem__)), self._offset)

    def _date(self, fallback_time: datetime) -> None:
        """Note what the codec will assume of the times; read those that only we can read."""
        told = self.fields.get("metadata")
        told = told.get("timestamp") if isinstance(told, Mapping) else None
        for key in ("timestamp", "updated_at"):
            self._read_time(key)
        time = self.fields.get("timestamp")
        if time is not None:
            self._compare(time, told)
            return
        if told is None:
            self.assume(Assumption.FALLBACK_TIME)
            return
        if (number := values.epoch_time(told)) is not None:
            self.fields["timestamp"] = codec.format_time(number)
            self.assume(Assumption.EPOCH_TIME)
        elif isinstance(told, str) and self._is_readable(told):
            if not values.names_zone(told):
                self.assume(Assumption.NAIVE_TIME)
        else:
            self.fields["timestamp"] = codec.format_time(aware_time(fallback_time, UTC, "time"))
            self.assume(Assumption.UNREADABLE_TIME)
            self.assume(Assumption.FALLBACK_TIME)
            return
        self.assume(Assumption.METADATA_TIME)

    def _read_time(self, key: str) -> None:
        time = self.fields.get(key)
        if (number := values.epoch_time(time)) is not None:
            self.fields[key] = codec.format_time(number)
            self.assume(Assumption.EPOCH_TIME)
        elif isinstance(time, str) and not values.names_zone(time):
            self.assume(Assumption.NAIVE_TIME)

    def _is_readable(self, time: str) -> bool:
        if values.local_time(time) is not None and time[:4] not in _EDGES:
            return True
        probe = {"message_id": "-", "question": "", "answer": "", "timestamp": time}
        try:
            codec.from_mapping(probe, naive_tz=self._assume_tz)
        except InvalidEntryError:
            return False
        return True

    def _compare(self, time: object, told: object) -> None:
        """Note when a time without a zone and the one in the metadata are a zone apart."""
        here, there = values.local_time(time), values.local_time(told)
        if here is None or here.tzinfo is not None or there is None or there.tzinfo is None:
            return
        try:
            assumed = aware_time(here, self._assume_tz, "timestamp")
            utc = aware_time(there, UTC, "metadata.timestamp")
        except InvalidEntryError:  # the codec will refuse it
            return
        if not _rounded(assumed - utc):
            return
        self.assume(Assumption.CONTRADICTING_TIME)
        offset = _rounded(here.replace(tzinfo=UTC) - utc)
        self._offset = offset if abs(offset) <= _FARTHEST else None


def _is_silent(key: str, value: object) -> bool:
    """Say whether a cell of a table says nothing: null, or no text, where text is not all."""
    if key in ("question", "answer"):
        return False
    return value is None or (isinstance(value, str) and not value.strip())


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _flag(value: object) -> bool | None:
    known = value.strip().casefold() if isinstance(value, str) else value
    if not isinstance(known, str | int | float):
        return None
    return True if known in _YES else False if known in _NO else None


def _named(source: object) -> object:
    if not isinstance(source, str):
        return source
    return {"url" if source.startswith(("http://", "https://")) else "title": source}


def _rounded(span: timedelta) -> timedelta:
    """Return a span to the quarter of an hour, which all offsets of today are multiples of."""
    return round(span / _QUARTER) * _QUARTER
