"""What a darkroom is asked for, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass

from dpedkit.types import Json


@dataclass(frozen=True, slots=True)
class Order:
    """Which photo to render: number `shot` of a scene.

    brighter  by one EV than metered
    warmer    than white balance would have it
    raw       with what the sensor read
    board_ns  as at this moment, host wall clock, with the clock board before the scene; None: without it
    """

    scene: int
    shot: int
    brighter: bool = False
    warmer: bool = False
    raw: bool = False
    board_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A photo but for its EXIF block.

    jpeg        without metadata
    mosaic      what the sensor read: uint16 [H, W], RGGB, little-endian; H and W even; empty where it is not asked for
    exposure_s  exposure time that the camera's metering chose
    truth       what is true of it: scene, camera geometry, look
    """

    jpeg: bytes
    exposure_s: float
    truth: Json
    mosaic: bytes = b""
