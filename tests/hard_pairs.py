"""Pairs that must be refused, each with the reasons that would be right, and pairs that must not, hard as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from pair_scenes import bricks, dead_leaves, relief, scene, step_boards
from pair_truth import DSLR, PHONE, Camera, Pair, make_pair, pose

from dpedkit.types import U8

UNIT_PX = int(np.hypot(*DSLR.size) / 2)
TEXTURE_PX = 3 * UNIT_PX, int(2.4 * UNIT_PX)
ALIKE = frozenset({"different_scene", "too_few_inliers", "not_alike", "parallax"})
"""What may be said of photos that have little or nothing in common."""
NOTHING = frozenset({"blank", "blurred", "different_scene"})


@dataclass(frozen=True)
class Wrong:
    """One kind of pair that must be refused; make(seed) -> phone's photo, DSLR's photo."""

    name: str
    pairs: int
    make: Callable[[int], tuple[U8, U8]]
    reasons: frozenset[str]


@dataclass(frozen=True)
class Right:
    """One kind of pair that must be aligned."""

    name: str
    pairs: int
    make: Callable[[int], Pair]


def other_scene(seed: int) -> tuple[U8, U8]:
    return make_pair(seed=seed + 1000).phone, make_pair(seed=seed).dslr


def other_wall(seed: int) -> tuple[U8, U8]:
    """Two walls of equal bricks, laid alike and not coloured alike."""
    walls = [bricks(TEXTURE_PX, each, variety=3.0 + 2 * (seed % 10)) for each in (seed, seed + 1000)]
    return make_pair(seed=seed, texture=walls[0]).phone, make_pair(seed=seed, texture=walls[1]).dslr


def other_part(seed: int) -> tuple[U8, U8]:
    """One scene, and two views that do not meet."""
    texture = dead_leaves(TEXTURE_PX, seed)
    away = replace(PHONE, view=pose(shift=(-0.75, 0.0), zoom=2.4))
    there = replace(DSLR, view=pose(shift=(0.6, 0.0), zoom=1.6))
    pair = make_pair(away, there, seed=seed, texture=texture)
    return pair.phone, pair.dslr


def mirrored(seed: int) -> tuple[U8, U8]:
    pair = make_pair(seed=seed)
    return np.ascontiguousarray(pair.phone[:, ::-1] if seed % 2 else pair.phone[::-1]), pair.dslr


def negative(seed: int) -> tuple[U8, U8]:
    pair = make_pair(seed=seed)
    return (255 - pair.phone, pair.dslr) if seed % 2 else (pair.phone, 255 - pair.dslr)


def same_sticker(seed: int) -> tuple[U8, U8]:
    """Two scenes, and the same small picture in both: a watermark, a calendar on the wall."""
    sticker = dead_leaves((400, 300), seed + 500)
    share = 0.1 + 0.02 * (seed % 8)
    photos = [photo.copy() for photo in other_scene(seed)]
    for photo in photos:
        width = round(share * photo.shape[1])
        small = cv2.resize(sticker, (width, width * 3 // 4), interpolation=cv2.INTER_AREA)
        top, left = photo.shape[0] // 10, photo.shape[1] // 10
        photo[top : top + small.shape[0], left : left + width] = small
    return photos[0], photos[1]


def same_stamp(seed: int) -> tuple[U8, U8]:
    """Two scenes, and the same date and time printed into both."""
    photos = [photo.copy() for photo in other_scene(seed)]
    for photo in photos:
        size = 1.2 * photo.shape[1] / 1000
        at = (20, photo.shape[0] - 30)
        cv2.putText(photo, "2026-06-01 12:34:56", at, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 200, 0), 3)
    return photos[0], photos[1]


def out_of_focus(seed: int) -> tuple[U8, U8]:
    pair = make_pair(seed=seed)
    sigma = 10.0 * 1.3 ** (seed % 10)
    return cv2.GaussianBlur(pair.phone, (0, 0), sigma).astype(np.uint8), pair.dslr


def covered(seed: int) -> tuple[U8, U8]:
    """A lens cap: noise and nothing else."""
    pair = make_pair(seed=seed)
    noise = np.random.default_rng(seed).normal(10, 2 + seed % 6, pair.phone.shape)
    return np.clip(noise, 0, 255).astype(np.uint8), pair.dslr


WRONG = (
    Wrong("another scene", 50, other_scene, ALIKE),
    Wrong("another wall of the same bricks", 20, other_wall, ALIKE),
    Wrong("another part of the scene", 20, other_part, ALIKE),
    Wrong("mirrored", 30, mirrored, frozenset({"mirrored"})),
    Wrong("negative", 30, negative, ALIKE),
    Wrong("another scene, the same sticker", 30, same_sticker, ALIKE),
    Wrong("another scene, the same time stamp", 20, same_stamp, ALIKE),
    Wrong("out of focus", 20, out_of_focus, frozenset({"blurred"})),
    Wrong("lens covered", 10, covered, NOTHING),
)


def _pair(seed: int, texture: U8 | None = None, **changes: object) -> Pair:
    return make_pair(replace(PHONE, **changes), seed=seed, texture=texture)  # type: ignore[arg-type]


def any_pose(seed: int) -> Pair:
    rng = np.random.default_rng(seed)
    zoom, shift, tilt = rng.uniform(0.5, 2.2), rng.uniform(-0.2, 0.2, 2), rng.uniform(-0.2, 0.2, 2)
    return _pair(seed, view=pose(rng.uniform(-180, 180), zoom, (shift[0], shift[1]), (tilt[0], tilt[1])))


def steep(seed: int) -> Pair:
    rng = np.random.default_rng(seed)
    tilt = rng.choice([-1, 1], 2) * rng.uniform(0.25, 0.45, 2)
    return _pair(seed, view=pose(rng.uniform(-20, 20), rng.uniform(0.8, 1.3), tilt=(tilt[0], tilt[1])))


def little_overlap(seed: int) -> Pair:
    rng = np.random.default_rng(seed)
    side = rng.choice([-1, 1]) * rng.uniform(0.7, 0.95)
    return _pair(seed, view=pose(rng.uniform(-5, 5), 1.2, (side, rng.uniform(-0.2, 0.2))))


def other_light(seed: int) -> Pair:
    rng = np.random.default_rng(seed)
    gain = rng.uniform(0.4, 1.6, 3)
    return _pair(seed, gamma=float(rng.choice([0.5, 2.2])), gain=(gain[0], gain[1], gain[2]))


def by_night(seed: int) -> Pair:
    return _pair(seed, gain=(0.3, 0.3, 0.35), noise=10.0, blur_px=1.5)


def mist(seed: int) -> Pair:
    return _pair(seed, dead_leaves(TEXTURE_PX, seed, contrast=0.15), noise=6.0)


def soft(seed: int) -> Pair:
    return _pair(seed, blur_px=3.0)


def landscape(seed: int) -> Pair:
    return _pair(seed, parallax=relief(3.0 + 3 * (seed % 5), PHONE.size))


def things_in_front(seed: int) -> Pair:
    return _pair(seed, boards=step_boards(3, 4.0 * 2 ** (seed % 5), PHONE.size, seed))


def wall(seed: int) -> Pair:
    return _pair(seed, bricks(TEXTURE_PX, seed, variety=15.0 + 3 * (seed % 5)))


RIGHT = (
    Right("as from a rig", 30, lambda seed: make_pair(seed=seed)),
    Right("any pose, zoom 0.5 to 2.2", 40, any_pose),
    Right("steep", 25, steep),
    Right("little overlap", 25, little_overlap),
    Right("other light", 20, other_light),
    Right("by night", 15, by_night),
    Right("mist", 15, mist),
    Right("soft", 15, soft),
    Right("landscape, 3 to 15 px of parallax", 15, landscape),
    Right("things in front, 4 to 64 px", 15, things_in_front),
    Right("a wall of bricks", 15, wall),
)

FOLDED: Camera = replace(PHONE, view=pose(tilt=(1.6, 0.0)))
"""A camera in whose photo the plane of the scene ends: beyond its horizon it shows what lies behind."""
TINY: Camera = replace(PHONE, view=pose(zoom=0.2))
"""A camera that sees the DSLR's view in a twenty-fifth of its photo or less."""
TEXTURE = partial(scene, UNIT_PX)
