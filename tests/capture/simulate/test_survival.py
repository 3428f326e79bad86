"""Whatever a capturing client was doing when it was killed, the devices live on and let the next one in at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from small_clients import FAST, AdbClient, PtpClient, wait

from dpedkit.capture.drivers.adb_keys import load_signer
from dpedkit.capture.simulate.specs import DeviceConfig, SimulatedConfig
from dpedkit.capture.simulate.supervisor import SimulatedRig

BIG_BYTES = 40_000_000
CLIENT = """
import struct, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from small_clients import AdbClient, PtpClient
client = {client}
{state}
print("there", flush=True)
time.sleep(1000)
"""
PHONE_STATES = {
    "half a message": 'client.socket.sendall(b"OPEN" + bytes(7))',
    "a shell that waits": 'client._say(b"OPEN", 1, 0, b"shell:sleep 1000; input keyevent 27\\0"); client._hear()',
    "a shell that spins": 'client._say(b"OPEN", 1, 0, b"shell:while :; do date +%s%N; done\\0"); client._hear()',
    "a shell for its input": 'client._say(b"OPEN", 1, 0, b"shell:\\0"); client._hear()',
    "a pull that nobody reads": 'client._say(b"OPEN", 1, 0, b"exec:cat /sdcard/DCIM/big.jpg\\0"); client._hear()',
    "half a push": """client._say(b"OPEN", 1, 0, b"sync:\\0"); _, far, _, _ = client._hear()
client._say(b"WRTE", 1, far, b"SEND" + struct.pack("<I", 23) + b"/sdcard/DCIM/new.jpg,33" + b"DATA" + bytes(4))""",
    "many streams": """for number in range(1, 9):
    client._say(b"OPEN", number, 0, b"shell:sleep 1000\\0"); client._hear()""",
}
DSLR_STATES = {
    "an open session": "pass",
    "half a request": 'client.wire.connection.sendall(struct.pack("<I", 18) + bytes(3))',
    "a button held down": "client.wire.ask(0x9128, 3, 1)",
    "a pull that nobody reads": """client.files()
client.wire.request(0x1009, client.handles["DCIM/big.jpg"]); client.wire.connection.recv(1000)""",
    "a release nobody waits for": "client.wire.request(0x9128, 3, 1)",
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    load_signer(folder)
    return folder


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[dict[str, int]]:
    """The ports of a running DSLR and phone, each with a big file on its card."""
    state = tmp_path_factory.mktemp("state")
    config = SimulatedConfig(0.02, devices={name: DeviceConfig(FAST) for name in ("dslr", "sony")})
    for name in ("dslr", "sony"):
        (state / name / "card" / "DCIM").mkdir(parents=True)
        (state / name / "card" / "DCIM" / "big.jpg").write_bytes(bytes(BIG_BYTES))
    with SimulatedRig(config, state, ("dslr", "sony"), keys / "adbkey.pub") as running:
        yield {name: int(address.rsplit(":", 1)[1]) for name, address in running.addresses.items()}


def kill_in(state: str, client: str) -> None:
    """Bring a client of its own process into a state, and kill it there."""
    script = CLIENT.format(tests=str(Path(__file__).parents[2]), client=client, state=state)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        os.kill(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("state", PHONE_STATES)
def test_a_phone_survives_its_client(rig: dict[str, int], keys: Path, state: str) -> None:
    kill_in(PHONE_STATES[state], f"AdbClient({rig['sony']}, Path({str(keys)!r}))")
    client = AdbClient(rig["sony"], keys)
    before = set(client.files())
    client.fire()
    wait(lambda: len(set(client.files()) - before) == 1)
    (new,) = set(client.files()) - before
    assert client.pull(new).startswith(b"\xff\xd8")
    wait(lambda: not stray_shells())
    assert "/sdcard/DCIM/new.jpg" not in client.files()
    client.close()


def stray_shells() -> list[str]:
    """Command lines of shells that the phone still runs for clients who have gone."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            words = " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
        if "sleep 1000" in words or "while :" in words or words == "/bin/sh":
            found.append(words)
    return found


@pytest.mark.parametrize("state", DSLR_STATES)
def test_a_dslr_survives_its_client(rig: dict[str, int], state: str) -> None:
    client = PtpClient(rig["dslr"])
    before = set(client.files())
    client.close()
    kill_in(DSLR_STATES[state], f"PtpClient({rig['dslr']})")
    client = PtpClient(rig["dslr"])
    its_photos = int("0x9128" in DSLR_STATES[state])  # on their way when it was killed
    wait(lambda: len(set(client.files()) - before) == its_photos and all(client.files().values()))
    before = set(client.files())
    client.fire()
    wait(lambda: len(set(client.files()) - before) == 1)
    (new,) = set(client.files()) - before
    assert client.pull(new).startswith(b"\xff\xd8")
    client.close()
