"""Generated scenes look like the world in the ways that matter; given photos come through as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpedkit.capture.simulate.painting import WHITE, paint_scene
from dpedkit.capture.simulate.scenes import load_scene
from dpedkit.capture.simulate.specs import SimulatedConfig
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.errors import UsageError
from dpedkit.types import F32

SIZE_PX = (800, 600)


def spectral_slope(light: F32) -> float:
    """Exponent of the power spectrum of log luminance over spatial frequency; natural photos lie near -2 to -3."""
    grey = np.log(light.mean(axis=2)[:512, :512] + 1e-3)
    window = np.hanning(512)
    power = np.abs(np.fft.fft2((grey - grey.mean()) * np.outer(window, window))) ** 2
    frequency = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.fftfreq(512)[None]) * 512
    rings = np.rint(frequency).astype(int).ravel()
    mean_power = np.bincount(rings, power.ravel()) / np.bincount(rings)
    band = np.arange(6, 150)
    return float(np.polyfit(np.log(band), np.log(mean_power[band]), 1)[0])


@pytest.mark.parametrize("index", range(4))
def test_generated_scenes_have_natural_statistics(index: int) -> None:
    light = paint_scene(0, index, SIZE_PX).astype(np.float32) / WHITE
    assert -3.2 < spectral_slope(light) < -1.8
    brightness = light.mean(axis=2)
    assert np.percentile(brightness, 98) / np.percentile(brightness, 2) > 15  # more than three stops and a half
    saturation = 1 - light.min(axis=2) / np.maximum(light.max(axis=2), 1e-3)
    assert np.mean(saturation > 0.6) > 0.02


def test_a_scene_is_a_function_of_seed_and_index() -> None:
    scene = paint_scene(1, 2, SIZE_PX)
    np.testing.assert_array_equal(scene, paint_scene(1, 2, SIZE_PX))
    for other in (paint_scene(1, 3, SIZE_PX), paint_scene(2, 2, SIZE_PX)):
        assert abs(np.corrcoef(scene[..., 1].ravel(), other[..., 1].ravel())[0, 1]) < 0.5


def test_photos_of_a_folder_are_linearised_and_come_round_again(tmp_path: Path) -> None:
    for name, level in (("a.png", 188), ("b.png", 255)):
        Image.new("RGB", (150, 100), (level, level, level)).save(tmp_path / name)
    config = SimulatedConfig(0.05, 0, str(tmp_path))
    levels = [load_scene(StateFolder(tmp_path / "state"), config, index).light.mean() / WHITE for index in range(3)]
    assert levels == pytest.approx([0.503, 1.0, 0.503], abs=0.005)  # sRGB 188 is half the light of white


def test_a_folder_without_photos_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no photos in"):
        load_scene(StateFolder(tmp_path / "state"), SimulatedConfig(0.05, 0, str(tmp_path)), 0)


def test_drawn_scenes_do_not_fill_the_disk(tmp_path: Path) -> None:
    for index in range(5):
        load_scene(StateFolder(tmp_path), SimulatedConfig(0.05), index)
    assert len(list(StateFolder(tmp_path).scenes.glob("*.npy"))) <= 2
