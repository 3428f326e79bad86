"""The EXIF block of a simulated photo, and how it gets into the JPEG."""

from __future__ import annotations

from datetime import UTC, datetime

from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import IFDRational

from dpedkit.capture.simulate.specs import CameraSpec

_EXIF_VERSION = b"0230"


def exif_block(spec: CameraSpec, device_ns: int, exposure_s: float) -> bytes:
    """Return the EXIF block (with its "Exif" header) that `spec` writes for a photo taken at `device_ns`.

    device_ns   shutter time by the device's own clock, ns since the epoch
    exposure_s  exposure time
    """
    step_ns = spec.timing.exif_step_ms * 1_000_000
    stamped_ns = (device_ns + round(spec.timing.exif_lag_ms * 1e6)) // step_ns * step_ns
    digits = 2 if spec.timing.exif_step_ms == 10 else 3
    subsecond = f"{stamped_ns % 1_000_000_000:09d}"[:digits]
    second = datetime.fromtimestamp(stamped_ns // 1_000_000_000, UTC).strftime("%Y:%m:%d %H:%M:%S")
    exif = Image.Exif()
    exif[Base.Make] = spec.make
    exif[Base.Model] = spec.model
    exif[Base.Orientation] = 1
    exif[Base.DateTime] = second
    exif.get_ifd(IFD.Exif).update(
        {
            Base.ExposureTime: IFDRational(1, max(1, round(1 / exposure_s))),
            Base.FNumber: IFDRational(round(spec.f_number * 10), 10),
            Base.ISOSpeedRatings: spec.iso,
            Base.ExifVersion: _EXIF_VERSION,
            Base.DateTimeOriginal: second,
            Base.SubsecTimeOriginal: subsecond,
            Base.OffsetTimeOriginal: "+00:00",
            Base.FocalLength: IFDRational(round(spec.focal_mm * 100), 100),
            Base.FocalLengthIn35mmFilm: spec.focal_35mm,
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
