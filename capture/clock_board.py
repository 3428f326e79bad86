"""A clock that cameras can read: a board of black and white cells that tells the host's time in milliseconds.

The board stands on a screen; a photo of it tells when its shutter was open by the host's clock, whatever the camera
thinks. Four ArUco markers (Garrido-Jurado et al. 2014) tell where it is. Between them stand two bands of 32 cells, one
above the other, each telling the same: 16 bits of time, 16 bits of checksum.

A photo may show more than one frame of the screen. An exposure across two frames turns the cells in which they differ
grey, and the checksums of both tell which two; a screen that is just being redrawn shows one frame above and another
below, and the bands disagree. Either makes the answer wider. What fits neither is no answer. A frame that
was seen for less than an eighth of the exposure leaves no trace: a shutter may have opened that much before the answer.
"""

from __future__ import annotations

import binascii
import json
from dataclasses import dataclass
from importlib.resources import files

import cv2
import numpy as np

from dpedkit.capture.times import Window
from dpedkit.types import F32, F64, U8, Bools

FRAME_NS = 1_000_000_000 / 60
"""How long a screen shows a frame; faster ones for less."""
TICK_NS = 1_000_000
PERIOD_NS = (1 << 16) * TICK_NS

WIDTH, HEIGHT = 34, 22
"""Of the board, in units; its drawings below are in units, too."""
_MARKER = 6.0
_MARKER_PLACES = ((1.0, 1.0), (27.0, 1.0), (27.0, 15.0), (1.0, 15.0))
_CELLS_LEFT, _CELLS_TOP = 8.0, 1.0
_CELL_WIDTH, _CELL_HEIGHT = 2.25, 2.5
_COLUMNS, _BAND_ROWS = 8, 4
_BAND_SALTS = (0xFFFF, 0x1D0F)
"""What each band's checksum starts from: one band cannot be taken for the other."""

_READ_UNIT_PX = 10
_LOOKED_AT_PX = 1600
"""The longer side of a photo is brought to this: small markers are found better, and large photos faster."""
_MISPLACED = 0.6
"""Units by which a marker's corner may lie off: a curved screen, or no board of ours."""
_LEAST_CONTRAST = 0.04
_GREY = (0.13, 0.87)
"""A cell of a share of light between these is neither black nor white."""
_GAP = 0.08
_MOST_BETWEEN_FRAMES = 40
"""Ticks between two frames in one photo."""


@dataclass(frozen=True, slots=True)
class BoardReading:
    """What a photo of the board tells: its shutter opened between the two, but for whole periods of the board.

    earliest_ns, latest_ns  host wall clock modulo PERIOD_NS; latest_ns is the later, and may lie beyond the period
    """

    earliest_ns: int
    latest_ns: int

    def near(self, host_ns: int) -> Window:
        """Return the window that lies nearest to a moment, which must be known to half a period (33 s)."""
        middle_ns = (self.earliest_ns + self.latest_ns) // 2
        base_ns = round((host_ns - middle_ns) / PERIOD_NS) * PERIOD_NS
        return Window(self.earliest_ns + base_ns, self.latest_ns + base_ns)


def draw_board(time_ns: int, unit_px: int = 20) -> U8:
    """Return the board as it stands at a moment: uint8 [HEIGHT * unit_px, WIDTH * unit_px, 3]; unit_px: multiple of 4.

    Raises:
        ValueError: cells of that size have no whole number of pixels.
    """
    if unit_px % 4:
        raise ValueError(f"unit_px is a multiple of 4, not {unit_px}")
    board = np.full((HEIGHT * unit_px, WIDTH * unit_px), 255, np.uint8)
    for (left, top), bits in zip(_MARKER_PLACES, _marker_bits(), strict=True):
        y, x, side = round(top * unit_px), round(left * unit_px), round(_MARKER * unit_px)
        board[y : y + side, x : x + side] = np.kron(bits, np.full((unit_px, unit_px), 255, np.uint8))
    size_px = (round(_CELL_HEIGHT * unit_px), round(_CELL_WIDTH * unit_px))
    cells = np.where(_cells(time_ns // TICK_NS % (1 << 16)), 0, 255).astype(np.uint8)
    drawn = np.kron(cells, np.ones(size_px, np.uint8))
    y, x = round(_CELLS_TOP * unit_px), round(_CELLS_LEFT * unit_px)
    board[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
    return np.repeat(board[..., None], 3, axis=2)


def clock_page() -> str:
    """Return a web page that shows the board at the time of the computer that it is opened on."""
    places = zip(_MARKER_PLACES, _marker_bits(), strict=True)
    board = {
        "width": WIDTH,
        "height": HEIGHT,
        "markers": [{"x": left, "y": top, "white": bits.astype(int).tolist()} for (left, top), bits in places],
        "cells": {"x": _CELLS_LEFT, "y": _CELLS_TOP, "width": _CELL_WIDTH, "height": _CELL_HEIGHT},
        "columns": _COLUMNS,
        "salts": _BAND_SALTS,
    }
    page = files("dpedkit.capture").joinpath("clock_page.html").read_text(encoding="utf-8")
    return page.replace("BOARD_OF_DPEDKIT", json.dumps(board))


def read_board(rgb: U8) -> BoardReading | None:
    """Return what a photo (uint8 [H, W, 3]) of the board tells; None where it shows none, or not well enough."""
    flat = _find_board(rgb)
    if flat is None:
        return None
    shares = _shares(flat)
    if shares is None:
        return None
    bands = [_read_band(band.ravel(), salt) for band, salt in zip(np.vsplit(shares, 2), _BAND_SALTS, strict=True)]
    spans = [span for span in bands if span is not None]
    if not spans:
        return None
    origin = spans[0].tick
    lows = [_between(origin, span.tick) * TICK_NS for span in spans]
    highs = [low_ns + span.length_ns for low_ns, span in zip(lows, spans, strict=True)]
    if max(lows) - min(lows) > _MOST_BETWEEN_FRAMES * TICK_NS:
        return None
    if len(spans) == 1:  # the other may be amid a redraw, and a frame ahead
        highs[0] += round(FRAME_NS)
    earliest_ns = (origin * TICK_NS + min(lows)) % PERIOD_NS
    return BoardReading(earliest_ns, earliest_ns + max(highs) - min(lows))


@dataclass(frozen=True, slots=True)
class _Span:
    """The shutter opened at a tick at the earliest, and at most so much later."""

    tick: int
    length_ns: int


def _marker_bits() -> list[Bools]:
    """Return which of each marker's 6 x 6 modules are white."""
    dictionary = _dictionary()
    return [cv2.aruco.generateImageMarker(dictionary, number, int(_MARKER)) > 0 for number in range(4)]


def _dictionary() -> cv2.aruco.Dictionary:
    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)


def _cells(tick: int) -> Bools:
    """Return which cells are black at a tick: both bands, one above the other."""
    words = [tick << 16 | _checksum(tick, salt) for salt in _BAND_SALTS]
    bits = [[word >> place & 1 == 1 for place in range(31, -1, -1)] for word in words]
    return np.array(bits).reshape(-1, _COLUMNS)


def _checksum(tick: int, salt: int) -> int:
    return binascii.crc_hqx(tick.to_bytes(2, "big"), salt)


def _between(early: int, late: int) -> int:
    """Return the ticks from one to the other, negative if it is the earlier, across the end of the period."""
    return (late - early + (1 << 15)) % (1 << 16) - (1 << 15)


def _find_board(rgb: U8) -> U8 | None:
    """Return the board in the photo turned upright and flat: uint8 [HEIGHT * unit, WIDTH * unit, 3]."""
    factor = _LOOKED_AT_PX / max(rgb.shape[:2])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    seen = np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=method), np.uint8)
    found = _find_markers(seen)
    known = sorted(found)
    if len(known) < 3:
        return None
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * _MARKER
    on_board = np.concatenate([square + np.array(_MARKER_PLACES[name]) for name in known])
    in_photo = np.concatenate([found[name] for name in known])
    to_photo, _ = cv2.findHomography(on_board, in_photo)
    if to_photo is None or abs(np.linalg.det(to_photo)) < 1e-9:
        return None
    back = cv2.perspectiveTransform(in_photo[:, None], np.linalg.inv(to_photo))[:, 0]
    if np.abs(back - on_board).max() > _MISPLACED:
        return None
    # Pixel (0, 0) of the flat board is a centre: it lies half a pixel inside.
    units = np.diag([1 / _READ_UNIT_PX, 1 / _READ_UNIT_PX, 1.0])
    units[:2, 2] = 0.5 / _READ_UNIT_PX
    size = (WIDTH * _READ_UNIT_PX, HEIGHT * _READ_UNIT_PX)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(seen, to_photo @ units, size, flags=flags), np.uint8)


def _find_markers(seen: U8) -> dict[int, F64]:
    """Return the corners [4, 2] of the markers of ours in a photo."""
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_CONTOUR
    settings.adaptiveThreshWinSizeMin, settings.adaptiveThreshWinSizeMax = 25, 125  # px: markers are 60 to 280 here
    settings.adaptiveThreshWinSizeStep = 50
    # Blur reaches far into a module of five pixels: only its middle counts. Ours are four of the dictionary's fifty,
    # and where they stand and what is between them must hold together, too.
    settings.perspectiveRemovePixelPerCell = 10
    settings.perspectiveRemoveIgnoredMarginPerCell = 0.4
    settings.errorCorrectionRate = 1.0
    detector = cv2.aruco.ArucoDetector(_dictionary(), settings)
    corners, names, _ = detector.detectMarkers(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY))
    found = zip(map(int, np.ravel(names)), corners, strict=True) if corners else ()
    return {name: quad.reshape(4, 2).astype(np.float64) for name, quad in found if name < len(_MARKER_PLACES)}


def _shares(flat: U8) -> F64 | None:
    """Return each cell's light, [8, 8]: 0 as black as the markers around, 1 as white; None without contrast."""
    light = (flat.astype(np.float32) / 255) ** np.float32(2.2)
    light = light.mean(axis=2)
    black, white = np.empty((2, 2)), np.empty((2, 2))
    for left, top in _MARKER_PLACES:
        at = (int(top > HEIGHT / 2), int(left > WIDTH / 2))
        black[at] = _ring(light, left + 0.3, top + 0.3, _MARKER - 0.6)
        white[at] = _ring(light, left - 0.9, top - 0.9, _MARKER + 1.8)
    rows = _CELLS_TOP + (np.arange(2 * _BAND_ROWS) + 0.5) * _CELL_HEIGHT
    columns = _CELLS_LEFT + (np.arange(_COLUMNS) + 0.5) * _CELL_WIDTH
    down = (rows - 4) / 14  # from the upper markers' centres to the lower ones'
    right = (columns - 4) / 26
    # Blur lets what lies around darken the rims of white: they tell how it falls off, the wide stretches between the
    # markers at the left and the right how bright it is.
    wide = (_mean(light, 2, 9, 4, 4) + _mean(light, 28, 9, 4, 4)) / 2
    white *= wide / white.mean()
    dark, bright = (_blend(corner, down, right) for corner in (black, white))
    if (bright - dark).min() < _LEAST_CONTRAST:
        return None
    cells = [[_mean(light, x - 0.6, y - 0.7, 1.2, 1.4) for x in columns] for y in rows]
    shares: F64 = (np.array(cells) - dark) / (bright - dark)
    return shares


def _blend(corners: F64, down: F64, right: F64) -> F64:
    """Interpolate [2, 2] values at the markers to rows and columns between them."""
    top, bottom = (row[0] + (row[1] - row[0]) * right for row in corners)
    blended: F64 = top + (bottom - top) * down[:, None]
    return blended


def _mean(light: F32, left: float, top: float, width: float, height: float) -> float:
    x, y, w, h = (round(side * _READ_UNIT_PX) for side in (left, top, width, height))
    return float(light[y : y + h, x : x + w].mean())


def _ring(light: F32, left: float, top: float, side: float) -> float:
    """Return the mean light of a square's outline, 0.4 units thick."""
    thick = 0.4
    upright, flat = (thick, side), (side, thick)
    far = side - thick
    sides = ((left, top, *flat), (left, top + far, *flat), (left, top, *upright), (left + far, top, *upright))
    return float(np.mean([_mean(light, *bar) for bar in sides]))


def _read_band(shares: F64, salt: int) -> _Span | None:
    """Return when the shutter opened as one band tells it, from the light of its 32 cells."""
    frame_ns = round(FRAME_NS) + TICK_NS  # the page cuts the frame's time to whole ticks
    is_grey = (shares > _GREY[0]) & (shares < _GREY[1])
    tick = _tick(shares < 0.5, salt)
    if not is_grey.any():
        return None if tick is None else _Span(tick, frame_ns)
    if (frames := _two_frames(shares, is_grey, salt)) is not None:
        early, late = frames
        return _Span(early, _between(early, late) * TICK_NS + TICK_NS)
    if tick is None:
        return None
    # That frame was seen, and something else with it: the shutter may have opened earlier, but not after its end.
    return _Span((tick - _MOST_BETWEEN_FRAMES) % (1 << 16), _MOST_BETWEEN_FRAMES * TICK_NS + frame_ns)


def _two_frames(shares: F64, is_grey: Bools, salt: int) -> tuple[int, int] | None:
    """Return the ticks of the two frames that an exposure mixed, the earlier first; None if that is not what it did.

    A grey cell is white in one of them; the frame that was seen for longer leaves the brighter grey. Where both were
    seen for about as long, nothing tells which is which.
    """
    greys = np.sort(shares[is_grey])
    steps = np.diff(greys)
    if not len(steps) or steps.max() < _GAP:
        return None
    middle = greys[np.argmax(steps)] + steps.max() / 2
    one, other = (_tick(np.where(is_grey, dark, shares < 0.5), salt) for dark in (shares < middle, shares > middle))
    if one is None or other is None:
        return None
    if 0 < _between(one, other) <= _MOST_BETWEEN_FRAMES:
        return one, other
    return (other, one) if 0 < _between(other, one) <= _MOST_BETWEEN_FRAMES else None


def _tick(is_black: Bools, salt: int) -> int | None:
    """Return the tick that a band's 32 cells tell; None where the checksum is another."""
    word = int("".join("1" if cell else "0" for cell in is_black), 2)
    tick = word >> 16
    return tick if word & 0xFFFF == _checksum(tick, salt) else None
