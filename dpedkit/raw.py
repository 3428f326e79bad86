"""RAW files through LibRaw (rawpy), developed the same way every time.

Camera white balance, AHD demosaicing at full size, highlights clipped, the sRGB curve and primaries, 8 bits, and
nothing that depends on the picture's content: LibRaw would brighten by a histogram, and take the brightest pixel for
white, so that the tones of a series jumped from photo to photo.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from dpedkit.errors import MissingExtra
from dpedkit.exif import ExifFacts, read_facts, stored
from dpedkit.types import U8

if TYPE_CHECKING:
    from rawpy import RawPy

RAW_SUFFIXES = frozenset({".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2"})

_SRGB_CURVE = (2.4, 12.92)  # power and slope of the toe, IEC 61966-2-1
_LYING = (5, 6)  # LibRaw's flips that swap width and height


def is_raw(path: Path) -> bool:
    """Whether a file is RAW, by its ending: by their content most are TIFFs that hold a small preview."""
    return path.suffix.lower() in RAW_SUFFIXES


def develop(path: Path, limit_px: int) -> U8:
    """Return a RAW file's picture: RGB uint8 [H, W, 3], upright, sRGB.

    Raises:
        MissingExtra: rawpy is not installed.
        DecompressionBombError: it has more pixels than `limit_px`.
        ValueError: whatever LibRaw finds wrong with the file.
    """
    with _opened(path, limit_px) as raw:
        import rawpy

        return np.asarray(
            raw.postprocess(
                demosaic_algorithm=rawpy.DemosaicAlgorithm.AHD,
                half_size=False,
                use_camera_wb=True,
                no_auto_bright=True,
                adjust_maximum_thr=0.0,
                highlight_mode=rawpy.HighlightMode.Clip,
                output_color=rawpy.ColorSpace.sRGB,
                gamma=_SRGB_CURVE,
                output_bps=8,
            )
        )


def read_header(path: Path, limit_px: int) -> tuple[tuple[int, int], ExifFacts]:
    """Return (width, height) of the upright picture, px, and its EXIF, without developing it; raises like `develop`."""
    with _opened(path, limit_px) as raw:
        size, told = _upright_size(raw), raw.other
    try:
        with Image.open(path, formats=["TIFF"]) as image:  # DNG, CR2, NEF, ARW and more are TIFFs
            return size, read_facts(image)
    except UnidentifiedImageError:  # CR3, RAF, RW2: LibRaw tells the essentials, with whole seconds
        return size, ExifFacts(
            taken_at=told.timestamp,
            exposure_s=told.shutter_speed or None,
            f_number=told.aperture or None,
            iso=round(told.iso_speed) or None,
            focal_mm=told.focal_length or None,
        )


def read_exif(path: Path) -> bytes:
    """Return the EXIF block of a RAW file that is a TIFF, as most are; empty of others."""
    try:
        with Image.open(path, formats=["TIFF"]) as image:
            return stored(image)
    except UnidentifiedImageError:
        return b""


@contextmanager
def _opened(path: Path, limit_px: int) -> Iterator[RawPy]:
    try:
        import rawpy
    except ImportError as error:
        raise MissingExtra("rawpy", "raw") from error
    try:
        with path.open("rb") as stream, rawpy.imread(stream) as raw:
            width, height = _upright_size(raw)
            if width * height > limit_px:
                raise Image.DecompressionBombError(f"{width} x {height}")
            yield raw
    except rawpy.LibRawError as error:
        cause = error.args[0]
        raise ValueError(cause.decode() if isinstance(cause, bytes) else str(cause)) from error


def _upright_size(raw: RawPy) -> tuple[int, int]:
    sizes = raw.sizes
    return (sizes.height, sizes.width) if sizes.flip in _LYING else (sizes.width, sizes.height)
