"""Fitting the lens model (homography, k1 and k2 of both lenses) to placed windows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from dpedkit.align.geometry import Warp, half_diagonal, to_ideal
from dpedkit.align.placements import FLOOR_PX, Placements
from dpedkit.types import F64, Json

_RADIAL_PRIOR = np.array([0.15, 0.1, 0.15, 0.1])  # k1, k2 of the phone, of the DSLR: wide-angle lenses bend 0.1 or so
_OUTLIER_MADS = 5.0
_OUTLIER_FLOOR_PX = 0.1
_SOFT_SIGMAS = 2.0  # from here on a window pulls by its direction, not by its distance
_MOST_STEPS = 30
_STILL_SIGMAS = 1e-3  # of a window's place; its standard deviation is 0.02 px at least
_DAMPING = 1e-6


@dataclass(frozen=True, eq=False)
class Lens:
    """What is known of two lenses before their photos are looked at.

    terms       [4], k1 and k2 of the phone, k1 and k2 of the DSLR
    covariance  [4, 4], of `terms`; by default so wide that it only keeps the two lenses apart where one could stand
                in for the other
    """

    terms: F64 = field(default_factory=lambda: np.zeros(4))
    covariance: F64 = field(default_factory=lambda: np.diag(_RADIAL_PRIOR**2))

    def to_dict(self) -> Json:
        """Return the lens as JSON-able values; `from_dict` restores every bit."""
        return {"terms": self.terms.tolist(), "covariance": self.covariance.tolist()}

    @classmethod
    def from_dict(cls, data: Json) -> Lens:
        """Restore what `to_dict` returned."""
        return cls(np.array(data["terms"]), np.array(data["covariance"]))


UNKNOWN_LENS = Lens()


def fit_lens(start: Warp, placed: Placements, lens: Lens) -> Warp:
    """Return the lens model that best explains the placements; outliers are discounted, then left out.

    Soft-L1 least squares on displacements, each weighted by its own covariance, so that an edge counts across itself
    and not along.
    """
    rough = _solve(start.without_mesh(), placed, lens)
    off = np.linalg.norm(rough.inverse(placed.dslr) - placed.phone, axis=1)
    limit = max(_OUTLIER_MADS * float(np.median(off)), _OUTLIER_FLOOR_PX)
    return _solve(rough, placed.take(off <= limit), lens)


def radial_terms(warp: Warp) -> F64:
    """Return [4]: k1 and k2 of the phone, k1 and k2 of the DSLR."""
    return np.array([*warp.phone_radial, *warp.dslr_radial])


def _solve(warp: Warp, placed: Placements, lens: Lens) -> Warp:
    """Levenberg-Marquardt on the normal equations of twelve values, reweighted for the soft L1 loss at each step."""
    whiten = whitening(warp, placed)
    prior = np.linalg.inv(np.linalg.cholesky(lens.covariance))

    def residuals(values: F64) -> F64:
        off = _with_values(warp, values).forward(placed.phone) - placed.dslr
        whitened = np.einsum("nij,nj->ni", whiten, off)
        return np.concatenate([whitened.ravel(), prior @ (values[8:] - lens.terms)])

    values, damping = _values(warp), _DAMPING
    off = residuals(values)
    for _ in range(_MOST_STEPS):
        whitened = whiten @ derivatives(_with_values(warp, values), placed.phone)
        slopes = np.concatenate([whitened.reshape(-1, 12), np.pad(prior, ((0, 0), (8, 0)))])
        pulled = slopes / np.sqrt(1.0 + (off / _SOFT_SIGMAS) ** 2)[:, None]
        normal = pulled.T @ slopes
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -pulled.T @ off)
        there = residuals(values + step)
        if _loss(there) < _loss(off):
            values, off, damping = values + step, there, damping / 10
        else:
            damping *= 10
        if np.abs(slopes @ step).max() < _STILL_SIGMAS:
            break
    return _with_values(warp, values)


def _loss(off: F64) -> float:
    return float(np.sum(np.sqrt(1.0 + (off / _SOFT_SIGMAS) ** 2) - 1.0))


def whitening(warp: Warp, placed: Placements) -> F64:
    """Return [N, 2, 2]: what turns a small DSLR offset at each window into standard deviations of its place."""
    to_phone_axes = np.linalg.inv(_slopes(warp, placed.phone))
    whiten: F64 = np.linalg.inv(np.linalg.cholesky(placed.covariance + FLOOR_PX**2 * np.eye(2))) @ to_phone_axes
    return whiten


def _slopes(warp: Warp, points: F64) -> F64:
    """Return [N, 2, 2]: DSLR px per phone px."""
    base = warp.forward(points)
    return np.stack([warp.forward(points + step) - base for step in np.eye(2)], axis=2)


def derivatives(warp: Warp, points: F64) -> F64:
    """Return [N, 2, 12]: how `warp.forward` (without a mesh) moves, DSLR px, with each of its values.

    The values are the homography's first eight numbers by rows, then the four radial terms.
    """
    at = to_ideal(points, warp.phone_size)
    square = np.sum(at**2, axis=1, keepdims=True)
    (k1, k2), (d1, d2) = warp.phone_radial, warp.dslr_radial
    seen = at * (1 + k1 * square + k2 * square**2)
    homogeneous = np.column_stack([seen, np.ones(len(seen))])
    landed = homogeneous @ warp.homography.T
    depth = landed[:, 2:]
    image = landed[:, :2] / depth
    moved = np.zeros((len(points), 2, 12))
    moved[:, 0, 0:3] = moved[:, 1, 3:6] = homogeneous / depth
    moved[:, :, 6:8] = -image[:, :, None] * (seen / depth)[:, None, :]
    onward = (warp.homography[:2, :2] - image[:, :, None] * warp.homography[2, :2]) / depth[:, :, None]
    moved[:, :, 8] = np.einsum("nij,nj->ni", onward, at * square)
    moved[:, :, 9] = np.einsum("nij,nj->ni", onward, at * square**2)
    far = np.sum(image**2, axis=1)
    swell = (1 + d1 * far + d2 * far**2)[:, None, None] * np.eye(2)
    bend = swell + (2 * d1 + 4 * d2 * far)[:, None, None] * image[:, :, None] * image[:, None, :]
    moved[:, :, :10] = bend @ moved[:, :, :10]
    moved[:, :, 10] = image * far[:, None]
    moved[:, :, 11] = image * far[:, None] ** 2
    return moved * half_diagonal(warp.dslr_size)


def fisher(warp: Warp, placed: Placements) -> F64:
    """Return [12, 12]: the information that windows hold on the values of `derivatives`.

    What they scatter beyond their own bounds counts as noise, and windows that overlap share their errors.
    """
    whiten = whitening(warp, placed)
    slopes = (whiten @ derivatives(warp, placed.phone)).reshape(-1, 12)
    off = np.einsum("nij,nj->ni", whiten, warp.forward(placed.phone) - placed.dslr)
    noise = max(float(np.mean(off**2)), 1.0)
    width, height = np.ptp(placed.phone, axis=0) + placed.side_px
    crowding = max(len(placed) * placed.side_px**2 / (width * height), 1.0)
    information: F64 = slopes.T @ slopes / (noise * crowding)
    return information


def lens_sigma(warp: Warp, placed: Placements, lens: Lens, points: F64) -> F64:
    """Return [N]: how surely windows tell where points [N, 2] lie, as a standard deviation, phone px (first order)."""
    rigid = warp.without_mesh()
    information = fisher(rigid, placed)
    information[8:, 8:] += np.linalg.inv(lens.covariance)
    to_phone = np.linalg.inv(_slopes(rigid, points)) @ derivatives(rigid, points)
    spread = to_phone @ np.linalg.pinv(information, hermitian=True) @ to_phone.transpose(0, 2, 1)
    sigma: F64 = np.sqrt(np.linalg.eigvalsh(spread)[:, 1])
    return sigma


def _values(warp: Warp) -> F64:
    return np.concatenate([warp.homography.ravel()[:8], radial_terms(warp)])


def _with_values(warp: Warp, values: F64) -> Warp:
    hmat = np.append(values[:8], 1.0).reshape(3, 3)
    k1, k2, d1, d2 = (float(value) for value in values[8:])
    return replace(warp, homography=hmat, phone_radial=(k1, k2), dslr_radial=(d1, d2))
