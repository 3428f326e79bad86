"""How far two patches lie apart by phase correlation: a judge that is none of the estimators which placed them.

Kuglin and Hines, The Phase Correlation Image Alignment Method, 1975, as OpenCV's `phaseCorrelate` with a Hanning
window.
"""

from __future__ import annotations

import cv2
import numpy as np

from dpedkit.align.luma import to_gray
from dpedkit.types import F64, U8


def phase_offsets(phone: U8, dslr: U8) -> F64:
    """Return [N], px: how far the patches of `phone` and `dslr`, uint8 [N, S, S, 3] each, lie apart."""
    if not len(phone):
        return np.zeros(0)
    window = cv2.createHanningWindow((phone.shape[2], phone.shape[1]), cv2.CV_64F).astype(np.float64)
    offsets = []
    for left, right in zip(phone, dslr, strict=True):
        grays = [to_gray(patch, "patch").astype(np.float64) for patch in (left, right)]
        shift, _ = cv2.phaseCorrelate(grays[0], grays[1], window)
        offsets.append(float(np.linalg.norm(shift)))
    return np.array(offsets)
