from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dpedkit.capture.camera import CameraFile
from dpedkit.capture.drift import drifts
from dpedkit.capture.shot import ShotPlan, ShotResult, StoredPhoto
from dpedkit.errors import CameraError
from dpedkit.images import PhotoMeta

META = PhotoMeta(
    width=64,
    height=48,
    format="JPEG",
    make="Maker",
    model="One",
    taken_at=None,
    taken_step=timedelta(seconds=1),
    exposure_s=1 / 60,
    f_number=2.0,
    iso=100,
    focal_mm=4.1,
    auto_white=True,
    focus_m=2.0,
    flash=False,
)
GREY = (120.0, 110.0, 100.0)
Colour = tuple[float, float, float]


def photo(
    device: str, meta: PhotoMeta | None = META, colour: Colour | None = GREY, ending: str = ".jpg"
) -> StoredPhoto:
    return StoredPhoto(
        device=device,
        role="dslr" if device == "dslr" else "phone",
        number=1,
        path=Path(f"0001_{device}{ending}"),
        on_device=CameraFile("/DCIM/1.JPG", 9),
        sha256="0" * 64,
        release=None,
        meta=meta,
        colour=colour,
        shutter=None,
    )


def shot(*photos: StoredPhoto) -> ShotResult:
    return ShotResult(ShotPlan("monday", 1, "", 0), photos, {})


def changed(now: PhotoMeta, was: PhotoMeta = META) -> list[str]:
    """What a session says of a sony whose header changed so."""
    return drifts(shot(photo("dslr"), photo("sony", was)), shot(photo("dslr"), photo("sony", now)))


def warmer(colour: Colour, by: float) -> Colour:
    """The colour with its red against its blue raised by so much, natural logarithm."""
    return (colour[0] * math.exp(by / 2), colour[1], colour[2] * math.exp(-by / 2))


def test_equal_shots_have_not_drifted() -> None:
    assert drifts(shot(photo("dslr"), photo("sony")), shot(photo("dslr"), photo("sony"))) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"iso": 200}, ["exposure sony"]),
        ({"exposure_s": 1 / 75}, ["exposure sony"]),  # a third of a stop
        ({"f_number": 2.8}, ["exposure sony"]),
        ({"exposure_s": 1 / 66}, []),
        ({"exposure_s": 1 / 120, "iso": 200}, []),  # as bright as before
        ({"exposure_s": None}, []),
        ({"iso": None}, []),
        ({"focus_m": 2.3}, ["focus sony"]),
        ({"focus_m": 1.7}, ["focus sony"]),
        ({"focus_m": 2.1}, []),
        ({"focus_m": math.inf}, ["focus sony"]),
        ({"focus_m": None}, []),
        ({"auto_white": False}, ["white balance sony"]),
        ({"auto_white": None}, []),
        ({"flash": True}, ["flash sony"]),
        ({"flash": None}, []),
        ({"iso": 400, "focus_m": 9.0, "flash": True}, ["exposure sony", "focus sony", "flash sony"]),
        ({"width": 48, "height": 64, "focal_mm": 5.0}, []),
    ],
)
def test_what_a_header_says_of_a_change(change: dict[str, Any], words: list[str]) -> None:
    assert changed(replace(META, **change)) == words


def test_what_was_not_known_before_has_not_changed() -> None:
    blank = replace(META, exposure_s=None, iso=None, auto_white=None, focus_m=None, flash=True)
    assert changed(META, was=blank) == []


def test_a_lens_that_stays_at_infinity_has_not_moved() -> None:
    far = replace(META, focus_m=math.inf)
    assert changed(far, was=far) == []
    assert changed(META, was=far) == ["focus sony"]


def test_the_dslr_is_watched_too() -> None:
    brighter = replace(META, iso=200)
    assert drifts(shot(photo("dslr")), shot(photo("dslr", brighter))) == ["exposure dslr"]


@pytest.mark.parametrize("by", [0.17, -0.17, 0.5, -0.5])
def test_a_phone_that_turns_warmer_or_colder_beside_the_dslr_is_told(by: float) -> None:
    before = shot(photo("dslr"), photo("sony"), photo("htc"))
    after = shot(photo("dslr"), photo("sony", colour=warmer(GREY, by)), photo("htc"))
    assert drifts(before, after) == ["white balance sony"]


@pytest.mark.parametrize("by", [0.12, -0.12])
def test_a_shift_as_scenes_make_it_is_not_told(by: float) -> None:
    before, after = shot(photo("dslr"), photo("sony")), shot(photo("dslr"), photo("sony", colour=warmer(GREY, by)))
    assert drifts(before, after) == []


def test_another_scene_is_no_change_of_white_balance() -> None:
    dusk = warmer(GREY, 0.8)
    before = shot(photo("dslr"), photo("sony", colour=warmer(GREY, 0.1)))
    after = shot(photo("dslr", colour=dusk), photo("sony", colour=warmer(dusk, 0.1)))
    assert drifts(before, after) == []


def test_a_phone_that_does_not_follow_the_light_has_changed() -> None:
    assert drifts(shot(photo("dslr"), photo("sony")), shot(photo("dslr", colour=warmer(GREY, 0.8)), photo("sony"))) == [
        "white balance sony"
    ]


def test_brightness_is_no_colour() -> None:
    darker = (GREY[0] / 2, GREY[1] / 2, GREY[2] / 2)
    assert drifts(shot(photo("dslr"), photo("sony")), shot(photo("dslr"), photo("sony", colour=darker))) == []


def test_a_change_of_mode_that_shows_in_the_colours_is_told_once() -> None:
    fixed = photo("sony", replace(META, auto_white=False), warmer(GREY, 0.4))
    assert drifts(shot(photo("dslr"), photo("sony")), shot(photo("dslr"), fixed)) == ["white balance sony"]


@pytest.mark.parametrize("colour", [None, (0.0, 0.0, 0.0)])
def test_colours_that_cannot_be_compared_tell_nothing(colour: Colour | None) -> None:
    warm = photo("sony", colour=warmer(GREY, 0.5))
    assert drifts(shot(photo("sony")), shot(warm)) == []
    assert drifts(shot(photo("dslr", colour=colour), photo("sony")), shot(photo("dslr"), warm)) == []
    assert drifts(shot(photo("dslr"), photo("sony", colour=colour)), shot(photo("dslr"), warm)) == []


@pytest.mark.parametrize("raw", [".cr2", ".nef"])  # results hold photos by name: one before its .jpg, one behind
@pytest.mark.parametrize("meta", [None, META])
def test_of_raw_and_jpeg_the_jpeg_is_compared(raw: str, meta: PhotoMeta | None) -> None:
    def both(jpeg: StoredPhoto) -> ShotResult:
        return shot(*sorted([jpeg, photo("dslr", meta, None, raw)], key=lambda one: one.path), photo("sony"))

    brighter = both(photo("dslr", replace(META, iso=200), warmer(GREY, 0.4)))
    assert drifts(both(photo("dslr")), both(photo("dslr"))) == []
    assert drifts(both(photo("dslr")), brighter) == ["exposure dslr", "white balance sony"]


def test_a_device_that_gave_nothing_is_not_compared() -> None:
    bright = photo("sony", replace(META, iso=400))
    assert drifts(shot(photo("dslr")), shot(photo("dslr"), bright)) == []
    missing = ShotResult(ShotPlan("monday", 2, "", 0), (photo("dslr"),), {"sony": CameraError("gone")})
    assert drifts(shot(photo("dslr"), bright), missing) == []
    assert drifts(shot(photo("dslr"), bright), shot(photo("dslr"), photo("sony", meta=None))) == []
