"""A phone whose shutter, clock and card the test holds in its hands, behind the real daemon."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dpedkit.capture.drivers.adb import AdbCamera
from dpedkit.capture.drivers.adb_keys import load_signer
from dpedkit.capture.simulate.adb_daemon import AdbDaemon
from dpedkit.capture.simulate.specs import camera_spec


class BodyInHand:
    """A phone's insides: notes when it was released."""

    spec = camera_spec("sony")
    battery_percent = 81
    temperature_c = 31.5

    def __init__(self, card: Path) -> None:
        self.card = card
        self.offset_ns = 0
        self.released_ns: list[int] = []
        self.released = threading.Event()

    def now_ns(self) -> int:
        return time.time_ns() + self.offset_ns

    def release(self) -> None:
        self.released_ns.append(time.time_ns())
        self.released.set()


@pytest.fixture
def body(tmp_path: Path) -> BodyInHand:
    card = tmp_path / "memory card"  # a space, for what forgets to quote
    (card / "DCIM" / "Camera").mkdir(parents=True)
    return BodyInHand(card)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    load_signer(folder)
    return folder


@pytest.fixture(params=["dash", "mksh"])
def sh(request: pytest.FixtureRequest) -> str:
    """The shells whose common ground a phone's is: mksh is Android's, and computes with 32 bits."""
    path = shutil.which(request.param)
    if path is None:
        pytest.skip(f"{request.param} is not installed")
    return path


@pytest.fixture
def daemon(body: BodyInHand, keys: Path) -> Iterator[AdbDaemon]:
    daemon = AdbDaemon(body, authorised_keys=[keys / "adbkey.pub"])
    daemon.start()
    yield daemon
    daemon.close()


@pytest.fixture
def make_camera(keys: Path) -> Iterator[Callable[..., AdbCamera]]:
    cameras: list[AdbCamera] = []

    def make(daemon: AdbDaemon, **options: object) -> AdbCamera:
        defaults: dict[str, object] = {"settings": {}, "keys": keys}
        cameras.append(AdbCamera("sony", f"tcp:127.0.0.1:{daemon.port}", **(defaults | options)))  # type: ignore[arg-type]
        return cameras[-1]

    yield make
    for camera in cameras:
        camera.close()


@pytest.fixture
def camera(make_camera: Callable[..., AdbCamera], daemon: AdbDaemon) -> AdbCamera:
    return make_camera(daemon)
