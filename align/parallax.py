"""Whether the lens model leaves something a smooth mesh explains, and where neither fits.

A mesh can always follow its own measurements; it is kept only if it foretells windows that it has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dpedkit.align.geometry import Warp
from dpedkit.align.lens import Lens, lens_sigma
from dpedkit.align.mesh import MeshFitter
from dpedkit.align.placements import FLOOR_PX, Placements
from dpedkit.types import F64, U8, Bools

_USUAL_STIFFNESS = 10.0
_OTHER_STIFFNESS = (300.0, 0.3, 0.01)
_TRIAL_ROUNDS = 3  # enough to tell which stiffness is best
_HOPEFUL = 0.8
_MUCH_PX = 1.0
_NARROW = 1.5  # a window weighs a fifth at one node's distance: what lies beyond an edge must not vouch for this side
_COARSEST, _FINEST = 32, 64  # nodes along the photo's width
_WORTH = 0.75
_BLOCK_SIDES = 1.5  # windows are held out in blocks: two that overlap err alike, and one would foretell the other
_FIT_PX = 0.3
_KNOWN_PX = 0.15
_FIT_SIGMAS = 4.0


def fit_mesh(lens: Warp, placed: Placements, controls: int) -> Warp:
    """Return `lens` with the mesh that best foretells held-out windows, or `lens` itself where none is worth it.

    controls  control points along the photo's longer side
    """
    used = placed.take(placed.found)
    if len(used) < 32:
        return lens
    moved = lens.inverse(used.dslr) - used.phone
    sigma = _sigma(used)
    even = (used.phone // (_BLOCK_SIDES * used.side_px)).sum(axis=1) % 2 == 0
    longer = max(lens.phone_size)
    rows, cols = (max(round(controls * side / longer), 5) for side in lens.phone_size[::-1])
    fitter = MeshFitter(lens.phone_size, used.phone, (rows, cols))

    def foretold(stiffness: float) -> float:
        off = np.empty(len(used))
        for held in (even, ~even):
            mesh = fitter.fit(moved, np.where(held, np.inf, sigma), stiffness, _TRIAL_ROUNDS)
            off[held] = np.linalg.norm(mesh.displacement(used.phone[held]) - moved[held], axis=1)
        return _cost(off)

    alone = _cost(np.linalg.norm(moved, axis=1))
    scores = {_USUAL_STIFFNESS: foretold(_USUAL_STIFFNESS)}
    if scores[_USUAL_STIFFNESS] < _HOPEFUL * alone or alone > _MUCH_PX:
        scores |= {stiffness: foretold(stiffness) for stiffness in _OTHER_STIFFNESS}
    best = min(scores, key=lambda stiffness: scores[stiffness])
    return replace(lens, mesh=fitter.fit(moved, sigma, best)) if scores[best] < _WORTH * alone else lens


def _cost(off: F64) -> float:
    """Median and upper quartile together: a mesh must serve most of the photo, not only its quiet half."""
    return float(np.quantile(off, [0.5, 0.75]).sum())


def misfit(warp: Warp, placed: Placements) -> F64:
    """Return how far each window was found from where the warp puts it [N], phone px."""
    off: F64 = np.linalg.norm(warp.inverse(placed.dslr) - placed.phone, axis=1)
    return off


def fits(warp: Warp, placed: Placements) -> Bools:
    """Return [N]: the window lies where the warp puts it."""
    good: Bools = placed.found & (misfit(warp, placed) <= _FIT_PX * placed.zoom + _FIT_SIGMAS * _sigma(placed))
    return good


@dataclass(frozen=True)
class Confidence:
    """How far the warp can be trusted, over the phone's photo.

    size    (width, height), px
    values  uint8 [R, C]: 0 the windows around contradict the warp, 255 they all agree
    """

    size: tuple[int, int]
    values: U8

    def at(self, points: F64) -> F64:
        """Return [N] in [0, 1] for points [N, 2], phone px, interpolated linearly."""
        rows, cols = self.values.shape
        x = np.clip(points[:, 0] / (self.size[0] - 1), 0, 1) * (cols - 1)
        y = np.clip(points[:, 1] / (self.size[1] - 1), 0, 1) * (rows - 1)
        x0 = np.minimum(x.astype(np.int64), cols - 2)
        y0 = np.minimum(y.astype(np.int64), rows - 2)
        u, v = x - x0, y - y0
        grid = self.values / 255.0
        top = grid[y0, x0] * (1 - u) + grid[y0, x0 + 1] * u
        bottom = grid[y0 + 1, x0] * (1 - u) + grid[y0 + 1, x0 + 1] * u
        blended: F64 = top * (1 - v) + bottom * v
        return blended


def map_confidence(warp: Warp, placed: Placements, lens: Lens) -> Confidence:
    """Weigh the windows that agree with the warp against those that do not, around each node of a grid.

    Where there are no windows, a lens model still holds (it is rigid), as far as the others fix it; a mesh does not.
    """
    rows, cols = _nodes(warp.phone_size, placed)
    xs, ys = (np.linspace(0, side - 1, count) for side, count in zip(warp.phone_size, (cols, rows), strict=True))
    agree = fits(warp, placed)
    spacing = np.array(warp.phone_size) / (cols, rows)
    across = _nearness((xs[:, None] - placed.phone[:, 0]) / spacing[0])
    down = _nearness((ys[:, None] - placed.phone[:, 1]) / spacing[1])
    good = (down * agree) @ across.T
    bad = (down * ~agree) @ across.T
    known: F64 = np.zeros((rows, cols))
    if warp.mesh is None and agree.any():
        nodes = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
        sure = lens_sigma(warp, placed.take(agree), lens, nodes) <= _KNOWN_PX
        known = 0.1 * sure.reshape(rows, cols).astype(np.float64)
    share = (good + known) / (good + bad + 0.1)
    return Confidence(warp.phone_size, np.rint(255 * share).astype(np.uint8))


def _nodes(size: tuple[int, int], placed: Placements) -> tuple[int, int]:
    """Return rows and columns of a grid about as dense as the windows."""
    if not len(placed):
        return _COARSEST * 3 // 4, _COARSEST
    extent = np.ptp(placed.phone, axis=0) + placed.side_px
    spacing = float(np.sqrt(np.prod(extent) / len(placed)))
    cols = int(np.clip(round(size[0] / spacing), _COARSEST, _FINEST))
    return cols * 3 // 4, cols


def _nearness(steps: F64) -> F64:
    near: F64 = np.exp(-_NARROW * steps**2)
    return near


def _sigma(placed: Placements) -> F64:
    """Return each window's standard deviation [N], px, along the axis that it knows least about."""
    sigma: F64 = np.sqrt(np.linalg.eigvalsh(placed.covariance)[:, 1] + FLOOR_PX**2)
    return sigma
