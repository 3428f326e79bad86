"""The EXIF block of a simulated photo, and how it gets into the JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import IFDRational

from dpedkit.capture.simulate.specs import CameraSpec

_EXIF_VERSION = b"0230"
_LONG_EXPOSURE_S = 0.3


@dataclass(frozen=True, slots=True)
class Dials:
    """What is set on a camera.

    exposure_s  None: metered
    files       what one release makes, as file endings without the dot
    """

    f_number: float
    iso: int
    exposure_s: float | None
    auto_white_balance: bool
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shot:
    """What a camera notes about one photo.

    device_ns   shutter time by the device's own clock, ns since the epoch
    exposure_s  exposure time
    """

    device_ns: int
    exposure_s: float
    f_number: float
    iso: int
    auto_white_balance: bool = True


@dataclass(frozen=True, slots=True)
class Stamp:
    """A shot as EXIF writes it.

    second     "2026:01:31 23:59:59", UTC
    subsecond  the digits after it
    exposure   exposure time, s, as a fraction
    """

    second: str
    subsecond: str
    exposure: tuple[int, int]


def stamp(spec: CameraSpec, shot: Shot) -> Stamp:
    """Return what stands in the files of a shot, whatever their format."""
    step_ns = spec.timing.exif_step_ms * 1_000_000
    stamped_ns = (shot.device_ns + round(spec.timing.exif_lag_ms * 1e6)) // step_ns * step_ns
    digits = 2 if spec.timing.exif_step_ms == 10 else 3
    second = datetime.fromtimestamp(stamped_ns // 1_000_000_000, UTC).strftime("%Y:%m:%d %H:%M:%S")
    if shot.exposure_s < _LONG_EXPOSURE_S:
        exposure = (1, round(1 / shot.exposure_s))
    else:
        exposure = (round(shot.exposure_s * 10), 10)
    return Stamp(second, f"{stamped_ns % 1_000_000_000:09d}"[:digits], exposure)


def exif_block(spec: CameraSpec, shot: Shot) -> bytes:
    """Return the EXIF block (with its "Exif" header) that `spec` writes for a shot."""
    facts = stamp(spec, shot)
    exif = Image.Exif()
    exif[Base.Make] = spec.make
    exif[Base.Model] = spec.model
    exif[Base.Orientation] = 1
    exif[Base.DateTime] = facts.second
    exif.get_ifd(IFD.Exif).update(
        {
            Base.ExposureTime: IFDRational(*facts.exposure),
            Base.FNumber: IFDRational(round(shot.f_number * 10), 10),
            Base.ISOSpeedRatings: shot.iso,
            Base.ExifVersion: _EXIF_VERSION,
            Base.DateTimeOriginal: facts.second,
            Base.SubsecTimeOriginal: facts.subsecond,
            Base.OffsetTimeOriginal: "+00:00",
            Base.FocalLength: IFDRational(round(spec.focal_mm * 100), 100),
            Base.FocalLengthIn35mmFilm: spec.focal_35mm,
            Base.WhiteBalance: 0 if shot.auto_white_balance else 1,
            Base.ColorSpace: 1,
            Base.ExifImageWidth: spec.size_px[0],
            Base.ExifImageHeight: spec.size_px[1],
            Base.BodySerialNumber: spec.serial,
        }
    )
    return exif.tobytes()


def with_exif(jpeg: bytes, exif: bytes) -> bytes:
    """Return the JPEG with the EXIF block as its first segment, in place of the JFIF header; no pixel is touched."""
    start = 2
    if jpeg[start : start + 2] == b"\xff\xe0":
        start += 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big")
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[start:]
