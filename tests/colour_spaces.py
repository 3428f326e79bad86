"""Colour spaces by their formulas, independent of any colour management, and ICC profiles that describe them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from skimage.color import xyz2lab

from dpedkit.types import F64, U8

WHITE_D50 = (0.9642, 1.0, 0.8249)
_GRID = 33


@dataclass(frozen=True)
class Space:
    """An RGB space.

    columns  XYZ of its red, green and blue, adapted to D50, as its published profile has them
    gamma    of its curve; 0 for sRGB's
    """

    name: str
    columns: tuple[tuple[float, float, float], ...]
    gamma: float = 0.0

    def to_xyz(self, rgb: U8) -> F64:
        return self._linear(np.asarray(rgb) / 255) @ np.array(self.columns)

    def from_xyz(self, xyz: F64) -> U8:
        """Return the nearest colours of the space; what lies outside is clipped."""
        linear = (xyz @ np.linalg.inv(np.array(self.columns))).clip(0, 1)
        return np.rint(255 * self._curved(linear)).astype(np.uint8)

    def to_lab(self, rgb: U8) -> F64:
        lab: F64 = xyz2lab(self.to_xyz(rgb), illuminant="D50")
        return lab

    def matrix_profile(self) -> bytes:
        """Return its ICC profile as three colours and a curve."""
        samples = np.rint(65535 * self._linear(np.linspace(0, 1, 1024))).astype(">u2").tobytes()
        curve = b"curv\0\0\0\0" + struct.pack(">I", 1024) + samples
        tags = {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), self.columns, strict=True)}
        return _profile(self.name, b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))

    def table_profile(self) -> bytes:
        """Return its ICC profile as tables from RGB to Lab and back, as printers and scanners have them."""
        axis = np.linspace(0, 1, _GRID)
        grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
        lab = xyz2lab(self._linear(grid) @ np.array(self.columns), illuminant="D50")
        there = np.stack([lab[..., 0] * 652.8, (lab[..., 1] + 128) * 256, (lab[..., 2] + 128) * 256], axis=-1)
        asked = grid * 65535 / (652.8, 256, 256) - (0, 128, 128)
        linear = (_lab_to_xyz(asked) @ np.linalg.inv(np.array(self.columns))).clip(0, 1)
        tags = {b"A2B0": _table(there), b"B2A0": _table(65535 * self._curved(linear))}
        return _profile(f"{self.name} in tables", b"Lab ", tags)

    def _linear(self, curved: F64) -> F64:
        if self.gamma:
            return np.asarray(curved**self.gamma)
        return np.where(curved <= 0.04045, curved / 12.92, ((curved + 0.055) / 1.055) ** 2.4)

    def _curved(self, linear: F64) -> F64:
        if self.gamma:
            return np.asarray(linear ** (1 / self.gamma))
        return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


SRGB = Space("sRGB", ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)))
DISPLAY_P3 = Space("Wide P3", ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)))
ADOBE_RGB = Space(
    "Wide 1998", ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)), 563 / 256
)


def gray_profile(gamma: float) -> bytes:
    """Return the ICC profile of grays with such a curve."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(256 * gamma))
    return _profile("Test gray", b"XYZ ", {b"kTRC": curve}, pixels=b"GRAY")


def gray_to_srgb(gray: U8, gamma: float) -> U8:
    """Return such grays as sRGB: [H, W] -> [H, W, 3]."""
    return SRGB.from_xyz(np.array(WHITE_D50) * ((gray / 255) ** gamma)[..., None])


def _lab_to_xyz(lab: F64) -> F64:
    """Invert CIE 15:2004, 8.2.1, also for colours that nothing has."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    return np.asarray(np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2) * np.array(WHITE_D50))


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + np.rint(np.array(values) * 65536).astype(">i4").tobytes()


def _table(values: F64) -> bytes:
    """Return a lut16Type of three channels (ICC.1:2001-04, 6.5.8), its curves straight lines."""
    identity, line = np.rint(np.eye(3) * 65536).astype(">i4").tobytes(), struct.pack(">HH", 0, 65535) * 3
    points = np.rint(values).clip(0, 65535).astype(">u2").tobytes()
    return b"mft2\0\0\0\0" + bytes([3, 3, _GRID, 0]) + identity + struct.pack(">HH", 2, 2) + line + points + line


def _profile(name: str, connection: bytes, tags: dict[bytes, bytes], pixels: bytes = b"RGB ") -> bytes:
    text = name.encode() + b"\0"
    named = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": named, b"wtpt": _xyz(WHITE_D50), b"cprt": b"text\0\0\0\0none\0", **tags}
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for key, content in tags.items():
        table += key + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4xI", start + len(body), 0x02100000) + b"mntr" + pixels + connection + bytes(12) + b"acsp"
    return (head + bytes(28) + _xyz(WHITE_D50)[8:]).ljust(128, b"\0") + table + body
