"""The formats of JSON: an array, lines, and lines of training data.

An array has an entry on each line, so that it can be read and written a line at a time. Training
data is as TRL takes it (https://huggingface.co/docs/trl/dataset_formats): ``kto`` has
``prompt``, ``completion`` and ``label``; ``dpo`` has ``prompt``, ``chosen`` and ``rejected``.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from feedback_store.entry import FeedbackEntry
from feedback_store.rating import Rating
from feedback_store.snapshot.material import Material
from feedback_store.snapshot.output import Output
from feedback_store.store import Lines

_PIECE = 256


def write_json(lines: Iterable[Lines], output: Output) -> int:
    """Write an array, an element on each line; return how many there are."""
    number = 0
    for piece in lines:
        output.write(b",\n" if number else b"[\n")
        output.write(piece.data.replace(b"\n", b",\n"))
        number += piece.number
    output.write(b"\n]\n" if number else b"[]\n")
    return number


def write_jsonl(lines: Iterable[Lines], output: Output) -> int:
    """Write lines; return how many there are."""
    number = 0
    for piece in lines:
        output.write(piece.data + b"\n")
        number += piece.number
    return number


def write_training(
    shape: Callable[[FeedbackEntry], Mapping[str, Any] | None],
) -> Callable[[Material, Output], int]:
    """Return what writes lines of training data, of entries that can be used for it."""

    def write(material: Material, output: Output) -> int:
        shaped = (shape(entry) for entry in material.entries())
        return write_jsonl(as_lines(one for one in shaped if one is not None), output)

    return write


def as_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[Lines]:
    """Yield rows as lines of JSON."""
    piece: list[str] = []
    for row in rows:
        piece.append(json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
        if len(piece) == _PIECE:
            yield Lines("\n".join(piece).encode(), len(piece))
            piece = []
    if piece:
        yield Lines("\n".join(piece).encode(), len(piece))


def kto_of(entry: FeedbackEntry) -> Mapping[str, Any] | None:
    """Return prompt, completion and whether it was liked; None where nobody said."""
    rating = Rating.of(entry.rating)
    if rating not in (Rating.POSITIVE, Rating.NEGATIVE):
        return None
    return {
        "prompt": entry.question,
        "completion": entry.answer,
        "label": rating is Rating.POSITIVE,
    }


def dpo_of(entry: FeedbackEntry) -> Mapping[str, Any] | None:
    """Return prompt, the better answer and the worse one; None without a correction."""
    if not entry.correction or entry.correction == entry.answer:
        return None
    return {"prompt": entry.question, "chosen": entry.correction, "rejected": entry.answer}
