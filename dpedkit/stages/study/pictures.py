"""What subjects see: the same place of the same photo by every method, in the same size, without loss."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from dpedkit.files import sync
from dpedkit.images import encode_png, shrink
from dpedkit.stages.places import Rectangle, View
from dpedkit.types import U8

_SPOILT_BLUR, _SPOILT_LIGHT = 1 / 40, 0.35  # of the shorter side; of the light


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
