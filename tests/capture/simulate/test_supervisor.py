"""The simulated rig starts, is shared, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from dpedkit.capture.simulate.specs import SimulatedConfig
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.capture.simulate.supervisor import SimulatedRig
from dpedkit.errors import UsageError

CONFIG = SimulatedConfig(scale=0.05)
PATIENCE_S = 60
PARENT = """
import sys
import time
from pathlib import Path
from dpedkit.capture.simulate.specs import SimulatedConfig
from dpedkit.capture.simulate.supervisor import SimulatedRig
rig = SimulatedRig(SimulatedConfig(scale=0.05), Path(sys.argv[1]), ("dslr", "sony"))
rig.start()
print("ready", flush=True)
sys.stdin.read()
"""


def listens(address: str) -> bool:
    _, host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_each_camera_listens_at_its_address_until_stopped(tmp_path: Path) -> None:
    others = set(psutil.Process().children(recursive=True))  # what other tests have started in this process
    with SimulatedRig(CONFIG, tmp_path, ("dslr", "sony")) as rig:
        assert rig.addresses["dslr"].startswith("ptpip:127.0.0.1:")
        assert rig.addresses["sony"].startswith("tcp:127.0.0.1:")
        assert all(listens(address) for address in rig.addresses.values())
        family = set(psutil.Process().children(recursive=True)) - others
    assert not any(listens(address) for address in rig.addresses.values())
    assert psutil.wait_procs(family, timeout=PATIENCE_S)[1] == []
    rig.stop()


def test_a_running_rig_is_shared_and_outlives_its_guest(tmp_path: Path) -> None:
    with SimulatedRig(CONFIG, tmp_path, ("dslr", "sony")) as rig:
        with SimulatedRig(CONFIG, tmp_path, ("sony",)) as guest:
            assert guest.addresses == {"sony": rig.addresses["sony"]}
        assert listens(rig.addresses["sony"])
        with pytest.raises(UsageError, match="other settings"):
            SimulatedRig(SimulatedConfig(scale=0.1), tmp_path, ("sony",)).start()
        assert rig.next_scene() == 1
        assert StateFolder(tmp_path).scene() == 1


@pytest.mark.parametrize("cameras_too", [False, True])
def test_nothing_outlives_a_parent_that_was_killed(tmp_path: Path, cameras_too: bool) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        cameras = psutil.Process(parent.pid).children()
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(cameras) == 2
        assert len(family) == 4  # each camera has a darkroom
        while not all(list(StateFolder(tmp_path).darkroom(name).glob("*.jpg")) for name in ("dslr", "sony")):
            time.sleep(0.05)  # an idle darkroom must notice, too: a busy one fails when it answers
        for camera in cameras if cameras_too else []:
            camera.kill()
        os.kill(parent.pid, signal.SIGKILL)
        assert psutil.wait_procs(family, timeout=PATIENCE_S)[1] == []
    with SimulatedRig(CONFIG, tmp_path, ("sony",)) as rig:  # and its lock is no obstacle
        assert listens(rig.addresses["sony"])


@pytest.mark.parametrize("scale", [0.0, -1.0, 1.5])
def test_an_impossible_scale_is_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(UsageError, match="scale"):
        SimulatedRig(SimulatedConfig(scale=scale), tmp_path)


def test_an_empty_folder_of_scenes_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no photos in"):
        SimulatedRig(SimulatedConfig(scenes=str(tmp_path)), tmp_path / "state").start()
    assert not (tmp_path / "state").exists()
