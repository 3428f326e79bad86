"""Raw files, HEIC and settings: what a release makes, and what its files say."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from small_clients import FAST, PtpClient, Switched, fault, wait

from dpedkit.capture.drivers.adb_keys import load_signer
from dpedkit.capture.simulate import formats
from dpedkit.capture.simulate.ptp import Status
from dpedkit.capture.simulate.specs import DeviceConfig, SimulatedConfig
from dpedkit.capture.simulate.supervisor import SimulatedRig
from dpedkit.errors import MissingExtra
from dpedkit.images import read_meta, read_rgb

APERTURE, SHUTTER, ISO, WHITE_BALANCE, IMAGE_FORMAT = 0xD101, 0xD102, 0xD103, 0xD109, 0xD120
RAW, FINE = (16, 6, 0, 4), (16, 1, 0, 3)


@pytest.fixture
def on(tmp_path: Path) -> Iterator[dict[str, Switched]]:
    switched: dict[str, Switched] = {}
    yield switched
    for device in switched.values():
        device.close()


def switch_on(on: dict[str, Switched], folder: Path, name: str, *files: str) -> Switched:
    load_signer(folder)
    on[name] = Switched(name, folder / "state", folder, DeviceConfig(FAST, files))
    return on[name]


def exif_of(data: bytes, folder: Path) -> Image.Exif:
    """Read the EXIF of a TIFF-based file as any reader would: by its first directory."""
    (folder / "raw.tif").write_bytes(data)
    with Image.open(folder / "raw.tif") as image:
        image.load()
        return image.getexif()


@pytest.mark.parametrize(("name", "raw"), [("dslr", "cr2"), ("sony", "dng")])
def test_raw_and_jpeg_are_one_shot(on: dict[str, Switched], tmp_path: Path, name: str, raw: str) -> None:
    device = switch_on(on, tmp_path, name, "jpg", raw)
    landed: list[Path] = []
    device.body.subscribe(landed.append)
    client = device.connect()
    client.fire()
    paths = device.whole(client, 2)
    wait(lambda: len(landed) == 2)
    assert [path.suffix.lower() for path in landed] == [".jpg", f".{raw}"]
    assert len({path.stem for path in landed}) == 1
    jpeg, negative = (next(path for path in paths if path.lower().endswith(end)) for end in (".jpg", raw))
    assert device.truth(jpeg).shutter_ns == device.truth(negative).shutter_ns
    data = client.pull(negative)
    local = tmp_path / "photo.jpg"
    local.write_bytes(client.pull(jpeg))
    with Image.open(local) as image:
        expected = image.getexif().get_ifd(0x8769)
    exif = exif_of(data, tmp_path)
    found = exif.get_ifd(0x8769)
    assert exif[0x0110] == device.body.spec.model
    for tag in (0x9003, 0x9291, 0x829A, 0x829D, 0x8827):  # time, sub-seconds, exposure, aperture, sensitivity
        assert found[tag] == expected[tag]


def test_the_mosaic_is_the_picture(on: dict[str, Switched], tmp_path: Path) -> None:
    """A reader that is not ours finds the sensor's size, its filter and the brightness of the JPEG."""
    device = switch_on(on, tmp_path, "sony", "jpg", "dng")
    client = device.connect()
    client.fire()
    jpeg, negative = sorted(device.whole(client, 2), key=lambda path: path.endswith("DNG"))
    (tmp_path / "raw.dng").write_bytes(client.pull(negative))
    (tmp_path / "photo.jpg").write_bytes(client.pull(jpeg))
    with tifffile.TiffFile(tmp_path / "raw.dng") as tiff:
        page: Any = tiff.series[0].pages[0]
        (raw,) = page.pages
        mosaic = raw.asarray()
        assert tuple(raw.tags[33422].value) == (0, 1, 1, 2)
        assert raw.photometric == 32803
    width, height = device.body.spec.size_px
    assert mosaic.shape == (height // 2 * 2, width // 2 * 2)
    rgb = read_rgb(tmp_path / "photo.jpg").astype(float)
    for (row, column), channel in {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}.items():
        sensor = mosaic[row::2, column::2].astype(float)
        display = rgb[row : height // 2 * 2 : 2, column : width // 2 * 2 : 2, channel]
        assert np.corrcoef(np.sqrt(sensor.ravel()), display.ravel())[0, 1] > 0.8


def test_heic(on: dict[str, Switched], tmp_path: Path) -> None:
    device = switch_on(on, tmp_path, "iphone", "heic")
    client = device.connect()
    client.fire()
    (path,) = device.whole(client, 1)
    assert path.endswith("IMG_0001.HEIC")
    local = tmp_path / "photo.heic"
    local.write_bytes(client.pull(path))
    meta = read_meta(local)
    assert (meta.width, meta.height) == device.body.spec.size_px
    truth = device.truth(path)
    assert meta.taken_at is not None
    stamped_ns = truth.shutter_ns + truth.clock_offset_ns + device.body.spec.timing.exif_lag_ms * 1e6
    assert meta.taken_at.microsecond // 1000 == int(stamped_ns) // 1_000_000 % 1000


def test_heic_without_its_package_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _name: None)
    config = SimulatedConfig(devices={"iphone": DeviceConfig(files=("heic",))})
    with pytest.raises(MissingExtra, match="heic"):
        SimulatedRig(config, tmp_path / "state").start()
    assert not (tmp_path / "state").exists()


def test_a_damaged_raw_file_has_its_size(on: dict[str, Switched], tmp_path: Path) -> None:
    load_signer(tmp_path)
    config = DeviceConfig(FAST, ("jpg", "dng"), (fault("corrupt_on_card", 2),))
    on["sony"] = device = Switched("sony", tmp_path / "state", tmp_path, config)
    client = device.connect()
    client.fire()
    client.fire()
    device.whole(client, 4)
    sizes = {path: size for path, size in client.files().items() if path.endswith("DNG")}
    assert len(sizes) == 2
    assert len(set(sizes.values())) == 1


def set_property(client: PtpClient, code: int, *values: int) -> int:
    data = struct.pack(f"<{2 + len(values)}I", 8 + 4 * len(values), code, *values)
    return client.wire.ask(0x9110, data=data)[0]


def test_what_is_set_on_the_eos_stands_in_its_photos(on: dict[str, Switched], tmp_path: Path) -> None:
    device = switch_on(on, tmp_path, "dslr", "jpg")
    client = device.connect()
    assert isinstance(client, PtpClient)
    client.fire()
    device.whole(client, 1)
    settings = ((ISO, 0x60), (APERTURE, 0x28), (SHUTTER, 0x68), (WHITE_BALANCE, 1))  # 800, f/4, 1/60 s, daylight
    assert [set_property(client, *setting) for setting in settings] == [Status.OK] * 4
    client.fire()
    facts = []
    for path in device.whole(client, 2):
        local = tmp_path / "photo.jpg"
        local.write_bytes(client.pull(path))
        meta = read_meta(local)
        with Image.open(local) as image:
            balance = image.getexif().get_ifd(0x8769)[0xA403]
        facts.append((meta.iso, meta.f_number, meta.exposure_s, balance))
    assert facts == [(100, 8.0, 1 / 125, 0), (800, 4.0, 1 / 60, 1)]


def test_the_eos_writes_what_its_image_format_says(on: dict[str, Switched], tmp_path: Path) -> None:
    device = switch_on(on, tmp_path, "dslr", "jpg")
    client = device.connect()
    assert isinstance(client, PtpClient)
    client.fire()
    device.whole(client, 1)
    assert set_property(client, IMAGE_FORMAT, 2, *RAW, *FINE) == Status.OK
    client.fire()
    device.whole(client, 3)
    assert set_property(client, IMAGE_FORMAT, 1, *RAW) == Status.OK
    client.fire()
    device.whole(client, 4)
    names = sorted(path.rsplit("/", 1)[1] for path in client.files())
    assert names == ["IMG_0001.JPG", "IMG_0002.CR2", "IMG_0002.JPG", "IMG_0003.CR2"]
    assert set_property(client, IMAGE_FORMAT, 1, 16, 1, 7, 3) == Status.INVALID_PROPERTY_VALUE


def test_the_stock_client_captures_raw_and_jpeg(on: dict[str, Switched], tmp_path: Path) -> None:
    program = shutil.which("gphoto2")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the gphoto2 command is missing, and in CI nothing may be skipped")
        pytest.skip("the gphoto2 command is not installed (Debian: apt install gphoto2)")
    device = switch_on(on, tmp_path, "dslr", "jpg")
    port = f"ptpip:127.0.0.1:{device.server.port}:{device.server.port}"
    words = [program, "--port", port, "--set-config", "imageformat=RAW + Large Fine JPEG"]
    words += ["--set-config", "capturetarget=Memory card", "--capture-image-and-download", "--keep"]
    own_drivers = {"CAMLIBS", "IOLIBS", "VCAMERADIR"}  # python-gphoto2 sets these to its own
    environment = {name: value for name, value in os.environ.items() if name not in own_drivers}
    environment |= {"LC_ALL": "C", "HOME": str(tmp_path)}
    subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=60)
    for name in ("IMG_0001.JPG", "IMG_0001.CR2"):
        assert (tmp_path / name).read_bytes() == device.on_card(f"DCIM/100CANON/{name}")
