"""From a scene to a camera's photo: one resampling, then what a sensor and a camera's processor do to light."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from dpedkit.capture.simulate.formats import SENSOR_WHITE
from dpedkit.capture.simulate.frame import Frame, Order
from dpedkit.capture.simulate.optics import View
from dpedkit.capture.simulate.painting import WHITE
from dpedkit.capture.simulate.scenes import Scene, load_scene
from dpedkit.capture.simulate.screen import before_screen
from dpedkit.capture.simulate.specs import CameraSpec, SimulatedConfig
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.images import encode_jpeg
from dpedkit.types import F32, F64, U8

U16 = npt.NDArray[np.uint16]

_STRIP_ROWS = 256
_HALO_ROWS = 12
_MID_GREY = 0.18
_GREY_WORLD = 0.3
"""How far automatic white balance follows the scene's mean colour."""
_EXPOSURE_SD_EV, _BALANCE_SD, _SHAKE_SD_RAD = 0.05, 0.01, 6e-5
"""How much metering, white balance and the tripod vary from shot to shot."""
_SCENE_EXPOSURE_SD_EV, _SCENE_BALANCE_SD = 0.1, 0.02
"""How much each camera's automatics misjudge a scene, the same at every shot of it. Exposure is set in thirds of a
stop, whose rounding has this deviation (1/3 EV / sqrt(12)); see docs/decisions.md."""
_WARMER = (1.2, 1.0, 0.75)
"""Gain of R, G, B once white balance has jumped: about 1,000 K."""
_LUMA = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a camera's automatics chose for one shot.

    gain        of R, G, B on the scene's linear light; 1.0 is the sensor's white
    exposure_s  exposure time
    """

    gain: F64
    exposure_s: float


def develop(spec: CameraSpec, state: StateFolder, config: SimulatedConfig, order: Order) -> Frame:
    """Return the photo that is asked for as `spec` (at its scaled size) takes it."""
    cv2.setNumThreads(1)
    random = np.random.default_rng([config.seed, order.scene, order.shot, *spec.name.encode()])
    before = load_scene(state, config, order.scene)
    if order.board_ns is not None:
        before = before_screen(before, order.board_ns)
    view = View.of(spec, before.distance_m, random.normal(0, _SHAKE_SD_RAD, 3))
    habit = np.random.default_rng([config.seed, order.scene, *spec.name.encode()])
    exposure = _jump(order, meter(spec, before, view, (habit, random)))
    sensor = expose(spec, before, view, exposure, random)
    jpeg = encode_jpeg(process(spec, sensor), quality=spec.look.quality)
    truth = {
        "scene": order.scene,
        "shot": order.shot,
        "view": view.to_json(),
        "look": {**asdict(spec.look), "gain": exposure.gain.tolist(), "exposure_s": exposure.exposure_s},
    }
    return Frame(jpeg, exposure.exposure_s, truth, _mosaic(sensor) if order.raw else b"")


def _jump(order: Order, exposure: Exposure) -> Exposure:
    """Return the exposure of a camera whose automatics have changed their mind."""
    factor = 2.0 if order.brighter else 1.0
    gain = exposure.gain * factor * (np.array(_WARMER) if order.warmer else 1.0)
    return Exposure(gain, exposure.exposure_s * factor)


def _mosaic(sensor: U16) -> bytes:
    """Return what lies under an RGGB colour filter: uint16 [H, W], little-endian, H and W even."""
    height, width = (side // 2 * 2 for side in sensor.shape[:2])
    mosaic = sensor[:height, :width, 1].astype("<u2")
    mosaic[::2, ::2] = sensor[:height:2, :width:2, 0]
    mosaic[1::2, 1::2] = sensor[1:height:2, 1:width:2, 2]
    return mosaic.tobytes()


def meter(
    spec: CameraSpec, scene: Scene, view: View, draws: tuple[np.random.Generator, np.random.Generator]
) -> Exposure:
    """Set exposure and white balance from a coarse look at what the camera sees.

    draws  where its errors come from: those of the scene, and those of the shot
    """
    width, height = spec.size_px
    coarse = np.stack(np.meshgrid(np.linspace(0, width - 1, 48), np.linspace(0, height - 1, 36)), axis=-1)
    x, y = np.rint(scene.to_px(view.to_plane(coarse))).astype(int).transpose(2, 0, 1)
    seen = scene.light[y, x].reshape(-1, 3) / WHITE
    balance = (seen.mean(axis=0)[1] / seen.mean(axis=0)) ** _GREY_WORLD
    balance *= spec.look.cast
    bias_ev = spec.look.exposure_ev
    spreads = ((_SCENE_EXPOSURE_SD_EV, _SCENE_BALANCE_SD), (_EXPOSURE_SD_EV, _BALANCE_SD))
    for random, (exposure_sd_ev, balance_sd) in zip(draws, spreads, strict=True):
        balance *= random.lognormal(0, balance_sd, 3)
        bias_ev += random.normal(0, exposure_sd_ev)
    brightness = np.minimum(seen @ _LUMA, 1.5).mean()
    exposure_s = spec.f_number**2 / 2**scene.ev * 100 / spec.iso * 2**bias_ev
    return Exposure(balance * 2**bias_ev * _MID_GREY / brightness, float(exposure_s))


def expose(spec: CameraSpec, scene: Scene, view: View, exposure: Exposure, random: np.random.Generator) -> U16:
    """Return what the sensor read: uint16 [H, W, 3], linear, SENSOR_WHITE is white.

    The point spread, in scene pixels, is also what keeps the resampling free of aliases.
    """
    width, height = spec.size_px
    blur_px = spec.lens.blur_px * scene.density / view.focal_px
    blurred = cv2.GaussianBlur(np.asarray(scene.light), (0, 0), blur_px, borderType=cv2.BORDER_REPLICATE)
    sensor = np.empty((height, width, 3), np.uint16)
    for top in range(0, height, _STRIP_ROWS):
        rows = slice(top, min(top + _STRIP_ROWS, height))
        pixels = np.stack(np.meshgrid(np.arange(width), np.arange(rows.start, rows.stop)), axis=-1).astype(np.float64)
        source = scene.to_px(view.to_plane(pixels)).astype(np.float32)
        x, y = cv2.split(source)
        light = cv2.remap(blurred, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
        corner = np.hypot(width, height) / 2
        radius = np.linalg.norm(pixels - (np.array([width, height]) - 1) / 2, axis=-1) / corner
        falloff = (1 - spec.lens.vignetting * radius**2).astype(np.float32)
        signal = light * (exposure.gain / WHITE).astype(np.float32) * falloff[..., None]
        sensor[rows] = _read_out(spec, _leak(signal, spec.look.crosstalk), random)
    return sensor


def process(spec: CameraSpec, sensor: U16) -> U8:
    """Return the finished photo, uint8 [H, W, 3]: denoised, coloured, toned and sharpened."""
    look = spec.look
    curve = _tone_curve(look.contrast, look.black)
    rgb = np.empty(sensor.shape, np.uint8)
    for top in range(0, len(sensor), _STRIP_ROWS):
        start = max(0, top - _HALO_ROWS)
        strip = sensor[start : top + _STRIP_ROWS + _HALO_ROWS]
        if look.denoise_px:
            strip = np.asarray(cv2.GaussianBlur(strip, (0, 0), look.denoise_px), np.uint16)
        linear = strip.astype(np.float32)
        grey = linear @ _LUMA.astype(np.float32)
        linear = grey[..., None] + np.float32(look.saturation) * (linear - grey[..., None])
        display = curve[np.clip(linear, 0, SENSOR_WHITE).astype(np.uint16)]
        display += np.float32(look.sharpen) * (display - cv2.GaussianBlur(display, (0, 0), 1.0))
        rows = slice(top - start, top - start + _STRIP_ROWS)
        rgb[top : top + _STRIP_ROWS] = np.rint(np.clip(display[rows], 0, 255))
    return rgb


def _leak(signal: F32, share: float) -> F32:
    """Mix each channel with its neighbours, as wide colour filters do; grey stays grey."""
    mixing = np.eye(3) * (1 - 3 * share) + share
    mixed: F32 = signal @ mixing.astype(np.float32)
    return mixed


def _read_out(spec: CameraSpec, signal: F32, random: np.random.Generator) -> U16:
    """Add shot and read noise, clip at white."""
    spread = np.sqrt(spec.look.shot_noise * signal + np.float32(spec.look.read_noise**2))
    noisy = signal + spread * random.standard_normal(signal.shape, dtype=np.float32)
    levels: U16 = np.clip(noisy * SENSOR_WHITE, 0, SENSOR_WHITE).astype(np.uint16)
    return levels


@cache
def _tone_curve(contrast: float, black: float) -> F32:
    """Return the display value, 0-255, of each sensor level: sRGB, then an S-curve, then lifted or crushed shadows."""
    linear = np.arange(SENSOR_WHITE + 1) / SENSOR_WHITE
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    curved = srgb + contrast * (srgb * srgb * (3 - 2 * srgb) - srgb)
    display: F32 = ((black + (1 - black) * curved) * 255).astype(np.float32)
    return display
