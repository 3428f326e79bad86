"""Photos come in upright, in sRGB, or not at all; they go out with their EXIF and their colours."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from dpedkit.errors import ImageError, ImageTooLarge
from dpedkit.exif import without_place
from dpedkit.images import Photo, Subsampling, encode_jpeg, find_photos, read_meta, read_photo, read_rgb
from dpedkit.photo_writing import write_photo
from dpedkit.types import U8

BROKEN = {
    "broken.png",
    "broken_data_stream.png",
    "decompression_bomb.gif",
    "truncated_end_chunk.png",
    "truncated_image.png",
    "truncated_jpeg.jpg",
    "ultrahdr.jpg",
}
FORMATS = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF"}
DISPLAY_P3_PRIMARIES = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))


def gradient(height: int = 60, width: int = 90) -> U8:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 2, y * 4, 255 - x], axis=-1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("name", ["Landscape", "Portrait"])
def test_every_orientation_reads_as_the_same_upright_picture(shared_data: Path, name: str, orientation: int) -> None:
    folder = shared_data / "photos" / "orientation"
    upright = read_rgb(folder / f"{name}_1.jpg").astype(float)
    turned = read_rgb(folder / f"{name}_{orientation}.jpg").astype(float)
    assert turned.shape == upright.shape
    assert np.corrcoef(turned[::4, ::4].ravel(), upright[::4, ::4].ravel())[0, 1] > 0.97  # saved again as JPEG


def test_each_bad_file_is_an_error_that_names_it_or_a_picture(shared_data: Path) -> None:
    files = [p for p in (shared_data / "bad").iterdir() if p.suffix not in ("", ".txt")]
    failed = set()
    for path in files:
        try:
            rgb = read_rgb(path)
            assert rgb.ndim == 3
            assert rgb.dtype == np.uint8
        except ImageError as error:
            assert str(path) in error.cause
            assert error.remedy
            failed.add(path.name)
    assert failed == BROKEN


def test_heic_reads_upright_with_its_time(shared_data: Path) -> None:
    photo = read_photo(shared_data / "photos" / "heic" / "exif_at_eof.heic")
    assert photo.rgb.shape == (4032, 3024, 3)
    assert photo.meta.model == "iPhone 11 Pro"
    assert photo.meta.taken_at is not None
    assert photo.meta.taken_at.microsecond == 644000
    assert photo.meta.taken_step == timedelta(milliseconds=1)


def test_meta_of_real_cameras(shared_data: Path) -> None:
    canon = read_meta(shared_data / "photos" / "cameras" / "canon_450d.jpg")
    assert (canon.width, canon.height, canon.iso, canon.model) == (4272, 2848, 100, "Canon EOS 450D")
    assert canon.taken_at is not None
    assert (canon.taken_at.microsecond, canon.taken_step) == (30000, timedelta(milliseconds=10))
    blackberry = read_meta(shared_data / "photos" / "cameras" / "blackberry_z10.jpg")
    assert (blackberry.width, blackberry.height) == (1836, 3264)  # orientation 6: upright it stands


def test_a_truncated_file_of_any_length_is_an_error(tmp_path: Path) -> None:
    whole = encode_jpeg(gradient())
    for kept in range(0, len(whole) - 2, 97):
        path = tmp_path / "cut.jpg"
        path.write_bytes(whole[:kept])
        with pytest.raises(ImageError, match=r"cut\.jpg"):
            read_rgb(path)


def test_the_cause_is_one_line_whatever_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines, \x1b[2J and \u202egpj.jpg"
    path.write_bytes(b"no photo")
    with pytest.raises(ImageError) as caught:
        read_rgb(path)
    assert caught.value.cause == f"{tmp_path}/two\\nlines, \\x1b[2J and \\u202egpj.jpg: not a photo of a known kind"
    assert pickle.loads(pickle.dumps(caught.value)).cause == caught.value.cause


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("L", (4000, 3000)).save(path)
    with pytest.raises(ImageTooLarge, match=r"large\.png"):
        read_rgb(path, limit_px=11_999_999)
    assert read_rgb(path, limit_px=12_000_000).shape == (3000, 4000, 3)


def test_sixteen_bit_pictures_keep_their_tones(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    for name in ("gray.tif", "gray.png"):
        Image.fromarray(levels).save(tmp_path / name)
        assert np.abs(read_rgb(tmp_path / name)[..., 0] - levels / 257).max() <= 1


def p3_profile() -> bytes:
    """An RGB profile with Display-P3 primaries, made by hand: header, matrix, gamma 2.2 curves."""

    def xyz(values: np.ndarray) -> bytes:
        return b"XYZ \0\0\0\0" + np.rint(values * 65536).astype(">i4").tobytes()

    white = np.array([0.9642, 1.0, 0.8249])
    primaries = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in DISPLAY_P3_PRIMARIES]).T
    columns = primaries * np.linalg.solve(primaries, white)
    curve = b"curv\0\0\0\0\0\0\0\1\x02\x33\0\0"
    text = b"desc\0\0\0\0\0\0\0\x0bTest Wide\0\0" + b"\0" * 79
    text += b"\0" * (-len(text) % 4)
    tags = {b"desc": text, b"wtpt": xyz(white), b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True):
        tags[name] = xyz(column)
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        tags[name] = curve
    offset = 128 + 4 + 12 * len(tags)
    table = len(tags).to_bytes(4, "big")
    for name, data in tags.items():
        table += name + offset.to_bytes(4, "big") + len(data).to_bytes(4, "big")
        offset += len(data)
    header = bytearray(128)
    header[0:4] = offset.to_bytes(4, "big")
    header[8:12] = b"\x02\x10\0\0"
    header[12:24] = b"mntrRGB XYZ "
    header[36:40] = b"acsp"
    header[68:80] = np.rint(white * 65536).astype(">i4").tobytes()
    return bytes(header) + table + b"".join(tags.values())


def test_a_wide_gamut_photo_keeps_its_colours_through_reading_and_writing(tmp_path: Path) -> None:
    icc = p3_profile()
    stored = np.full((16, 16, 3), (200, 120, 110), np.uint8)
    source = tmp_path / "wide.png"
    Image.fromarray(stored).save(source, icc_profile=icc)
    photo = read_photo(source)
    assert photo.rgb[0, 0, 0] > 205  # the same red is a larger number in the smaller space
    write_photo(tmp_path / "copy.png", photo.rgb, like=photo)
    with Image.open(tmp_path / "copy.png") as copy:
        assert copy.info["icc_profile"] == icc
        assert np.abs(np.asarray(copy).astype(int) - stored).max() <= 1


def test_cmyk_and_gray_become_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "cmyk.jpg")
    assert read_rgb(tmp_path / "cmyk.jpg").min() >= 254
    Image.new("L", (8, 8), 77).save(tmp_path / "gray.png")
    assert (read_rgb(tmp_path / "gray.png") == 77).all()


def test_a_written_photo_keeps_exif_and_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "Camera"
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2026:11:22 17:00:00"
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(gradient(), exif=exif.tobytes()))
    photo = read_photo(path)
    assert photo.rgb.shape == (90, 60, 3)
    write_photo(tmp_path / "b.jpg", photo.rgb, like=photo)
    again = read_photo(tmp_path / "b.jpg")
    assert again.rgb.shape == (90, 60, 3)
    assert again.meta.model == "Camera"
    assert again.meta.taken_at == photo.meta.taken_at
    assert again.meta.taken_at is not None


def entries_of(exif: bytes) -> int:
    """How many entries the first directory of Pillow's EXIF block says it has."""
    assert exif[:16].startswith(b"Exif\0\0MM\0*\0\0\0\x08")
    return int.from_bytes(exif[14:16], "big")


def test_exif_that_is_cut_short_keeps_what_stands_before(tmp_path: Path) -> None:
    """A thumbnail, or the directory of the exposure, that begins within the block and ends outside."""
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "Camera with a name", 6
    exif.get_ifd(0x8769)[0x9003] = "2026:11:22 17:00:00"
    block = bytearray(exif.tobytes())
    following = 16 + 12 * entries_of(bytes(block))
    block[following : following + 4] = (len(block) - 8).to_bytes(4, "big")  # where the last two bytes are no directory
    for data in (block, block[:-24]):
        path = tmp_path / "a.jpg"
        path.write_bytes(encode_jpeg(gradient(), exif=bytes(data)))
        photo = read_photo(path)
        assert photo.rgb.shape == (90, 60, 3)
        write_photo(tmp_path / "b.jpg", photo.rgb, like=photo)
        again = read_photo(tmp_path / "b.jpg")
        assert (again.rgb.shape, again.meta.model) == ((90, 60, 3), "Camera with a name")


def test_fractions_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif: its pixels are fractions"):
        read_rgb(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_a_written_photo_tells_its_place_only_if_it_may(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif.update({0x010F: "Maker & Sons", 0x0110: "Camera", 0x0112: 6, 0x9C9B: b"after the place"})
    exif.get_ifd(0x8769).update({0x9003: "2026:11:22 17:00:00", 0x927C: b"maker's note"})
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 51.0, 35.9), 3: "E", 4: (151.0, 12.0, 40.0), 29: "2026:11:22"})
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(gradient(), exif=exif.tobytes()))
    photo = read_photo(path)
    assert photo.meta.latitude == pytest.approx(-33.86, abs=0.01)
    kept, stripped = tmp_path / f"kept.{suffix}", tmp_path / f"stripped.{suffix}"
    write_photo(kept, photo.rgb, like=photo)
    write_photo(stripped, photo.rgb, like=photo, with_place=False)
    assert read_photo(kept).meta.longitude == pytest.approx(151.21, abs=0.01)
    assert read_photo(stripped).meta == replace(photo.meta, latitude=None, longitude=None, format=FORMATS[suffix])
    with Image.open(kept) as one, Image.open(stripped) as other:
        moved = {0x8825, 0x8769, 273}  # where what follows the place lies in a TIFF
        tags, others = (
            {tag: value for tag, value in each.getexif().items() if tag not in moved} for each in (one, other)
        )
        assert tags == others
        assert 0x8825 not in other.getexif()
        assert other.getexif().get_ifd(0x8769) == one.getexif().get_ifd(0x8769)
    left = without_place(photo.exif)
    assert entries_of(left) == entries_of(photo.exif) - 1
    assert b"maker's note" in left
    assert b"2026:11:22\0" not in left
    assert without_place(photo.exif[:-30]) == b"" or b"2026:11:22\0" not in without_place(photo.exif[:-30])
    assert without_place(b"Exif\0\0II") == b""


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [35, 75, 98])
def test_a_jpeg_of_a_jpeg_is_as_coarse(tmp_path: Path, quality: int, subsampling: Subsampling) -> None:
    path, copy, fine = tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "c.jpg"
    path.write_bytes(encode_jpeg(gradient(), quality=quality, subsampling=subsampling))
    photo = read_photo(path)
    write_photo(copy, photo.rgb, like=photo)
    assert read_photo(copy).jpeg == photo.jpeg
    assert photo.jpeg is not None
    assert photo.jpeg.subsampling == subsampling
    write_photo(tmp_path / "a.png", photo.rgb, like=photo)
    write_photo(fine, photo.rgb, like=read_photo(tmp_path / "a.png"))
    found = read_photo(fine).jpeg
    assert found is not None
    assert (found.subsampling, found.tables[0][0]) == ("4:4:4", 2)  # quality 95


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_jpeg_of_other_colours_is_written_as_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(gradient()).convert(mode).save(path, quality=60)
    photo = read_photo(path)
    write_photo(tmp_path / "b.jpg", photo.rgb, like=photo)
    again = read_photo(tmp_path / "b.jpg")
    assert again.jpeg is not None
    assert photo.jpeg is not None
    assert again.jpeg.tables[0] == photo.jpeg.tables[0]
    assert np.abs(again.rgb.astype(int) - photo.rgb).max() < 30


def test_an_unknown_suffix_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot write"):
        write_photo(tmp_path / "a.bmp", gradient())
    assert list(tmp_path.iterdir()) == []


def test_an_srgb_profile_is_kept_as_it_is(tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stream = io.BytesIO()
    Image.fromarray(gradient()).save(stream, "PNG", icc_profile=icc)
    path = tmp_path / "s.png"
    path.write_bytes(stream.getvalue())
    photo = read_photo(path)
    assert (photo.rgb == gradient()).all()
    write_photo(tmp_path / "t.png", photo.rgb, like=photo)
    assert read_photo(tmp_path / "t.png").icc == icc


def test_find_photos_sorts_and_leaves_the_rest_out(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.heic", "notes.txt", ".a.jpg.12.part", ".hidden.jpg"):
        (tmp_path / name).touch()
    assert [p.name for p in find_photos(tmp_path)] == ["a.heic", "b.JPG"]


def test_a_photo_record_is_made_of_plain_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(gradient()).save(path)
    photo = read_photo(path)
    assert isinstance(photo, Photo)
    assert photo.exif == b""
    assert photo.icc == b""
