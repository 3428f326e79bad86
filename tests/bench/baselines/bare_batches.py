"""Batches of pairs without dpedkit: one memory-mapped array, and a folder of JPEG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from dpedkit.types import I64, U8

Batch = tuple[U8, U8]


def of_map(path: Path) -> Callable[[I64], Batch]:
    """Return what reads rows of a .npy file [N, 2, S, S, 3]."""
    pixels = np.load(path, mmap_mode="r")

    def read(rows: I64) -> Batch:
        pairs = pixels[rows]
        return pairs[:, 0], pairs[:, 1]

    return read


def with_pillow(folder: Path) -> Callable[[I64], Batch]:
    """Return what reads FOLDER/phone/ROW.jpg and FOLDER/dslr/ROW.jpg with Pillow."""

    def decode(path: Path) -> U8:
        with Image.open(path) as image:
            return np.asarray(image)

    return lambda rows: _both(folder, decode, rows)


def with_opencv(folder: Path) -> Callable[[I64], Batch]:
    """Do the same with OpenCV."""
    return lambda rows: _both(folder, lambda path: np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)), rows)


def _both(folder: Path, decode: Callable[[Path], U8], rows: I64) -> Batch:
    phone, dslr = (np.stack([decode(folder / side / f"{row}.jpg") for row in rows]) for side in ("phone", "dslr"))
    return phone, dslr
