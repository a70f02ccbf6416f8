"""What the tests share: how much Hypothesis tries, and rows of a real service."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("fast", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=200, derandomize=True)
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("FEEDBACK_STORE_PROFILE", "fast"))

REAL_ROWS = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_rows() -> Path:
    """Return the folder with rows of a real service, which lies beside the checkout or nowhere."""
    if not REAL_ROWS.is_dir():
        pytest.skip("there are no real rows in shared/data beside the checkout")
    return REAL_ROWS
