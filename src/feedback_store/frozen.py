"""JSON values that nobody can change: what an entry is made of.

An entry is handed to many readers at once, from caches too. Were its dictionaries mutable, one
reader could change what the others see, so every mapping becomes a `FrozenDict` and every list
a tuple, once, on the way in. The same walk refuses what JSON cannot say.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Never, Self

from feedback_store.errors import InvalidEntryError

MAX_DEPTH = 100
"""Levels of nesting that a value may have. Deeper ones would exhaust some reader's stack."""

MAX_INT_DIGITS = 4300
"""Digits of an integer: Python's own limit for turning text into a number."""


_INT_BOUND = 10**MAX_INT_DIGITS
_NUMBERS = (int, float)
_ARRAYS = (list, tuple)


class FrozenDict(dict[str, Any]):
    """A dictionary that refuses every change, hashes by its contents, and pickles.

    It is a real ``dict`` (and equal to one with the same JSON), so that every JSON library
    takes it as it is. ``|`` gives a plain ``dict``, the way to make a changed copy.
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> Never:
        msg = "entries cannot be changed; make a copy with dict(...), or use attrs.evolve"
        raise TypeError(msg)

    __setitem__ = _refuse
    __delitem__ = _refuse
    __ior__ = _refuse
    clear = _refuse
    pop = _refuse
    popitem = _refuse
    setdefault = _refuse  # pyright: ignore[reportAssignmentType]  # overloads that never return
    update = _refuse  # pyright: ignore[reportAssignmentType]  # as above

    def __eq__(self, other: object) -> bool:
        """Compare as JSON does: as a ``dict``, except that True is not 1, at any depth."""
        if self is other:
            return True
        equal = dict.__eq__(self, other)
        return equal if equal is NotImplemented else equal and same_json(self, other)

    def __ne__(self, other: object) -> bool:
        """Negate ``==``: the inherited one would not ask it."""
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]  # dict sets it to None
        """Hash the items, whatever their order."""
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, Any]]]:
        """Pickle as a call of the class: the default way would set items one by one."""
        return type(self), (dict(self),)

    def __copy__(self) -> Self:
        """Return itself: nothing can tell it from a copy."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return itself: everything below is immutable too."""
        return self


class JsonDict(FrozenDict):
    """A frozen dictionary whose values JSON can say, and which are frozen too: nobody need look.

    Only `freeze` makes one, and the codec, from what a typed decoder has checked.
    """

    __slots__ = ()


EMPTY = JsonDict()


def same_json(a: object, b: object) -> bool:
    """Say whether two JSON values are the same: 1 is 1.0, but neither is True."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same_json(a[key], b[key]) for key in a)
    if isinstance(a, _ARRAYS) and isinstance(b, _ARRAYS):
        return len(a) == len(b) and all(map(same_json, a, b))
    return a == b


def check_text(text: str, where: str) -> str:
    """Return ``text`` as a plain ``str``, or refuse what UTF-8 cannot say.

    Raises:
        InvalidEntryError: for a lone surrogate; ``where`` names the field.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            msg = (
                f"{where}: the character at position {error.start} is a lone surrogate, which "
                "UTF-8 cannot store; decode the text properly or replace the character"
            )
            raise InvalidEntryError(msg) from None  # the cause would quote the user's text
    # Not str(text): of a member of a text enumeration that would be its name, not its value.
    return text if type(text) is str else str.__str__(text)


def freeze(value: object, where: str, depth: int = 0) -> Any:  # noqa: ANN401  # any JSON value
    """Return an immutable copy of a JSON value.

    Args:
        value: None, bool, int, float, str, or lists, tuples and mappings of such.
        where: the path to the value, for the message of an error.
        depth: how many levels above this one have been entered.

    Raises:
        InvalidEntryError: for anything that JSON cannot say and give back: NaN, infinities,
            keys that are no strings, lone surrogates, other types, too deep a nesting.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return check_text(value, where)
    if isinstance(value, _NUMBERS):
        return _freeze_number(value, where)
    if depth >= MAX_DEPTH:
        msg = f"{where}: nested more than {MAX_DEPTH} levels deep"
        raise InvalidEntryError(msg)
    if isinstance(value, Mapping):
        return _freeze_mapping(value, where, depth)
    if isinstance(value, _ARRAYS):
        return _freeze_items(value, where, depth)
    msg = f"{where}: a {type(value).__name__} is not a JSON value; convert it to text or a number"
    raise InvalidEntryError(msg)


def _freeze_number(value: float, where: str) -> int | float:
    if isinstance(value, int):
        if not -_INT_BOUND < value < _INT_BOUND:
            msg = f"{where}: an integer of more than {MAX_INT_DIGITS} digits"
            raise InvalidEntryError(msg)
        return int(value)
    if not math.isfinite(value):
        msg = f"{where}: {value!r} is not a number that JSON can say; use None"
        raise InvalidEntryError(msg)
    return float(value)


def _freeze_mapping(value: Mapping[Any, Any], where: str, depth: int) -> JsonDict:
    frozen: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            msg = f"{where}: a key is a {type(key).__name__}; JSON keys are strings"
            raise InvalidEntryError(msg)
        name = check_text(key, f"{where}: a key")
        frozen[name] = freeze(item, f"{where}.{name}", depth + 1)
    return JsonDict(frozen)


def _freeze_items(value: Iterable[object], where: str, depth: int) -> tuple[Any, ...]:
    return tuple(freeze(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value))
