"""How different two colours look: CIEDE2000, and the way there from sRGB. NumPy only.

Sharma, Wu and Dalal, The CIEDE2000 Color-Difference Formula: Implementation Notes, Supplementary Test Data, and
Mathematical Observations, Color Research and Application 30 (2005); numbers in brackets are its equations.
"""

from __future__ import annotations

import numpy as np

from dpedkit.types import F64

_TO_XYZ = np.array(  # IEC 61966-2-1, linear sRGB under D65, 2 degree observer
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _TO_XYZ.sum(axis=1)
_EPSILON = 216 / 24389
_KAPPA = 24389 / 27
_25_TO_7 = 25.0**7


def to_lab(linear: F64) -> F64:
    """Return CIE L*a*b* of colours in linear light.

    linear  [..., 3], linear sRGB, 0 to 1
    ->      [..., 3]
    """
    ratio = linear @ _TO_XYZ.T / _WHITE
    root = np.where(ratio > _EPSILON, np.cbrt(ratio), (_KAPPA * ratio + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    lab: F64 = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    return lab


def delta_e(first: F64, second: F64) -> F64:
    """Return the colour difference of L*a*b* colours [..., 3] each; about 1 is just seen, side by side [...]."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2  # [2, 3]
    stretch = 1 + 0.5 * (1 - _share(chroma))  # [4, 5]
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)  # [6]
    h1, h2 = _hue(stretch * a1, b1), _hue(stretch * a2, b2)  # [7]
    gray = c1 * c2 == 0
    turn = np.where(gray, 0.0, (h2 - h1 + 180) % 360 - 180)  # [10], within half a turn
    turn = np.where(~gray & (h2 - h1 == 180), 180.0, turn)
    hue_step = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))  # [11]
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2  # [12, 13]
    hue = _mean_hue(h1, h2, gray)
    weight = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )  # [15]
    turning = 30 * np.exp(-np.square((hue - 275) / 25))  # [16]
    for_light = 1 + 0.015 * np.square(light - 50) / np.sqrt(20 + np.square(light - 50))  # [18]
    for_chroma, for_hue = 1 + 0.045 * chroma, 1 + 0.015 * chroma * weight  # [19, 20]
    rotation = -np.sin(np.radians(2 * turning)) * 2 * _share(chroma)  # [17, 21]
    dl, dc, dh = (l2 - l1) / for_light, (c2 - c1) / for_chroma, hue_step / for_hue
    difference: F64 = np.sqrt(np.maximum(dl**2 + dc**2 + dh**2 + rotation * dc * dh, 0))  # [22]
    return difference


def _share(chroma: F64) -> F64:
    """Return what the paper writes as the root of C^7 over C^7 plus 25^7."""
    seventh = chroma**7
    share: F64 = np.sqrt(seventh / (seventh + _25_TO_7))
    return share


def _hue(a: F64, b: F64) -> F64:
    """Return the angle, degrees, 0 to 360; 0 for gray."""
    angle: F64 = np.degrees(np.arctan2(b, a)) % 360
    return angle


def _mean_hue(h1: F64, h2: F64, gray: F64) -> F64:
    """Return the hue between two, on the shorter way round [14]; of a gray and a colour the colour's."""
    total = h1 + h2
    other_way = np.where(total < 360, total + 360, total - 360) / 2
    mean: F64 = np.where(gray, total, np.where(np.abs(h1 - h2) <= 180, total / 2, other_way))
    return mean
