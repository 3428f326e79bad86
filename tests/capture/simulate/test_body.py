"""A simulated camera: its shutter, its clock and its card agree with the truth it leaves."""

from __future__ import annotations

import hashlib
import itertools
import queue
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpedkit.capture.simulate.body import Body
from dpedkit.capture.simulate.exif import with_exif
from dpedkit.capture.simulate.specs import CAMERAS, DeviceConfig, SimulatedConfig, camera_spec
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.capture.simulate.truth import Truth, dslr_to_phone, load_truth, phone_to_dslr
from dpedkit.errors import CorpusError, UsageError

CONFIG = SimulatedConfig(scale=0.05, seed=1)
PATIENCE_S = 60


class Camera:
    """A body, and its photos as they land."""

    def __init__(self, name: str, state: Path, config: SimulatedConfig = CONFIG) -> None:
        self.state = StateFolder(state)
        self.body = Body(camera_spec(name), state, config)
        self.landed: queue.Queue[Path] = queue.Queue()
        self.body.subscribe(self.landed.put)

    def photo(self) -> tuple[Path, Truth]:
        path = self.landed.get(timeout=PATIENCE_S)
        return path, load_truth(self.state.truth, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def sony(tmp_path: Path) -> Iterator[Camera]:
    camera = Camera("sony", tmp_path)
    yield camera
    camera.body.close()


def exif_ns(path: Path) -> int:
    """DateTimeOriginal with its sub-seconds, ns since the epoch."""
    with Image.open(path) as image:
        tags = image.getexif().get_ifd(0x8769)
    moment = datetime.strptime(tags[0x9003] + tags[0x9011], "%Y:%m:%d %H:%M:%S%z")
    assert moment.utcoffset() == UTC.utcoffset(None)
    return int(moment.timestamp()) * 1_000_000_000 + round(float("0." + tags[0x9291]) * 1e9)


@pytest.mark.parametrize("name", list(CAMERAS))
def test_the_photo_carries_the_device_clock_at_the_shutter(tmp_path: Path, name: str) -> None:
    camera = Camera(name, tmp_path)
    try:
        before_ns = time.time_ns()
        camera.body.release()
        after_ns = time.time_ns()
        path, truth = camera.photo()
    finally:
        camera.body.close()
    timing = camera.body.spec.timing
    assert before_ns <= truth.released_ns <= after_ns
    assert abs((truth.shutter_ns - truth.released_ns) / 1e6 - timing.lag_ms) <= 6 * timing.jitter_ms
    assert truth.clock_offset_ns == pytest.approx(timing.clock_offset_ms * 1e6, abs=1e7)
    stamped_ns = truth.shutter_ns + truth.clock_offset_ns + timing.exif_lag_ms * 1e6
    assert 0 <= stamped_ns - exif_ns(path) < timing.exif_step_ms * 1e6 + 1
    with Image.open(path) as image:
        image.load()
        assert image.size == camera.body.spec.size_px == truth.view.size_px
        assert image.getexif()[0x0110] == camera_spec(name).model


def test_the_clock_runs_ahead_by_offset_and_drift(sony: Camera) -> None:
    before_ns, now_ns, after_ns = time.time_ns(), sony.body.now_ns(), time.time_ns()
    offset_ns = round(camera_spec("sony").timing.clock_offset_ms * 1e6)
    assert before_ns + offset_ns <= now_ns <= after_ns + offset_ns + 10_000_000


def lags_ms(folder: Path, shots: int, **timing: float) -> list[float]:
    """Release to shutter of each of some shots with a sony that keeps time like this."""
    fast = {"write_ms": 0.0, "cycle_ms": 0.0, **timing}
    camera = Camera("sony", folder, SimulatedConfig(0.01, 2, devices={"sony": DeviceConfig(fast)}))
    try:
        truths = []
        for _ in range(shots):
            camera.body.release()
            truths.append(camera.photo()[1])
    finally:
        camera.body.close()
    assert [truth.release for truth in truths] == list(range(1, shots + 1))
    return [(truth.shutter_ns - truth.released_ns) / 1e6 for truth in truths]


def test_without_jitter_the_lag_is_always_the_same(tmp_path: Path) -> None:
    assert lags_ms(tmp_path, 5, lag_ms=60.25, jitter_ms=0) == pytest.approx([60.25] * 5, abs=1e-5)


def test_jitter_is_gaussian_around_the_lag(tmp_path: Path) -> None:
    """The mean of 60 draws lies within 3 of its deviations, and a lag below half the mean is nothing special."""
    lags = lags_ms(tmp_path, 60, lag_ms=40, jitter_ms=14)
    assert np.mean(lags) == pytest.approx(40, abs=3 * 14 / 60**0.5)
    assert np.std(lags) == pytest.approx(14, abs=4)
    assert min(lags) < 20
    assert len(set(lags)) == 60


def test_a_photo_says_when_by_a_clock_that_is_off_and_drifts(tmp_path: Path) -> None:
    timing = {"clock_offset_ms": -5000.0, "drift_ppm": 1000.0, "exif_lag_ms": 40.0, "lag_ms": 300.0, "jitter_ms": 0.0}
    started_ns = time.time_ns()
    camera = Camera("sony", tmp_path, SimulatedConfig(0.01, devices={"sony": DeviceConfig(timing)}))
    try:
        switched_on_ns = time.time_ns()
        camera.body.release()
        path, truth = camera.photo()
        before_ns, now_ns, after_ns = time.time_ns(), camera.body.now_ns(), time.time_ns()
    finally:
        camera.body.close()
    for earliest_ns, at_ns, latest_ns in (
        (truth.shutter_ns, truth.shutter_ns + truth.clock_offset_ns, truth.shutter_ns),
        (before_ns, now_ns, after_ns),
    ):
        least, most = ((earliest_ns - switched_on_ns) * 1e-3, (latest_ns - started_ns) * 1e-3)
        assert earliest_ns - 5_000_000_000 + least - 1 <= at_ns <= latest_ns - 5_000_000_000 + most + 1
    assert exif_ns(path) == (truth.shutter_ns + truth.clock_offset_ns + 40_000_000) // 1_000_000 * 1_000_000


def test_every_release_becomes_one_whole_photo_however_fast_they_come(sony: Camera) -> None:
    for _ in range(3):
        sony.body.release()
    seen: set[Path] = set()
    photos = []
    while len(photos) < 3:
        for path in sony.body.card.rglob("*.*"):
            if path not in seen:  # whatever a listing shows is complete
                with Image.open(path) as image:
                    image.load()
                seen.add(path)
        try:
            photos.append(sony.landed.get(timeout=0.01))
        except queue.Empty:
            continue
    assert [path.name for path in photos] == ["DSC_0001.JPG", "DSC_0002.JPG", "DSC_0003.JPG"]
    truths = [load_truth(sony.state.truth, hashlib.sha256(path.read_bytes()).hexdigest()) for path in photos]
    gaps_ms = [(later.shutter_ns - sooner.shutter_ns) / 1e6 for sooner, later in itertools.pairwise(truths)]
    assert min(gaps_ms) >= camera_spec("sony").timing.cycle_ms
    assert [truth.shot for truth in truths] == [0, 1, 2]
    assert len({path.read_bytes() for path in photos}) == 3


def test_a_photo_shows_the_scene_before_which_the_shutter_opened(sony: Camera) -> None:
    sony.body.release()
    assert sony.photo()[1].scene == 0
    sony.state.show_scene(7)
    sony.body.release()
    assert sony.photo()[1].scene == 7


def test_a_scene_that_changes_after_the_shutter_does_not_change_the_photo(tmp_path: Path) -> None:
    """The DSLR's second shutter opens before its first photo has landed; then the tripod is turned."""
    assert camera_spec("dslr").timing.cycle_ms < camera_spec("dslr").timing.write_ms
    camera = Camera("dslr", tmp_path)
    camera.body.subscribe(lambda _photo: camera.state.show_scene(7))
    try:
        camera.body.release()
        camera.body.release()
        assert [camera.photo()[1].scene for _ in range(2)] == [0, 0]
    finally:
        camera.body.close()


def test_numbering_goes_on_after_a_restart(tmp_path: Path) -> None:
    for number in (1, 2):
        camera = Camera("dslr", tmp_path)
        camera.body.release()
        assert camera.photo()[0].name == f"IMG_000{number}.JPG"
        camera.body.close()


def test_the_card_holds_photos_and_nothing_else(sony: Camera) -> None:
    sony.body.release()
    path, _ = sony.photo()
    assert [found for found in sony.body.card.rglob("*") if found.is_file()] == [path]
    assert not sony.state.truth.is_relative_to(sony.body.card)


def test_truth_maps_phone_to_dslr_and_back(tmp_path: Path) -> None:
    truths = []
    for name in ("iphone", "dslr"):
        camera = Camera(name, tmp_path)
        camera.body.release()
        truths.append(camera.photo()[1])
        camera.body.close()
    phone, dslr = truths
    points = np.array([[20.0, 10.0], [60.0, 50.0], [90.0, 70.0]])
    there = phone_to_dslr(phone, dslr, points)
    np.testing.assert_allclose(dslr_to_phone(dslr, phone, there), points, atol=1e-4)
    assert np.linalg.norm(there - points, axis=1).min() > 10  # the DSLR's photo is larger


def test_exif_is_put_in_without_touching_the_rest() -> None:
    jfif = b"\xff\xd8" + b"\xff\xe0\x00\x04\x01\x02" + b"\xff\xdb rest"
    assert with_exif(jfif, b"Exif\0\0block") == b"\xff\xd8" + b"\xff\xe1\x00\x0dExif\0\0block" + b"\xff\xdb rest"


def test_unknown_cameras_and_photos_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no camera 'nokia'"):
        camera_spec("nokia")
    with pytest.raises(CorpusError, match="knows no photo"):
        load_truth(tmp_path, "0" * 64)
