"""What subjects see: the same place of the same photo by every method, in the same size, without loss."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from dpedkit.errors import StudyError
from dpedkit.files import sync
from dpedkit.images import encode_png, shrink
from dpedkit.types import F64, U8, Bools

_STEP = 8  # places are tried so many to a side
_SPOILT_BLUR, _SPOILT_LIGHT = 1 / 40, 0.35  # of the shorter side; of the light


@dataclass(frozen=True, slots=True)
class View:
    """What of a photo is shown.

    crop   side of a square, shown pixel by pixel; None: the whole photo, scaled
    whole  the longer side of a scaled photo, px
    """

    crop: int | None
    whole: int

    def __str__(self) -> str:
        return f"{self.crop} x {self.crop} px" if self.crop else "whole photo"


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of a photo, px."""

    x: int
    y: int
    width: int
    height: int

    def of(self, pixels: U8) -> U8:
        """Return it of a version of the photo."""
        return pixels[self.y : self.y + self.height, self.x : self.x + self.width]


def find_place(shot: str, dslr: U8, known: Bools, view: View) -> Rectangle:
    """Return where to look: of a crop, the place with the most detail that the DSLR shows whole; else all it shows.

    dslr, known  as `dslr_on_phone` has them

    Raises:
        StudyError: there is no such place.
    """
    height, width = known.shape
    if view.crop is None:
        for percent in range(100, 30, -1):
            rectangle = _middle(width, height, percent / 100)
            if _whole(known, rectangle):
                return rectangle
    elif view.crop <= min(height, width):
        ys, xs = (_places(length, view.crop) for length in (height, width))
        places = [Rectangle(x, y, view.crop, view.crop) for y in ys for x in xs]
        shown = [place for place in places if _whole(known, place)]
        if shown:
            return max(shown, key=lambda place: _detail(place.of(dslr)))
    raise StudyError(
        f"{shot}: no {view} that phone and DSLR both show; the photo has {width} x {height} px",
        "ask for smaller crops with --crop",
    )


def show(rgb: U8, place: Rectangle, view: View) -> U8:
    """Return what is shown of a version of a whole photo."""
    part = np.ascontiguousarray(place.of(rgb))
    if view.crop is not None:
        return part
    return shrink(part, max(round(part.shape[1] * view.whole / max(part.shape[:2])), 1))


def spoil(rgb: U8) -> U8:
    """Return a picture that nobody prefers: dark, and blurred beyond any photo."""
    sigma = min(rgb.shape[:2]) * _SPOILT_BLUR
    spoilt: U8 = np.rint(gaussian_filter(rgb.astype(np.float32), (sigma, sigma, 0)) * _SPOILT_LIGHT).astype(np.uint8)
    return spoilt


def write_picture(folder: Path, rgb: U8) -> str:
    """Write a picture as a PNG file whose name is taken from its bytes and tells nothing; return the name."""
    data = encode_png(rgb)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.png"
    path.write_bytes(data)
    sync(path)
    return path.name


def _places(length: int, side: int) -> list[int]:
    return sorted({int(place) for place in np.linspace(0, length - side, min(_STEP, length - side + 1))})


def _middle(width: int, height: int, share: float) -> Rectangle:
    w, h = max(int(width * share), 1), max(int(height * share), 1)
    return Rectangle((width - w) // 2, (height - h) // 2, w, h)


def _whole(known: Bools, place: Rectangle) -> bool:
    rows, columns = slice(place.y, place.y + place.height), slice(place.x, place.x + place.width)
    return bool(known[rows, columns].all())


def _detail(rgb: U8) -> float:
    """Return how strong the median gradient is: detail in most places, and not one edge."""
    gray: F64 = rgb.mean(axis=2)
    return float(np.median(np.hypot(*np.gradient(gray))))
