"""The four cameras of the simulated rig: what they are, how they see and how they keep time.

The values are taken from data sheets and from what photos of such cameras look like; they are not tuned to make
alignment or training look good.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from dpedkit.capture.simulate.faults import ScriptedFault
from dpedkit.errors import UsageError
from dpedkit.images import PHOTO_SUFFIXES
from dpedkit.types import Json


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """What a rig file says of one simulated camera.

    timing  values of its TimingSpec by their names, in place of its own
    files   what one release makes, as file endings without the dot
    faults  what goes wrong, and when
    """

    timing: Json = field(default_factory=dict)
    files: tuple[str, ...] = ("jpg",)
    faults: tuple[ScriptedFault, ...] = ()


@dataclass(frozen=True, slots=True)
class SimulatedConfig:
    """What a simulated rig is, and shows its cameras.

    scale    size of every photo relative to the real camera's, in (0, 1]
    seed     of scenes, lags and noise
    scenes   a folder of photos to use as scenes; None: generated ones
    devices  name -> what differs from its specification
    """

    scale: float = 0.25
    seed: int = 0
    scenes: str | None = None
    devices: Mapping[str, DeviceConfig] = field(default_factory=dict)

    def device(self, name: str) -> DeviceConfig:
        """Return what is said of that camera."""
        return self.devices.get(name, DeviceConfig())

    def camera(self, spec: CameraSpec) -> CameraSpec:
        """Return the camera as it stands in this rig: `spec`, which is at its real size, with this rig's changes."""
        device = self.device(spec.name)
        return replace(spec.at_scale(self.scale), timing=replace(spec.timing, **device.timing), files=device.files)

    def to_json(self) -> str:
        """Return what `from_json` reads; equal settings give equal text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the settings that `to_json` wrote."""
        record = json.loads(text)
        devices = {
            name: DeviceConfig(
                device["timing"],
                tuple(device["files"]),
                tuple(ScriptedFault(f["fault"], tuple(f["shots"]), f["after_s"]) for f in device["faults"]),
            )
            for name, device in record.pop("devices").items()
        }
        return cls(**record, devices=devices)

    def scene_photos(self) -> list[Path]:
        """Return the photos to use as scenes, in name order; none where scenes are generated.

        Raises:
            UsageError: the folder holds no photos.
        """
        if self.scenes is None:
            return []
        photos = sorted(path for path in Path(self.scenes).glob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
        if not photos:
            raise UsageError(f"no photos in {self.scenes}", "give a folder of JPEG, PNG, TIFF or HEIC files as scenes")
        return photos


@dataclass(frozen=True, slots=True)
class LensSpec:
    """Where a camera stands on the tripod bar and how its lens draws.

    hfov_deg      angle of view along the long side of the frame
    rotation_deg  pan, tilt, roll against the DSLR
    offset_m      (right, down, forward) against the DSLR
    k1, k2        Brown's radial distortion over (x, y) = (X/Z, Y/Z)
    vignetting    light lost in the corners, as a fraction
    blur_px       standard deviation of the point spread, px of this camera
    """

    hfov_deg: float
    rotation_deg: tuple[float, float, float]
    offset_m: tuple[float, float, float]
    k1: float
    k2: float
    vignetting: float
    blur_px: float


@dataclass(frozen=True, slots=True)
class LookSpec:
    """From light to JPEG.

    exposure_ev   how far its metering lies from the DSLR's
    cast          gain of R, G, B that its white balance leaves in
    saturation    1: as the scene; in linear light
    crosstalk     how much each channel leaks into its neighbours
    contrast      strength of the S-curve, 0: plain sRGB
    black         lift (> 0) or crush (< 0) of the shadows, in display values
    shot_noise    variance at full signal, linear light
    read_noise    standard deviation, linear light
    denoise_px    standard deviation of the smoothing after the noise, px; 0: none
    sharpen       amount of unsharp masking
    quality       JPEG quality, 1-100
    """

    exposure_ev: float
    cast: tuple[float, float, float]
    saturation: float
    crosstalk: float
    contrast: float
    black: float
    shot_noise: float
    read_noise: float
    denoise_px: float
    sharpen: float
    quality: int


@dataclass(frozen=True, slots=True)
class TimingSpec:
    """How a camera keeps time.

    lag_ms, jitter_ms  release to shutter: mean and standard deviation (drawn per shot, never below 0)
    exif_lag_ms        EXIF time minus shutter, device clock
    exif_step_ms       resolution of SubSecTimeOriginal
    write_ms           shutter to photo on the card, at least
    cycle_ms           shortest time between two shutters
    clock_offset_ms    device clock minus host clock at start
    drift_ppm          how much faster the device's clock runs
    """

    lag_ms: float
    jitter_ms: float
    exif_lag_ms: float
    exif_step_ms: int
    write_ms: float
    cycle_ms: float
    clock_offset_ms: float
    drift_ppm: float


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """One camera of the simulated rig.

    size_px     (width, height)
    photo_name  path on the card, with {number} or {time} (device clock, to the millisecond)
    files       what one release makes, as file endings without the dot
    f_number, focal_mm, focal_35mm, iso   for the EXIF block
    """

    name: str
    role: Literal["dslr", "phone"]
    make: str
    model: str
    serial: str
    size_px: tuple[int, int]
    photo_name: str
    f_number: float
    focal_mm: float
    focal_35mm: int
    iso: int
    lens: LensSpec
    look: LookSpec
    timing: TimingSpec
    battery_percent: int
    temperature_c: float
    files: tuple[str, ...] = ("jpg",)

    def at_scale(self, scale: float) -> CameraSpec:
        """Return the same camera with a smaller sensor: `scale` times the width and height."""
        width, height = self.size_px
        return replace(self, size_px=(round(width * scale), round(height * scale)))


_DSLR = CameraSpec(
    name="dslr",
    role="dslr",
    make="Canon",
    model="Canon EOS 70D",
    serial="073025001234",
    size_px=(5472, 3648),
    photo_name="DCIM/100CANON/IMG_{number:04d}.JPG",
    f_number=8.0,
    focal_mm=18.0,
    focal_35mm=29,
    iso=100,
    lens=LensSpec(64.0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), -0.035, 0.006, 0.18, 0.55),
    look=LookSpec(0.0, (1.01, 1.0, 0.99), 1.12, 0.0, 0.30, 0.0, 0.00004, 0.0006, 0.0, 0.35, 96),
    timing=TimingSpec(95.0, 4.0, 12.0, 10, 350.0, 250.0, 3270.0, -3.0),
    battery_percent=92,
    temperature_c=27.0,
)

_SONY = CameraSpec(
    name="sony",
    role="phone",
    make="Sony",
    model="C6603",
    serial="CB5A1TSC9K",
    size_px=(4128, 3096),
    photo_name="DCIM/100ANDRO/DSC_{number:04d}.JPG",
    f_number=2.4,
    focal_mm=4.13,
    focal_35mm=28,
    iso=50,
    lens=LensSpec(62.0, (0.5, -0.4, 0.6), (-0.11, 0.03, 0.01), 0.045, -0.03, 0.32, 0.85),
    look=LookSpec(-0.60, (0.93, 1.0, 1.10), 0.88, 0.03, 0.10, 0.03, 0.0006, 0.003, 0.6, 0.8, 93),
    timing=TimingSpec(210.0, 9.0, -18.0, 1, 500.0, 600.0, -412.0, 11.0),
    battery_percent=81,
    temperature_c=31.5,
)

_BLACKBERRY = CameraSpec(
    name="blackberry",
    role="phone",
    make="BlackBerry",
    model="BlackBerry Passport",
    serial="1163890425",
    size_px=(4160, 3120),
    photo_name="DCIM/Camera/IMG_{time}.jpg",
    f_number=2.0,
    focal_mm=3.9,
    focal_35mm=27,
    iso=64,
    lens=LensSpec(65.5, (-0.6, 0.5, -0.8), (0.12, 0.04, 0.0), -0.06, 0.025, 0.38, 0.9),
    look=LookSpec(-0.55, (0.90, 1.02, 0.86), 0.85, 0.04, 0.05, 0.01, 0.0008, 0.004, 0.7, 0.6, 92),
    timing=TimingSpec(260.0, 12.0, 25.0, 1, 600.0, 700.0, 1873.0, -19.0),
    battery_percent=74,
    temperature_c=33.0,
)

_IPHONE = CameraSpec(
    name="iphone",
    role="phone",
    make="Apple",
    model="iPhone 3GS",
    serial="88920B3X3NP",
    size_px=(2048, 1536),
    photo_name="DCIM/100APPLE/IMG_{number:04d}.JPG",
    f_number=2.8,
    focal_mm=3.85,
    focal_35mm=37,
    iso=70,
    lens=LensSpec(53.0, (0.9, 0.7, 1.1), (0.02, 0.12, 0.02), 0.03, 0.04, 0.45, 1.1),
    look=LookSpec(-0.35, (1.06, 1.0, 0.84), 0.78, 0.06, 0.35, -0.02, 0.002, 0.007, 0.5, 0.5, 90),
    timing=TimingSpec(330.0, 16.0, -40.0, 1, 700.0, 900.0, -27400.0, 28.0),
    battery_percent=66,
    temperature_c=34.0,
)

CAMERAS = MappingProxyType({spec.name: spec for spec in (_DSLR, _SONY, _BLACKBERRY, _IPHONE)})


def camera_spec(name: str) -> CameraSpec:
    """Return the camera of that name, at its real size.

    Raises:
        UsageError: the simulated rig has no such camera.
    """
    if name not in CAMERAS:
        raise UsageError(f"the simulated rig has no camera {name!r}", f"it has: {', '.join(CAMERAS)}")
    return CAMERAS[name]
