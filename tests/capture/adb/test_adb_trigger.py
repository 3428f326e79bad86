"""What a rig file says of a trigger, as commands that real shells run."""

from __future__ import annotations

import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpedkit.capture.drivers import DRIVERS
from dpedkit.capture.drivers.adb import AdbCamera
from dpedkit.capture.drivers.adb_events import events_setup, parse_events
from dpedkit.capture.drivers.adb_trigger import parse_trigger
from dpedkit.capture.simulate.adb_daemon import AdbDaemon
from dpedkit.errors import CameraError, SettingsError

NODE = "/dev/input/event2"
TOUCH = """add device 1: /dev/input/event2
  name:     "touchscreen"
[   12345.100000] /dev/input/event2: 0003 0039 00000012
[   12345.100000] /dev/input/event2: 0003 0035 0000021c
[   12345.100000] /dev/input/event1: 0001 0072 00000001
[   12345.100001] /dev/input/event2: 0000 0000 00000000
[   12345.180000] /dev/input/event2: 0003 0039 ffffffff
[   12345.180000] /dev/input/event2: 0000 0000 00000000
""".replace("  name:", "name:")
EVENTS = [(3, 0x39, 0x12), (3, 0x35, 0x21C), (0, 0, 0), (3, 0x39, -1), (0, 0, 0)]


def run(sh: str, trigger: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    parsed = parse_trigger(trigger)
    script = f"{parsed.setup}\n{parsed.command}\n"
    return subprocess.run([sh, "-c", script], env={"PATH": path}, capture_output=True, text=True, check=False)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "press the shutter.txt"
    path.write_text(TOUCH)
    return path


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "event2"
    path.touch()
    return path


def test_every_trigger_that_a_rig_file_may_name_is_known_here() -> None:
    examples = {"keyevent": "keyevent:27", "tap": "tap:1,2", "intent": "intent:a/.B", "shell": "shell:true"}
    examples["events"] = f"events:{NODE} 0001 001b 00000001"
    assert set(examples) == set(DRIVERS["adb"].triggers)
    for trigger in examples.values():
        assert parse_trigger(trigger).command


@pytest.mark.parametrize(
    "trigger",
    ["tap", "tap:1", "tap:1,2;reboot", "keyevent:24;reboot", "intent", "press", "shell:", "events", f"events:{NODE}"],
)
def test_a_trigger_that_is_none_is_refused(trigger: str) -> None:
    with pytest.raises(SettingsError, match="no trigger"):
        parse_trigger(trigger)


@pytest.mark.parametrize(("bits", "layout"), [(64, "<qqHHi"), (32, "<iiHHi")])
def test_a_recording_is_written_into_the_node_byte_by_byte(
    sh: str, recording: Path, node: Path, tmp_path: Path, bits: int, layout: str
) -> None:
    text = recording.read_text().replace(NODE, str(node))
    recording.write_text(text)
    (tmp_path / "od").write_text(f"#!/bin/sh\necho ' {'02' if bits == 64 else '01'}'\n")
    (tmp_path / "od").chmod(0o755)
    begun_s = time.monotonic()
    done = run(sh, f"events:{node} {recording}", f"{tmp_path}:/usr/bin:/bin")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [event[2:] for event in struct.iter_unpack(layout, node.read_bytes())] == EVENTS
    assert [event[:2] for event in struct.iter_unpack(layout, node.read_bytes())] == [(0, 0)] * len(EVENTS)
    assert time.monotonic() - begun_s >= 0.079  # the finger stays as long as it did


def test_od_tells_the_bits_of_this_machine(sh: str) -> None:
    done = subprocess.run([sh, "-c", f'{events_setup()}\nprintf "$t"'], capture_output=True, check=True)
    assert done.stdout == bytes(struct.calcsize("@ll"))


def test_an_old_phone_is_asked_for_its_abi_instead(sh: str, tmp_path: Path) -> None:
    for abi, longs in (("arm64-v8a", 16), ("armeabi-v7a", 8)):
        (tmp_path / "getprop").write_text(f"#!/bin/sh\n[ $1 = ro.product.cpu.abi ] && echo {abi}\n")
        (tmp_path / "getprop").chmod(0o755)
        (tmp_path / "sh").unlink(missing_ok=True)
        (tmp_path / "sh").symlink_to("/bin/sh")
        script = f'{events_setup()}\necho "$t"'
        done = subprocess.run([sh, "-c", script], env={"PATH": str(tmp_path)}, capture_output=True, check=True)
        octal = done.stdout.strip() if b"\\" in done.stdout else done.stdout.removesuffix(b"\n").replace(b"\0", b"\\0")
        assert octal == b"\\0" * longs  # dash's echo makes bytes of it, mksh's too


def test_every_byte_survives_printf(sh: str, node: Path) -> None:
    events = [(number, 0x25, (number * 16777619) % (1 << 31)) for number in (0, 0x25, 0x5C, 0x0A, 0x7F, 0x80, 0xFF)]
    text = ";".join(f"{kind:04x} {code:04x} {value:08x}" for kind, code, value in events)
    assert run(sh, f"events:{node} {text}").returncode == 0
    assert [event[2:] for event in struct.iter_unpack("@llHHi", node.read_bytes())] == events


def test_what_cannot_be_written_is_said_and_makes_no_file(sh: str, tmp_path: Path) -> None:
    missing = tmp_path / "event9"
    done = run(sh, f"events:{missing} 0001 001b 00000001")
    assert done.returncode != 0
    assert "Permission denied" in done.stdout
    assert not missing.exists()


def test_a_recording_that_cannot_be_read_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "named"
    path.write_text("0001 001b 00000001\nEV_KEY KEY_CAMERA DOWN\n")
    with pytest.raises(SettingsError, match=r"named, line 2: .*KEY_CAMERA"):
        parse_events(NODE, str(path))
    with pytest.raises(SettingsError, match="No such file"):
        parse_events(NODE, str(tmp_path / "missing"))
    path.write_text(TOUCH)
    with pytest.raises(SettingsError, match="no event of /dev/input/event7"):
        parse_events("/dev/input/event7", str(path))
    with pytest.raises(SettingsError, match="is no event"):
        parse_events(NODE, "0001 001b 00000001; press")


def test_raw_events_are_fired_at_their_moment(
    make_camera: Callable[..., AdbCamera], daemon: AdbDaemon, node: Path, recording: Path
) -> None:
    recording.write_text(recording.read_text().replace(NODE, str(node)))
    camera = make_camera(daemon, trigger=f"events:{node} {recording}")
    camera.prepare()
    at_ns = time.time_ns() + 200_000_000
    release = camera.fire(at_ns)
    assert release.latest_ns >= at_ns
    assert node.stat().st_size == len(EVENTS) * struct.calcsize("@llHHi")


def test_a_node_that_is_not_ours_to_write_is_said_before_the_session(
    make_camera: Callable[..., AdbCamera], daemon: AdbDaemon, tmp_path: Path
) -> None:
    camera = make_camera(daemon, trigger=f"events:{tmp_path}/event9 0001 001b 00000001")
    with pytest.raises(CameraError, match="may not write into") as caught:
        camera.prepare()
    assert "adb root" in caught.value.remedy


@pytest.mark.parametrize(
    ("said", "status", "complaint"),
    [
        ("Starting: Intent { }\nError: Activity class {a/b} does not exist.", "0", "Activity class"),
        ("java.lang.SecurityException: Permission Denial", "0", "SecurityException"),
        ("/system/bin/sh: input: inaccessible or not found", "127", "status 127"),
        ("Starting: Intent { }", "0", ""),
        ("", "0", ""),
    ],
)
def test_a_trigger_that_failed_says_so_whatever_its_status(said: str, status: str, complaint: str) -> None:
    found = parse_trigger("intent:a/b").complaint(status, said)
    assert complaint in found
    assert bool(found) == bool(complaint)


def test_an_intent_that_android_does_not_know_is_an_error_with_its_words(
    make_camera: Callable[..., AdbCamera], daemon: AdbDaemon, body: Any
) -> None:
    camera = make_camera(daemon, trigger="intent:a/.B")
    tool = Path(camera.shell('echo "$PHONE/bin/am"').strip())
    tool.write_text("#!/bin/sh\necho 'Error: Activity class {a/.B} does not exist.'\n")
    with pytest.raises(CameraError, match=r"`am start -n a/\.B` says: Error: Activity class"):
        camera.fire(0)
    assert camera.shell("echo here").strip() == "here"


def test_bounds_hold_where_java_takes_its_time(
    make_camera: Callable[..., AdbCamera], body: Any, keys: Path, sh: str
) -> None:
    daemon = AdbDaemon(body, authorised_keys=[keys / "adbkey.pub"], sh=sh)
    daemon.start()
    camera = make_camera(daemon, trigger="shell:sleep 0.4; input keyevent 27; sleep 0.3")
    release = camera.fire(time.time_ns() + 150_000_000)
    assert release.earliest_ns <= body.released_ns[-1] <= release.latest_ns
    assert release.latest_ns - release.earliest_ns >= 700_000_000
    camera.close()
    daemon.close()
