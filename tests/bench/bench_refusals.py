"""Which pairs align_pair refuses: wrong ones of nine kinds, and right ones that are hard in eleven ways.

Photos of 0.8 and 1.2 MP of tests/hard_pairs.py, and, where they are at hand, real photos of different scenes in every
combination, as they are, mirrored and as negatives. A wrong pair counts as accepted when an alignment is returned. A
right one counts as wrongly placed when a tenth of what the alignment says can be trusted is off by more than 1 px.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
from hard_pairs import RIGHT, WRONG, Right, Wrong
from measure import Figure, Findings, alone

from dpedkit.align import PairRejected, align_pair
from dpedkit.images import read_rgb, shrink
from dpedkit.types import U8

PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "data" / "photos"
SCENES = ("cameras/*.jpg", "orientation/Landscape_1.jpg", "orientation/Portrait_1.jpg", "street/01.jpg")
LONGEST_PX = 2048
FAR_PX, FAR_SHARE = 1.0, 0.9


def run() -> Findings:
    """Try every kind."""
    wrong = {kind.name: alone(reasons, kind.name) for kind in WRONG}
    if PHOTOS.is_dir():
        wrong |= alone(real_reasons)
    right = {kind.name: alone(outcomes, kind.name) for kind in RIGHT}
    given = [reason for each in wrong.values() for reason in each]
    taken = [outcome for each in right.values() for outcome in each]
    figures = [
        Figure("wrong pairs", [len(given)], better="more", target=">= 200"),
        Figure("wrong pairs accepted", [given.count("")], target="<= 0"),
        Figure("right pairs", [len(taken)]),
        Figure("right pairs accepted", [np.mean([x != "refused" for x in taken])], better="more", target=">= 0.99"),
        Figure("right pairs accepted and wrongly placed", [taken.count("misplaced")], target="<= 0"),
    ]
    notes = [f"{name}: {_counted(each)}." for name, each in (wrong | right).items()]
    return Findings(figures, notes)


def reasons(name: str) -> list[str]:
    """Return why each pair of a kind was refused, "" for one that was accepted."""
    kind: Wrong = next(kind for kind in WRONG if kind.name == name)
    return [refused(*kind.make(seed)) for seed in range(kind.pairs)]


def real_reasons() -> dict[str, list[str]]:
    """Return the same of real photos of different scenes."""
    photos = [shrink(read_rgb(path), LONGEST_PX) for pattern in SCENES for path in sorted(PHOTOS.glob(pattern))]
    return {
        "real photos of different scenes": [refused(left, right) for left, right in permutations(photos, 2)],
        "real photos and their mirror images": [refused(each, flipped) for each, flipped in _flipped(photos)],
        "real photos and their negatives": [refused(each, 255 - each) for each in photos],
    }


def _flipped(photos: list[U8]) -> Iterator[tuple[U8, U8]]:
    for photo in photos:
        yield photo, np.ascontiguousarray(photo[:, ::-1])


def outcomes(name: str) -> list[str]:
    """Return for each pair of a kind: aligned, misplaced or refused."""
    kind: Right = next(kind for kind in RIGHT if kind.name == name)
    return [outcome(kind, seed) for seed in range(kind.pairs)]


def outcome(kind: Right, seed: int) -> str:
    """Align one pair."""
    pair = kind.make(seed)
    try:
        found = align_pair(pair.phone, pair.dslr)
    except PairRejected:
        return "refused"
    points, _ = pair.overlap()
    errors = pair.errors(found.phone_to_dslr)[found.confidence(points) >= 0.5]
    return "misplaced" if np.quantile(errors, FAR_SHARE) > FAR_PX else "aligned"


def refused(phone: U8, dslr: U8) -> str:
    """Return the reason, "" for a pair that was accepted."""
    try:
        align_pair(phone, dslr)
    except PairRejected as refusal:
        return refusal.reason
    return ""


def _counted(words: list[str]) -> str:
    return ", ".join(f"{words.count(word)} {word or 'accepted'}" for word in sorted(set(words)))
