"""A phone that goes, or freezes, at any moment: an error in time, and it works again when it is back."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dpedkit.capture.camera import CameraFile
from dpedkit.capture.drivers.adb import AdbCamera
from dpedkit.capture.simulate.adb_daemon import AdbDaemon
from dpedkit.errors import CameraError, CameraTimeout, PullFailed

TIMEOUT_S = 1.0
PATIENCE_S = 30  # far more than any timeout here, far less than for ever


class Cable:
    """A wire to a phone that can be cut, or frozen: it takes everything and passes nothing on."""

    def __init__(self, port: int) -> None:
        self._phone = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._flows = threading.Event()
        self._flows.set()
        self._cut = False
        self.budget: int | None = None
        self.noise = b""
        self.when_spent: Callable[[], None] = self.cut
        self._start(self._accept)

    def cut(self) -> None:
        """Hang up on both sides, now and whenever someone comes."""
        self._cut = True
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        self._flows.clear()

    def mend(self) -> None:
        self.budget = None
        self._cut = False
        self._flows.set()

    def close(self) -> None:
        self.cut()
        self._flows.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(PATIENCE_S)
        for sock in [self._listener, *self._sockets]:
            sock.close()

    def _start(self, run: Callable[..., None], *words: object) -> None:
        thread = threading.Thread(target=run, args=words, daemon=True)
        self._threads.append(thread)
        thread.start()

    def after(self, down_bytes: int, happens: Callable[[], None]) -> None:
        """Let something happen once so many more bytes have come from the phone."""
        self.when_spent = happens
        self.budget = down_bytes

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                host, _ = self._listener.accept()
                if self._cut:
                    host.close()
                    continue
                phone = socket.create_connection(self._phone)
                for sock in (host, phone):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [host, phone]
                for source, sink in ((host, phone), (phone, host)):
                    self._start(self._carry, source, sink, source is phone)

    def _carry(self, source: socket.socket, sink: socket.socket, is_down: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 14):
                if is_down and self.budget is not None:
                    self.budget -= len(data)
                    if self.budget < 0:
                        self.budget = None
                        self.when_spent()
                self._flows.wait()
                sink.sendall(self.noise if is_down and self.noise else data)
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cable(daemon: AdbDaemon) -> Iterator[Cable]:
    cable = Cable(daemon.port)
    yield cable
    cable.close()


@pytest.fixture
def phone(make_camera: Callable[..., AdbCamera], cable: Cable) -> AdbCamera:
    return make_camera(cable, timeout_s=TIMEOUT_S)


def works(camera: AdbCamera) -> None:
    camera.close()
    camera.open()
    assert camera.shell("echo here").strip() == "here"
    camera.fire(0)


@pytest.mark.parametrize("how", ["cut", "freeze"])
def test_a_phone_that_goes_while_connecting(phone: AdbCamera, cable: Cable, how: str) -> None:
    getattr(cable, how)()
    begun_s = time.monotonic()
    with pytest.raises(CameraError):
        phone.open()
    assert time.monotonic() - begun_s < PATIENCE_S
    cable.mend()
    works(phone)


CALLS: dict[str, Callable[[AdbCamera], object]] = {
    "info": lambda camera: camera.info(),
    "prepare": lambda camera: camera.prepare(),
    "clock": lambda camera: camera.clock_offset(),
    "list": lambda camera: camera.list_photos(),
    "new": lambda camera: camera.new_photos(()),
    "awake": lambda camera: camera.keep_awake(),
    "diagnose": lambda camera: camera.diagnose(),
    "fire": lambda camera: camera.fire(time.time_ns() + 100_000_000),
}


@pytest.mark.parametrize("how", ["cut", "freeze"])
@pytest.mark.parametrize("call", CALLS)
def test_a_phone_that_goes_in_the_middle_of_any_call(phone: AdbCamera, cable: Cable, call: str, how: str) -> None:
    phone.open()
    phone.clock_offset()
    cable.after(30, getattr(cable, how))
    begun_s = time.monotonic()
    with pytest.raises(CameraTimeout if how == "freeze" else CameraError, match="sony"):
        CALLS[call](phone)
    assert time.monotonic() - begun_s < PATIENCE_S
    cable.mend()
    works(phone)


@pytest.mark.parametrize("how", ["cut", "freeze"])
def test_a_phone_that_goes_in_the_middle_of_a_pull(
    phone: AdbCamera, cable: Cable, body: Any, tmp_path: Path, how: str
) -> None:
    (body.card / "DCIM/a.jpg").write_bytes(os.urandom(2_000_000))
    photo = CameraFile("/sdcard/DCIM/a.jpg", 2_000_000)
    phone.open()
    cable.after(1_000_000, getattr(cable, how))
    with pytest.raises(PullFailed, match="in time" if how == "freeze" else "sony"):
        list(phone.pull(photo, tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()
    cable.mend()
    works(phone)
    list(phone.pull(photo, tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == (body.card / "DCIM/a.jpg").read_bytes()


def test_a_phone_that_is_cut_off_while_it_waits_fires_no_second_time(phone: AdbCamera, cable: Cable, body: Any) -> None:
    phone.open()
    phone.clock_offset()
    cut = threading.Timer(0.3, cable.cut)
    cut.start()
    with pytest.raises(CameraError, match="sony"):
        phone.fire(time.time_ns() + 1_000_000_000)
    cut.join()
    cable.mend()
    phone.open()
    assert phone.shell("echo here").strip() == "here"
    assert len(body.released_ns) <= 1


@pytest.mark.parametrize("noise", [b"GARBAGE!" * 400, b"WRTE" + b"\xff" * 20], ids=["no message", "a wild length"])
def test_noise_on_the_line_is_an_error(phone: AdbCamera, cable: Cable, noise: bytes) -> None:
    phone.open()
    cable.noise = noise
    with pytest.raises(CameraError, match="sony"):
        phone.shell("echo here")
    cable.noise = b""
    works(phone)
