"""Pulls against the stock clients, from the same simulated devices; a phone's clock, and how punctually it fires.

Each device is a process of its own. Both clients fetch the same file by turns, to the same disk; ours also has the
phone compute a checksum and compares it. The stock clients are given twice: the whole command, and the transfer without
the start, which adb prints of itself; of gphoto2 it is what a file of 1 kB takes less. Clock and release are compared
with what the simulator knows: the bounds are those that the driver states.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from measure import Figure, Findings, timed

from dpedkit.capture.camera import CameraFile
from dpedkit.capture.drivers.adb import AdbCamera
from dpedkit.capture.drivers.gphoto2 import Gphoto2Camera
from dpedkit.capture.simulate.specs import SimulatedConfig
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.capture.simulate.supervisor import SimulatedRig
from dpedkit.capture.simulate.truth import load_truth
from dpedkit.files import sha256_file

PHONE, DSLR = "sony", "dslr"
FILES_BYTES = (5_000_000, 20_000_000)
TINY_BYTES = 1000
PULLS = 15
FIRES = 10
LEAD_NS = 700_000_000

Adb = Callable[..., str]


def run() -> Findings:
    """Pull by turns, then fire."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys, state = folder / "home" / ".android", StateFolder(folder / "state")
        with SimulatedRig(SimulatedConfig(scale=0.05), state.root, (PHONE, DSLR), keys / "adbkey.pub") as rig:
            address = rig.addresses[PHONE]
            camera = AdbCamera(PHONE, address, {}, keys=keys)
            camera.open()
            try:
                with stock_adb(folder / "home") as adb:
                    pulls = [
                        figure
                        for size_bytes in FILES_BYTES
                        for figure in pull_by_turns(camera, adb, address.removeprefix("tcp:"), state, size_bytes)
                    ]
                pulls += pull_from_dslr(rig.addresses[DSLR], state, folder / "home")
                missing = [tool for tool in ("adb", "gphoto2") if shutil.which(tool) is None]
                return Findings(
                    [*pulls, *fire(camera, state)], [f"No stock {tool} here: apt install {tool}." for tool in missing]
                )
            finally:
                camera.close()


def pull_by_turns(camera: AdbCamera, adb: Adb | None, serial: str, state: StateFolder, size_bytes: int) -> list[Figure]:
    """Return the rates of both clients from a phone."""
    on_card, copy = "DCIM/bench.jpg", state.root / "copy.jpg"
    (state.card(PHONE) / on_card).write_bytes(np.random.default_rng(0).bytes(size_bytes))
    photo = CameraFile(f"/sdcard/{on_card}", size_bytes)
    megabytes = size_bytes / 1e6
    ours, command, printed = [], [], []
    if adb:
        adb("connect", serial)
    for _ in range(PULLS):
        copy.unlink(missing_ok=True)
        ours.append(megabytes / timed(deque, camera.pull(photo, copy), 0).wall_s)
        if adb:
            copy.unlink()
            call = timed(adb, "-s", serial, "pull", photo.path, copy)
            command.append(megabytes / call.wall_s)
            printed.append(megabytes / float(re.search(r"in ([\d.]+)s", call.value)[1]))
    what = f"{megabytes:.0f} MB from a phone"
    return [
        Figure(f"{what}, against adb pull", ours, "MB/s", command, "more", ">= 1x" if adb else ""),
        Figure(f"{what}, against the rate that adb prints", ours, "MB/s", printed, "more"),
    ]


def pull_from_dslr(address: str, state: StateFolder, home: Path) -> list[Figure]:
    """Return the rates of both clients from the DSLR; it talks to one of them at a time."""
    size_bytes, album, copy = FILES_BYTES[-1], state.card(DSLR) / "DCIM" / "100CANON", state.root / "copy.jpg"
    album.mkdir(parents=True, exist_ok=True)
    for name, count in (("IMG_0001.JPG", size_bytes), ("IMG_0002.JPG", TINY_BYTES)):
        (album / name).write_bytes(np.random.default_rng(0).bytes(count))
    megabytes = size_bytes / 1e6
    ours, command, transfer = [], [], []
    for _ in range(PULLS):
        camera = Gphoto2Camera(DSLR, address)
        camera.open()
        photo = next(photo for photo in camera.list_photos() if photo.size_bytes == size_bytes)
        ours.append(megabytes / timed(deque, camera.pull(photo, copy), 0).wall_s)
        camera.close()
        if shutil.which("gphoto2"):
            whole_s, start_s = (timed(stock_gphoto2, address, home, number).wall_s for number in (1, 2))
            command.append(megabytes / whole_s)
            transfer.append(megabytes / max(whole_s - start_s, 1e-3))
    what = f"{megabytes:.0f} MB from the DSLR, against gphoto2 --get-file"
    return [
        Figure(what, ours, "MB/s", command, "more"),
        Figure(f"{what} without its start", ours, "MB/s", transfer, "more"),
    ]


def stock_gphoto2(address: str, home: Path, number: int) -> None:
    """Fetch the DSLR's file of that number with the stock client."""
    port = address.rpartition(":")[2]
    own_drivers = {"CAMLIBS", "IOLIBS"}  # python-gphoto2 sets these to its own; the client is to use its
    environment = {key: value for key, value in os.environ.items() if key not in own_drivers} | {"HOME": str(home)}
    words = ["gphoto2", "--port", f"ptpip:127.0.0.1:{port}:{port}", "--folder", "/store_00020001/DCIM/100CANON"]
    fetch = ["--force-overwrite", "--filename", home / "copy.jpg", "--get-file", str(number)]
    subprocess.run([*words, *fetch], env=environment, capture_output=True, check=True)


def fire(camera: AdbCamera, state: StateFolder) -> list[Figure]:
    """Return how far clock and release were from the truth."""
    camera.prepare()
    late, width, release_held, error, bound, offset_held = ([] for _ in range(6))
    for _ in range(FIRES):
        before, offset = camera.list_photos(), camera.clock_offset()
        at_ns = time.time_ns() + LEAD_NS
        release = camera.fire(at_ns)
        photo = wait_for_photo(camera, {photo.path for photo in before})
        deque(camera.pull(photo, state.root / "copy.jpg"), 0)
        truth = load_truth(state.truth, sha256_file(state.root / "copy.jpg"))
        late.append((truth.released_ns - at_ns) / 1e6)
        width.append((release.latest_ns - release.earliest_ns) / 1e6)
        release_held.append(release.earliest_ns <= truth.released_ns <= release.latest_ns)
        error.append(abs(offset.offset_ns - truth.clock_offset_ns) / 1e3)
        bound.append(offset.bound_ns / 1e3)
        offset_held.append(error[-1] <= bound[-1])
    return [
        Figure("release, late by", late, "ms"),
        Figure("release, width of the stated interval", width, "ms"),
        Figure("release within the stated interval, share", [float(np.mean(release_held))], target=">= 0.99"),
        Figure("clock offset, error", error, "us"),
        Figure("clock offset, stated bound", bound, "us"),
        Figure("clock offset within the stated bound, share", [float(np.mean(offset_held))], target=">= 0.99"),
    ]


def wait_for_photo(camera: AdbCamera, known: set[str]) -> CameraFile:
    """Return the one photo that comes."""
    deadline_s = time.monotonic() + 30
    while not (photos := camera.new_photos(known)):
        if time.monotonic() > deadline_s:
            raise SystemExit("no photo came")
    return photos[0]


@contextmanager
def stock_adb(home: Path) -> Iterator[Adb | None]:
    """Yield what runs the stock client, with a server and keys of its own, and returns what it prints; None without."""
    command = shutil.which("adb")
    if command is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ADB", "ANDROID"))}
    environment = {**kept, "HOME": str(home), "ANDROID_ADB_SERVER_PORT": str(port), "ADB_MDNS": "0"}

    def adb(*words: object) -> str:
        done = subprocess.run([command, *map(str, words)], env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    adb("start-server")
    try:
        yield adb
    finally:
        adb("kill-server")
