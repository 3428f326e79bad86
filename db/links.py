"""Which shots show the same thing, and therefore belong to one split: pure, from what is known of their photos.

Two shots are linked when one repeats the other; when photos of the same device are nearly the same picture, by their
perceptual hashes; when they were taken soon after each other and are still alike; and when they were taken at the same
place. What is linked, however far around, is one group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

EARTH_M = 6_371_000.0
_BLOCK = 256  # hashes that are compared with all others at once: 256 x 22,000 of 8 bytes are 45 MB


@dataclass(frozen=True, slots=True)
class LinkRules:
    """How alike is too alike; each can be switched off with 0 or, of bits, -1.

    same_bits  hashes that differ in so many of 64 bits at most are of the same picture. Of photos of different scenes
               (24 real and simulated ones, 276 pairs) none differed in fewer than 20; a picture moved by a tenth of its
               width differs in 24, by a twentieth in 6
    soon_s     shots of one session within so many seconds ...
    soon_bits  ... are linked if they differ in so many bits at most
    place_m    photos taken within so many metres show the same place
    """

    same_bits: int = 10
    soon_s: float = 60.0
    soon_bits: int = 18
    place_m: float = 10.0


@dataclass(frozen=True, slots=True)
class ShotFacts:
    """What is known of a shot.

    session   its session's name
    retry_of  key of the shot that it repeats
    taken_s   seconds since whatever moment its session counts from; None: not known
    hashes    device -> perceptual hash, 64 bits
    place     latitude and longitude, degrees; None: not known
    """

    key: str
    session: str
    retry_of: str | None = None
    taken_s: float | None = None
    hashes: Mapping[str, int] = field(default_factory=dict)
    place: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """Two shots that belong to one split, and why, in words."""

    one: str
    other: str
    why: str


def find_links(shots: Sequence[ShotFacts], rules: LinkRules) -> Iterator[Link]:
    """Yield what links shots; of a crowd at one place not every pair, but enough to join them all."""
    known = {shot.key for shot in shots}
    for shot in shots:
        if shot.retry_of in known:
            yield Link(shot.retry_of or "", shot.key, "a repetition")
    for device in sorted({device for shot in shots for device in shot.hashes}):
        yield from _alike([shot for shot in shots if device in shot.hashes], device, rules)
    if rules.place_m > 0:
        yield from _near([shot for shot in shots if shot.place], rules.place_m)


def group(keys: Iterable[str], links: Iterable[Link]) -> dict[str, str]:
    """Return for each key the smallest key that it is linked with, however far around."""
    leader = {key: key for key in keys}

    def find(key: str) -> str:
        while leader[key] != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    for link in links:
        first, second = sorted((find(link.one), find(link.other)))
        leader[second] = first
    return {key: find(key) for key in leader}


def _alike(shots: Sequence[ShotFacts], device: str, rules: LinkRules) -> Iterator[Link]:
    hashes = np.array([shot.hashes[device] for shot in shots], dtype=np.uint64)
    sessions = np.unique([shot.session for shot in shots], return_inverse=True)[1]
    taken = np.array([np.nan if shot.taken_s is None else shot.taken_s for shot in shots])
    for start in range(0, len(shots), _BLOCK):
        block = slice(start, start + _BLOCK)
        bits = np.bitwise_count(hashes[block, None] ^ hashes[None, start:])
        with np.errstate(invalid="ignore"):
            apart = np.abs(taken[block, None] - taken[None, start:])
        soon = (sessions[block, None] == sessions[None, start:]) & (apart <= rules.soon_s) & (bits <= rules.soon_bits)
        linked = np.triu((bits <= rules.same_bits) | soon, 1)
        for row, column in np.argwhere(linked).tolist():
            one, other = shots[start + row], shots[start + column]
            seconds = f", {apart[row, column]:.0f} s apart" if soon[row, column] else ""
            yield Link(one.key, other.key, f"{device}: {bits[row, column]} of 64 bits differ{seconds}")


def _near(shots: Sequence[ShotFacts], place_m: float) -> Iterator[Link]:
    from scipy.spatial import cKDTree  # a third of a second, which every command would wait

    if not shots:
        return
    degrees = np.radians(np.array([shot.place for shot in shots], dtype=np.float64))
    spots, spot_of = np.unique(degrees.round(7), axis=0, return_inverse=True)  # 7 decimals: two thirds of a metre
    first = np.full(len(spots), -1)
    for at, spot in enumerate(spot_of.ravel().tolist()):
        if first[spot] >= 0:
            yield Link(shots[first[spot]].key, shots[at].key, "the same place")
        else:
            first[spot] = at
    latitude, longitude = spots.T
    around = np.cos(latitude)
    points = EARTH_M * np.column_stack([around * np.cos(longitude), around * np.sin(longitude), np.sin(latitude)])
    for one, other in sorted(cKDTree(points).query_pairs(place_m)):
        metres = float(np.linalg.norm(points[one] - points[other]))
        yield Link(shots[first[one]].key, shots[first[other]].key, f"{metres:.0f} m apart")
