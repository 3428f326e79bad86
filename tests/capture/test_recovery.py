from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from dpedkit.capture.camera import ClockOffset
from dpedkit.capture.recovery import Found, adopt, stored_photos, throw_away_halves
from dpedkit.capture.shot import ShotPlan, StampLag

MS = 1_000_000
NOON_NS = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1000 * MS
PLAN = ShotPlan("monday", 7, "street", NOON_NS)
STAMP = StampLag(20 * MS, 5 * MS)


def write_photo(path: Path, taken: str = "2026:03:01 14:00:03") -> None:
    exif = Image.Exif()
    exif.get_ifd(IFD.Exif).update({Base.DateTimeOriginal: taken, Base.SubsecTimeOriginal: "120"})
    Image.effect_noise((64, 48), 60).convert("RGB").save(path, "JPEG", exif=exif)


def test_halves_are_thrown_away_and_nothing_else(tmp_path: Path) -> None:
    kept = ["0001_sony.jpg", "0001_dslr.cr2", "before.json", "notes.part", ".hidden"]
    halves = [".sony_IMG_1.JPG.411.part", ".dslr_IMG_2.CR2.9.part"]
    for name in kept + halves:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".folder.part").mkdir()
    assert throw_away_halves(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, ".folder.part"])
    assert throw_away_halves(tmp_path) == 0
    assert throw_away_halves(tmp_path / "missing") == 0


def test_stored_photos_are_told_by_their_names(tmp_path: Path) -> None:
    for name in (
        "0002_sony.jpg",
        "0001_my_phone-2.heic",
        "0001_dslr.cr2",
        "12345_dslr.jpg",
        "before.json",
        "001_dslr.jpg",
        "0001_dslr.JPG",
        "0001_dslr.jpg.part",
        ".sony_IMG_1.JPG.411.part",
        "0001_.jpg",
    ):
        (tmp_path / name).write_bytes(b"x")
    assert list(stored_photos(tmp_path)) == [
        Found(tmp_path / "0001_dslr.cr2", 1, "dslr"),
        Found(tmp_path / "0001_my_phone-2.heic", 1, "my_phone-2"),
        Found(tmp_path / "0002_sony.jpg", 2, "sony"),
        Found(tmp_path / "12345_dslr.jpg", 12345, "dslr"),
    ]
    assert list(stored_photos(tmp_path / "missing")) == []


def test_an_adopted_photo_is_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "0007_sony.jpg"
    write_photo(path)  # by a clock two time zones east, 3 s ahead
    clock = ClockOffset(3_000 * MS, 2 * MS, NOON_NS)
    photo = adopt(Found(path, 7, "sony"), "phone", PLAN, clock, STAMP)
    assert (photo.device, photo.role, photo.number, photo.path) == ("sony", "phone", 7, path)
    assert photo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (photo.on_device.path, photo.size_bytes) == ("", path.stat().st_size)
    assert (photo.release, photo.damage) == (None, "")
    assert photo.meta is not None
    assert (photo.meta.width, photo.meta.height) == (64, 48)
    assert photo.colour is not None
    assert photo.shutter is not None
    assert abs(photo.shutter.t_ns - (NOON_NS + 100 * MS)) <= photo.shutter.bound_ns <= 8 * MS


@pytest.mark.parametrize(
    ("taken", "clock"),
    [("2026:03:01 14:00:03", None), ("2020:01:01 00:00:00", ClockOffset(0, 0, NOON_NS)), ("", ClockOffset(0, 0, 0))],
)
def test_an_adopted_photo_that_does_not_tell_its_time_has_none(
    tmp_path: Path, taken: str, clock: ClockOffset | None
) -> None:
    path = tmp_path / "0007_sony.jpg"
    write_photo(path, taken)
    photo = adopt(Found(path, 7, "sony"), "phone", PLAN, clock, STAMP)
    assert photo.shutter is None
    assert photo.meta is not None


def test_an_adopted_photo_that_is_damaged_says_so(tmp_path: Path) -> None:
    path = tmp_path / "0007_sony.jpg"
    write_photo(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    photo = adopt(Found(path, 7, "sony"), "phone", PLAN, ClockOffset(3_000 * MS, 0, NOON_NS), STAMP)
    assert photo.damage
    assert photo.shutter is not None, "its header is whole"


def test_a_raw_is_adopted_unseen(tmp_path: Path) -> None:
    path = tmp_path / "0007_dslr.cr2"
    path.write_bytes(b"what only its maker reads")
    photo = adopt(Found(path, 7, "dslr"), "dslr", PLAN, ClockOffset(0, 0, NOON_NS), STAMP)
    assert (photo.meta, photo.colour, photo.shutter, photo.damage) == (None, None, None, "")
