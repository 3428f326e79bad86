from __future__ import annotations

import re
from pathlib import Path

import pytest

from dpedkit.capture.connect import simulated_config
from dpedkit.capture.rig import load_rig, rig_template
from dpedkit.capture.simulate.faults import ScriptedFault
from dpedkit.capture.simulate.specs import SimulatedConfig, camera_spec
from dpedkit.errors import SettingsError

DSLR = '[[device]]\nname = "dslr"\nrole = "dslr"\ndriver = "gphoto2"\naddress = "usb:1"\n'
PHONE = '[[device]]\nname = "sony"\nrole = "phone"\ndriver = "adb"\naddress = "tcp:10.0.0.2:5555"\n'
GOOD = 'name = "tripod"\n' + DSLR + PHONE
SIMULATED = GOOD.replace("tcp:10.0.0.2:5555", "simulated")
FAULTY = SIMULATED + '[[simulated.fault]]\ndevice = "sony"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "tripod.toml"
    path.write_text(text)
    return path


def test_a_rig_file_becomes_devices(tmp_path: Path) -> None:
    text = GOOD + 'lag_ms = 60.5\ntrigger = "keyevent"\nfiles = ["jpg", "dng"]\n[device.settings]\niso = 100\n'
    rig = load_rig(written(tmp_path, text))
    assert [device.name for device in rig.devices] == ["dslr", "sony"]
    phone = rig.devices[1]
    assert (phone.role, phone.address, phone.lag_ns) == ("phone", "tcp:10.0.0.2:5555", 60_500_000)
    assert phone.suffixes == (".jpg", ".dng")
    assert phone.settings == {"iso": 100}


@pytest.mark.parametrize("kind", ["tripod", "simulated"])
def test_the_templates_are_rigs_of_four(tmp_path: Path, kind: str) -> None:
    rig = load_rig(written(tmp_path, rig_template(kind)))
    assert rig.name == "tripod"
    assert [device.name for device in rig.devices] == ["dslr", "sony", "blackberry", "iphone"]
    assert len(rig.rehearsal) == (4 if kind == "simulated" else 0)
    assert rig.simulated.scale == 0.25


MISTAKES = {
    "two devices of one name": (GOOD.replace('"sony"', '"dslr"'), "two devices have the name 'dslr'"),
    "two devices at one address": (
        GOOD + PHONE.replace("sony", "htc"),
        "two devices have the address 'tcp:10.0.0.2:5555'",
    ),
    "no DSLR": ('name = "tripod"\n' + PHONE, "exactly one device .* this one has none"),
    "two DSLRs": (GOOD + DSLR.replace("dslr", "second", 1).replace("usb:1", "usb:2"), "one has 2: dslr, second"),
    "unknown driver": (
        GOOD.replace('"gphoto2"', '"gphoto"'),
        r"device 'dslr'\.driver: unknown driver 'gphoto', did you mean 'gphoto2'",
    ),
    "unknown trigger": (
        GOOD + 'trigger = "keyevnt"',
        r"device 'sony'\.trigger: unknown trigger 'keyevnt', did you mean 'keyevent'",
    ),
    "a trigger whose argument is none": (GOOD + 'trigger = "tap:middle"', r"device 'sony'\.trigger: .*'tap:middle'"),
    "an argument for a trigger that takes none": (
        GOOD.replace('"usb:1"\n', '"usb:1"\ntrigger = "eos:fast"\n'),
        r"device 'dslr'\.trigger: the trigger 'eos' takes nothing after it, found 'fast'",
    ),
    "a DSLR's file of a phone": (
        GOOD + 'files = ["cr2"]',
        r"device 'sony'\.files: no device of the driver 'adb' makes 'cr2'; they make: jpg, heic, dng",
    ),
    "a file twice": (GOOD + 'files = ["jpg", "jpg"]', r"device 'sony'\.files: one ending twice"),
    "a setting that is a list": (
        GOOD + "[device.settings]\niso = [100]",
        r"device 'sony'\.settings\.iso: want a text, a number, true or false, found \[100\]",
    ),
    "settings that are no table": (GOOD + "settings = 3", r"device 'sony'\.settings: "),
    "a wrong driver is one mistake": (
        GOOD.replace('"gphoto2"', '"gphoto"').replace('"usb:1"', '"com3"'),
        r"device 'dslr'\.driver: ",
    ),
    "one camera twice": (
        GOOD.replace("usb:1", "usb:17") + DSLR.replace('"dslr"', '"second"', 1).replace("usb:1", "usb:0017"),
        "two devices have the address 'usb:17'",
    ),
    "one camera twice on the network": (
        GOOD.replace("usb:1", "ptpip:cam") + DSLR.replace('"dslr"', '"second"', 1).replace("usb:1", "ptpip:cam:15740"),
        "two devices have the address 'ptpip:cam:15740'",
    ),
    "unknown role": (GOOD.replace('"phone"', '"fone"'), r"device 'sony'\.role: .*found 'fone'"),
    "unknown file ending": (GOOD + 'files = ["gif"]', r"device 'sony'\.files 0: .*found 'gif'"),
    "no files": (GOOD + "files = []", r"device 'sony'\.files: "),
    "negative lag": (GOOD + "lag_ms = -5", r"device 'sony'\.lag_ms: .*greater than or equal to 0, found -5"),
    "unknown key of a device": (GOOD + "lag = 5", r"device 'sony'\.lag: unknown key, did you mean 'lag_ms'"),
    "unknown key of the rig": ('nam = "x"\n' + GOOD, "nam: unknown key, did you mean 'name'"),
    "unknown key of a table": (GOOD + "[thresholds]\nskew = 5", r"thresholds\.skew: unknown key, .*'skew_ms'"),
    "a key is missing": (GOOD.replace('address = "usb:1"\n', ""), r"device 'dslr'\.address: this key is missing"),
    "a device without a name": (GOOD.replace('name = "sony"\n', ""), r"device 1\.name: this key is missing"),
    "no devices": ('name = "tripod"', "device: this key is missing"),
    "device is not a table": ('name = "tripod"\ndevice = [3]', "device 0: "),
    "device is not a list": ('name = "tripod"\ndevice = 3', "device: "),
    "a name that is no file name": (GOOD.replace('"sony"', '"../sony"'), r"device '\.\./sony'\.name: "),
    "an address of no kind": (GOOD.replace("usb:1", "com3"), r"device 'dslr'\.address: 'com3' must be 'simulated' or"),
    "an address of another driver": (GOOD.replace("usb:1", "tcp:a:1"), "must be .* start with usb: or ptpip:"),
    "an address without a place": (GOOD.replace("usb:1", "usb:"), r"\.address: 'usb:' must"),
    "an address without a port": (GOOD.replace(":5555", ""), "must end with a host, a colon and a port"),
    "a port that is none": (GOOD.replace(":5555", ":70000"), "a port from 1 to 65535"),
    "scale out of range": (GOOD + "[simulated]\nscale = 2", r"simulated\.scale: .*found 2"),
    "scenes that are not there": (GOOD + '[simulated]\nscenes = "nowhere"', r"simulated\.scenes: no folder .*nowhere"),
    "timing of nobody": (SIMULATED + "[simulated.timing.sny]\nlag_ms = 5", r"timing\.sny: no simulated .*mean 'sony'"),
    "timing of a real device": (GOOD + "[simulated.timing.sony]\nlag_ms = 5", r"simulated\.timing\.sony: no simulated"),
    "timing that is none": (SIMULATED + "[simulated.timing.sony]\nlag = 5", r"timing\.sony\.lag: .*mean 'lag_ms'"),
    "time that cannot be": (SIMULATED + "[simulated.timing.sony]\ncycle_ms = -5", r"timing\.sony\.cycle_ms: .*-5"),
    "unknown fault": (FAULTY + 'fault = "late_fil"', r"fault 0: unknown fault 'late_fil', did you mean 'late_file'"),
    "a fault of nobody": (
        FAULTY.replace('device = "sony"', 'device = "soni"') + 'fault = "no_file"',
        r"simulated\.fault 0\.device: no simulated device 'soni', did you mean 'sony'",
    ),
    "a DSLR's fault on a phone": (FAULTY + 'fault = "busy"', r"simulated\.fault 0\.fault: 'busy' happens to a dslr"),
    "a fault before the first shot": (FAULTY + 'fault = "no_file"\nshots = [0]', r"fault 0\.shots 0: .*found 0"),
    "a fault that takes no time": (FAULTY + 'fault = "no_file"\nafter_s = 1', "'no_file' takes no time"),
    "not TOML": ("name = ", "tripod.toml is not TOML: .*end of document"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_message_with_file_and_key(tmp_path: Path, mistake: str) -> None:
    text, message = MISTAKES[mistake]
    with pytest.raises(SettingsError) as caught:
        load_rig(written(tmp_path, text))
    assert re.search(message, caught.value.cause), caught.value.cause
    assert "tripod.toml" in caught.value.cause
    assert "\n" not in caught.value.cause
    assert caught.value.remedy


def test_scenes_are_found_from_the_rig_file(tmp_path: Path) -> None:
    (tmp_path / "views").mkdir()
    path = written(tmp_path, GOOD + '[simulated]\nscenes = "views"')
    assert load_rig(path).simulated.scenes == tmp_path / "views"
    assert load_rig(written(tmp_path, GOOD + '[simulated]\nscenes = ""')).simulated.scenes is None


def test_bytes_that_are_no_text_are_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "tripod.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="is not TOML"):
        load_rig(path)


def test_a_missing_rig_file_names_the_rigs_that_are_there(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    with pytest.raises(SettingsError) as caught:
        load_rig(tmp_path / "studio.toml")
    assert caught.value.remedy == "TOML files that are there: tripod"


def test_several_mistakes_are_counted(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\(1 more after this one\)"):
        load_rig(written(tmp_path, GOOD + "lag_ms = -1\ntimeout_s = 0"))


def test_what_a_rig_file_says_reaches_the_processes(tmp_path: Path) -> None:
    text = FAULTY.replace("[[simulated", 'files = ["jpg", "dng"]\n[[simulated')
    text += (
        'fault = "late_file"\nshots = [3]\n[[simulated.fault]]\ndevice = "sony"\nfault = "slow_trigger"\nafter_s = 4\n'
    )
    text += "[simulated.timing.sony]\nlag_ms = 60\njitter_ms = 0\n[simulated]\nscale = 0.5\nseed = 3\n"
    config = SimulatedConfig.from_json(simulated_config(load_rig(written(tmp_path, text))).to_json())
    assert (config.scale, config.seed) == (0.5, 3)
    assert config.device("sony").faults == (
        ScriptedFault("late_file", (3,), 3.0),
        ScriptedFault("slow_trigger", (), 4.0),
    )
    sony = config.camera(camera_spec("sony"))
    assert (sony.timing.lag_ms, sony.timing.jitter_ms, sony.files) == (60, 0, ("jpg", "dng"))
    assert sony.timing.exif_lag_ms == camera_spec("sony").timing.exif_lag_ms
    assert sony.size_px == (2064, 1548)
