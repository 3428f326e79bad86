"""A gray photo at its own size, and halved, quartered and so on: each made once, when it is first wanted."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from dpedkit.types import U8


@dataclass(frozen=True)
class Pyramid:
    """Area-averaged copies of a photo, each half as wide as the one before.

    Halves only: OpenCV averages 2 x 2 pixels many times faster than any other block, and the pixel (x, y) of level k
    covers exactly the pixels from (x, y) * 2^k on, whatever the photo's size.
    """

    levels: list[U8] = field(default_factory=list)

    @classmethod
    def of(cls, gray: U8) -> Pyramid:
        """Take a photo [H, W]."""
        return cls([gray])

    @property
    def full(self) -> U8:
        """The photo itself."""
        return self.levels[0]

    def level(self, k: int) -> U8:
        """Return the photo halved k times."""
        while len(self.levels) <= k:
            self.levels.append(halved(self.levels[-1]))
        return self.levels[k]

    def shrunk(self, limit_px: float) -> U8:
        """Return the photo area-averaged down to at most `limit_px` pixels; itself where it is small already."""
        k = 0
        while self.full.size >> 2 * (k + 1) > limit_px:
            k += 1
        return shrink(self.level(k), limit_px)


def halved(picture: U8) -> U8:
    """Return the averages of squares of 2 x 2 px; an odd last row or column is left out."""
    height, width = (side // 2 for side in picture.shape[:2])
    even = picture[: 2 * height, : 2 * width]
    return cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def shrink(gray: U8, limit_px: float) -> U8:
    """Return a photo [H, W] area-averaged down to at most `limit_px` pixels; itself where it is small already."""
    factor = (limit_px / gray.size) ** 0.5
    if factor >= 1.0:
        return gray
    height, width = (max(round(side * factor), 1) for side in gray.shape)
    return cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
