"""A tone that was given to the phone's photo is found again, whatever clips or moved in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from pair_truth import DSLR, PHONE, Pair, make_pair

from dpedkit.align import Alignment, PatchOptions, align_pair, cut_patches, resample_dslr
from dpedkit.align.tone import Tone, fit_tone
from dpedkit.errors import PairRejected
from dpedkit.types import F64, U8, Bools

LEVELS = np.arange(256.0)
RAMP = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
Curve = Callable[[F64], F64]

CURVES: dict[str, Curve] = {
    "as it is": lambda levels: levels,
    "brighter": lambda levels: 255 * (levels / 255) ** 0.6,
    "contrast": lambda levels: 255 / (1 + np.exp(-(levels - 128) / 40)),
    "lifted blacks": lambda levels: 30 + 0.8 * levels,
}


@pytest.fixture(scope="module")
def aligned(pair: Pair, alignment: Alignment) -> tuple[U8, Bools]:
    return resample_dslr(pair.phone.shape, pair.dslr, alignment)


def truth(curve: Curve) -> F64:
    """The levels [256, 3] of a phone with this curve on top of the camera's own, for each level of the DSLR."""
    scene = LEVELS[:, None] / (255 * np.array(DSLR.gain))
    return curve(255 * scene**PHONE.gamma * PHONE.gain)


def developed(phone: U8, curve: Curve) -> U8:
    """The phone's photo with another tone; dithered, so that no level is lost to rounding."""
    dither = np.random.default_rng(0).uniform(-0.5, 0.5, phone.shape)
    return np.clip(np.rint(curve(np.maximum(phone + dither, 0))), 0, 255).astype(np.uint8)


def found(tone: Tone | None) -> F64:
    """What a tone makes of every level [256, 3]."""
    assert tone is not None
    return tone.apply(RAMP)[0].astype(float)


def seen_levels(aligned: U8, wanted: F64) -> Bools:
    """Levels [256, 3] that the DSLR's photo holds, and that the phone can show."""
    low, high = np.quantile(aligned, [0.03, 0.97], axis=(0, 1))
    return (LEVELS[:, None] >= low) & (LEVELS[:, None] <= high) & (wanted > 4) & (wanted < 251)


@pytest.mark.parametrize("name", CURVES)
def test_a_known_curve_is_undone_within_a_grey_level(
    name: str, pair: Pair, alignment: Alignment, aligned: tuple[U8, Bools]
) -> None:
    wanted = truth(CURVES[name])
    tone = fit_tone(developed(pair.phone, CURVES[name]), *aligned, alignment, "curve")
    off = np.abs(found(tone) - wanted)[seen_levels(aligned[0], wanted)]
    assert off.size > 500
    assert off.max() < 1.5  # half a level of which is rounding
    assert np.quantile(off, 0.95) < 1.0
    assert (np.diff(found(tone), axis=0) >= 0).all()


def test_a_known_gain_and_offset_are_found() -> None:
    straight = make_pair(replace(PHONE, gamma=1.0, gain=(0.7, 0.8, 0.6)), seed=3)
    alignment = align_pair(straight.phone, straight.dslr)
    aligned = resample_dslr(straight.phone.shape, straight.dslr, alignment)
    for gain, offset in ((0.8, 30.0), (2.2, -60.0)):  # the second clips at both ends
        phone = developed(straight.phone, lambda levels, gain=gain, offset=offset: gain * levels + offset)
        wanted = np.clip(gain * (LEVELS[:, None] / DSLR.gain * (0.7, 0.8, 0.6)) + offset, 0, 255)
        off = np.abs(found(fit_tone(phone, *aligned, alignment, "gain")) - wanted)
        assert off.max() < 1.5
        assert off.mean() < 0.6


def test_burnt_and_black_regions_do_not_spoil_a_curve(
    pair: Pair, alignment: Alignment, aligned: tuple[U8, Bools]
) -> None:
    overexposed: Curve = lambda levels: 1.6 * levels - 40.0  # noqa: E731
    phone = developed(pair.phone, overexposed)
    assert ((phone == 0) | (phone == 255)).mean() > 0.15
    dslr = aligned[0].copy()
    dslr[:, 400:550] = 255
    wanted = truth(overexposed)
    matched = found(fit_tone(phone, dslr, aligned[1], alignment, "curve"))
    off, seen = np.abs(matched - wanted), seen_levels(aligned[0], wanted)
    told = (wanted > 12) & (wanted < 243)  # nearer to the ends the phone's noise, of 6.4 levels here, clips as well
    assert off[seen & told].max() < 1.5
    assert np.quantile(off[seen], 0.95) < 1.0
    assert off[seen].max() < 3.0
    assert (matched[245:] >= 252).all()


def test_a_speck_makes_no_knot(pair: Pair, alignment: Alignment, aligned: tuple[U8, Bools]) -> None:
    dslr = aligned[0].copy()
    dslr[300:312, 500:512] = 5  # darker than all else
    own, specked = (fit_tone(pair.phone, each, aligned[1], alignment, "curve") for each in (aligned[0], dslr))
    assert np.abs(found(specked) - found(own)).max() <= 1


def test_what_moved_does_not_spoil_a_curve(pair: Pair, alignment: Alignment, aligned: tuple[U8, Bools]) -> None:
    phone = pair.phone.copy()
    phone[200:500, 300:700] = cv2.rotate(phone[200:500, 300:700], cv2.ROTATE_180)
    wanted = truth(CURVES["as it is"])
    seen = seen_levels(aligned[0], wanted)
    off = np.abs(found(fit_tone(phone, *aligned, align_pair(phone, pair.dslr), "curve")) - wanted)[seen]
    assert off.max() < 1.5
    believed = found(fit_tone(phone, *aligned, alignment, "curve"))
    assert np.median(np.abs(believed - wanted)[seen]) < 1.0
    assert (np.diff(believed, axis=0) >= 0).all()
    assert np.abs(believed - wanted)[seen].max() > 2 * off.max()  # what the alignment does not trust is left out


def test_none_leaves_every_byte_and_matching_changes_only_the_dslrs(
    pair: Pair, alignment: Alignment, aligned: tuple[U8, Bools]
) -> None:
    assert fit_tone(pair.phone, *aligned, alignment, "none") is None
    own = cut_patches(pair.phone, pair.dslr, alignment, PatchOptions(size=64))
    for (x, y), patch in zip(own.xy, own.dslr, strict=True):
        assert np.array_equal(patch, aligned[0][y : y + 64, x : x + 64])
    matched = cut_patches(pair.phone, pair.dslr, alignment, PatchOptions(size=64, match="curve"))
    assert matched.tone is not None
    assert np.array_equal(matched.phone, own.phone)
    assert np.array_equal(matched.dslr, matched.tone.apply(own.dslr.reshape(-1, 64, 3)).reshape(own.dslr.shape))
    assert np.array_equal(matched.reason, own.reason)
    assert np.array_equal(matched.scores.gain, own.scores.gain)
    before, after = (
        np.abs(each.dslr.mean(axis=(1, 2)) - each.phone.mean(axis=(1, 2))).mean() for each in (own, matched)
    )
    assert after < 0.2 * before


def test_photos_that_do_not_tell_their_tone_are_refused(
    pair: Pair, alignment: Alignment, aligned: tuple[U8, Bools]
) -> None:
    with pytest.raises(PairRejected, match="tone in red") as caught:
        fit_tone(np.full_like(pair.phone, 255), *aligned, alignment, "curve")
    assert caught.value.reason == "no_tone"
    nowhere = replace(alignment, regions=replace(alignment.regions, values=np.zeros_like(alignment.regions.values)))
    with pytest.raises(PairRejected, match="tone in red"):
        fit_tone(pair.phone, *aligned, nowhere, "gain")


def test_a_tone_says_what_it_is(pair: Pair, alignment: Alignment, aligned: tuple[U8, Bools]) -> None:
    told = {match: fit_tone(pair.phone, *aligned, alignment, match) for match in ("gain", "curve")}
    for match, tone in told.items():
        assert tone is not None
        table = tone.to_dict()
        assert list(table) == ["red", "green", "blue"]
        for knots in map(np.array, table.values()):
            assert (len(knots) == 2) == (match == "gain")
            assert knots[[0, -1], 0].tolist() == [0.0, 255.0]
            assert (np.diff(knots, axis=0)[:, 0] > 0).all()
