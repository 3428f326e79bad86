"""RAW files: a mosaic whose colours are known comes back as those colours, developed alike whatever else it shows."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpedkit.capture.simulate.exif import Shot
from dpedkit.capture.simulate.formats import SENSOR_WHITE, encode_dng
from dpedkit.capture.simulate.specs import CAMERAS
from dpedkit.errors import ImageError, ImageTooLarge
from dpedkit.images import read_meta, read_photo, read_rgb
from dpedkit.types import F64, U8

SPEC = CAMERAS["dslr"].at_scale(0.03)
WIDTH, HEIGHT = (side // 2 * 2 for side in SPEC.size_px)
TAKEN_NS = 1_780_000_000_250_000_000


def dng(linear: F64) -> bytes:
    """A DNG whose sensor saw linear light [H, W, 3] through an RGGB filter."""
    mosaic = linear[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = linear[::2, ::2, 0], linear[1::2, 1::2, 2]
    preview = io.BytesIO()
    Image.new("RGB", SPEC.size_px).save(preview, "JPEG")
    sensor = (mosaic * SENSOR_WHITE).round().astype("<u2").tobytes()
    return encode_dng(SPEC, sensor, preview.getvalue(), Shot(TAKEN_NS, 0.01, 8.0, 200))


def scene(brightest: float) -> F64:
    """Bands of colour in linear light, from black to `brightest`."""
    linear = np.zeros((HEIGHT, WIDTH, 3))
    linear[..., 0], linear[..., 2] = 0.2, 0.4
    linear[..., 1] = np.linspace(0.02, 0.6, WIDTH)
    linear[:8] = brightest
    return linear


def srgb(linear: F64) -> F64:
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def read(path: Path, data: bytes) -> U8:
    path.write_bytes(data)
    return read_rgb(path)


def test_a_mosaic_comes_back_as_the_colours_it_saw(tmp_path: Path) -> None:
    found = read(tmp_path / "a.dng", dng(scene(0.9)))
    assert found.shape == (HEIGHT, WIDTH, 3)
    inside = np.s_[16:-8, 8:-8]
    assert np.abs(found[inside] - srgb(scene(0.9))[inside]).max() < 2.5


def test_a_highlight_elsewhere_does_not_change_the_tones(tmp_path: Path) -> None:
    dark, bright = (read(tmp_path / f"{name}.DNG", dng(scene(top))) for name, top in (("a", 0.6), ("b", 1.0)))
    assert np.abs(dark[16:].astype(int) - bright[16:]).max() <= 1


def test_the_header_tells_time_exposure_and_size(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    path.write_bytes(dng(scene(0.9)))
    meta = read_meta(path)
    assert (meta.format, meta.width, meta.height, meta.model) == ("RAW", WIDTH, HEIGHT, "Canon EOS 70D")
    assert (meta.exposure_s, meta.f_number, meta.iso, meta.auto_white) == (0.01, 8.0, 200, True)
    assert meta.taken_at is not None
    assert meta.taken_at.microsecond == 260_000  # the body writes its EXIF 12 ms late, in steps of 10 ms
    assert read_photo(path).meta == meta


def test_a_camera_held_upright_gives_an_upright_picture(tmp_path: Path) -> None:
    data = dng(scene(0.9))
    turn = b"\x12\x01\x03\x00\x01\x00\x00\x00"  # Orientation, SHORT, one value
    assert data.count(turn + b"\x01") == 1
    path = tmp_path / "a.dng"
    turned = read(path, data.replace(turn + b"\x01", turn + b"\x06"))
    assert turned.shape == (WIDTH, HEIGHT, 3)
    assert (read_meta(path).width, read_meta(path).height) == (HEIGHT, WIDTH)
    assert np.abs(np.rot90(turned).astype(int) - read(path, data)).max() <= 1


@pytest.mark.parametrize("kept", [0, 7, 200, 900, 30_000])
def test_a_cut_or_foreign_file_is_an_error_that_names_it(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.nef"
    path.write_bytes(dng(scene(0.9))[:kept])
    with pytest.raises(ImageError, match=r"cut\.nef"):
        read_rgb(path)
    with pytest.raises(ImageError, match=r"gone\.dng: no such file"):
        read_rgb(tmp_path / "gone.dng")


def test_too_many_pixels_are_refused_before_they_are_developed(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    path.write_bytes(dng(scene(0.9)))
    with pytest.raises(ImageTooLarge, match=r"a\.dng"):
        read_rgb(path, limit_px=WIDTH * HEIGHT - 1)
    assert read_rgb(path, limit_px=WIDTH * HEIGHT).shape == (HEIGHT, WIDTH, 3)


def test_without_rawpy_the_error_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    path.write_bytes(dng(scene(0.9)))
    code = (
        "import sys; sys.modules['rawpy'] = None\n"
        "from pathlib import Path; from dpedkit.errors import MissingExtra; from dpedkit.images import read_meta\n"
        "try: read_meta(Path(sys.argv[1]))\n"
        "except MissingExtra as error: print(error.remedy)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == "pip install 'dpedkit[raw]'\n"
