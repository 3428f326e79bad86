"""Two honest rivals of every network: colour alone, fitted on the training pairs. NumPy and SciPy only.

Both see each pixel by itself, so what a network scores above them is what it learned about neighbourhoods, noise,
sharpness and how photos vary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.optimize import isotonic_regression

from dpedkit.types import F64, U8, PairSource

_MAX_PIXELS = 400_000
_BATCH = 64
_KNOTS = 128
_ROUNDS = 8
_PEAK = 255.0

Baseline: TypeAlias = Callable[[U8], U8]


@dataclass(frozen=True, slots=True)
class GainOffset:
    """Each channel times a gain plus an offset.

    gain    [3]
    offset  [3], on the [0, 255] scale
    """

    gain: F64
    offset: F64
    name: str = "gain and offset"

    def __call__(self, rgb: U8) -> U8:
        """Return the corrected picture, uint8 [H, W, 3]."""
        return _to_bytes(rgb * self.gain + self.offset)


@dataclass(frozen=True, slots=True)
class Curve:
    """A rising curve, straight between its knots and flat beyond them.

    inputs   [K], rising
    outputs  [K], never falling
    """

    inputs: F64
    outputs: F64

    def __call__(self, values: F64) -> F64:
        """Return the curve at `values`, of any shape."""
        return np.interp(values, self.inputs, self.outputs)

    def slope(self, values: F64) -> F64:
        """Return the curve's slope at `values`."""
        if len(self.inputs) == 1:
            return np.zeros_like(values)
        return np.interp(values, self.inputs, np.gradient(self.outputs, self.inputs))


@dataclass(frozen=True, slots=True)
class MatrixCurve:
    """A 3x3 matrix, then a rising curve per channel.

    matrix  [3, 3], rows are the outputs
    curves  red, green, blue: from the matrix's values to [0, 255]
    """

    matrix: F64
    curves: tuple[Curve, Curve, Curve]
    name: str = "matrix and curve"

    def __call__(self, rgb: U8) -> U8:
        """Return the corrected picture, uint8 [H, W, 3]."""
        mixed = rgb @ self.matrix.T
        return _to_bytes(np.stack([curve(mixed[..., c]) for c, curve in enumerate(self.curves)], axis=-1))


def fit_gain_offset(pairs: PairSource) -> GainOffset:
    """Fit each channel's gain and offset by least squares."""
    phone, dslr = _pixels(pairs)
    designs = [np.column_stack([phone[:, c], np.ones(len(phone))]) for c in range(3)]
    gain, offset = np.transpose([_least_squares(design, dslr[:, c]) for c, design in enumerate(designs)])
    return GainOffset(gain, offset)


def fit_matrix(pairs: PairSource) -> tuple[F64, F64]:
    """Return the 3x3 matrix and the offset [3], on the [0, 1] scale, that fit best by least squares."""
    phone, dslr = _pixels(pairs)
    design = np.column_stack([phone, np.full(len(phone), _PEAK)])
    rows = np.stack([_least_squares(design, dslr[:, c]) for c in range(3)])
    return rows[:, :3], rows[:, 3]


def fit_matrix_curve(pairs: PairSource) -> MatrixCurve:
    """Fit the matrix and the curves by least squares, each channel for itself.

    Given a matrix row the best rising curve is an isotonic regression; given the curve a Gauss-Newton step improves
    the row. The two take turns while the error falls.
    """
    phone, dslr = _pixels(pairs)
    rows, curves = zip(*(_fit_channel(phone, dslr[:, c]) for c in range(3)), strict=True)
    red, green, blue = curves
    return MatrixCurve(np.stack(rows), (red, green, blue))


def _fit_channel(phone: F64, target: F64) -> tuple[F64, Curve]:
    """Return a matrix row [3] and its curve, from pixels [N, 3] and the values [N] they should become."""
    row = _least_squares(phone, target)
    curve = _rising_curve(phone @ row, target)
    missing = target - curve(phone @ row)
    for _ in range(_ROUNDS):
        slope = curve.slope(phone @ row)
        candidate = row + _least_squares(phone * slope[:, None], missing)
        candidate_curve = _rising_curve(phone @ candidate, target)
        still_missing = target - candidate_curve(phone @ candidate)
        if np.mean(np.square(still_missing)) >= np.mean(np.square(missing)):
            break
        row, curve, missing = candidate, candidate_curve, still_missing
    return row, curve


def _least_squares(design: F64, target: F64) -> F64:
    """Return the smallest x [K] that brings design [N, K] @ x closest to target [N]."""
    solution: F64 = np.linalg.lstsq(design, target, rcond=None)[0].astype(np.float64)
    return solution


def _rising_curve(mixed: F64, target: F64) -> Curve:
    """Return the rising curve that best maps `mixed` to `target` [N].

    Its knots are the means of equally filled groups, so that they lie where the pixels do.
    """
    order = np.argsort(mixed, kind="stable")
    groups = np.array_split(order, min(_KNOTS, len(order)))
    inputs, first = np.unique([mixed[group].mean() for group in groups], return_index=True)
    outputs = np.array([target[group].mean() for group in groups])[first]
    return Curve(inputs, isotonic_regression(outputs).x)


def _pixels(pairs: PairSource) -> tuple[F64, F64]:
    """Return matching pixels of all pairs [N, 3] each, evenly thinned to a bounded number.

    Raises:
        ValueError: there are no pairs.
    """
    if not len(pairs):
        raise ValueError("no pairs to fit a colour baseline on")
    total = len(pairs) * pairs.patch_px**2
    step = -(-total // _MAX_PIXELS)
    phone: list[U8] = []
    dslr: list[U8] = []
    for start in range(0, len(pairs), _BATCH):
        batch = pairs.read_batch(range(start, min(start + _BATCH, len(pairs))))
        for kept, patches in zip((phone, dslr), batch, strict=True):
            kept.append(patches.reshape(-1, 3)[::step])
    return np.concatenate(phone).astype(np.float64), np.concatenate(dslr).astype(np.float64)


def _to_bytes(values: F64) -> U8:
    rounded: U8 = np.clip(np.rint(values), 0, _PEAK).astype(np.uint8)
    return rounded
