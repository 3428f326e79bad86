"""Starting and stopping the simulated rig: one process per camera."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from dpedkit.capture.simulate.formats import check_endings
from dpedkit.capture.simulate.specs import CAMERAS, SimulatedConfig, camera_spec
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.errors import CameraError, CameraTimeout, UsageError
from dpedkit.files import write_atomic

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 5.0
_POLL_S = 0.05


class SimulatedRig:
    """The simulated rig, running; a context manager.

    If another process already runs a rig on the same state folder, that one is used and not stopped.

    addresses  of each camera, as a rig file names them: "ptpip:127.0.0.1:PORT" or "tcp:127.0.0.1:PORT"
    """

    def __init__(
        self,
        config: SimulatedConfig,
        state: Path,
        devices: Sequence[str] = tuple(CAMERAS),
        trusted_key: Path | None = None,
    ) -> None:
        """Describe the rig; `start` or `with` starts it.

        trusted_key  public key file that the phones let in beside this user's own; it may be made later

        Raises:
            UsageError: a device that the simulated rig does not have, or a scale outside (0, 1].
        """
        if not 0 < config.scale <= 1:
            raise UsageError(f"the simulated rig's scale is {config.scale}", "choose one above 0 and up to 1")
        self._specs = [camera_spec(name) for name in devices]
        self._config = config
        self._state = StateFolder(state.absolute())
        self._trusted_key = trusted_key
        self._lock: IO[bytes] | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.addresses: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start every camera, or find the ones that run, and fill in `addresses`.

        Raises:
            CameraError: a camera's process ended at once; the message quotes its last words.
            CameraTimeout: a camera did not report in time.
            UsageError: a rig with other settings runs on the same state folder, or the folder of scenes is empty.
            MissingExtra: a camera is to write HEIC, and pillow-heif is not installed.
        """
        self._config.scene_photos()
        for spec in self._specs:
            check_endings(self._config.device(spec.name).files)
        self._state.root.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._take_lock():
            if self._reuse():
                return
            _pause(deadline, f"another process is starting the simulated rig in {self._state.root}")
        try:
            self._state.running.unlink(missing_ok=True)
            for spec in self._specs:
                self._launch(spec.name)
            self.addresses = {spec.name: self._wait_for(spec.name, deadline) for spec in self._specs}
            running = {"config": self._config.to_json(), "addresses": self.addresses}
            write_atomic(self._state.running, json.dumps(running).encode())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the processes that this object started; safe to call twice."""
        if self._processes:
            self._state.running.unlink(missing_ok=True)
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.communicate(timeout=_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        self._processes.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def next_scene(self) -> int:
        """Turn the tripod to the next scene and return its index."""
        index = self._state.scene() + 1
        self._state.show_scene(index)
        return index

    def show_board(self) -> AbstractContextManager[None]:
        """Have the clock board stand before the cameras while the context is entered."""
        return self._state.showing_board()

    def _take_lock(self) -> bool:
        """Become the one who runs a rig here; the lock is free again as soon as this process is gone."""
        lock = (self._state.root / "rig.lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def _reuse(self) -> bool:
        """Take over the addresses of a rig that someone else runs; False while it is still starting."""
        try:
            running = json.loads(self._state.running.read_text())
        except FileNotFoundError:
            return False
        missing = [spec.name for spec in self._specs if spec.name not in running["addresses"]]
        if missing or running["config"] != self._config.to_json():
            raise UsageError(
                f"a simulated rig with other settings or devices runs in {self._state.root}",
                "stop the command that runs it, or use the same settings",
            )
        self.addresses = {spec.name: running["addresses"][spec.name] for spec in self._specs}
        return True

    def _launch(self, name: str) -> None:
        self._state.port(name).unlink(missing_ok=True)
        self._state.log(name).parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "dpedkit.capture.simulate.device", "--state", str(self._state.root)]
        command += ["--name", name, "--config", self._config.to_json()]
        if self._trusted_key is not None:
            command += ["--trust", str(self._trusted_key.absolute())]
        with self._state.log(name).open("wb") as log:
            self._processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # never written to: its end tells the camera that we are gone
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command, which then stops its cameras
            )

    def _wait_for(self, name: str, deadline: float) -> str:
        """Return the camera's address once it has reported its port."""
        port_file = self._state.port(name)
        while not port_file.exists():
            if self._processes[name].poll() is not None:
                words = self._state.log(name).read_text(errors="replace").strip().splitlines() or ["(it said nothing)"]
                raise CameraError(
                    f"the simulated {name} ended at once: {words[-1]}", f"its log is {self._state.log(name)}"
                )
            _pause(deadline, f"the simulated {name} did not report its port")
        scheme = "ptpip" if camera_spec(name).role == "dslr" else "tcp"
        return f"{scheme}:127.0.0.1:{json.loads(port_file.read_text())['port']}"


def _pause(deadline: float, cause: str) -> None:
    if time.monotonic() > deadline:
        raise CameraTimeout(f"{cause} within {_START_TIMEOUT_S:.0f} s", "look at the logs in the state folder")
    time.sleep(_POLL_S)
