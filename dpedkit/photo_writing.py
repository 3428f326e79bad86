"""The only place that writes photos: upright sRGB uint8 in, with what is kept of the photo that they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dpedkit import exif as exif_tags
from dpedkit.errors import ImageError
from dpedkit.files import atomic_file
from dpedkit.images import Photo
from dpedkit.profiles import to_profile
from dpedkit.types import U8

_KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}
_MOST_EXIF_BYTES = 65_533  # of a JPEG's segment (T.81, B.1.1.4)
_FINE = {"quality": 95, "subsampling": "4:4:4"}  # a JPEG of what was none


def write_photo(path: Path, rgb: U8, like: Photo | None = None, comment: str = "", *, with_place: bool = True) -> None:
    """Write `rgb` (uint8 [H, W, 3], upright, sRGB) to `path`, whole or not at all; the suffix picks the format.

    like        the photo it was made from: its EXIF comes along (as upright), and its colour profile, into which the
                pixels are converted, so that a Display-P3 photo stays one and keeps its colours; a JPEG of a JPEG is
                as coarse as that was
    comment     goes into the file where its format has a place for comments
    with_place  whether its EXIF may still tell where it was taken

    Raises:
        ImageError: no such format.
        StorageError: the file cannot be written.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise ImageError(f"{path}: cannot write {path.suffix or 'a file without suffix'}", "use .jpg, .png or .tif")
    image = Image.fromarray(rgb)
    exif = icc = b""
    if like is not None:
        exif = exif_tags.upright(like.exif, image.width, image.height)
        exif = exif if with_place else exif_tags.without_place(exif)
        if kind == "JPEG":
            exif = exif_tags.within(exif, _MOST_EXIF_BYTES)
        elif kind == "TIFF" and not exif_tags.is_sound(exif):
            exif = b""
        image, icc = to_profile(image, like.icc)
    options: dict[str, Any] = {}
    if kind == "JPEG":
        coarse = like and like.jpeg
        options = {"qtables": coarse.tables, "subsampling": coarse.subsampling} if coarse else dict(_FINE)
    if comment:
        options |= _comment(kind, comment)
    with atomic_file(path) as temporary:
        image.save(temporary, kind, exif=exif, icc_profile=icc or None, **options)


def result_suffix(suffix: str) -> str:
    """Return the suffix of what is made of a photo: its own, or .jpg where nothing of that kind is written."""
    return suffix if suffix.lower() in _KINDS else ".jpg"


def _comment(kind: str, text: str) -> dict[str, Any]:
    """Return what makes Pillow write a comment, or what a TIFF calls its description."""
    png = PngInfo()
    png.add_text("Comment", text)
    options: dict[str, Any] = {"JPEG": {"comment": text}, "PNG": {"pnginfo": png}, "TIFF": {"description": text}}
    return dict(options[kind])
