"""`FrozenDict` and `freeze`: JSON values that nobody can change."""

import copy
import json
import pickle
from collections.abc import Callable
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given

from feedback_store import InvalidEntryError
from feedback_store.frozen import MAX_DEPTH, MAX_INT_DIGITS, FrozenDict, freeze, same_json
from feedback_store.testing import json_values


class Word(str, Enum):  # noqa: UP042  # what is tested
    """A text enumeration as many apps write it."""

    WRONG = "wrong"


class Level(IntEnum):
    """A number with a name."""

    HIGH = 3


def nested(levels: int) -> Any:  # noqa: ANN401  # any JSON value
    """Return a value of so many levels."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


CHANGES: dict[str, Callable[[Any], object]] = {
    "set": lambda d: d.__setitem__("a", 1),
    "delete": lambda d: d.__delitem__("a"),
    "|=": lambda d: d.__ior__({"a": 1}),
    "clear": lambda d: d.clear(),
    "pop": lambda d: d.pop("a"),
    "popitem": lambda d: d.popitem(),
    "setdefault": lambda d: d.setdefault("b", 1),
    "update": lambda d: d.update(a=1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_refused(change: Callable[[Any], object]) -> None:
    """Every way to change a dictionary raises, and leaves it as it was."""
    frozen = FrozenDict({"a": 0})
    with pytest.raises(TypeError, match="cannot be changed"):
        change(frozen)
    assert {"a": 0} == frozen


@given(json_values())
def test_freezing_keeps_the_value(value: object) -> None:
    """A frozen value is the same JSON, and freezing it again gives the same."""
    frozen = freeze(value, "value")
    assert json.dumps(value) == json.dumps(frozen)
    assert same_json(value, frozen)
    assert repr(frozen) == repr(freeze(frozen, "value"))


@given(json_values())
def test_copies_are_equal(value: object) -> None:
    """Pickled, copied and deeply copied, a frozen value is equal, with an equal hash."""
    frozen = FrozenDict({"value": freeze(value, "value")})
    for made in (pickle.loads(pickle.dumps(frozen)), copy.copy(frozen), copy.deepcopy(frozen)):
        assert (frozen, hash(frozen), FrozenDict) == (made, hash(made), type(made))


def test_the_given_value_is_not_shared() -> None:
    """A later change of what was given does not reach the frozen value."""
    given: dict[str, Any] = {"a": [{"b": 1}]}
    frozen = freeze(given, "given")
    given["a"][0]["b"] = 2
    given["a"].append(3)
    assert {"a": ({"b": 1},)} == frozen


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1], (1.0,), True),
        ([1], [True], False),
        ({"a": {"b": 0}}, {"a": {"b": False}}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": None}, {}, False),
        ([], {}, False),
        ("1", 1, False),
    ],
)
def test_values_are_compared_as_json(a: object, b: object, same: bool) -> None:
    """A truth value is no number, at any depth; order of keys and kind of list do not count."""
    assert same == same_json(a, b) == same_json(b, a)
    assert same == (freeze({"x": a}, "a") == freeze({"x": b}, "b"))
    assert same != (freeze({"x": a}, "a") != freeze({"x": b}, "b"))


def test_a_frozen_dict_equals_a_plain_one() -> None:
    """It is equal to a dictionary with the same items, and to nothing else."""
    assert FrozenDict({"a": 1}) == {"a": 1}
    assert FrozenDict({"a": 1}) != {"a": 2}
    assert FrozenDict({"a": 1}) != [("a", 1)]
    assert {"a": 1, "b": 2} == FrozenDict({"a": 1}) | {"b": 2}


def test_subclasses_become_plain_values() -> None:
    """Members of enumerations are kept by their value, and any mapping becomes frozen."""
    given = {Word.WRONG: [Word.WRONG, Level.HIGH], "m": MappingProxyType({"a": 1})}
    frozen = freeze(given, "given")
    assert {"wrong": ("wrong", 3), "m": {"a": 1}} == frozen
    assert [str, str, int] == [type(v) for v in (next(iter(frozen)), *frozen["wrong"])]


@pytest.mark.parametrize(
    "wrong",
    [
        float("nan"),
        float("inf"),
        "\ud800",
        {"\udfff": 1},
        {1: 1},
        {None: 1},
        {1},
        b"bytes",
        object(),
        1j,
        10**MAX_INT_DIGITS,
        -(10**MAX_INT_DIGITS),
        nested(MAX_DEPTH + 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_say_is_refused(wrong: object) -> None:
    """What could not be given back is refused, and the message says where it stood."""
    with pytest.raises(InvalidEntryError, match=r"^here(\.a|: a key)"):
        freeze({"a": wrong} if not isinstance(wrong, dict) else wrong, "here")


def test_the_limits_are_within() -> None:
    """The deepest value and the longest integer that are allowed are taken."""
    deep, long = nested(MAX_DEPTH), 10**MAX_INT_DIGITS - 1
    assert same_json(deep, freeze(deep, "deep"))
    assert long == freeze(long, "long") == -freeze(-long, "long")
