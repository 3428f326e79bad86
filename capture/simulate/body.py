"""One simulated camera behind its protocol: a shutter, a clock and a memory card."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from dpedkit.capture.simulate.darkroom import Darkroom, Frame
from dpedkit.capture.simulate.exif import exif_block, with_exif
from dpedkit.capture.simulate.specs import CameraSpec, SimulatedConfig
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.errors import DpedError
from dpedkit.files import write_atomic

_SCENE_POLL_S = 0.1
_SHOTS_PER_BATTERY_PERCENT = 40


@dataclass(frozen=True, slots=True)
class _Exposure:
    """The shutter opened: when the button was pressed, when it opened (host ns), and before which scene."""

    released_ns: int
    shutter_ns: int
    scene: int


class Body:
    """One simulated camera. Every method may be called from any thread.

    spec   what the camera is, at the size it photographs in
    card   its memory card: a folder that holds "DCIM/..."; a photo appears there whole or not at all
    """

    def __init__(self, spec: CameraSpec, state: Path, config: SimulatedConfig) -> None:
        """Switch the camera on.

        spec    at its real size; what `config` says of it is applied here
        state   the rig's state folder (see state.py)
        """
        self.spec = config.camera(spec)
        self._state = StateFolder(state)
        self.card = self._state.card(spec.name)
        (self.card / spec.photo_name).parent.mkdir(parents=True, exist_ok=True)
        self._started_ns = time.time_ns()
        self._random = np.random.default_rng([config.seed, *spec.name.encode()])
        self._darkroom = Darkroom(spec.name, self._state, config)
        self._next_number = self._highest_number() + 1
        self._shots = 0
        self._subscribers: list[Callable[[Path], None]] = []
        self._off = threading.Event()
        self._releases: queue.Queue[int | None] = queue.Queue()
        self._exposures: queue.Queue[_Exposure] = queue.Queue()
        self._threads = [
            threading.Thread(target=work, name=f"{spec.name}-{work.__name__.strip('_')}", daemon=True)
            for work in (self._open_shutter, self._develop)
        ]
        for thread in self._threads:
            thread.start()

    def now_ns(self) -> int:
        """The device's own wall clock, ns since the epoch."""
        return self._device_ns(time.time_ns())

    def release(self) -> None:
        """Press the shutter button; returns at once. The shutter opens after the camera's lag."""
        self._releases.put(time.time_ns())

    def subscribe(self, callback: Callable[[Path], None]) -> None:
        """Have `callback` called, from the camera's own thread, with each photo that has landed on the card."""
        self._subscribers.append(callback)

    @property
    def battery_percent(self) -> int:
        """Charge left."""
        return max(1, self.spec.battery_percent - self._shots // _SHOTS_PER_BATTERY_PERCENT)

    @property
    def temperature_c(self) -> float:
        """Temperature of the battery; it rises a little with work."""
        return self.spec.temperature_c + min(6.0, self._shots / 50)

    def close(self) -> None:
        """Switch the camera off; photos not yet on the card are lost, as when a battery is pulled."""
        self._off.set()
        self._releases.put(None)
        self._darkroom.kill()
        for thread in self._threads:
            thread.join()
        self._darkroom.close()

    def _open_shutter(self) -> None:
        ready_ns = 0
        while (released_ns := self._releases.get()) is not None:
            shutter_ns = max(released_ns + self._draw_lag_ns(), ready_ns)
            ready_ns = shutter_ns + round(self.spec.timing.cycle_ms * 1e6)
            if self._off_before(shutter_ns):
                return
            self._exposures.put(_Exposure(released_ns, shutter_ns, self._state.scene()))

    def _develop(self) -> None:
        """Keep the next photo rendered; when the shutter opens, put it on the card."""
        scene = -1
        taken = 0
        while not self._off.is_set():
            if scene != (scene := self._state.scene()):
                taken = 0
            try:
                self._darkroom.ask(scene, taken)
                exposure = self._exposures.get(timeout=_SCENE_POLL_S)
                if exposure.scene != scene:
                    scene, taken = exposure.scene, 0
                frame = self._darkroom.take(scene, taken)
                taken += 1
                self._shots += 1
                self._darkroom.ask(scene, taken)
                self._land(frame, exposure)
            except queue.Empty:
                continue
            except DpedError as error:
                if not self._off.is_set():
                    print(error, file=sys.stderr, flush=True)

    def _off_before(self, host_ns: int) -> bool:
        """Wait until that moment; return True at once when the camera is switched off."""
        return self._off.wait(max(0, host_ns - time.time_ns()) / 1e9)

    def _land(self, frame: Frame, exposure: _Exposure) -> None:
        """Write the truth, then the photo: whoever sees a photo can look up its truth."""
        if self._off_before(exposure.shutter_ns + round(self.spec.timing.write_ms * 1e6)):
            return
        device_ns = self._device_ns(exposure.shutter_ns)
        data = with_exif(frame.jpeg, exif_block(self.spec, device_ns, frame.exposure_s))
        truth = frame.truth | {
            "camera": self.spec.name,
            "released_ns": exposure.released_ns,
            "shutter_ns": exposure.shutter_ns,
            "clock_offset_ns": device_ns - exposure.shutter_ns,
            "clock_drift_ppm": self.spec.timing.drift_ppm,
        }
        self._state.truth.mkdir(exist_ok=True)
        write_atomic(self._state.truth / f"{hashlib.sha256(data).hexdigest()}.json", json.dumps(truth).encode())
        moment = datetime.fromtimestamp(device_ns // 1_000_000_000, UTC).strftime("%Y%m%d_%H%M%S")
        stamp = f"{moment}_{device_ns // 1_000_000 % 1000:03d}"
        photo = self.card / self.spec.photo_name.format(number=self._next_number, time=stamp)
        unfinished = self._state.darkroom(self.spec.name) / photo.name  # off the card, where no listing sees it
        unfinished.write_bytes(data)
        os.utime(unfinished, ns=(self.now_ns(), self.now_ns()))
        unfinished.replace(photo)
        self._next_number += 1
        for callback in tuple(self._subscribers):
            callback(photo)

    def _device_ns(self, host_ns: int) -> int:
        timing = self.spec.timing
        drift_ns = (host_ns - self._started_ns) * timing.drift_ppm / 1e6
        return host_ns + round(timing.clock_offset_ms * 1e6 + drift_ns)

    def _draw_lag_ns(self) -> int:
        timing = self.spec.timing
        lag_ms = max(0.0, self._random.normal(timing.lag_ms, timing.jitter_ms))
        return round(lag_ms * 1e6)

    def _highest_number(self) -> int:
        numbers = [re.search(r"_(\d{4})\.", path.name) for path in self.card.rglob("*.*")]
        return max((int(number[1]) for number in numbers if number), default=0)
