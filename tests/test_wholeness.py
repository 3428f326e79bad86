"""Pictures of which a part is missing, though their decoders show something, are errors; gray pictures are none."""

from __future__ import annotations

import struct
from pathlib import Path

import hostile_parts as parts
import numpy as np
import pytest
from mutations import originals, scene
from PIL import Image

from dpedkit.errors import ImageError
from dpedkit.images import encode_jpeg, examine, read_meta, read_rgb, read_small
from dpedkit.types import U8
from dpedkit.wholeness import strain

END = b"\xff\xd9"


def gray_below() -> U8:
    """A picture whose lower half is the gray that libjpeg paints where data are missing."""
    picture = scene()
    picture[48:] = 128
    return picture


def with_pixels(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-progressive", "jpeg-restarts"])
@pytest.mark.parametrize("kept", [0.5, 0.8, 0.95])
def test_data_that_end_before_the_picture_are_an_error(tmp_path: Path, kind: str, kept: float) -> None:
    whole = originals()[kind]
    path = with_pixels(tmp_path / "a.jpg", whole[: int(len(whole) * kept)] + END)
    for read in (read_rgb, examine):
        with pytest.raises(ImageError, match=r"a\.jpg: .*truncated"):
            read(path)


@pytest.mark.parametrize("kept", [0.5, 0.8, 0.95])
def test_zeros_instead_of_the_rest_are_an_error(tmp_path: Path, kept: float) -> None:
    whole = originals()["jpeg"]
    start = int(len(whole) * kept)
    with pytest.raises(ImageError, match=r"a\.jpg"):
        read_rgb(with_pixels(tmp_path / "a.jpg", whole[:start] + bytes(100 * len(whole))))


def test_zeros_after_the_end_are_none(tmp_path: Path) -> None:
    whole = originals()["jpeg"]
    padded = read_rgb(with_pixels(tmp_path / "a.jpg", whole + bytes(4096)))
    assert (padded == read_rgb(with_pixels(tmp_path / "b.jpg", whole))).all()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True}])
def test_a_picture_that_is_gray_below_is_a_picture(tmp_path: Path, options: dict[str, bool | int]) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(gray_below()).save(path, quality=90, **options)
    assert np.abs(read_rgb(path)[64:].astype(int) - 128).max() <= 1
    examine(path)


def test_a_wholly_gray_picture_is_a_picture(tmp_path: Path) -> None:
    path = with_pixels(tmp_path / "a.jpg", encode_jpeg(np.full((40, 40, 3), 128, np.uint8)))
    assert (read_rgb(path) == 128).all()


@pytest.mark.parametrize("kind", ["png", "png-16", "tiff-deflate"])
def test_one_flipped_bit_anywhere_in_the_pixels_is_an_error(tmp_path: Path, kind: str) -> None:
    whole = originals()[kind]
    for at in np.linspace(len(whole) * 0.3, len(whole) * 0.9, 40).astype(int):
        damaged = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        with pytest.raises(ImageError, match=r"a\.png"):
            read_rgb(with_pixels(tmp_path / "a.png", damaged))


def test_every_way_of_reading_agrees_how_a_file_lies(tmp_path: Path) -> None:
    """The camera lay on its side; Pillow turns TIFF files itself, the others not."""
    for kind, data in originals().items():
        path = with_pixels(tmp_path / "a.jpg", data)
        rgb, small, meta = read_rgb(path), read_small(path, 64), read_meta(path)
        assert (meta.height, meta.width) == rgb.shape[:2], kind
        assert small.shape[0] == round(rgb.shape[0] * 64 / rgb.shape[1]), kind
        if kind != "png-16":
            assert rgb.shape[0] > rgb.shape[1], kind


def test_bytes_that_fill_up_take_no_time(tmp_path: Path) -> None:
    """A million before a marker, and in a scan before what is no marker: their pattern once took them squared."""
    whole, fill = originals()["jpeg"], b"\xff" * 1_000_000
    filled = read_rgb(with_pixels(tmp_path / "a.jpg", whole[:2] + fill + whole[2:]))
    assert (filled == read_rgb(with_pixels(tmp_path / "b.jpg", whole))).all()
    scan = whole.index(b"\xff\xda") + 14
    with pytest.raises(ImageError, match=r"a\.jpg"):
        read_rgb(with_pixels(tmp_path / "a.jpg", whole[:scan] + fill + b"\0" + bytes(64)))


def test_a_picture_of_thousands_of_scans_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    whole = originals()["jpeg-progressive"]
    last = whole.rindex(b"\xff\xda")
    many = whole[:-2] + whole[last:-2] * 3000 + END
    with Image.open(with_pixels(tmp_path / "small.jpg", many)) as small:
        assert strain(tmp_path / "small.jpg", small) == ""
    with_pixels(tmp_path / "a.jpg", parts.jpeg_sized(many, 13_000, 13_000))
    for read in (read_rgb, examine, lambda path: read_small(path, 64)):
        with pytest.raises(ImageError, match=r"a\.jpg: 3010 scans of 13000 x 13000 pixels"):
            read(tmp_path / "a.jpg")


def test_strips_that_unpack_to_more_than_the_picture_are_an_error(tmp_path: Path) -> None:
    """A hundred rows, each of them the same 2 MB; the checksum is at the end of each."""
    packed, count = parts.much(2 << 20), 100
    places = struct.pack(f"<{2 * count}I", *[8 + 8 * count] * count, *[len(packed)] * count)
    entries = parts.tiff_picture(100, count, packing=8, strips=count, length=0)
    with pytest.raises(ImageError, match=r"a\.tif: its strips hold more than its picture"):
        read_rgb(with_pixels(tmp_path / "a.tif", parts.tiff(entries, places + packed)))
