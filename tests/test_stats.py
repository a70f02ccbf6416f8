"""`Stats`: numbers that add up."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_store import FeedbackEntry, Group, Metadata, Stats
from feedback_store.stats import to_microseconds
from feedback_store.testing import batches, model

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)


@given(batches(), batches())
def test_statistics_add_up(a: list[FeedbackEntry], b: list[FeedbackEntry]) -> None:
    """The sum of the statistics is the statistics of the sum, in either order, exactly."""
    assert Stats.of(a + b) == Stats.of(a) + Stats.of(b) == Stats.of(b) + Stats.of(a)


@given(batches())
def test_nothing_is_the_zero(batch: list[FeedbackEntry]) -> None:
    """Adding the statistics of nothing changes nothing."""
    assert Stats.of(batch) == Stats.of(batch) + Stats() == Stats.of([]) + Stats.of(batch)


@given(batches())
def test_the_numbers_are_those_of_the_model(batch: list[FeedbackEntry]) -> None:
    """Every number is what counting in another way gives."""
    stats = Stats.of(iter(batch))
    assert model.numbers(batch) == model.numbers_of(stats)
    assert model.same_mean(batch, stats)
    assert stats.total == stats.rated + stats.unrated


def test_rates_of_nothing_are_none() -> None:
    """Without rated entries there is no rate, and without response times no mean."""
    unrated = Stats.of([FeedbackEntry(message_id="m", question="", answer="")])
    assert (None, None) == (Stats().helpful_rate, Stats().mean_response_time)
    assert (None, None) == (unrated.helpful_rate, unrated.mean_response_time)
    assert Group(total=1).helpful_rate is None


def test_the_helpful_rate_is_among_rated_ones() -> None:
    """Positive ones among all rated ones, neutral ones included, unrated ones not."""
    ratings = [1, 0.75, 0.5, 0, None, None]
    stats = Stats.of(
        FeedbackEntry(message_id="m", question="", answer="", rating=r) for r in ratings
    )
    assert (0.5, 4, 0.5) == (
        stats.helpful_rate,
        stats.rated,
        stats.by_source_type["unknown"].helpful_rate,
    )


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70))
def test_any_time_has_microseconds(seconds: float) -> None:
    """Every finite number of seconds has a whole number of microseconds, as near as can be."""
    assert abs(to_microseconds(seconds) / 1_000_000 - seconds) <= max(1e-6, abs(seconds) * 1e-15)


@pytest.mark.parametrize("seconds", [1.7976931348623157e308, -0.0, 5e-324, 2**1000])
def test_extreme_response_times_have_a_mean(seconds: float) -> None:
    """The mean of extreme response times is a number, not an error."""
    metadata = Metadata(response_time=seconds)
    entry = FeedbackEntry(message_id="m", question="", answer="", metadata=metadata)
    assert seconds == pytest.approx(Stats.of([entry, entry]).mean_response_time)
