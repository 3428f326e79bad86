"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real photos, checkpoints and reference numbers, which are not part of the repository."""
    if not SHARED_DATA.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{SHARED_DATA} is missing, and in CI nothing may be skipped")
        pytest.skip(f"{SHARED_DATA} is not here: real photos and reference numbers are not part of the repository")
    return SHARED_DATA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest: begun last, it would keep one process busy when all others are done."""
    items.sort(key=lambda item: item.path.name != "test_demo.py")
