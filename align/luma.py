"""Photos as one channel."""

from __future__ import annotations

import cv2
import numpy as np

from dpedkit.types import U8


def to_gray(photo: U8, name: str) -> U8:
    """Return the photo's luma [H, W].

    Raises:
        ValueError: the array is not uint8 [H, W, 3], or has no pixels.
    """
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
        raise ValueError(f"{name} must be uint8 [H, W, 3], not {photo.dtype} {list(photo.shape)}")
    return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
