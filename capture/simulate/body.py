"""One simulated camera behind its protocol: a shutter, a clock and a memory card."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dpedkit.capture.simulate.darkroom import Darkroom
from dpedkit.capture.simulate.exif import Dials, Shot
from dpedkit.capture.simulate.faults import Script, ScriptedFault
from dpedkit.capture.simulate.formats import RAW_ENDINGS
from dpedkit.capture.simulate.frame import Order
from dpedkit.capture.simulate.specs import CameraSpec, SimulatedConfig
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.capture.simulate.writer import Exposure, Writer
from dpedkit.errors import DpedError

_SCENE_POLL_S = 0.1
_SHOTS_PER_BATTERY_PERCENT = 40


_LOW_BATTERY_PERCENT = 3


@dataclass(frozen=True, slots=True)
class _Press:
    """The button was pressed: for the how-manieth time, and when (host ns)."""

    number: int
    released_ns: int


class Body:
    """One simulated camera. Every method may be called from any thread.

    spec    what the camera is, at the size it photographs in
    card    its memory card: a folder that holds "DCIM/..."; a photo appears there whole or not at all, but for faults
    faults  what goes wrong, and when
    """

    def __init__(self, spec: CameraSpec, state: Path, config: SimulatedConfig) -> None:
        """Switch the camera on.

        spec    at its real size; what `config` says of it is applied here
        state   the rig's state folder (see state.py)
        """
        self.spec = config.camera(spec)
        self.faults = Script(config.device(spec.name).faults)
        self._state = StateFolder(state)
        self.card = self._state.card(spec.name)
        self._state.darkroom(spec.name).mkdir(parents=True, exist_ok=True)
        self._started_ns = time.time_ns()
        self._random = np.random.default_rng([config.seed, *spec.name.encode()])
        self._darkroom = Darkroom(spec.name, self._state, config)
        self._dials = Dials(
            self.spec.f_number, self.spec.iso, exposure_s=None, auto_white_balance=True, files=self.spec.files
        )
        self._shots = 0
        self._subscribers: list[Callable[[Path], None]] = []
        self._off = threading.Event()
        self._writer = Writer(self.spec, self._state, self.faults, self._landed, self._off)
        self._releases: queue.Queue[_Press | None] = queue.Queue()
        self._exposures: queue.Queue[Exposure] = queue.Queue()
        self._threads = [
            threading.Thread(target=work, name=f"{spec.name}-{work.__name__.strip('_')}", daemon=True)
            for work in (self._open_shutter, self._develop)
        ]
        for thread in self._threads:
            thread.start()

    def now_ns(self) -> int:
        """The device's own wall clock, ns since the epoch."""
        return self._device_ns(time.time_ns())

    def release(self) -> ScriptedFault | None:
        """Press the shutter button; returns at once. The shutter opens after the camera's lag.

        Returns what the camera's protocol has to act out, if the script says that something goes wrong.
        """
        released_ns = time.time_ns()
        attempt = self.faults.release()
        if attempt.exposes:
            self._releases.put(_Press(attempt.number, released_ns))
        return attempt.fault

    def set_dials(self, dials: Dials) -> None:
        """Change what is set on the camera, for the shutters that open from now on."""
        self._dials = dials

    def subscribe(self, callback: Callable[[Path], None]) -> None:
        """Have `callback` called, from the camera's own thread, with each photo that has landed on the card."""
        self._subscribers.append(callback)

    @property
    def battery_percent(self) -> int:
        """Charge left."""
        if self.faults.now("battery_low"):
            return _LOW_BATTERY_PERCENT
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
        self._writer.close()

    def _open_shutter(self) -> None:
        ready_ns = 0
        while (press := self._releases.get()) is not None:
            slow = self.faults.at("slow_trigger", press.number)
            lag_ns = round(slow.after_s * 1e9) if slow else self._draw_lag_ns()
            shutter_ns = max(press.released_ns + lag_ns, ready_ns)
            ready_ns = shutter_ns + round(self.spec.timing.cycle_ms * 1e6)
            if self._off_before(shutter_ns):
                return
            dials = self._dials
            shot = Shot(
                device_ns=self._device_ns(shutter_ns),
                exposure_s=dials.exposure_s or 0.0,
                f_number=dials.f_number,
                iso=dials.iso,
                auto_white_balance=dials.auto_white_balance,
            )
            scene, board = self._state.scene(), self._state.is_board_shown
            self._exposures.put(Exposure(press.number, press.released_ns, shutter_ns, scene, board, dials.files, shot))

    def _develop(self) -> None:
        """Keep the next photo rendered; when the shutter opens, put it on the card."""
        scene = -1
        taken = 0
        while not self._off.is_set():
            if scene != (scene := self._state.scene()):
                taken = 0
            try:
                self._ask_ahead(scene, taken)
                exposure = self._exposures.get(timeout=_SCENE_POLL_S)
                if exposure.scene != scene:
                    scene, taken = exposure.scene, 0
                order = self._order(scene, taken, exposure.number, exposure.files)
                frame = self._darkroom.take(replace(order, board_ns=exposure.shutter_ns if exposure.board else None))
                taken += 1
                self._shots += 1
                self._ask_ahead(scene, taken)
                shot = replace(exposure.shot, exposure_s=exposure.shot.exposure_s or frame.exposure_s)
                self._writer.write(frame, replace(exposure, shot=shot), self.now_ns)
            except queue.Empty:
                continue
            except DpedError as error:
                if not self._off.is_set():
                    print(error, file=sys.stderr, flush=True)

    def _ask_ahead(self, scene: int, shot: int) -> None:
        """Have the next photo rendered before it is taken; what a clock shows is known only then."""
        if not self._state.is_board_shown:
            self._darkroom.ask(self._order(scene, shot, self.faults.next_release, self._dials.files))

    def _order(self, scene: int, shot: int, release: int, files: tuple[str, ...]) -> Order:
        """Return what to render for a release."""
        brighter, warmer = (self.faults.since(name, release) for name in ("exposure_jump", "wb_jump"))
        return Order(scene, shot, brighter=brighter, warmer=warmer, raw=any(name in RAW_ENDINGS for name in files))

    def _landed(self, photo: Path) -> None:
        for callback in tuple(self._subscribers):
            callback(photo)

    def _off_before(self, host_ns: int) -> bool:
        """Wait until that moment; return True at once when the camera is switched off."""
        return self._off.wait(max(0, host_ns - time.time_ns()) / 1e9)

    def _device_ns(self, host_ns: int) -> int:
        timing = self.spec.timing
        drift_ns = (host_ns - self._started_ns) * timing.drift_ppm / 1e6
        return host_ns + round(timing.clock_offset_ms * 1e6 + drift_ns)

    def _draw_lag_ns(self) -> int:
        timing = self.spec.timing
        lag_ms = max(0.0, self._random.normal(timing.lag_ms, timing.jitter_ms))
        return round(lag_ms * 1e6)
