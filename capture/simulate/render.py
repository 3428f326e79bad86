"""From a scene to a camera's photo."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from dpedkit.capture.simulate.darkroom import Frame
from dpedkit.capture.simulate.specs import CameraSpec, SimulatedConfig
from dpedkit.capture.simulate.state import StateFolder


def develop(spec: CameraSpec, state: StateFolder, config: SimulatedConfig, scene: int, shot: int) -> Frame:
    """Return photo number `shot` of scene number `scene` as `spec` takes it."""
    width, height = spec.size_px
    rng = np.random.default_rng([config.seed, scene])
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize((width, height))
    grain = np.random.default_rng([config.seed, scene, shot]).normal(0, 4, (height, width, 3))
    rgb = np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=spec.look.quality)
    return Frame(stream.getvalue(), 1 / 125, {"scene": scene, "shot": shot})
