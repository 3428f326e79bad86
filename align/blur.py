"""How blurred a photo is, from the photo alone.

An edge blurred by a Gaussian of deviation s has gradient energy in proportion to 1 / s. Blurred once more, by a known
t, it keeps s / sqrt(s^2 + t^2) of that energy, and the ratio of both tells s (the re-blur idea of Crete et al., The
Blur Effect, SPIE 2007, here with Gaussians and energies). Fine texture and noise lose more than an edge does, so s
comes out too small rather than too large.
"""

from __future__ import annotations

import cv2
import numpy as np

from dpedkit.align.pyramid import Pyramid
from dpedkit.types import F32, F64, U8

_WORKING_PX = 250_000  # noise has been averaged away, and what matters here is coarse
_SOFT_PX = 1.5  # as much as keeps the rest of the noise out of the gradients
_AGAIN_PX = 3.0
_BLOCK_PX = 24
_LIVELIEST = 0.1


def blur_share(photo: Pyramid) -> float:
    """Return the standard deviation of a photo's blur, as a share of its diagonal; 0 where it is too sharp to tell.

    Only the tenth of the photo with the strongest gradients counts: a subject in focus before a blurred background is a
    sharp photo.
    """
    small = photo.shrunk(_WORKING_PX)
    if min(small.shape) < _BLOCK_PX + 2:
        return 0.0
    once = _block_energies(small, _SOFT_PX)
    twice = _block_energies(small, float(np.hypot(_SOFT_PX, _AGAIN_PX)))
    liveliest = np.argsort(-once)[: max(round(_LIVELIEST * len(once)), 1)]
    kept = float(twice[liveliest].sum()) / max(float(once[liveliest].sum()), 1e-9)
    if kept >= 1.0:  # nothing but shades
        return 1.0
    spread = _AGAIN_PX**2 / (1.0 / max(kept, 1e-9) ** 2 - 1.0) - _SOFT_PX**2
    return float(max(spread, 0.0) ** 0.5 / np.hypot(*small.shape))


def _block_energies(gray: U8, sigma_px: float) -> F64:
    """Return the mean squared gradient of each block of a photo [H, W] that was blurred first."""
    soft: F32 = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), sigma_px).astype(np.float32, copy=False)
    across, down = soft[1:-1, 2:] - soft[1:-1, :-2], soft[2:, 1:-1] - soft[:-2, 1:-1]
    rows, cols = ((side - 2) // _BLOCK_PX for side in gray.shape)
    energy = (across**2 + down**2)[: rows * _BLOCK_PX, : cols * _BLOCK_PX]
    blocks: F64 = energy.reshape(rows, _BLOCK_PX, cols, _BLOCK_PX).mean(axis=(1, 3), dtype=np.float64).ravel()
    return blocks
