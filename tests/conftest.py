"""What all tests share."""

from __future__ import annotations

import os

# Before anything loads these libraries: each test process has neighbours. Threads of several, each set waiting for its
# own in a loop, take a processor from one another: a test of whole photos took five minutes instead of half of one.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1")

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from postgres_server import NewDatabase, program, running_server

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# The same examples in every run, so that a change is judged by what it changes; HYPOTHESIS_PROFILE=default: others.
settings.register_profile("same", derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real photos, checkpoints and reference numbers, which are not part of the repository."""
    if not SHARED_DATA.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{SHARED_DATA} is missing, and in CI nothing may be skipped")
        pytest.skip(f"{SHARED_DATA} is not here: real photos and reference numbers are not part of the repository")
    return SHARED_DATA


@pytest.fixture(scope="session")
def new_postgres() -> Iterator[NewDatabase]:
    """Make a new database in a real PostgreSQL server, which starts with the first test that asks."""
    if program("initdb") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no initdb, and in CI nothing may be skipped")
        pytest.skip("PostgreSQL's server is not installed: sudo apt-get install postgresql")
    with running_server() as new_database:
        yield new_database


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: begun last, they would keep one process busy when all others are done."""
    items.sort(key=lambda item: item.path.name not in ("test_demo.py", "test_soak.py", "test_pipeline.py"))
