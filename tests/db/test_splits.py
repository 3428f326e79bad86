from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpedkit.db.splits import DEFAULT_SHARES, SPLITS, assign_splits
from dpedkit.errors import SettingsError

batches = st.lists(st.integers(0, 25), min_size=1, max_size=6)
seeds = st.integers(0, 2**32)


def grow(sizes: list[int], seed: int) -> list[dict[str, str]]:
    """Assign shots in batches of these sizes and return the assignments after each."""
    states: list[dict] = [{}]
    for size in sizes:
        shots = [f"s/{number:04d}" for number in range(len(states[-1]) + size)]
        states.append(states[-1] | assign_splits(shots, states[-1], seed))
    return states[1:]


@given(batches, seeds)
def test_a_shot_never_changes_its_split_when_shots_are_added(sizes: list[int], seed: int) -> None:
    states = grow(sizes, seed)
    for before, after in pairwise(states):
        assert before.items() <= after.items()


@given(batches, seeds)
def test_counts_stay_near_the_shares_however_shots_arrive(sizes: list[int], seed: int) -> None:
    for state in grow(sizes, seed):
        counts = Counter(state.values())
        assert all(abs(counts[split] - DEFAULT_SHARES[split] * len(state)) < 2 for split in SPLITS)
        if len(state) >= 4:
            assert all(counts[split] >= 1 for split in SPLITS)


@given(st.sets(st.text(min_size=1), max_size=30), seeds)
def test_the_order_of_the_shots_does_not_matter(shots: set[str], seed: int) -> None:
    assert assign_splits(sorted(shots), {}, seed) == assign_splits(sorted(shots, reverse=True), {}, seed)


def test_the_demos_eight_shots_reach_every_split() -> None:
    assert Counter(grow([8], 0)[0].values()) == {"train": 5, "test": 2, "val": 1}


def test_another_seed_holds_out_other_shots() -> None:
    assert len({frozenset(grow([50], seed)[0].items()) for seed in range(5)}) == 5


def test_a_split_without_a_share_gets_nothing() -> None:
    shots = [str(number) for number in range(10)]
    assert Counter(assign_splits(shots, {}, 0, {"train": 0.8, "val": 0.0, "test": 0.2}).values()) == {
        "train": 8,
        "test": 2,
    }


def test_shares_that_are_no_shares_are_refused() -> None:
    with pytest.raises(SettingsError, match="sum to 1"):
        assign_splits([], {}, 0, {"train": 0.7, "val": 0.7, "test": 0.2})
