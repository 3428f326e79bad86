"""Places in photos, shown of every method: chosen by what the DSLR shows there, never by what methods make of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dpedkit.errors import StudyError
from dpedkit.types import F64, U8, Bools

_STEP = 8  # places are tried so many to a side


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
