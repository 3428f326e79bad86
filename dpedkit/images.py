"""The only place that reads image files: upright sRGB uint8, with EXIF and colour profile; photo_writing.py writes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from dpedkit import exif as exif_tags
from dpedkit import raw
from dpedkit.errors import ImageError, ImageTooLarge, MissingExtra
from dpedkit.files import storage_error
from dpedkit.memory import is_lack_of_memory, out_of_memory
from dpedkit.profiles import carried_profile, to_srgb
from dpedkit.types import U8
from dpedkit.wholeness import fault, strain

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".mpo", ".heic", ".heif"})
LIMIT_PX = 178_956_970
"""More pixels than this are taken for a decompression bomb (Pillow's own limit; a 170 MP photo still passes)."""

_FORMATS = ("JPEG", "PNG", "TIFF")  # Pillow hands an MPO file's first picture over from "JPEG"
_TURNS = {  # EXIF 2.32, tag 0x0112: what brings the stored pixels upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
_SAMPLINGS: dict[int, Subsampling] = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}  # as Pillow numbers them


@dataclass(frozen=True, slots=True)
class PhotoMeta:
    """What a photo's header tells.

    width, height  px, after turning upright
    taken_at       the camera's local wall clock, with sub-seconds; no time zone
    taken_step     of taken_at, as its digits tell: 1 s where there are none after the second
    utc_offset     the time zone of taken_at, where the photo tells
    exposure_s     exposure time, s
    auto_white     whether the camera chose its white balance
    focus_m        what it was focused at, m; infinity where it says so
    flash          whether the flash fired
    latitude       degrees, north positive
    longitude      degrees, east positive
    """

    width: int
    height: int
    format: str
    make: str
    model: str
    taken_at: datetime | None
    taken_step: timedelta
    exposure_s: float | None
    f_number: float | None
    iso: int | None
    focal_mm: float | None
    auto_white: bool | None = None
    focus_m: float | None = None
    flash: bool | None = None
    latitude: float | None = None
    longitude: float | None = None
    utc_offset: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Coarseness:
    """What a JPEG gave up.

    tables       [64] quantisation of luma, then of chroma where it has another, in Pillow's order
    subsampling  of chroma
    """

    tables: tuple[tuple[int, ...], ...]
    subsampling: Subsampling


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo.

    rgb   uint8 [H, W, 3], upright, sRGB
    exif  the EXIF block as stored, of a TIFF or RAW file put together; b"" if none
    icc   the colour profile that the file carried or named, b"" if none
    jpeg  how coarsely a JPEG was stored; None of other files
    """

    rgb: U8
    meta: PhotoMeta
    exif: bytes
    icc: bytes
    jpeg: Coarseness | None = None


def read_rgb(path: Path, *, limit_px: int = LIMIT_PX) -> U8:
    """Return a photo's pixels: RGB uint8 [H, W, 3], upright, sRGB.

    Raises:
        ImageError: missing, truncated, corrupt or of an unknown kind; the message names the file.
        ImageTooLarge: its header announces more than `limit_px` pixels.
        OutOfMemory: its pixels do not fit.
        MissingExtra: a HEIC or RAW file, and pillow-heif or rawpy is not installed.
    """
    return read_photo(path, limit_px=limit_px).rgb


def read_photo(path: Path, *, limit_px: int = LIMIT_PX) -> Photo:
    """Return a photo with its EXIF and colour profile; raises as `read_rgb` does.

    A RAW file is developed as `dpedkit.raw` says.
    """
    if raw.is_raw(path):
        with _explained(path, limit_px):
            size, facts = raw.read_header(path, limit_px)
            return Photo(raw.develop(path, limit_px), _meta_of("RAW", size, facts), raw.read_exif(path), b"")
    with _opened(path, limit_px) as image:
        _bear(path, image)
        _load(path, image)
        facts = _facts(image)
        icc = carried_profile(image)
        exif = exif_tags.stored(image)
        pixels = to_srgb(image, icc)
        if facts.orientation in _TURNS:
            pixels = pixels.transpose(_TURNS[facts.orientation])
        return Photo(np.array(pixels), _meta(image, facts), exif, icc, _coarseness(image))


def read_small(path: Path, width_px: int, *, limit_px: int = LIMIT_PX) -> U8:
    """Return a photo as `read_rgb` does, but no wider than `width_px`; raises as that does.

    A JPEG is decoded to the smallest of 1/2, 1/4 and 1/8 that is wide enough, which takes a fraction of the time.
    """
    with _opened(path, limit_px) as image:
        _bear(path, image)
        facts = _facts(image)
        lying = facts.orientation >= 5
        share = width_px / (image.height if lying else image.width)
        image.draft("RGB", (round(image.width * share), round(image.height * share)))
        pixels = to_srgb(image, carried_profile(image))
        if facts.orientation in _TURNS:
            pixels = pixels.transpose(_TURNS[facts.orientation])
        return shrink(np.array(pixels), width_px)


def read_meta(path: Path, *, limit_px: int = LIMIT_PX) -> PhotoMeta:
    """Return what a photo's header tells, without decoding its pixels; raises as `read_rgb` does."""
    if raw.is_raw(path):
        with _explained(path, limit_px):
            return _meta_of("RAW", *raw.read_header(path, limit_px))
    with _opened(path, limit_px) as image:
        return _meta(image, _facts(image))


def examine(path: Path, *, limit_px: int = LIMIT_PX) -> tuple[PhotoMeta, tuple[float, float, float]]:
    """Return a photo's header and its mean R, G, B (0 to 255, as stored), having decoded all of it.

    A JPEG is decoded to an eighth of its size: every byte is read, at a quarter of the cost. Raises as `read_rgb` does.
    """
    with _opened(path, limit_px) as image:
        meta = _meta(image, _facts(image))
        _bear(path, image)
        image.draft("RGB", (image.width // 8, image.height // 8))
        _load(path, image)
        red, green, blue = np.asarray(image.convert("RGB")).reshape(-1, 3).mean(axis=0).tolist()
        return meta, (red, green, blue)


def encode_jpeg(
    rgb: U8, *, quality: int = 95, exif: bytes = b"", icc: bytes = b"", subsampling: Subsampling = "4:2:0"
) -> bytes:
    """Return `rgb` (uint8 [H, W, 3]) as the bytes of a JPEG file."""
    stream = io.BytesIO()
    image = Image.fromarray(rgb)
    image.save(stream, "JPEG", quality=quality, exif=exif, icc_profile=icc or None, subsampling=subsampling)
    return stream.getvalue()


def encode_png(rgb: U8) -> bytes:
    """Return `rgb` (uint8 [H, W, 3]) as the bytes of a PNG file."""
    import cv2  # two to three times faster than Pillow at this, for files of the same size

    _, data = cv2.imencode(".png", rgb[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return data.tobytes()


def shrink(rgb: U8, width_px: int) -> U8:
    """Return `rgb` no wider than `width_px`, each pixel the mean of those it stands for."""
    if rgb.shape[1] <= width_px:
        return rgb
    height_px = max(1, round(rgb.shape[0] * width_px / rgb.shape[1]))
    return np.array(Image.fromarray(rgb).resize((width_px, height_px), Image.Resampling.BOX))


def find_photos(folder: Path, *, with_raw: bool = False) -> list[Path]:
    """Return the photos directly in `folder`, sorted by name; hidden files are left out."""
    suffixes = PHOTO_SUFFIXES | raw.RAW_SUFFIXES if with_raw else PHOTO_SUFFIXES
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )


@contextmanager
def _opened(path: Path, limit_px: int) -> Iterator[Image.Image]:
    """Open an image file; whatever a decoder raises on it becomes an ImageError that names the file."""
    with _explained(path, limit_px), path.open("rb") as stream:
        formats = _heif() if stream.read(12)[4:8] == b"ftyp" else _FORMATS
        stream.seek(0)
        with Image.open(stream, formats=formats) as image:
            if image.width * image.height > limit_px:
                raise Image.DecompressionBombError(f"{image.width} x {image.height}")
            yield image


def _load(path: Path, image: Image.Image) -> None:
    """Decode; what its decoder takes for a picture although data are missing is an error, too."""
    image.load()
    if found := fault(path, image):
        raise ValueError(found)


def _bear(path: Path, image: Image.Image) -> None:
    """Refuse what is made to keep a decoder busy; before its size is drafted, which would hide how much it is."""
    if found := strain(path, image):
        raise ValueError(found)


@contextmanager
def _explained(path: Path, limit_px: int) -> Iterator[None]:
    """Turn whatever a decoder raises into an error that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and odd MPO: neither harms the pixels
            yield
    except (ImageError, MissingExtra):
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file", "put it back, or correct its path") from error
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(
            f"{path}: more pixels than the limit of {limit_px / 1e6:.0f} million ({error})",
            "raise images.limit_mp in dpedkit.toml if the photo is real",
        ) from error
    except PermissionError as error:
        raise storage_error(error, path) from error
    except Exception as error:  # decoders raise whatever hostile bytes lead them to
        if is_lack_of_memory(error):
            raise out_of_memory(path) from error
        reason = "not a photo of a known kind" if isinstance(error, UnidentifiedImageError) else str(error)
        raise ImageError(
            f"{path}: {reason or type(error).__name__}", "take the original again, or leave it out"
        ) from error


def _heif() -> tuple[str, ...]:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise MissingExtra("pillow-heif", "heic") from error
    register_heif_opener()
    return ("HEIF",)


def _coarseness(image: Image.Image) -> Coarseness | None:
    """Return what an opened JPEG gave up, by its header."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return None
    tables = tuple(tuple(int(step) for step in image.quantization[key]) for key in sorted(image.quantization)[:2])
    sampling = JpegImagePlugin.get_sampling(image)  # -1 of gray, and of factors that have no name
    return Coarseness(tables, _SAMPLINGS.get(sampling, "4:4:4")) if tables else None


def _facts(image: Image.Image) -> exif_tags.ExifFacts:
    facts = exif_tags.read_facts(image)
    if image.format == "TIFF":  # Pillow turns those itself, and tells their size as turned
        return replace(facts, orientation=1)
    return facts


def _meta(image: Image.Image, facts: exif_tags.ExifFacts) -> PhotoMeta:
    width, height = image.size
    return _meta_of(image.format or "", (height, width) if facts.orientation >= 5 else (width, height), facts)


def _meta_of(kind: str, size: tuple[int, int], facts: exif_tags.ExifFacts) -> PhotoMeta:
    return PhotoMeta(
        width=size[0],
        height=size[1],
        format=kind,
        make=facts.make,
        model=facts.model,
        taken_at=facts.taken_at,
        taken_step=facts.taken_step,
        exposure_s=facts.exposure_s,
        f_number=facts.f_number,
        iso=facts.iso,
        focal_mm=facts.focal_mm,
        auto_white=facts.auto_white,
        focus_m=facts.focus_m,
        flash=facts.flash,
        latitude=facts.latitude,
        longitude=facts.longitude,
        utc_offset=facts.utc_offset,
    )
