"""What a snapshot is to look like, told by its name: ``feedback.json.gz`` is gzipped JSON."""

from typing import NamedTuple

SUFFIXES = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
"""The formats that a suffix tells."""

FORMATS = ("json", "jsonl", "csv", "parquet", "kto", "dpo")
"""All formats; training data is JSON lines, and told by its name only."""

COMPRESSIONS = (".gz", ".zst")
ENCRYPTION = ".age"


class Form(NamedTuple):
    """What a snapshot looks like.

    Attributes:
        format: one of `FORMATS`.
        compression: ``".gz"``, ``".zst"``, or nothing.
        encrypted: whether it is encrypted.
    """

    format: str
    compression: str
    encrypted: bool


def form_of(name: str, format: str | None = None) -> Form:
    """Return what a file of that name looks like.

    Args:
        name: the name.
        format: the format, where the suffix does not tell it.

    Raises:
        ValueError: no such format is known, or the name tells none.
    """
    if format is not None and format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {format!r}")
    inner = name.removesuffix(ENCRYPTION)
    compression = next((suffix for suffix in COMPRESSIONS if inner.endswith(suffix)), "")
    inner = inner.removesuffix(compression)
    told = next((kind for suffix, kind in SUFFIXES.items() if inner.endswith(suffix)), None)
    chosen = format or told
    if chosen is None:
        msg = (
            f"the name {name!r} tells no format: let it end in {', '.join(SUFFIXES)} (and .gz, "
            f".zst or .age), or name the format: {', '.join(FORMATS)}"
        )
        raise ValueError(msg)
    if chosen == "parquet" and compression:
        raise ValueError("Parquet is compressed inside: leave out the " + compression)
    return Form(chosen, compression, name.endswith(ENCRYPTION))


def stem_of(name: str) -> tuple[str, str]:
    """Return a name in two: what tells the snapshot, and its suffixes."""
    stem = name.removesuffix(ENCRYPTION)
    for suffixes in (COMPRESSIONS, tuple(SUFFIXES)):
        found = next((suffix for suffix in suffixes if stem.endswith(suffix)), "")
        stem = stem.removesuffix(found)
    return stem, name[len(stem) :]
