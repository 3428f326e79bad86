"""What the trainer's tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from made_pairs import MemoryPairs, phone_pairs

from dpedkit.types import U8, PairSource


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors gain nothing from more threads, which would fight with those of other test processes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def in_memory() -> Callable[[U8, U8], PairSource]:
    """Make a source of pairs from two stacks of patches."""
    return MemoryPairs


@pytest.fixture
def pairs() -> MemoryPairs:
    """Pairs to train on."""
    return phone_pairs(24, 32)


@pytest.fixture
def held_out() -> MemoryPairs:
    """Pairs of other scenes by the same phone."""
    return phone_pairs(6, 32, seed=1)
