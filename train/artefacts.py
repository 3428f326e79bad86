"""What enhancers are known to spoil, as numbers and maps: colours, contrast, noise. NumPy and SciPy only.

The DPED paper names them as limits of its networks: colours that neither the phone nor the DSLR saw, too much contrast,
and noise that is made stronger with all else. Each is measured against the DSLR's photo or the phone's own, or both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter

from dpedkit.measures import NOISE_BLOCK_PX, noise_by_block, to_linear
from dpedkit.train.ciede2000 import delta_e, to_lab
from dpedkit.types import F64, U8, Bools

_FAR_PX = 640  # how large a photo is when it is looked at for colour and contrast: texture and noise are averaged away
_BLUR_PX = 2.0  # at that size, before colours are compared: misplaced edges are no colour deviation
_WINDOW_PX = 16  # at that size, in which contrast is local
_LEAST_CONTRAST = 2.0  # levels; below, a window shows nothing that could be too strong
_FLATTEST = 0.1
_ROUNDING = 12**-0.5  # levels: the noise that remains where there is none
_BAND = 64  # rows of blocks that are in linear light at a time


@dataclass(frozen=True, slots=True)
class Artefacts:
    """One enhanced photo's numbers; None where the photo has no place to measure at.

    colour_dslr      CIEDE2000 from the DSLR's photo, mean over the photo; 1 is just seen, side by side
    colour_dslr_p95  ... 95th percentile
    colour_phone     ... from the phone's own photo, mean
    contrast_phone   contrast within windows over that of the phone's own photo, median
    contrast_dslr    ... over that of the DSLR's
    contrast_p95     ... over that of the DSLR's, 95th percentile
    noise_in         deviation of the noise where the phone's photo is flat, levels of 255
    noise_out        ... of the enhanced one, in the same places
    noise_gain       the latter over the former
    """

    colour_dslr: float | None
    colour_dslr_p95: float | None
    colour_phone: float
    contrast_phone: float | None
    contrast_dslr: float | None
    contrast_p95: float | None
    noise_in: float | None
    noise_out: float | None
    noise_gain: float | None


@dataclass(frozen=True, slots=True)
class Map:
    """One artefact over the photo.

    values  [h, w]  NaN where it is not known
    cell    px of the photo, in both directions, that one value stands for
    """

    values: F64
    cell: int

    def worst(self) -> tuple[int, int] | None:
        """Return the (x, y) px in the middle of the highest value; None: nothing is known."""
        if np.isnan(self.values).all():
            return None
        row, column = np.unravel_index(int(np.nanargmax(self.values)), self.values.shape)
        return int((column + 0.5) * self.cell), int((row + 0.5) * self.cell)


@dataclass(frozen=True, slots=True)
class Judged:
    """What `Scene.judge` finds; maps are CIEDE2000 from the DSLR, contrast over the DSLR's, noise over the phone's."""

    numbers: Artefacts
    colour: Map
    contrast: Map
    noise: Map


class Scene:
    """A phone's photo and the DSLR's on its pixels, prepared to judge enhanced versions by.

    phone, dslr  uint8 [H, W, 3]
    known        [H, W]  where the DSLR's photo shows anything

    Raises:
        ValueError: the shapes differ.
    """

    def __init__(self, phone: U8, dslr: U8, known: Bools) -> None:
        _refuse_shapes(phone, dslr, known)
        self._shape = phone.shape
        self._step = max(-(-max(phone.shape[:2]) // _FAR_PX), 1)
        self._phone, self._dslr = _Far.of(phone, self._step), _Far.of(dslr, self._step)
        self._known = _shrink_mask(known, self._step)
        self._noise = noise_by_block(phone)

    def judge(self, enhanced: U8) -> Judged:
        """Measure an enhanced version, uint8 [H, W, 3]; raises as the constructor does."""
        _refuse_shapes(enhanced, np.empty(self._shape, np.uint8), np.empty(self._shape[:2], np.bool_))
        far = _Far.of(enhanced, self._step)
        beyond = ~binary_erosion(self._known, iterations=round(2 * _BLUR_PX), border_value=1)
        colour = np.where(beyond, np.nan, delta_e(far.lab, self._dslr.lab))
        over_dslr = _ratio(far.contrast, self._dslr.contrast)
        over_dslr[_windows(self._known).min(axis=(1, 3)) == 0] = np.nan
        over_phone = _ratio(far.contrast, self._phone.contrast)
        noise = self._noise_ratio(enhanced)
        numbers = Artefacts(
            colour_dslr=_of_known(_mean, colour),
            colour_dslr_p95=_of_known(_p95, colour),
            colour_phone=float(delta_e(far.lab, self._phone.lab).mean()),
            contrast_phone=_of_known(_median, over_phone),
            contrast_dslr=_of_known(_median, over_dslr),
            contrast_p95=_of_known(_p95, over_dslr),
            noise_in=noise[0],
            noise_out=noise[1],
            noise_gain=None if noise[0] is None or noise[1] is None else noise[1] / noise[0],
        )
        window = self._step * _WINDOW_PX
        return Judged(numbers, Map(colour, self._step), Map(over_dslr, window), Map(noise[2], NOISE_BLOCK_PX))

    def _noise_ratio(self, enhanced: U8) -> tuple[float | None, float | None, F64]:
        """Return the noise before and after where the phone's photo is flat, and after over before, NaN elsewhere.

        Flat is what has the least shades, not the least noise: noise that is small by chance would seem to grow.
        """
        before, after = self._noise, noise_by_block(enhanced)
        usable = before.unclipped & after.unclipped
        ratio = np.full(usable.shape, np.nan)
        if not usable.any():
            return None, None, ratio
        flat = usable & (before.shades <= np.quantile(before.shades[usable], _FLATTEST))
        ratio[flat] = np.maximum(after.noise[flat], _ROUNDING) / np.maximum(before.noise[flat], _ROUNDING)
        low, high = (max(float(np.median(blocks.noise[flat])), _ROUNDING) for blocks in (before, after))
        return low, high, ratio


@dataclass(frozen=True, slots=True)
class _Far:
    """A photo as seen from afar: L*a*b* of its blurred colours [h, w, 3], and the contrast in each window."""

    lab: F64
    contrast: F64

    @classmethod
    def of(cls, rgb: U8, step: int) -> _Far:
        linear = _shrink(rgb, step)
        luma = _to_levels(linear) @ np.array([0.299, 0.587, 0.114])
        return cls(to_lab(gaussian_filter(linear, (_BLUR_PX, _BLUR_PX, 0))), _windows(luma).std(axis=(1, 3)))


def _shrink(rgb: U8, step: int) -> F64:
    """Return the mean light of squares of `step` px [h, w, 3], a band at a time; what is left over is left out."""
    rows, cols = rgb.shape[0] // step, rgb.shape[1] // step
    bands = []
    for top in range(0, rows, _BAND):
        band = to_linear(rgb[top * step : min(top + _BAND, rows) * step, : cols * step])
        bands.append(band.reshape(-1, step, cols, step, 3).mean(axis=(1, 3), dtype=np.float64))
    return np.concatenate(bands)


def _shrink_mask(known: Bools, step: int) -> Bools:
    rows, cols = known.shape[0] // step, known.shape[1] // step
    return np.asarray(known[: rows * step, : cols * step].reshape(rows, step, cols, step).all(axis=(1, 3)))


def _to_levels(linear: F64) -> F64:
    """Return light as sRGB levels, 0 to 255 (IEC 61966-2-1)."""
    curved: F64 = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)
    return 255 * curved


def _windows(plane: F64 | Bools) -> F64:
    """Return a plane [h, w] as [rows, 16, cols, 16]; what is left over is left out."""
    rows, cols = plane.shape[0] // _WINDOW_PX, plane.shape[1] // _WINDOW_PX
    inner = plane[: rows * _WINDOW_PX, : cols * _WINDOW_PX].astype(np.float64)
    return inner.reshape(rows, _WINDOW_PX, cols, _WINDOW_PX)


def _ratio(ours: F64, theirs: F64) -> F64:
    """Return contrast over contrast, NaN where there is none to begin with."""
    ratio: F64 = np.where(theirs >= _LEAST_CONTRAST, ours / np.maximum(theirs, _LEAST_CONTRAST), np.nan)
    return ratio


def _of_known(summarise: Callable[[F64], float], values: F64) -> float | None:
    known = values[~np.isnan(values)]
    return summarise(known) if known.size else None


def _mean(values: F64) -> float:
    return float(values.mean())


def _median(values: F64) -> float:
    return float(np.median(values))


def _p95(values: F64) -> float:
    return float(np.quantile(values, 0.95))


def _refuse_shapes(rgb: U8, other: U8, known: Bools) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.shape != other.shape or known.shape != rgb.shape[:2]:
        raise ValueError(f"need photos [H, W, 3] and a mask [H, W], got {rgb.shape}, {other.shape} and {known.shape}")
