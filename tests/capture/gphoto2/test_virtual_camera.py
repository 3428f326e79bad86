"""Our driver on a camera that is neither ours nor a Canon: libgphoto2's virtual one, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import gphoto2_driving


def test_a_plain_ptp_camera_is_listed_fired_and_pulled_byte_for_byte(jpeg: Path, tmp_path: Path) -> None:
    folder = tmp_path / "virtual"
    folder.mkdir()
    (folder / "old.jpg").write_bytes(jpeg.read_bytes())
    pulled = tmp_path / "pulled.jpg"
    script = Path(__file__).with_name("virtual_camera.py")
    environment = {**os.environ, "VCAMERADIR": str(folder), "PYTHONPATH": str(Path(gphoto2_driving.__file__).parent)}
    done = subprocess.run(
        [sys.executable, script, pulled], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout)
    assert saw["seen"] == [["Nikon DSC D750", "usb:0.1"]]
    assert saw["before"] == saw["after"] == ["old.jpg"]
    assert saw["size_bytes"] == jpeg.stat().st_size
    assert pulled.read_bytes() == jpeg.read_bytes()
    assert saw["late_ns"] >= 0
    assert saw["took_ns"] >= 0
    assert len(set(saw["free"])) == 1
    assert "other" in saw["errors"][0]
    assert "Nikon DSC D750 usb:0.1" in saw["errors"][0]
    assert "VCAMERADIR" in saw["errors"][1]
