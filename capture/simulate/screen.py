"""The host's screen, stood before the cameras for a calibration: it shows the clock board."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from dpedkit.capture.clock_board import HEIGHT, WIDTH, draw_board
from dpedkit.capture.simulate.painting import WHITE
from dpedkit.capture.simulate.scenes import Scene

_REFRESH_HZ = 60
_HALF_WIDTH = 0.36
"""Of the board (X/Z): it fills two thirds of the narrowest camera's frame."""
_DISTANCE_M = 2.5
_DIM = 0.25
"""What is left of the scene's light: the room behind the screen."""
_SCREEN_WHITE, _SCREEN_BLACK = 0.8, 0.01
_DRAWN_UNIT_PX = 20


def before_screen(scene: Scene, shutter_ns: int) -> Scene:
    """Return a scene with the screen before it, at the frame that it shows at that moment (host wall clock)."""
    frame_ns = shutter_ns * _REFRESH_HZ // 1_000_000_000 * 1_000_000_000 // _REFRESH_HZ
    width = round(2 * _HALF_WIDTH * scene.density)
    size = (width, round(width * HEIGHT / WIDTH))
    drawn = draw_board(frame_ns, _DRAWN_UNIT_PX)
    method = cv2.INTER_AREA if width < drawn.shape[1] else cv2.INTER_NEAREST
    board = np.asarray(cv2.resize(drawn, size, interpolation=method), np.float32) / 255
    light = (np.asarray(scene.light) * np.float32(_DIM)).astype(np.uint16)
    top, left = (light.shape[0] - size[1]) // 2, (light.shape[1] - size[0]) // 2
    shown = _SCREEN_BLACK + (_SCREEN_WHITE - _SCREEN_BLACK) * board
    light[top : top + size[1], left : left + size[0]] = (shown * WHITE).astype(np.uint16)
    return replace(scene, light=light, distance_m=_DISTANCE_M)
