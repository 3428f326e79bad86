"""Small photos whose EXIF says what a test wants, and the folders of cameras that took them."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD, Base

from dpedkit.capture.simulate.exif import Shot
from dpedkit.capture.simulate.formats import encode_dng
from dpedkit.capture.simulate.specs import CAMERAS
from dpedkit.images import encode_jpeg
from dpedkit.types import U8

START = datetime(2026, 5, 1, 9, 30)


def picture(seed: int, height: int = 48, width: int = 64) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def photo(
    seed: int,
    taken_s: float | None,
    *,
    digits: int = 0,
    place: tuple[float, float] | None = None,
    rgb: U8 | None = None,
    zone_h: int | None = None,
    model: str = "",
) -> bytes:
    """A JPEG that says it was taken so long after START, by a clock with so many digits after the second."""
    exif = Image.Exif()
    if model:
        exif[Base.Model] = model
    if taken_s is not None:
        whole, fraction = divmod(taken_s, 1)
        detail = exif.get_ifd(IFD.Exif)
        detail[Base.DateTimeOriginal] = (START + timedelta(seconds=whole)).strftime("%Y:%m:%d %H:%M:%S")
        detail[Base.WhiteBalance] = 0
        if zone_h is not None:
            detail[Base.OffsetTimeOriginal] = f"{zone_h:+03d}:00"
        if digits:
            detail[Base.SubsecTimeOriginal] = f"{fraction:.9f}"[2 : 2 + digits]
    if place is not None:
        north, east = place
        exif[IFD.GPSInfo] = {
            1: "N" if north >= 0 else "S",
            2: _sexagesimal(north),
            3: "EW"[east < 0],
            4: _sexagesimal(east),
        }
    return encode_jpeg(picture(seed) if rgb is None else rgb, exif=exif.tobytes())


def raw(seed: int) -> bytes:
    """A DNG of 64 x 42 px."""
    spec = CAMERAS["dslr"].at_scale(64 / 5472)
    width, height = (side // 2 * 2 for side in spec.size_px)
    mosaic = np.random.default_rng(seed).integers(0, 30_000, (height, width)).astype("<u2")
    preview = io.BytesIO()
    Image.fromarray(picture(seed)).save(preview, "JPEG")
    return encode_dng(spec, mosaic.tobytes(), preview.getvalue(), Shot(10**18, 0.01, 8.0, 100))


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    minutes, seconds = divmod(abs(degrees) * 3600, 60)
    return minutes // 60, minutes % 60, seconds
