"""A pair of photos and its alignment, for every test that needs no other."""

from __future__ import annotations

import pytest
from pair_truth import Pair, make_pair

from dpedkit.align import Alignment, align_pair


@pytest.fixture(scope="session")
def pair() -> Pair:
    return make_pair()


@pytest.fixture(scope="session")
def alignment(pair: Pair) -> Alignment:
    return align_pair(pair.phone, pair.dslr)
