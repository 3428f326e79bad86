"""Rendering ahead, in a process of low priority, so that megapixels of work do not disturb milliseconds.

Run as `python -m dpedkit.capture.simulate.darkroom` it answers each line of JSON on its standard input
(an Order) with a line on its standard output once that photo lies in the darkroom folder. It ends when its input
does, so it cannot outlive the camera that started it.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from dpedkit.capture.simulate.frame import Frame, Order
from dpedkit.capture.simulate.specs import SimulatedConfig, camera_spec
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.errors import CameraError

_NICE = 10


class Darkroom:
    """The rendering process of one camera. For use by one thread."""

    def __init__(self, camera: str, state: StateFolder, config: SimulatedConfig) -> None:
        self._camera, self._state, self._config = camera, state, config
        self._process: subprocess.Popen[str] | None = None
        self._asked: Order | None = None

    def ask(self, order: Order) -> None:
        """Start rendering a photo; returns at once. Asking again changes nothing.

        Raises:
            CameraError: the rendering process died.
        """
        if self._asked == order:
            return
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(asdict(order)) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        self._asked = order

    def take(self, order: Order) -> Frame:
        """Return that photo, waiting for it if it must.

        Raises:
            CameraError: the rendering process died.
        """
        self.ask(order)
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            reply = json.loads(line)
            jpeg, mosaic = Path(reply["jpeg"]), Path(reply["mosaic"])
            frame = Frame(jpeg.read_bytes(), reply["exposure_s"], reply["truth"], mosaic.read_bytes())
            jpeg.unlink()
            mosaic.unlink()
            if reply["asked"] == asdict(order):
                self._asked = None
                return frame
        raise self._died()

    def kill(self) -> None:
        """End the process, whatever it is doing; the only method for other threads."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process and forget it."""
        if self._process is not None:
            self.kill()
            self._process.communicate()
        self._process = self._asked = None

    def _died(self) -> CameraError:
        self.close()  # the next photo gets a new process
        return CameraError(f"simulated {self._camera}: its rendering process died", "see the messages above")

    def _start(self) -> subprocess.Popen[str]:
        arguments = json.dumps([self._camera, str(self._state.root), self._config.to_json()])
        command = [sys.executable, "-m", "dpedkit.capture.simulate.darkroom", arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self._process


def main(arguments: str) -> None:
    """Render what is asked for on standard input until it ends."""
    from dpedkit.capture.simulate.render import develop

    camera, root, config = json.loads(arguments)
    os.nice(_NICE)
    state, settings = StateFolder(Path(root)), SimulatedConfig.from_json(config)
    spec = settings.camera(camera_spec(camera))
    folder = state.darkroom(camera)
    folder.mkdir(parents=True, exist_ok=True)
    orders: queue.Queue[Order] = queue.Queue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    for number in itertools.count():
        order = orders.get()
        frame = develop(spec, state, settings, order)
        jpeg = folder / f"{number}.jpg"  # not by scene and shot: the same may be asked for twice, in two ways
        mosaic = jpeg.with_suffix(".raw")
        jpeg.write_bytes(frame.jpeg)
        mosaic.write_bytes(frame.mosaic)
        reply = {
            "asked": asdict(order),
            "jpeg": str(jpeg),
            "mosaic": str(mosaic),
            "exposure_s": frame.exposure_s,
            "truth": frame.truth,
        }
        print(json.dumps(reply), flush=True)


def _listen(orders: queue.Queue[Order]) -> None:
    for line in sys.stdin:
        orders.put(Order(**json.loads(line)))
    os._exit(0)  # the camera is gone: nobody waits for what is being rendered


if __name__ == "__main__":
    main(sys.argv[1])
