"""The truth about a simulated photo is what its pixels show."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpedkit.capture.simulate.frame import Order
from dpedkit.capture.simulate.optics import View
from dpedkit.capture.simulate.render import develop
from dpedkit.capture.simulate.scenes import load_scene
from dpedkit.capture.simulate.specs import CAMERAS, SimulatedConfig, camera_spec
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.types import F64

PHONES = ["sony", "blackberry", "iphone"]
SCALE = 0.15
SPACING_PX = 90
SPOT_PX = 6.0


@pytest.fixture(scope="module")
def spots(tmp_path_factory: pytest.TempPathFactory) -> tuple[StateFolder, SimulatedConfig]:
    """A scene of soft round spots on a regular grid."""
    folder = tmp_path_factory.mktemp("spots")
    y, x = np.indices((920, 1182))
    square = ((x + 0.5) % SPACING_PX - SPACING_PX / 2) ** 2 + ((y + 0.5) % SPACING_PX - SPACING_PX / 2) ** 2
    grey = 200 * np.exp(-square / (2 * SPOT_PX**2))
    Image.fromarray(np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)).save(folder / "spots.png")
    return StateFolder(folder / "state"), SimulatedConfig(SCALE, 5, str(folder))


def photo(state: StateFolder, config: SimulatedConfig, camera: str, scene: int = 0, shot: int = 0) -> tuple[F64, View]:
    frame = develop(camera_spec(camera).at_scale(config.scale), state, config, Order(scene, shot))
    return np.asarray(Image.open(io.BytesIO(frame.jpeg)), np.float64), View.from_json(frame.truth["view"])


def centroid(grey: F64, near: F64, radius_px: int) -> F64 | None:
    """The spot's centre of brightness under a soft window, or None where it is not wholly in the picture."""
    x, y = np.rint(near).astype(int)
    if min(x, y) < radius_px or x >= grey.shape[1] - radius_px or y >= grey.shape[0] - radius_px:
        return None
    window = grey[y - radius_px : y + radius_px + 1, x - radius_px : x + radius_px + 1]
    window = window - np.median([window[0], window[-1], window[:, 0], window[:, -1]])
    rows, columns = np.indices(window.shape) - radius_px
    moved = np.zeros(2)
    for _ in range(10):  # the window follows the spot
        weight = window * np.exp(-4 * ((columns - moved[0]) ** 2 + (rows - moved[1]) ** 2) / radius_px**2)
        moved = moved + 2 * (np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum() - moved)
    return np.array([x, y]) + moved


@pytest.mark.parametrize("camera", PHONES)
def test_spots_lie_where_the_truth_maps_them(spots: tuple[StateFolder, SimulatedConfig], camera: str) -> None:
    phone, phone_view = photo(*spots, camera)
    dslr, dslr_view = photo(*spots, "dslr")
    scene = load_scene(*spots, 0)
    height, width = scene.light.shape[:2]
    columns, rows = np.meshgrid(np.arange(width // SPACING_PX), np.arange(height // SPACING_PX))
    centres = (np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5) * SPACING_PX - 0.5
    plane = (centres - (np.array([width, height]) - 1) / 2) / scene.density
    errors = []
    for point in plane:
        seen = centroid(
            phone[..., 1], phone_view.from_plane(point), round(3.5 * SPOT_PX * phone_view.focal_px / scene.density)
        )
        there = centroid(
            dslr[..., 1], dslr_view.from_plane(point), round(3.5 * SPOT_PX * dslr_view.focal_px / scene.density)
        )
        if seen is not None and there is not None:
            errors.append(np.linalg.norm(dslr_view.from_plane(phone_view.to_plane(seen)) - there))
    assert len(errors) > 30
    assert np.median(errors) < 0.04
    assert np.percentile(errors, 95) < 0.1


@pytest.mark.parametrize("camera", list(CAMERAS))
def test_the_mapping_is_its_own_inverse_over_the_whole_frame(camera: str) -> None:
    view = View.of(camera_spec(camera), 9.0, np.array([1e-3, -2e-3, 5e-3]))
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5], [0.2, 0.9]]) * (np.array(view.size_px) - 1)
    np.testing.assert_allclose(view.from_plane(view.to_plane(corners)), corners, atol=1e-4)


def test_a_view_survives_json() -> None:
    view = View.of(camera_spec("sony"), 9.0)
    again = View.from_json(view.to_json())
    points = np.array([[10.0, 20.0], [4000.0, 3000.0]])
    np.testing.assert_array_equal(again.to_plane(points), view.to_plane(points))


@pytest.mark.parametrize("camera", PHONES)
def test_the_dslr_shows_most_of_what_a_phone_shows(camera: str) -> None:
    phone, dslr = (View.of(camera_spec(name), 9.0) for name in (camera, "dslr"))
    width, height = phone.size_px
    grid = np.stack(np.meshgrid(np.linspace(0, width - 1, 60), np.linspace(0, height - 1, 45)), axis=-1)
    there = dslr.from_plane(phone.to_plane(grid))
    inside = np.all((there >= 0) & (there <= np.array(dslr.size_px) - 1), axis=-1)
    assert inside.mean() > 0.7


def test_the_same_shot_is_the_same_photo_and_the_next_one_is_not(tmp_path: Path) -> None:
    config = SimulatedConfig(0.05, 3)
    spec = camera_spec("iphone").at_scale(0.05)
    first = develop(spec, StateFolder(tmp_path / "a"), config, Order(4, 0))
    again = develop(spec, StateFolder(tmp_path / "b"), config, Order(4, 0))
    other = develop(spec, StateFolder(tmp_path / "a"), config, Order(4, 1))
    assert first == again
    assert first.jpeg != other.jpeg
    assert first.truth["view"] != other.truth["view"]


@pytest.mark.parametrize("camera", PHONES)
def test_a_phone_photo_is_as_far_from_the_dslr_photo_as_real_ones_are(tmp_path: Path, camera: str) -> None:
    """Compared at the phone's pixels, by the nearest DSLR pixel."""
    state, config = StateFolder(tmp_path), SimulatedConfig(0.1, 0)
    ratios_db = []
    for scene in range(6):
        (phone, phone_view), (dslr, dslr_view) = (photo(state, config, name, scene) for name in (camera, "dslr"))
        pixels = np.stack(np.meshgrid(*(np.arange(0, size - 1, 2) for size in phone.shape[1::-1])), axis=-1)
        there = np.rint(dslr_view.from_plane(phone_view.to_plane(pixels.astype(np.float64)))).astype(int)
        inside = np.all((there >= 0) & (there < np.array(dslr.shape[1::-1])), axis=-1)
        target = dslr[there[inside][:, 1], there[inside][:, 0]]
        source = phone[pixels[inside][:, 1], pixels[inside][:, 0]]
        ratios_db.append(10 * np.log10(255**2 / np.mean((target - source) ** 2)))
    assert 15 < np.mean(ratios_db) < 23
