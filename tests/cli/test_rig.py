"""dpedkit devices, rig, capture, simulate: the simulated rig through the command line, and through stock clients."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from command_line import CommandLine, Simulated, set_scale, tree, wait_until

from dpedkit.db import open_corpus

NAMES = ["dslr", "sony", "blackberry", "iphone"]


@pytest.fixture
def small_rig(cli: CommandLine, tmp_path: Path) -> Path:
    """A workspace whose cameras take small photos, which are quick to render."""
    root = tmp_path / "ws"
    cli.run("init", root, "--rig", "simulated", cwd=tmp_path)
    set_scale(root, 0.06)
    return root


def cameras(root: Path) -> list[psutil.Process]:
    """The processes of a workspace's simulated cameras."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "dpedkit.capture.simulate.device" in words and str(root / ".simulated" / "tripod") in words:
            found.append(process)
    return found


def photo_files(root: Path) -> dict[str, str]:
    """The files of all sessions, by their paths in the workspace, but for what a session notes for itself."""
    files = {f"photos/{path}": digest for path, digest in tree(root / "photos").items()}
    return {path: digest for path, digest in files.items() if not path.endswith("/before.json")}


def test_devices_are_listed_with_their_clocks(cli: CommandLine, small_rig: Path) -> None:
    reports = cli.json("devices", "--rig", "tripod", cwd=small_rig)
    assert [report["name"] for report in reports] == NAMES
    assert {report["info"]["model"] for report in reports} >= {"Canon EOS 70D", "C6603"}
    assert all(abs(report["clock"]["offset_ns"]) > 1e8 for report in reports)  # their clocks are wrong, as real ones
    assert cameras(small_rig) == []


def test_capture_stores_and_records_each_photo(cli: CommandLine, small_rig: Path) -> None:
    report = cli.events("capture", "--shots", 2, "--scene", "garden", cwd=small_rig)[-1]
    assert report["event"] == "report"
    assert [shot["status"] for shot in report["shots"]] == ["complete"] * 2
    files = photo_files(small_rig)
    with open_corpus(small_rig) as corpus:
        photos, shots = corpus.photos(), corpus.shots()
    assert dict(zip(photos["path"], photos["sha256"], strict=True)) == files
    assert sorted(photos["device"]) == sorted(NAMES * 2)
    assert list(shots["scene"]) == ["garden"] * 2
    assert list(shots["shot"]) == [shot["key"] for shot in report["shots"]]
    assert (shots["skew_ns"] / 1e6).tolist() == [shot["skew_ms"] for shot in report["shots"]]
    assert cameras(small_rig) == []
    text = cli.run("capture", cwd=small_rig).stdout
    assert text.splitlines()[-1] == "1 shot, 0 incomplete"
    assert files.items() < photo_files(small_rig).items()


def test_ctrl_c_keeps_the_shots_that_are_done(cli: CommandLine, small_rig: Path) -> None:
    done = cli.stop_when(
        lambda: len(list((small_rig / "photos").glob("*/0002_*.jpg"))) == 4,
        signal.SIGINT,
        *["capture", "--shots", 500],
        cwd=small_rig,
        group=True,
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-2:] == [
        "error: stopped",
        "  the photos taken are kept: `dpedkit capture --resume` goes on",
    ]
    assert cameras(small_rig) == []
    with open_corpus(small_rig) as corpus:
        photos, shots = corpus.photos(), corpus.shots()
    assert set(photos["path"]) == photo_files(small_rig).keys()
    assert (shots["status"] == "complete").sum() >= 1
    assert set(shots[shots["status"] == "incomplete"]["reason"]) <= {"not finished"}
    unfinished = shots[shots["status"] == "incomplete"]
    assert cli.json("status", cwd=small_rig)["incomplete"] == dict(
        zip(unfinished["shot"], unfinished["reason"], strict=True)
    )
    assert len(cli.events("capture", cwd=small_rig)[-1]["shots"]) == 1
    assert "not finished" not in cli.json("status", cwd=small_rig)["incomplete"].values()


def test_a_device_that_is_not_there_is_named_and_nothing_fires(cli: CommandLine, small_rig: Path) -> None:
    rig = small_rig / "rigs" / "tripod.toml"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    before, sony = rig.read_text().split('name = "sony"')
    rig.write_text(before + 'name = "sony"' + sony.replace('"simulated"', f'"tcp:127.0.0.1:{port}"', 1))
    assert "no device 'sony' at tcp:127.0.0.1:" in cli.error("capture", "--shots", 2, cwd=small_rig, code=4)
    assert tree(small_rig / "photos") == {}
    assert list((small_rig / ".simulated").rglob("card/**/*.[jJ][pP][gG]")) == []
    with open_corpus(small_rig) as corpus:
        assert corpus.shots().empty
    reports = cli.json("devices", "--rig", "tripod", cwd=small_rig, code=4)
    assert [report["name"] for report in reports if report["error"]] == ["sony"]


@pytest.fixture(scope="module")
def simulated(cli: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    root = tmp_path_factory.mktemp("simulated") / "ws"
    cli.run("init", root, "--rig", "simulated", cwd=root.parent)
    set_scale(root, 0.06)
    rig = Simulated(cli, root)
    yield rig
    rig.process.send_signal(signal.SIGINT)
    stdout, stderr = rig.process.communicate(timeout=60)
    assert (rig.process.returncode, stdout, stderr) == (0, "", "")
    assert cameras(root) == []


def test_a_second_command_uses_the_running_devices(cli: CommandLine, simulated: Simulated) -> None:
    before = {process.pid for process in cameras(simulated.root)}
    reports = cli.json("devices", "--rig", "tripod", cwd=simulated.root)
    assert {report["name"]: report["address"] for report in reports} == simulated.addresses
    assert len(cli.events("capture", cwd=simulated.root)[-1]["shots"]) == 1
    assert {process.pid for process in cameras(simulated.root)} == before


def test_running_devices_with_other_scenes_are_not_used(cli: CommandLine, simulated: Simulated) -> None:
    rig = simulated.root / "rigs" / "tripod.toml"
    text = rig.read_text()
    rig.write_text(text.replace("seed = 0 ", "seed = 1 "))
    assert "other settings" in cli.error("devices", "--rig", "tripod", cwd=simulated.root, code=2)
    rig.write_text(text)


@pytest.fixture
def adb(cli: CommandLine) -> Iterator[Callable[..., bytes]]:
    """Run Debian's adb client with a server of its own, as the user who runs `dpedkit simulate`."""
    program = require("adb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**cli.environment, "ANDROID_ADB_SERVER_PORT": str(port), "ADB_MDNS": "0"}

    def run(*words: object) -> bytes:
        command = [program, *map(str, words)]
        return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True).stdout

    run("start-server")
    yield run
    run("kill-server")


def test_the_stock_adb_client_takes_a_phone_for_one(
    simulated: Simulated, adb: Callable[..., bytes], tmp_path: Path
) -> None:
    serial = simulated.addresses["sony"].removeprefix("tcp:")
    assert b"connected to" in adb("connect", serial)
    wait_until(lambda: f"{serial}\tdevice" in adb("devices").decode())
    assert int(adb("-s", serial, "shell", "date", "+%s%N")) > 1.5e18
    adb("-s", serial, "shell", "input", "keyevent", "KEYCODE_CAMERA")
    card = simulated.root / ".simulated" / "tripod" / "sony" / "card"
    wait_until(lambda: any(card.rglob("*.[jJ][pP][gG]")))
    path = photos_in(adb("-s", serial, "shell", "find", "/sdcard/DCIM", "-type", "f"))[-1]
    adb("-s", serial, "pull", path, tmp_path / "pulled.jpg")
    assert (tmp_path / "pulled.jpg").read_bytes() == (card / path.removeprefix("/sdcard/")).read_bytes()


def photos_in(listing: bytes) -> list[str]:
    return sorted(line for line in listing.decode().split() if line.lower().endswith(".jpg"))


def test_the_stock_gphoto2_client_captures(cli: CommandLine, simulated: Simulated, tmp_path: Path) -> None:
    port = simulated.addresses["dslr"].rpartition(":")[2]
    command = [require("gphoto2"), "--port", f"ptpip:127.0.0.1:{port}:{port}"]
    command += ["--set-config", "capturetarget=Memory card", "--capture-image-and-download", "--keep"]
    own_drivers = {"CAMLIBS", "IOLIBS"}  # python-gphoto2 sets these to its own; the client is to use its
    environment = {name: value for name, value in cli.environment.items() if name not in own_drivers}
    environment |= {"LC_ALL": "C", "HOME": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=True)
    (photo,) = tmp_path.glob("*.JPG")
    card = simulated.root / ".simulated" / "tripod" / "dslr" / "card"
    assert photo.read_bytes() in {path.read_bytes() for path in card.rglob("*.JPG")}


def require(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is missing, and in CI nothing may be skipped")
        pytest.skip(f"{program} is not installed")
    return found
