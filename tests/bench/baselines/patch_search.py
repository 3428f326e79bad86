"""Patch placement by brute force in numpy: every shift at every angle, by normalised cross-correlation."""

from __future__ import annotations

import cv2
import numpy as np

from dpedkit.types import F64, U8

REACH = 8
_ANGLES_DEG = np.linspace(-1.5, 1.5, 9)


def place(phone: U8, field: U8) -> tuple[F64, float]:
    """Find a patch in a field that is REACH px wider on every side.

    phone  luma [S, S]
    field  luma [S + 16, S + 16]
    ->     how far the patch's content lies from the field's middle, (x, y) px, and by how many degrees it is turned
    """
    size = len(phone)
    middle = (len(field) - 1) / 2
    template = phone.astype(np.float32) - phone.mean()
    template /= np.linalg.norm(template)
    best = (-1.0, np.zeros(2), 0.0)
    for angle in _ANGLES_DEG:
        turn = cv2.getRotationMatrix2D((middle, middle), float(angle), 1.0)
        turned = cv2.warpAffine(field, turn, field.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        turned = turned.astype(np.float32)
        for y in range(2 * REACH + 1):
            for x in range(2 * REACH + 1):
                window = turned[y : y + size, x : x + size]
                window = window - window.mean()
                ncc = float(np.vdot(template, window)) / max(float(np.linalg.norm(window)), 1e-6)
                if ncc > best[0]:
                    shift = np.array([x - REACH, y - REACH], dtype=np.float64)
                    best = (ncc, cv2.invertAffineTransform(turn)[:, :2] @ shift, float(angle))
    return best[1], best[2]


def place_all(patches: list[tuple[U8, U8]]) -> list[tuple[F64, float]]:
    """Find every patch in its field."""
    return [place(phone, field) for phone, field in patches]
