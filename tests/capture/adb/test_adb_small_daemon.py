"""Our driver against a phone that has little, by a daemon that shares nothing with our simulator."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dpedkit.capture.drivers.adb import AdbCamera
from dpedkit.capture.drivers.adb_clock import CLOCKS, UPTIME
from dpedkit.errors import CameraError, PullFailed
from tests.capture.adb.small_daemon import SmallDaemon

BASIC = ("date", "sleep", "rm", "tail", "od", "printf")
JPEG = b"\xff\xd8" + os.urandom(200_000) + b"\xff\xd9"


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Callable[..., SmallDaemon]]:
    daemons = []

    def make(programs: tuple[str, ...] = BASIC, **options: object) -> SmallDaemon:
        (tmp_path / "card/DCIM/Camera").mkdir(parents=True)
        (tmp_path / "tools").mkdir()
        for program in programs:
            (tmp_path / "tools" / program).symlink_to(shutil.which(program) or program)
        daemons.append(SmallDaemon(tmp_path / "card", tmp_path / "tools", **options))  # type: ignore[arg-type]
        return daemons[-1]

    yield make
    for daemon in daemons:
        daemon.close()


def shoot(camera: AdbCamera, phone: SmallDaemon, into: Path) -> None:
    """A session in small: everything that one asks of a phone."""
    camera.open()
    camera.prepare()
    camera.info()
    known = {photo.path for photo in camera.list_photos()}
    offset = camera.clock_offset()
    assert abs(offset.offset_ns) <= offset.bound_ns < 1_200_000_000
    at_ns = time.time_ns() + 150_000_000
    release = camera.fire(at_ns)
    shot = phone.card / "DCIM/Camera/new shot.jpg"
    assert release.earliest_ns <= shot.stat().st_mtime_ns + 10_000_000
    assert shot.stat().st_mtime_ns - 10_000_000 <= release.latest_ns  # files are dated by ticks of the kernel
    deadline_s = time.monotonic() + 20
    while not (photos := camera.new_photos(known)):
        assert time.monotonic() < deadline_s
    assert [photo.name for photo in photos] == ["new shot.jpg"]
    camera.keep_awake()
    counts = list(camera.pull(photos[0], into))
    assert counts == sorted(counts)
    assert counts[-1] == photos[0].size_bytes
    assert into.read_bytes() == JPEG
    camera.delete(photos[0])
    assert not shot.exists()


def trigger(card: Path) -> str:
    (card / "shot").write_bytes(JPEG)
    # without cat or cp: what the shell has in itself
    return f"shell:mv {card}/shot '{card}/DCIM/Camera/new shot.jpg'; touch '{card}/DCIM/Camera/new shot.jpg'"


TOUCHING = (*BASIC, "mv", "touch")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"checksums": False, "max_data": 1 << 18},
        {"terminal": True},
        {"one_per_stream": True},
        {"max_data": 1 << 20, "programs": (*TOUCHING, "sha256sum", "md5sum")},
        {"programs": (*TOUCHING, "md5sum")},
        {"programs": tuple(tool for tool in TOUCHING if tool not in {"tail", "od"})},
    ],
    ids=["plain", "no checksums", "terminal", "one answer a stream", "large, sha256", "md5", "no tail"],
)
def test_a_shot_with_a_phone_that_has_little(
    phone: Callable[..., SmallDaemon], keys: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    daemon = phone(**({"programs": TOUCHING} | options))  # type: ignore[arg-type]
    camera = AdbCamera("small", f"tcp:127.0.0.1:{daemon.port}", {}, keys=keys, trigger=trigger(daemon.card))
    try:
        shoot(camera, daemon, tmp_path / "copy")
    finally:
        camera.close()


OLD_DATE = '#!/bin/sh\ncase $1 in *N) echo "$(/bin/date +%s)N" ;; *) exec /bin/date "$@" ;; esac\n'


@pytest.mark.parametrize("wait_s", [0.0, 0.15, 1.2])
def test_an_old_phone_whose_date_knows_seconds_only_waits_by_its_uptime(
    phone: Callable[..., SmallDaemon], keys: Path, wait_s: float
) -> None:
    daemon = phone(tuple(tool for tool in TOUCHING if tool != "date"), sh=shutil.which("dash") or "/bin/sh")
    (daemon.tools / "date").write_text(OLD_DATE)
    (daemon.tools / "date").chmod(0o755)
    camera = AdbCamera("old", f"tcp:127.0.0.1:{daemon.port}", {}, keys=keys, trigger=f"shell:: >{daemon.card}/now")
    offset = camera.clock_offset()
    assert abs(offset.offset_ns) <= offset.bound_ns < 500_000_000
    at_ns = time.time_ns() + round(wait_s * 1e9)
    release = camera.fire(at_ns)
    fired_ns = (daemon.card / "now").stat().st_mtime_ns
    assert release.earliest_ns - 10_000_000 <= fired_ns <= release.latest_ns + 10_000_000
    assert fired_ns > at_ns - 30_000_000
    camera.close()


def test_a_phone_without_any_clock_to_wait_by_is_fired_from_here(
    phone: Callable[..., SmallDaemon], keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = phone(tuple(tool for tool in TOUCHING if tool != "date"), sh=shutil.which("dash") or "/bin/sh")
    (daemon.tools / "date").write_text(OLD_DATE)
    (daemon.tools / "date").chmod(0o755)
    hidden = dataclasses.replace(UPTIME, value="$(read n _ </proc/none && echo $n)")
    monkeypatch.setattr("dpedkit.capture.drivers.adb_clock.CLOCKS", (*CLOCKS[:3], hidden))
    camera = AdbCamera("old", f"tcp:127.0.0.1:{daemon.port}", {}, keys=keys, trigger=f"shell:: >{daemon.card}/now")
    at_ns = time.time_ns() + 3_000_000_000
    release = camera.fire(at_ns)
    fired_ns = (daemon.card / "now").stat().st_mtime_ns
    assert at_ns <= release.earliest_ns <= fired_ns + 10_000_000
    assert fired_ns - 10_000_000 <= release.latest_ns
    camera.close()


def test_a_setting_that_the_rig_asks_for_is_not_optional(phone: Callable[..., SmallDaemon], keys: Path) -> None:
    address = f"tcp:127.0.0.1:{phone().port}"
    for settings, words in (({"system.font_scale": 1}, "font_scale"), ({"camera_app": "a.b/.C"}, "does not start")):
        camera = AdbCamera("small", address, settings, keys=keys)
        with pytest.raises(CameraError, match=words):
            camera.prepare()
        camera.close()


def test_what_the_phone_refuses_is_said_at_once_and_the_connection_lives(
    phone: Callable[..., SmallDaemon], keys: Path, tmp_path: Path
) -> None:
    daemon = phone()
    camera = AdbCamera("small", f"tcp:127.0.0.1:{daemon.port}", {}, keys=keys, trigger="keyevent", timeout_s=30)
    begun_s = time.monotonic()
    with pytest.raises(CameraError, match=r"`input keyevent 27`.*not found"):
        camera.fire(0)
    (daemon.card / "DCIM/a.jpg").write_bytes(JPEG)
    (photo,) = camera.list_photos()
    (daemon.card / "DCIM/a.jpg").unlink()
    with pytest.raises(PullFailed, match="no file"):
        list(camera.pull(photo, tmp_path / "copy"))
    with pytest.raises(CameraError, match="a command of"):
        camera.shell("true " + "x" * 5000)
    assert camera.shell("echo here").strip() == "here"
    assert time.monotonic() - begun_s < 30
    camera.close()
