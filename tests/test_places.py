"""Where to look in a photo: what studies and figures show."""

from __future__ import annotations

import numpy as np
import pytest

from dpedkit.errors import StudyError
from dpedkit.stages.places import Rectangle, View, find_place


def test_the_place_with_the_most_detail_that_the_dslr_shows() -> None:
    dslr = np.full((96, 128, 3), 90, np.uint8)
    known = np.ones((96, 128), bool)
    noise = np.random.default_rng(0)
    dslr[50:, 80:] = noise.integers(0, 256, (46, 48, 3))
    dslr[0:32, 0:32] = noise.integers(80, 100, (32, 32, 3))
    place = find_place("0001", dslr, known, View(32, 0))
    assert place.x >= 80
    assert place.y >= 50
    known[40:, 40:] = False
    assert find_place("0001", dslr, known, View(32, 0)) == Rectangle(0, 0, 32, 32)
    with pytest.raises(StudyError, match="0001: no 97 x 97 px"):
        find_place("0001", dslr, known, View(97, 0))
