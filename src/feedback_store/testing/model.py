"""What a store should hold and answer, said a second time, as plainly as can be.

The model shares no code with the stores, nor with what is derived from them: it looks at entries
through the JSON that they show. Where both are wrong, they are wrong in two ways.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry
from feedback_store.query import Query
from feedback_store.stats import Stats

_OPTIONAL = ("user_id", "trace_id", "name", "annotator_kind", "correction")
_OPTIONAL_METADATA = ("response_time", "token_count", "conversation_id", "explanation")


def shown(entry: FeedbackEntry) -> dict[str, Any]:
    """Return the JSON object of an entry, with what its absence means filled in."""
    plain: dict[str, Any] = json.loads(encode(entry))
    plain["id"] = plain.get("id") or plain["message_id"]
    plain["metadata"] = {"issues": [], **(plain["metadata"] or {})}
    return plain


def content(entry: FeedbackEntry) -> str:
    """Return what an entry says, whenever it was said, as text to compare."""
    plain = shown(entry)
    metadata = plain["metadata"]
    plain["sources"] = plain["sources"] or []
    metadata["issues"] = metadata["issues"] or []
    for key in ("timestamp", "updated_at"):
        plain.pop(key, None)
    metadata.pop("timestamp", None)
    for keys, place in ((_OPTIONAL, plain), (_OPTIONAL_METADATA, metadata)):
        for key in keys:
            if place.get(key) is None:
                place.pop(key, None)
    return json.dumps(_comparable(plain), sort_keys=True)


def _comparable(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    """Spell equal numbers alike: 1.0 as 1. A truth value stays one, in JSON."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_comparable(item) for item in value]  # pyright: ignore[reportUnknownVariableType]  # any JSON value
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]  # as above
    return value


def matches(entry: FeedbackEntry, query: Query) -> bool:
    """Say whether every condition of the query holds."""
    plain = shown(entry)
    metadata = plain["metadata"]
    texts = (plain["question"], plain["answer"], metadata.get("explanation") or "")
    wanted: list[tuple[object, bool]] = [
        (query.rating, _class_of(entry.rating) == query.rating),
        (query.since, query.since is None or entry.timestamp >= query.since),
        (query.until, query.until is None or entry.timestamp < query.until),
        (query.issues or None, bool(set(query.issues) & set(metadata["issues"] or ()))),
        (query.source_types or None, bool(set(query.source_types) & _types_of(plain))),
        (query.text, any((query.text or "").casefold() in text.casefold() for text in texts)),
        (query.message_id, plain["message_id"] == query.message_id),
        (query.conversation_id, metadata.get("conversation_id") == query.conversation_id),
        (query.user_id, plain.get("user_id") == query.user_id),
        (query.has_explanation, bool(metadata.get("explanation")) == query.has_explanation),
        (query.where, query.where is None or query.where(entry)),
    ]
    told = {**metadata, **plain}
    told.pop("metadata")
    if "metadata" in metadata:
        told["metadata"] = metadata["metadata"]
    return all(holds for condition, holds in wanted if condition is not None) and all(
        key in told and _same(told[key], value) for key, value in query.match.items()
    )


def _same(found: object, wanted: object) -> bool:
    return json.dumps(_comparable(found), sort_keys=True) == json.dumps(
        _comparable(json.loads(json.dumps(wanted))), sort_keys=True
    )


def _class_of(rating: float | None) -> str:
    if rating is None:
        return "unrated"
    return {True: "positive", False: "negative"}[rating > 1 / 2] if rating != 1 / 2 else "neutral"


def _types_of(plain: dict[str, Any]) -> set[str]:
    types = [source.get("type") for source in plain["sources"] or [{}]]
    return {kind if kind and isinstance(kind, str) else "unknown" for kind in types}


def ordered(entries: Iterable[FeedbackEntry], order: str) -> list[FeedbackEntry]:
    """Sort entries as one of the four orders says."""
    newest = sorted(entries, key=lambda e: (e.timestamp, e.id), reverse=True)
    if order in {"newest", "oldest"}:
        return newest if order == "newest" else newest[::-1]
    rated = [(entry.rating, entry) for entry in newest if entry.rating is not None]
    rated.sort(key=lambda pair: pair[0], reverse=order == "rating_desc")
    return [entry for _, entry in rated] + [entry for entry in newest if entry.rating is None]


def numbers(entries: list[FeedbackEntry]) -> dict[str, Any]:
    """Count the entries, under the names of `Stats`."""
    classes = Counter(_class_of(entry.rating) for entry in entries)
    told = [shown(entry) for entry in entries]
    by_type = {
        kind: [_class_of(entry.rating) for entry in entries if kind in _types_of(shown(entry))]
        for kind in {kind for plain in told for kind in _types_of(plain)}
    }
    return {
        "total": len(entries),
        **{name: classes[name] for name in ("positive", "negative", "neutral", "unrated")},
        "by_month": dict(Counter(plain["timestamp"][:7] for plain in told)),
        "by_issue": dict(Counter(i for p in told for i in set(p["metadata"]["issues"] or ()))),
        "by_source_type": {
            kind: (len(of), of.count("positive"), len(of) - of.count("unrated"))
            for kind, of in by_type.items()
        },
        "first": min((entry.timestamp for entry in entries), default=None),
        "last": max((entry.timestamp for entry in entries), default=None),
    }


def numbers_of(stats: Stats) -> dict[str, Any]:
    """Return what `numbers` would, from statistics."""
    names = ("total", "positive", "negative", "neutral", "unrated", "first", "last")
    groups = {k: (g.total, g.positive, g.rated) for k, g in stats.by_source_type.items()}
    counts = {"by_month": dict(stats.by_month), "by_issue": dict(stats.by_issue)}
    return {**{n: getattr(stats, n) for n in names}, **counts, "by_source_type": groups}


def same_mean(entries: list[FeedbackEntry], stats: Stats) -> bool:
    """Say whether the mean response time is that of the entries, to the microsecond."""
    times = [t for entry in entries if (t := entry.metadata.response_time) is not None]
    if not times or stats.mean_response_time is None:
        return bool(times) is (stats.mean_response_time is not None)
    mean = math.fsum(time / len(times) for time in times)
    return math.isclose(mean, stats.mean_response_time, rel_tol=1e-9, abs_tol=1e-6)
