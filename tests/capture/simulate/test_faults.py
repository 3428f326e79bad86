"""Every fault of the table strikes at its shot and ends with it, as a client of the device's protocol sees it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image
from small_clients import FAST, AdbClient, Switched, fault, no_answer, wait

from dpedkit.capture.drivers.adb_keys import load_signer
from dpedkit.capture.simulate.faults import FAULTS, ScriptedFault
from dpedkit.capture.simulate.ptp import Status
from dpedkit.capture.simulate.specs import DeviceConfig
from dpedkit.errors import CorpusError
from dpedkit.images import read_meta

SwitchOn = Callable[..., Switched]
BOTH = pytest.mark.parametrize("name", ["dslr", "sony"])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    load_signer(folder)
    return folder


@pytest.fixture
def switch_on(tmp_path: Path, keys: Path) -> Iterator[SwitchOn]:
    switched: list[Switched] = []

    def on(name: str, *faults: ScriptedFault, files: tuple[str, ...] = ("jpg",)) -> Switched:
        switched.append(Switched(name, tmp_path, keys, DeviceConfig(FAST, files, faults)))
        return switched[-1]

    yield on
    for device in switched:
        device.close()


def decodes(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except OSError:
        return False
    return True


@BOTH
def test_no_file(switch_on: SwitchOn, name: str) -> None:
    device = switch_on(name, fault("no_file", 2))
    client = device.connect()
    for _ in range(3):
        client.fire()
    assert [device.truth(path).release for path in device.whole(client, 2)] == [1, 3]


@BOTH
def test_late_file(switch_on: SwitchOn, name: str) -> None:
    device = switch_on(name, fault("late_file", 2, after_s=1.5))
    landed: list[tuple[Path, int]] = []
    device.body.subscribe(lambda path: landed.append((path, time.time_ns())))
    client = device.connect()
    client.fire()
    device.whole(client, 1)  # from now on a photo is rendered ahead, and quick
    client.fire()
    client.fire()
    first, late, third = device.whole(client, 3)
    wait(lambda: len(landed) == 3)
    assert [path.name for path, _ in landed] == [PurePosixPath(path).name for path in (first, third, late)]
    assert landed[2][1] - device.truth(late).shutter_ns >= 1.5e9
    assert first < late < third  # it has the name that it would have had


@BOTH
def test_slow_file(switch_on: SwitchOn, name: str) -> None:
    device = switch_on(name, fault("slow_file", 1, after_s=0.6))
    landed: list[int] = []
    device.body.subscribe(lambda path: landed.append(path.stat().st_size))
    client = device.connect()
    client.fire()
    sizes = set()
    while not landed:
        sizes |= set(client.files().values())
    assert len(sizes) > 3
    (path,) = client.files()
    assert client.files()[path] == landed[0] == max(sizes | {landed[0]})
    assert device.truth(path).release == 1
    assert decodes(client.pull(path))


@BOTH
def test_corrupt_on_card(switch_on: SwitchOn, name: str) -> None:
    device = switch_on(name, fault("corrupt_on_card", 1))
    client = device.connect()
    client.fire()
    client.fire()
    first, second = device.whole(client, 2)
    assert client.pull(first) == device.on_card(first)
    assert not decodes(client.pull(first))
    assert decodes(client.pull(second))


@pytest.mark.parametrize("name", ["dslr", "sony", "blackberry"])
def test_duplicate_name(switch_on: SwitchOn, name: str) -> None:
    device = switch_on(name, fault("duplicate_name", 2))
    client = device.connect()
    for _ in range(3):
        client.fire()
    first, second, third = map(PurePosixPath, device.whole(client, 3))
    assert first.name == second.name != third.name
    assert second.parent != first.parent == third.parent
    assert client.pull(str(first)) != client.pull(str(second))


@BOTH
def test_slow_trigger(switch_on: SwitchOn, name: str) -> None:
    device = switch_on(name, fault("slow_trigger", 2, after_s=0.5))
    client = device.connect()
    client.fire()
    client.fire()
    lags_ms = [(truth.shutter_ns - truth.released_ns) / 1e6 for truth in map(device.truth, device.whole(client, 2))]
    assert lags_ms == pytest.approx([FAST["lag_ms"], 500])


@BOTH
@pytest.mark.parametrize("damage", ["wrong_size", "corrupt"])
def test_a_pull_that_goes_wrong_once(switch_on: SwitchOn, name: str, damage: str) -> None:
    device = switch_on(name, fault(damage, 2))
    client = device.connect()
    client.fire()
    client.fire()
    good, bad = device.whole(client, 2)
    assert client.pull(good) == device.on_card(good)
    announced, pulled = client.files()[bad], client.pull(bad)
    assert len(pulled) == (announced // 2 if damage == "wrong_size" else announced)
    assert not decodes(pulled)
    assert pulled != device.on_card(bad)
    assert client.pull(bad) == device.on_card(bad)


@BOTH
@pytest.mark.parametrize("damage", ["wrong_size", "corrupt"])
def test_pulls_that_always_go_wrong(switch_on: SwitchOn, name: str, damage: str) -> None:
    device = switch_on(name, fault(damage))
    client = device.connect()
    client.fire()
    (path,) = device.whole(client, 1)
    assert not decodes(client.pull(path))
    assert not decodes(client.pull(path))
    assert decodes(device.on_card(path))


@pytest.mark.parametrize("command", ["cat '{}'", "dd if={} 2>/dev/null"])
def test_a_pull_through_a_command_goes_wrong_too(switch_on: SwitchOn, command: str) -> None:
    device = switch_on("sony", fault("corrupt", 1))
    client = device.connect()
    assert isinstance(client, AdbClient)
    client.fire()
    (path,) = device.whole(client, 1)
    first, second = (client.service(f"exec:{command.format(path)}") for _ in range(2))
    assert len(first) == len(second)
    assert first != second == device.on_card(path)


@BOTH
def test_disconnect_mid_pull(switch_on: SwitchOn, name: str) -> None:
    device = switch_on(name, fault("disconnect_mid_pull", 1, after_s=1.0))
    client = device.connect()
    client.fire()
    (path,) = device.whole(client, 1)
    with no_answer():
        client.pull(path)
    client.close()
    with no_answer():
        device.connect()
    client = device.reconnect()
    assert client.pull(path) == device.on_card(path)


@BOTH
@pytest.mark.parametrize(("way", "exposed"), [("disconnect_at_fire", [2]), ("disconnect_after_fire", [1, 2])])
def test_disconnect_at_the_release(switch_on: SwitchOn, name: str, way: str, exposed: list[int]) -> None:
    device = switch_on(name, fault(way, 1, after_s=1.0))
    client = device.connect()
    with no_answer():
        client.fire()
    with no_answer():
        device.connect()
    client = device.reconnect()
    client.fire()
    assert [device.truth(path).release for path in device.whole(client, len(exposed))] == exposed


@BOTH
def test_disconnect_at_connect(switch_on: SwitchOn, name: str) -> None:
    device = switch_on(name, fault("disconnect_at_connect", 2, after_s=1.0))
    client = device.connect()
    client.close()
    began_s = time.monotonic()
    with no_answer():
        device.connect()
    client = device.reconnect()
    assert time.monotonic() - began_s >= 1.0
    assert client.files() == {}


@BOTH
def test_card_full(switch_on: SwitchOn, name: str) -> None:
    device = switch_on(name, fault("card_full", 2))
    client = device.connect()
    assert client.free_bytes() > 0
    client.fire()
    assert client.free_bytes() == 0
    assert client.fire() in (None, Status.STORE_FULL)
    assert client.free_bytes() > 0
    client.fire()
    assert [device.truth(path).release for path in device.whole(client, 2)] == [1, 3]


@BOTH
def test_battery_low(switch_on: SwitchOn, name: str) -> None:
    device = switch_on(name, fault("battery_low", 2))
    client = device.connect()
    charge = []
    for _ in range(3):
        charge.append(client.battery_percent())
        client.fire()
    assert charge[1] == 3 < charge[0] == charge[2]


def test_screen_locked(switch_on: SwitchOn) -> None:
    device = switch_on("sony", fault("screen_locked", 1))
    client = device.connect()
    assert isinstance(client, AdbClient)
    client.shell("input keyevent WAKEUP; input keyevent 82; wm dismiss-keyguard")
    assert "mShowingLockscreen=true" in client.shell("dumpsys window")
    client.fire()
    assert "mShowingLockscreen=false" in client.shell("dumpsys window")
    client.fire()
    assert [device.truth(path).release for path in device.whole(client, 1)] == [2]


def test_unauthorized(switch_on: SwitchOn) -> None:
    device = switch_on("sony", fault("unauthorized", 1))
    with no_answer():
        device.connect()
    assert device.connect().files() == {}


def test_busy(switch_on: SwitchOn) -> None:
    device = switch_on("dslr", fault("busy", 1))
    client = device.connect()
    assert client.fire() == Status.DEVICE_BUSY
    assert client.fire() == Status.OK
    assert [device.truth(path).release for path in device.whole(client, 1)] == [2]


@BOTH
def test_frozen(switch_on: SwitchOn, name: str) -> None:
    device = switch_on(name, fault("frozen", 1))
    client = device.connect()
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.fire()
    with pytest.raises(TimeoutError):
        client.battery_percent()
    client.close()
    client = device.reconnect()
    client.fire()
    (path,) = device.whole(client, 1)
    assert device.truth(path).release == 2


@pytest.mark.parametrize(("jump", "brighter", "warmer"), [("exposure_jump", 2.0, 1.0), ("wb_jump", 1.0, 1.6)])
def test_a_phone_changes_its_mind(
    switch_on: SwitchOn, tmp_path: Path, jump: str, brighter: float, warmer: float
) -> None:
    device = switch_on("sony", fault(jump, 2))
    client = device.connect()
    for _ in range(3):
        client.fire()
    exposures_s, gains, pictures = [], [], []
    for path in device.whole(client, 3):
        local = tmp_path / "photo.jpg"
        local.write_bytes(client.pull(path))
        exposures_s.append(read_meta(local).exposure_s or 0)
        gains.append(np.array(device.truth(path).look["gain"]))
        with Image.open(local) as image:
            pictures.append(np.asarray(image).mean(axis=(0, 1)))
    for later in (1, 2):
        assert exposures_s[later] / exposures_s[0] == pytest.approx(brighter, rel=0.25)
        ratio = gains[later] / gains[0]
        assert ratio[1] == pytest.approx(brighter, rel=0.25)
        assert ratio[0] / ratio[2] == pytest.approx(warmer, rel=0.1)
    seen = pictures[2] / pictures[0]
    assert (seen[1] > 1.2) == (brighter > 1)
    assert (seen[0] / seen[2] > 1.1) == (warmer > 1)


@pytest.mark.parametrize("name", ["dslr", "sony"])
def test_the_truth_knows_no_damaged_bytes(switch_on: SwitchOn, name: str) -> None:
    """What came over the wire wrong is no photo of the rig's."""
    device = switch_on(name, fault("corrupt", 1))
    client = device.connect()
    client.fire()
    (path,) = device.whole(client, 1)
    (device.body.card / "damaged.jpg").write_bytes(client.pull(path))
    with pytest.raises(CorpusError):
        device.truth("damaged.jpg")


def test_every_fault_is_tested_here() -> None:
    text = Path(__file__).read_text()
    assert [name for name in FAULTS if f'"{name}"' not in text] == []
