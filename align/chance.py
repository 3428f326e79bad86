"""Whether matches that agree on one homography could agree by chance.

The number of false alarms of a-contrario detection: how many groups of matches would be expected to agree as well if
every match pointed anywhere (Moisan and Stival, A probabilistic criterion to detect rigid point matches between two
images, IJCV 2004).
"""

from __future__ import annotations

import math

_SAMPLE = 4  # matches that fix a homography, and agree with it always


def log10_false_alarms(matches: int, agreeing: int, inlier_px: float, area_px: float) -> float:
    """Return the expected number of chance groups as good as this one, as a decimal logarithm.

    matches    all matches, of which `agreeing` lie within inlier_px of where one homography puts them
    area_px    of the photo that they point into
    """
    if agreeing <= _SAMPLE:
        return math.log10(max(matches, 1))
    by_luck = math.log10(min(math.pi * inlier_px**2 / area_px, 1.0))
    samples = math.log10(matches - _SAMPLE) if matches > _SAMPLE + 1 else 0.0
    groups = samples + _log10_choose(matches, agreeing) + _log10_choose(agreeing, _SAMPLE)
    return groups + (agreeing - _SAMPLE) * by_luck


def _log10_choose(n: int, k: int) -> float:
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(10)
