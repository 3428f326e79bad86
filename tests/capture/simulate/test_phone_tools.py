"""Android's tools on the simulated phone, run as a shell runs them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from dpedkit.capture.simulate.adb_tools import install_phone


@pytest.mark.parametrize("drift_ppb", [1_000_000, -28_000])
def test_date_drifts_while_a_command_runs(tmp_path: Path, drift_ppb: int) -> None:
    """A command that began 1,000 s ago, with a clock 5 s behind then."""
    for folder in ("card", "phone"):
        (tmp_path / folder).mkdir()
    install_phone(tmp_path / "phone", tmp_path / "card", {})
    before_ns = time.time_ns()
    environment = {
        "PATH": f"{tmp_path}/phone/bin:/usr/bin:/bin",
        "PHONE_CLOCK_OFFSET_NS": "-5000000000",
        "PHONE_CLOCK_READ_NS": str(before_ns - 1_000_000_000_000),
        "PHONE_CLOCK_DRIFT_PPB": str(drift_ppb),
    }
    said = subprocess.run(["sh", "-c", "date +%s%N"], env=environment, capture_output=True, check=True)
    after_ns = time.time_ns()
    offset_ns = -5_000_000_000 + 1000 * drift_ppb
    assert before_ns + offset_ns <= int(said.stdout) <= after_ns + offset_ns + (after_ns - before_ns)
