"""A pair's pictures, as small JPEG files that its page lays over each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dpedkit.align import Alignment, PairRejected, fit_tone, resample_dslr
from dpedkit.errors import DpedError
from dpedkit.files import atomic_folder
from dpedkit.images import encode_jpeg, read_rgb, shrink
from dpedkit.stages.align_drawing import Detail, details
from dpedkit.types import U8

_LONGER_PX = 1400
_THUMB_PX = 150
_OUTSIDE = 235  # the gray of what the DSLR's photo does not show

THUMB, PHONE, DSLR, TONED = "thumb.jpg", "phone.jpg", "dslr.jpg", "toned.jpg"


def detail_file(picture: str) -> str:
    """Return the file that holds a picture's details, side by side at 1:1."""
    return f"details-{picture}"


def draw_aligned(folder: Path, phone: Path, dslr: Path, alignment: Alignment, *, limit_px: int) -> None:
    """Make `folder` with both photos on the phone's pixels, the DSLR's also in the phone's tone, and their details.

    Where the photos do not tell their tone, there is no TONED.

    Raises:
        ImageError: a photo cannot be read.
        StorageError: the folder cannot be written.
    """
    own, other = read_rgb(phone, limit_px=limit_px), read_rgb(dslr, limit_px=limit_px)
    seen, covered = resample_dslr(own.shape, other, alignment)
    thumb = _thumb(own, other)
    del other
    pictures = {PHONE: own, DSLR: seen}
    try:
        tone = fit_tone(own, seen, covered, alignment, "curve")
        pictures |= {TONED: tone.apply(seen)} if tone else {}
    except PairRejected:
        pass  # the page says so
    places = details(alignment)
    with atomic_folder(folder) as half:
        (half / THUMB).write_bytes(thumb)
        for name, picture in pictures.items():
            if name != PHONE:
                picture[~covered] = _OUTSIDE
            (half / name).write_bytes(encode_jpeg(_fitted(picture, _LONGER_PX), quality=85))
            if places:
                (half / detail_file(name)).write_bytes(_strip(picture, places))


def draw_apart(folder: Path, phone: Path, dslr: Path, *, limit_px: int) -> None:
    """Make `folder` with both photos as they are; one that cannot be read is left out.

    Raises:
        StorageError: the folder cannot be written.
    """
    photos: dict[str, U8] = {}
    for name, path in ((PHONE, phone), (DSLR, dslr)):
        try:
            photos[name] = _fitted(read_rgb(path, limit_px=limit_px), _LONGER_PX // 2)
        except DpedError:
            continue  # the page says so
    with atomic_folder(folder) as half:
        for name, picture in photos.items():
            (half / name).write_bytes(encode_jpeg(picture, quality=85))
        if photos:
            (half / THUMB).write_bytes(_thumb(*photos.values()))


def _fitted(rgb: U8, longer_px: int) -> U8:
    height, width = rgb.shape[:2]
    return shrink(rgb, max(round(width * longer_px / max(height, width)), 1))


def _thumb(*photos: U8) -> bytes:
    """Return photos side by side, equally high."""
    small = [shrink(photo, _THUMB_PX) for photo in photos]
    canvas = np.full((max(map(len, small)), sum(photo.shape[1] for photo in small), 3), _OUTSIDE, dtype=np.uint8)
    left = 0
    for photo in small:
        canvas[: len(photo), left : left + photo.shape[1]] = photo
        left += photo.shape[1]
    return encode_jpeg(canvas, quality=80)


def _strip(picture: U8, places: list[Detail]) -> bytes:
    crops = [picture[place.y : place.y + place.side, place.x : place.x + place.side] for place in places]
    return encode_jpeg(np.ascontiguousarray(np.concatenate(crops, axis=1)), quality=95, subsampling="4:4:4")
