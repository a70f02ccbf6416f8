"""Rows of other programs, and the entries that they mean; what had to be assumed is told."""

from feedback_store.mapping.assumptions import Assumption, Mapped, RowMapping
from feedback_store.mapping.entries import EntryMapping
from feedback_store.mapping.scales import POSITIVE_TAGS, Scale
from feedback_store.mapping.votes import VOTES_COLUMNS, VotesMapping

__all__ = [
    "POSITIVE_TAGS",
    "VOTES_COLUMNS",
    "Assumption",
    "EntryMapping",
    "Mapped",
    "RowMapping",
    "Scale",
    "VotesMapping",
]
