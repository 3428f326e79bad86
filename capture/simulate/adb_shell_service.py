"""The shell and exec services of a simulated phone: the system's own sh, with Android's tools first in its PATH.

A phone's paths are translated in one place, here: /sdcard and its other names in a command become the memory card's
place on this machine, /dev/input/ the folder of the input device, and the card's place in the output of shell: becomes
/sdcard again; exec: is raw, as on a phone.
The sh is an ordinary process of this user: whoever is let in by key may run any command.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from dpedkit.capture.simulate.adb_input import InputDevice
from dpedkit.capture.simulate.adb_sync import CARD_NAMES, host_path
from dpedkit.capture.simulate.adb_tools import install_phone
from dpedkit.capture.simulate.adb_wire import Stream, StreamClosed
from dpedkit.capture.simulate.faults import Script, ScriptedFault
from dpedkit.capture.simulate.specs import CameraSpec

_READ_BYTES = 1 << 16
_CLOCK_PROBES = 5


class PhoneBody(Protocol):
    """What a phone's software needs of the camera it runs on; dpedkit.capture.simulate.body.Body is one."""

    @property
    def spec(self) -> CameraSpec:
        """What the camera is."""
        ...

    @property
    def card(self) -> Path:
        """Folder that holds DCIM/..."""
        ...

    @property
    def battery_percent(self) -> int:
        """Charge left."""
        ...

    @property
    def temperature_c(self) -> float:
        """Temperature of the battery."""
        ...

    def now_ns(self) -> int:
        """The device's wall clock, ns since the epoch."""
        ...

    def release(self) -> ScriptedFault | None:
        """Press the shutter button; returns at once, with what is to go wrong."""
        ...


class PhoneShell:
    """What runs commands on a simulated phone.

    sh       the shell, "/bin/sh" or another POSIX one
    faults   what goes wrong
    act_out  called with what goes wrong at a release
    """

    def __init__(self, body: PhoneBody, sh: str, faults: Script, act_out: Callable[[ScriptedFault], None]) -> None:
        self._body = body
        self._sh = sh
        self._faults = faults
        self._act_out = act_out
        self._folder = tempfile.TemporaryDirectory(prefix="dpedkit-phone-")
        self._root = Path(self._folder.name).resolve()
        self._card = bytes(self._root / "card")
        install_phone(self._root, body.card, device_props(body.spec))
        self._input = InputDevice(self._root / "input", self._press_key)

    def close(self) -> None:
        """Take the tools away."""
        self._input.close()
        self._folder.cleanup()

    def serve(self, stream: Stream, command: str, *, text: bool) -> None:
        """Run a command, or sh on the stream's input where it is empty, until it ends or the client closes.

        text  whether the memory card's place in the output is translated back

        Raises:
            CablePulled: in the middle of a file, as the script says.
        """
        self._lock_screen()
        events, tell = os.pipe()
        acks, acknowledge = os.pipe()
        words = [self._sh, "-c", self._to_host(command)] if command else [self._sh]
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment() | {"PHONE_EVENTS": str(tell), "PHONE_ACKS": str(acks)},
            cwd=self._root / "card",
            pass_fds=(tell, acks),
            start_new_session=True,
            bufsize=0,
        )
        os.close(tell)
        os.close(acks)
        threading.Thread(target=self._press_shutter, args=(events, acknowledge), daemon=True).start()
        threading.Thread(target=self._feed, args=(stream, process, bool(command)), daemon=True).start()
        try:
            self._send_output(stream, process, None if text else self._pulled(command), text=text)
        except StreamClosed:
            pass
        finally:
            _kill(process)
            stream.close()

    def _press_shutter(self, events: int, acknowledge: int) -> None:
        """Press the button for each line the tools write; ends when the last of them has."""
        with os.fdopen(events, "rb", buffering=0) as lines, os.fdopen(acknowledge, "wb", buffering=0) as answers:
            for _ in lines:
                self._press()
                try:
                    answers.write(b"done\n")
                except BrokenPipeError:
                    return

    def _press(self) -> None:
        """Press the button, and fail as the script says."""
        if fault := self._body.release():
            self._act_out(fault)
        self._lock_screen()

    def _press_key(self) -> None:
        """Do what a key does: nothing while the phone sleeps, is locked or shows another app."""
        at_pin = (self._root / "pin").exists()  # the attempt counts
        is_up = (self._root / "awake").exists() and not (self._root / "locked").exists()
        if at_pin or (is_up and "camera" in (self._root / "front").read_text().lower()):
            self._press()

    def _feed(self, stream: Stream, process: subprocess.Popen[bytes], is_command: bool) -> None:
        """Hand what the client types to the process; kill the process when the client closes."""
        assert process.stdin is not None
        with process.stdin as keyboard:
            while data := stream.read():
                try:
                    keyboard.write(data if is_command else os.fsencode(self._to_host(os.fsdecode(data))))
                except BrokenPipeError:
                    continue  # the process reads no more, and may still have something to say
        _kill(process)

    def _lock_screen(self) -> None:
        """Lock the phone with a PIN, or open it again, as the script says; the tools look at the file."""
        pin = self._root / "pin"
        if self._faults.now("screen_locked"):
            pin.touch()
        else:
            pin.unlink(missing_ok=True)

    def _pulled(self, command: str) -> Path | None:
        """Return the photo whose bytes a command sends: the last file on the card that it names."""
        for word in re.findall(rf"{CARD_NAMES.pattern}(?:[^'\"]*(?=['\"])|[^'\"\s;|&<>]*)", command)[::-1]:
            with suppress(OSError, ValueError):
                path = host_path(self._body.card, word.strip())
                if path.is_file():
                    return path
        return None

    def _send_output(self, stream: Stream, process: subprocess.Popen[bytes], photo: Path | None, *, text: bool) -> None:
        """Hand on what the process says; `photo` is the file it sends, for the faults of a pull."""
        assert process.stdout is not None
        held = b""
        with process.stdout as output:
            chunks: Iterator[bytes] = iter(lambda: output.read(_READ_BYTES), b"")
            for data in self._faults.tamper(photo, chunks) if photo else chunks:
                held, said = self._to_device(held + data) if text else (b"", data)
                stream.write(said)
        stream.write(held)

    def _to_host(self, command: str) -> str:
        on_host = CARD_NAMES.sub(os.fsdecode(self._card).replace("\\", r"\\"), command)
        return on_host.replace("/dev/input/", f"{self._root}/input/")

    def _to_device(self, output: bytes) -> tuple[bytes, bytes]:
        """Return (a tail that may be the beginning of the card's place, the translated rest)."""
        held = next((n for n in range(len(self._card) - 1, 0, -1) if output.endswith(self._card[:n])), 0)
        whole = output[: len(output) - held]
        return output[len(output) - held :], whole.replace(self._card, b"/sdcard")

    def _environment(self) -> dict[str, str]:
        """The phone as of now."""
        read_ns, offset_ns = read_clock(self._body)
        return {
            "PATH": f"{self._root / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C",
            "TZ": "UTC",
            "PHONE": str(self._root),
            "PHONE_CLOCK_OFFSET_NS": str(offset_ns),
            "PHONE_CLOCK_READ_NS": str(read_ns),
            "PHONE_CLOCK_DRIFT_PPB": str(round(self._body.spec.timing.drift_ppm * 1000)),
            "PHONE_BATTERY_PERCENT": str(self._body.battery_percent),
            "PHONE_CARD_FULL": str(self._faults.now("card_full")),
            "PHONE_BATTERY_TENTHS_C": str(round(self._body.temperature_c * 10)),
        }


def read_clock(body: PhoneBody) -> tuple[int, int]:
    """Return this machine's time and how far the body's clock is ahead then, by the quickest of a few comparisons."""
    probes = []
    for _ in range(_CLOCK_PROBES):
        before_ns, device_ns, after_ns = time.time_ns(), body.now_ns(), time.time_ns()
        host_ns = (before_ns + after_ns) // 2
        probes.append((after_ns - before_ns, host_ns, device_ns - host_ns))
    return min(probes)[1:]


def device_props(spec: CameraSpec) -> dict[str, str]:
    """Return what `getprop` knows."""
    return {
        "ro.product.manufacturer": spec.make,
        "ro.product.model": spec.model,
        "ro.product.name": spec.name,
        "ro.product.device": spec.name,
        "ro.serialno": spec.serial,
        "ro.build.version.release": "7.1.2",
        "ro.build.version.sdk": "25",
        "sys.boot_completed": "1",
    }


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it started; harmless where they have ended."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
