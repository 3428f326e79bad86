"""Installs the scripted camera as another package would install its driver."""

from __future__ import annotations

import shutil
from pathlib import Path


def install_scripted_camera(site: Path) -> None:
    """Make a package with an entry point in `site`, a folder that is, or will be, on the path."""
    record = site / "scripted_camera-1.0.dist-info"
    record.mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "capture" / "scripted_camera.py", site)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-camera\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[dpedkit.cameras]\nscripted = scripted_camera:ScriptedCamera\n")
