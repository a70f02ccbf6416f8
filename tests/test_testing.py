"""`feedback_store.testing` as a package that other people import."""

import importlib.util
import sys

import pytest

import feedback_store.testing
from feedback_store import MissingExtraError
from feedback_store.testing import _extra


def test_its_table_of_contents_is_sorted_and_true() -> None:
    """`__all__` is sorted, and every name in it is there."""
    names = list(feedback_store.testing.__all__)
    assert sorted(set(names), key=lambda name: (name[0].islower(), name)) == names
    assert [] == [name for name in names if not hasattr(feedback_store.testing, name)]


@pytest.mark.parametrize("package", ["hypothesis", "pytest"])
def test_a_missing_package_is_told_with_its_extra(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Hypothesis or pytest, importing says which extra to install."""
    find = importlib.util.find_spec
    monkeypatch.setattr(_extra, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(MissingExtraError, match=rf"{package}.*feedback-store\[testing\]") as caught:
        _extra.require_extra()
    assert package == caught.value.name


def test_asserts_of_the_suite_show_their_values() -> None:
    """The contract's asserts are rewritten by pytest, like those of anyone's own tests."""
    for name in ("contract.adding", "machine"):
        module = sys.modules[f"feedback_store.testing.{name}"]
        assert "AssertionRewritingHook" == type(module.__loader__).__name__
