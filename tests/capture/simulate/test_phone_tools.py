"""Android's tools on the simulated phone, run as a shell runs them."""

from __future__ import annotations

import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_clients import FAST, AdbClient, Switched

from dpedkit.capture.drivers.adb_keys import load_signer
from dpedkit.capture.simulate.adb_tools import install_phone
from dpedkit.capture.simulate.specs import DeviceConfig

CAMERA_KEY, POWER_KEY = 0xD4, 0x74


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


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Switched]:
    load_signer(tmp_path)
    phone = Switched("sony", tmp_path / "state", tmp_path, DeviceConfig(FAST))
    yield phone
    phone.close()


def test_raw_events_reach_the_shutter_of_the_camera_app(phone: Switched) -> None:
    client = phone.connect()
    assert isinstance(client, AdbClient)

    def key(code: int) -> str:
        events = b"".join(
            struct.pack("<16xHHi", *event) for event in ((1, code, 1), (0, 0, 0), (1, code, 0), (0, 0, 0))
        )
        octal = "".join(f"\\{byte:o}" for byte in events)
        return f"[ -w /dev/input/event2 ] && printf '{octal}' >/dev/input/event2"

    client.shell(key(POWER_KEY))
    before_ns = time.time_ns()
    client.shell(key(CAMERA_KEY))
    (path,) = phone.whole(client, 1)
    truth = phone.truth(path)
    assert truth.release == 1
    assert before_ns <= truth.released_ns <= time.time_ns()
