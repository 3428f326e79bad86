"""The stock gphoto2 client as the referee of the simulated EOS."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from eos_body import CopyingBody

from dpedkit.capture.simulate.eos import EosServer

Client = Callable[..., str]


@pytest.fixture
def client(server: EosServer, tmp_path: Path) -> Client:
    """Run the client on the simulated camera, in an empty folder of its own; return what it prints."""
    program = shutil.which("gphoto2")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the gphoto2 command is missing, and in CI nothing may be skipped")
        pytest.skip("the gphoto2 command is not installed (Debian: apt install gphoto2)")
    folder = tmp_path / "downloads"
    folder.mkdir()
    port = f"ptpip:127.0.0.1:{server.port}:{server.port}"  # commands and events

    def run(*options: str) -> str:
        words = [program, "--port", port, *options]
        own_drivers = {"CAMLIBS", "IOLIBS"}  # python-gphoto2 sets these to its own; the client is to use its
        environment = {name: value for name, value in os.environ.items() if name not in own_drivers}
        environment |= {"LC_ALL": "C", "HOME": str(tmp_path)}
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_it_sees_a_canon_eos(client: Client, body: CopyingBody) -> None:
    summary = client("--summary")
    for line in (
        "Manufacturer: Canon Inc.",
        "Model: Canon EOS 70D",
        f"Serial Number: {body.spec.serial}",
        "Canon EOS Capture",
        "Battery Level(0x5001):(read only) (type=0x2) Range [0 - 100, step 1] value: 73% (73)",
    ):
        assert line in summary


def test_it_captures_to_the_card_and_downloads_byte_for_byte(client: Client, jpeg: Path, tmp_path: Path) -> None:
    client("--set-config", "capturetarget=Memory card", "--capture-image-and-download", "--keep")
    assert (tmp_path / "downloads" / "IMG_0001.JPG").read_bytes() == jpeg.read_bytes()
    assert "IMG_0001.JPG" in client("--list-files")
    (tmp_path / "downloads" / "IMG_0001.JPG").unlink()
    client("--get-all-files")
    assert (tmp_path / "downloads" / "IMG_0001.JPG").read_bytes() == jpeg.read_bytes()


def test_it_captures_over_the_wire_only(client: Client, body: CopyingBody, jpeg: Path, tmp_path: Path) -> None:
    client("--set-config", "capturetarget=Internal RAM", "--capture-image-and-download")
    (photo,) = (tmp_path / "downloads").iterdir()
    assert photo.read_bytes() == jpeg.read_bytes()
    assert not body.photo(1).exists()


def test_it_shows_and_sets_the_settings(client: Client) -> None:
    names = client("--list-config").split()
    for name in ("capturetarget", "imageformat", "iso", "whitebalance", "aperture", "shutterspeed", "datetimeutc"):
        assert any(each.endswith(f"/{name}") for each in names)
    client("--set-config", "iso=800", "--set-config", "shutterspeed=1/60", "--set-config", "aperture=5.6")
    shown = client("--get-config", "iso", "--get-config", "shutterspeed", "--get-config", "aperture")
    assert [line for line in shown.splitlines() if line.startswith("Current")] == [
        "Current: 800",
        "Current: 1/60",
        "Current: 5.6",
    ]
