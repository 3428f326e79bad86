"""dpedkit devices, rig new, rig check: what is there, a rig file for it, and whether it is fit."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine, Simulated, set_scale

from dpedkit.capture.rig import load_rig
from dpedkit.stages.usb import phone_findings

NAMES = ["dslr", "sony", "blackberry", "iphone"]


@pytest.fixture(scope="module")
def simulated(cli: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    root = tmp_path_factory.mktemp("rigs") / "ws"
    cli.run("init", root, "--rig", "simulated", cwd=root.parent)
    set_scale(root, 0.06)
    rig = Simulated(cli, root)
    yield rig
    rig.process.send_signal(signal.SIGINT)
    rig.process.communicate(timeout=60)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port: int = closed.getsockname()[1]
    return port


def given(addresses: list[str]) -> list[str]:
    return [word for address in addresses for word in ("--device", address)]


def test_devices_shows_usb_and_every_rig_file(cli: CommandLine, simulated: Simulated, tmp_path: Path) -> None:
    broken = simulated.root / "rigs" / "broken.toml"
    broken.write_text("name = 3")
    overview = cli.json("devices", cwd=simulated.root, code=4)
    broken.unlink()
    rigs = {rig["name"]: rig for rig in overview["rigs"]}
    assert "broken.toml" in rigs["broken"]["error"]
    assert [device["name"] for device in rigs["tripod"]["devices"]] == NAMES
    assert all(device["info"] for device in rigs["tripod"]["devices"])
    text = cli.run("devices", cwd=simulated.root).stdout
    assert "rig tripod\n" in text
    assert "Canon EOS 70D" in text
    outside = cli.json("devices", cwd=tmp_path)
    assert outside["rigs"] == []


def test_without_anything_devices_says_what_to_check(cli: CommandLine, tmp_path: Path) -> None:
    if cli.json("devices", cwd=tmp_path)["connected"]:
        pytest.skip("a real device is connected")
    text = cli.run("devices", cwd=tmp_path).stdout
    assert "nothing is connected by USB" in text
    assert "USB debugging" in text
    assert "PTP" in text


def test_a_new_rig_of_what_answers_can_be_checked_and_fired(cli: CommandLine, simulated: Simulated) -> None:
    root, addresses = simulated.root, list(simulated.addresses.values())
    shown = cli.json("rig", "new", "studio", *given(addresses), "--dry-run", cwd=root)
    assert not (root / "rigs" / "studio.toml").exists()
    made = cli.run("rig", "new", "studio", *given(addresses), cwd=root).stdout
    assert made.endswith("next: dpedkit rig check --rig studio\n")
    path = root / "rigs" / "studio.toml"
    assert path.read_text() == shown["text"]
    rig = load_rig(path)
    assert [device.address for device in rig.devices] == addresses
    assert [device.role for device in rig.devices] == ["dslr", "phone", "phone", "phone"]
    assert rig.devices[0].name == "canon-eos-70d"
    assert rig.devices[1].name == "c6603"
    checks = cli.json("rig", "check", "--rig", "studio", cwd=root)
    assert {check["device"] for check in checks} == {*(device.name for device in rig.devices), "computer"}
    shots = cli.run("capture", "--rig", "studio", "-q", cwd=root).stdout
    assert "0 incomplete" in shots

    assert "is there already" in cli.error("rig", "new", "studio", *given(addresses), cwd=root, code=2)
    assert path.read_text() == shown["text"]
    path.unlink()


@pytest.mark.parametrize(
    ("words", "code", "cause"),
    [
        (["DSLR", "com3"], 2, "'com3' is no device's address"),
        (["DSLR", "usb:4711"], 4, "no device at usb:4711"),
        (["DSLR", "tcp:127.0.0.1:CLOSED"], 4, "at tcp:127.0.0.1:"),
        (["PHONE"], 4, "no DSLR answers"),
    ],
)
def test_a_rig_that_would_not_be_one_is_not_written(
    cli: CommandLine, simulated: Simulated, words: list[str], code: int, cause: str
) -> None:
    real = {"DSLR": simulated.addresses["dslr"], "PHONE": simulated.addresses["sony"]}
    addresses = [real.get(word, word.replace("CLOSED", str(closed_port()))) for word in words]
    assert cause in cli.error("rig", "new", "other", *given(addresses), cwd=simulated.root, code=code)
    assert not (simulated.root / "rigs" / "other.toml").exists()


def test_a_fit_rig_is_green_and_an_unfit_one_says_what_to_do(cli: CommandLine, simulated: Simulated) -> None:
    checks = cli.json("rig", "check", cwd=simulated.root)
    assert {check["device"] for check in checks} == {*NAMES, "computer"}
    topics = {check["topic"] for check in checks if check["device"] == "sony"}
    assert topics >= {"present", "settings", "battery", "space", "clock", "calibration"}
    assert not [check for check in checks if check["level"] == "fail"]
    assert cli.run("rig", "check", cwd=simulated.root).stdout.splitlines()[-1] == "fit for a session"

    picky = simulated.root / "rigs" / "picky.toml"
    head, *devices = (simulated.root / "rigs" / "tripod.toml").read_text().split("[[device]]")
    text = head.replace("[thresholds]", "[thresholds]\ntemperature_c = 1")
    places = {**simulated.addresses, "sony": f"tcp:127.0.0.1:{closed_port()}"}
    for name, device in zip(NAMES, devices, strict=True):
        text += "[[device]]" + device.replace('"simulated"', f'"{places[name]}"')
    picky.write_text(text)
    done = cli.run("rig", "check", "--rig", "picky", "--shots", 3, cwd=simulated.root, code=4).stdout
    picky.unlink()
    failed = [line.split() for line in done.splitlines() if " fail " in line]
    assert [words[:3] for words in failed] == [
        ["sony", "fail", "present"],
        ["blackberry", "fail", "temperature"],
        ["iphone", "fail", "temperature"],
    ]
    assert "let it cool" in done
    assert json.loads(cli.run("rig", "check", "--json", cwd=simulated.root).stdout)


def test_what_is_wrong_with_a_device_is_what_the_check_finds(cli: CommandLine, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    cli.run("init", root, "--rig", "simulated", cwd=tmp_path)
    set_scale(root, 0.06)
    faults = {"dslr": "battery_low", "sony": "screen_locked", "blackberry": "card_full", "iphone": "unauthorized"}
    with (root / "rigs" / "tripod.toml").open("a") as rig:
        for device, fault in faults.items():
            rig.write(f'[[simulated.fault]]\ndevice = "{device}"\nfault = "{fault}"\n')
    checks = cli.json("rig", "check", cwd=root, code=4)
    assert [(check["device"], check["topic"]) for check in checks if check["level"] == "fail"] == [
        ("dslr", "battery"),
        ("sony", "settings"),
        ("blackberry", "space"),
        ("iphone", "present"),
    ]
    assert all(check["remedy"] for check in checks if check["level"] == "fail")


def test_doctor_names_the_phone_that_does_not_know_our_key(simulated: Simulated, tmp_path: Path) -> None:
    address = simulated.addresses["sony"]
    (known,) = phone_findings([address], simulated.root / "rigs" / "keys")
    assert (known.level, known.found) == ("ok", "lets this computer in")
    (stranger,) = phone_findings([address], tmp_path)
    assert stranger.level == "problem"
    assert "is unauthorized" in stranger.found
    assert "Always allow" in stranger.remedy


def test_without_libusb_phones_on_usb_are_not_seen_and_it_is_said(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "usb1.py").write_text("raise OSError('libusb-1.0.so: cannot open shared object file')")
    found = cli.run("devices", "--json", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}).stdout
    assert "apt install libusb-1.0-0" in json.loads(found)["blind"]["adb"]
    done = cli.run("doctor", "--json", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}).stdout
    findings = {finding["topic"]: finding for finding in json.loads(done)}
    assert findings["adb on USB"]["level"] == "note"
