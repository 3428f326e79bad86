"""What the pages of an alignment draw, from windows and confidences whose truth is made up."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pair_truth import PHONE as CAMERA
from pair_truth import make_pair

from dpedkit.align import Alignment, PatchScores, align_pair, resample_dslr
from dpedkit.align.gates import LIMIT_OF
from dpedkit.align.geometry import Warp, overlap_polygon
from dpedkit.align.parallax import Confidence
from dpedkit.align.placements import Placements
from dpedkit.images import encode_jpeg, read_rgb
from dpedkit.stages.align_drawing import (
    MASK_LEVELS,
    arrow_field,
    details,
    histogram,
    mask_cells,
    round_down,
    round_up,
)
from dpedkit.stages.align_patch_grid import KEPT, SCORES, patch_grid
from dpedkit.stages.align_pictures import DSLR, PHONE, TONED, detail_file, draw_aligned
from dpedkit.stages.scores import columns_of
from dpedkit.stages.templates import resource
from dpedkit.types import F64, U8

SIZE = (800, 600)
WRONG, LOST = 30, 7  # rows of windows that lie elsewhere, and nowhere


def made_up(off: F64, ncc: F64 | None = None, confidence: U8 | None = None) -> Alignment:
    """An alignment of a 12 x 9 grid of windows, each found `off` [108, 2] phone px from where the map puts it."""
    hmat = np.array([[1.5, 0.02, 10.0], [-0.02, 1.5, 5.0], [0.0, 0.0, 1.0]])
    warp = Warp.from_pixels(hmat, SIZE, (1300, 1000))
    xs, ys = np.linspace(60, 740, 12), np.linspace(60, 540, 9)
    phone = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    covariance = np.tile(np.eye(2) * 0.01**2, (len(phone), 1, 1))
    ncc = np.full(len(phone), 0.95) if ncc is None else ncc
    placed = Placements(phone, warp.forward(phone + off), covariance, ncc, side_px=48.0, zoom=1.0)
    length = np.linalg.norm(off, axis=1)
    return Alignment(
        warp=warp,
        mode="field",
        inliers=50,
        windows=len(phone),
        residual_px=float(np.median(length)),
        residual_p95_px=float(np.quantile(length, 0.95)),
        trusted_share=1.0,
        overlap=overlap_polygon(warp),
        regions=Confidence(SIZE, np.full((24, 32), 255, np.uint8) if confidence is None else confidence),
        placed=placed,
        timings={},
    )


@pytest.fixture
def off() -> F64:
    return np.random.default_rng(1).normal(0, 0.03, (108, 2))


def test_a_wrong_window_gives_an_arrow_of_its_length_and_direction(off: F64) -> None:
    off[WRONG] = (0.6, -0.8)
    ncc = np.full(108, 0.95)
    ncc[LOST] = 0.3
    field = arrow_field(made_up(off, ncc))
    arrow = field.arrows[WRONG]
    assert arrow.kind == "differs"
    assert (arrow.dx, arrow.dy) == pytest.approx((0.6, -0.8), abs=1e-6)
    assert arrow.off_px == pytest.approx(1.0, abs=1e-6)
    drawn = np.array([arrow.tip_x - arrow.x, arrow.tip_y - arrow.y])
    assert drawn / np.linalg.norm(drawn) == pytest.approx((0.6, -0.8), abs=1e-6)
    assert [arrow.kind for arrow in field.arrows].count("agrees") == 106
    assert field.of_kind("nowhere") == [field.arrows[LOST]]
    assert field.arrows[LOST].off_px == 0.0


def test_arrows_are_magnified_alike_and_those_that_would_cross_the_photo_are_marked(off: F64) -> None:
    off[WRONG] = (9.0, 12.0)
    field = arrow_field(made_up(off))
    for row, arrow in enumerate(field.arrows):
        drawn = np.hypot(arrow.tip_x - arrow.x, arrow.tip_y - arrow.y)
        assert arrow.cut == (row == WRONG)
        assert drawn == pytest.approx(4 * field.spacing_px if arrow.cut else field.magnified * arrow.off_px)
    usual = np.quantile([arrow.off_px for arrow in field.arrows], 0.9) * field.magnified
    assert 0.3 * field.spacing_px < usual < field.spacing_px
    assert field.bar_px * field.magnified < 2 * field.spacing_px


def test_where_the_map_is_wrong_nearly_everywhere_arrows_still_fit(off: F64) -> None:
    off[:100] += (3.0, 4.0)
    field = arrow_field(made_up(off))
    assert len(field.of_kind("differs")) == 100
    assert not any(arrow.cut for arrow in field.arrows)


def test_an_outline_starts_wide_at_the_window_and_ends_in_the_tip(off: F64) -> None:
    off[WRONG] = (1.0, 0.0)
    arrow = arrow_field(made_up(off)).arrows[WRONG]
    corners = [tuple(map(float, corner.split())) for corner in arrow.outline(6.0).strip("MZ").split("L")]
    assert corners[1] == pytest.approx((arrow.tip_x, arrow.tip_y), abs=0.051)
    assert [corners[2], corners[0]] == [pytest.approx((arrow.x, arrow.y + side), abs=0.051) for side in (-3.0, 3.0)]


def test_no_window_found_is_no_error() -> None:
    nothing = made_up(np.zeros((108, 2)), np.zeros(108))
    assert {arrow.kind for arrow in arrow_field(nothing).arrows} == {"nowhere"}
    assert histogram(nothing) == []
    assert details(nothing) == []
    none = dataclasses.replace(nothing, placed=nothing.placed.take(np.zeros(108, np.bool_)))
    assert arrow_field(none).arrows == ()
    assert details(none) == []


def test_the_mask_is_dark_where_confidence_is_low_and_there_alone(off: F64) -> None:
    confidence = np.full((24, 32), 255, np.uint8)
    confidence[5, 20] = 0
    cells = mask_cells(made_up(off, confidence=confidence))
    level = np.full(SIZE[::-1], -1)
    for cell in cells:
        left, top = round(cell.x + 0.5), round(cell.y + 0.5)
        right, bottom = round(cell.x + 0.5 + cell.width), round(cell.y + 0.5 + cell.height)
        part = level[top:bottom, left:right]
        assert (part == -1).all()
        part[:] = cell.level
    assert (level >= 0).all()
    x, y = 20 / 31 * (SIZE[0] - 1), 5 / 23 * (SIZE[1] - 1)
    assert level[round(y), round(x)] == 0
    rows, columns = np.nonzero(level < len(MASK_LEVELS))
    assert (np.abs(rows - y) < 600 / 23).all()
    assert (np.abs(columns - x) < 800 / 31).all()


def test_the_histogram_counts_every_window_once_and_apart(off: F64) -> None:
    off[WRONG] = (5.0, 0.0)
    confidence = np.full((24, 32), 255, np.uint8)
    confidence[:, :11] = 0  # the left third, where four columns of windows stand
    alignment = made_up(off, confidence=confidence)
    bars = histogram(alignment)
    assert sum(bar.trusted for bar in bars) == 72
    assert sum(bar.others for bar in bars) == 36
    assert bars[-1].trusted == 1  # beyond the last bar, and counted there
    assert bars[-1].high_px < 1.0
    length = np.linalg.norm(off, axis=1)
    assert sum(bar.windows for bar in bars[:10]) == (length < bars[9].high_px).sum()


def test_details_show_the_best_the_median_and_the_worst(off: F64) -> None:
    off[WRONG], off[50] = (1.0, 0.0), (0.0, 0.001)
    alignment = made_up(off)
    best, median, worst = details(alignment)
    assert (best.name, median.name, worst.name) == ("best", "median", "worst")
    assert best.off_px == pytest.approx(0.001, abs=1e-6)
    assert worst.off_px == pytest.approx(1.0, abs=1e-6)
    assert abs(median.off_px - alignment.residual_px) < 0.005
    x, y = alignment.placed.phone[WRONG]
    assert worst.x <= x <= worst.x + worst.side
    assert worst.y <= y <= worst.y + worst.side
    for place in (best, median, worst):
        assert 0 <= place.x <= SIZE[0] - place.side
        assert 0 <= place.y <= SIZE[1] - place.side


@pytest.mark.parametrize(
    ("value", "below", "above"), [(1, 1, 1), (0.03, 0.02, 0.05), (0.2, 0.2, 0.2), (7, 5, 10), (99, 50, 100), (3, 2, 5)]
)
def test_round_numbers(value: float, below: float, above: float) -> None:
    assert (round_down(value), round_up(value)) == (below, above)


def patch_rows(xs: list[int], ys: list[int], size: int) -> pd.DataFrame:
    """Rows as `Corpus.patches` has them, all kept, on a grid."""
    x, y = (each.ravel() for each in np.meshgrid(xs, ys))
    one = np.linspace(0.0, 1.0, len(x))
    two, three = np.column_stack([one, one]), np.column_stack([one, one, one])
    wide = {"shift_xy_px": two, "gain": three, "offset": three}
    scores = PatchScores(**{field.name: wide.get(field.name, one) for field in dataclasses.fields(PatchScores)})
    return pd.DataFrame({"x": x, "y": y, "size": size, "reason": "", **columns_of(scores)})


def test_patches_that_overlap_are_drawn_side_by_side() -> None:
    rows = patch_rows([0, 25, 50], [0, 25], 100)
    rows.loc[4, "reason"] = "torn"
    grid = patch_grid(rows)
    assert grid.verdicts == [(KEPT, 5), ("torn", 1)]
    assert grid.patches == 6
    torn = grid.cells[4]
    assert (torn.verdict, torn.side) == ("torn", 25)
    assert (torn.x + 0.5 + torn.side / 2, torn.y + 0.5 + torn.side / 2) == (25 + 50, 25 + 50)
    assert {score.name for score in SCORES} == grid.scores.keys()
    assert grid.scores["ncc"] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_of_very_many_patches_an_even_choice_is_drawn_and_all_are_counted() -> None:
    grid = patch_grid(patch_rows(list(range(0, 2400, 24)), list(range(0, 2160, 24)), 48))
    assert grid.verdicts == [(KEPT, 9000)]
    assert len(grid.cells) == len(grid.scores["ncc"]) == 3000
    assert {(cell.x - 11.5) % 24 for cell in grid.cells} == {0.0}


def test_a_score_that_is_not_known_is_null() -> None:
    rows = patch_rows([0, 100], [0], 100)
    rows["shift_x_px"] = [np.nan, 3.0]
    rows["shift_y_px"] = [0.0, -4.0]
    rows["rotation_deg"] = [np.inf, -0.25]
    scores = patch_grid(rows).scores
    assert scores["shift_px"] == [None, 5.0]
    assert scores["rotation_deg"] == [None, 0.25]


def test_every_verdict_has_a_colour() -> None:
    style = resource("align_report.css")
    for verdict in (KEPT, *LIMIT_OF):
        assert f".{verdict} {{ --c: #" in style, verdict


def test_pictures_are_the_photos_on_the_phones_pixels(tmp_path: Path) -> None:
    pair = make_pair()
    dslr = np.ascontiguousarray(pair.dslr[:, :1000])  # which leaves out a part of the phone's view
    alignment = align_pair(pair.phone, dslr)
    for name, photo in (("phone.jpg", pair.phone), ("dslr.jpg", dslr)):
        (tmp_path / name).write_bytes(encode_jpeg(photo))
    folder = tmp_path / "pictures"
    draw_aligned(folder, tmp_path / "phone.jpg", tmp_path / "dslr.jpg", alignment, limit_px=10**8)
    resampled, covered = resample_dslr(pair.phone.shape, dslr, alignment)
    resampled[~covered] = 235
    assert 0.1 < covered.mean() < 0.9
    places = details(alignment)
    for name, truth in ((PHONE, pair.phone), (DSLR, resampled)):
        assert np.abs(read_rgb(folder / name).astype(int) - truth).mean() < 10
        strip = read_rgb(folder / detail_file(name))
        assert strip.shape == (places[0].side, 3 * places[0].side, 3)
        for place, crop in zip(places, np.split(strip, 3, axis=1), strict=True):
            wanted = truth[place.y : place.y + place.side, place.x : place.x + place.side]
            assert np.abs(crop.astype(int) - wanted).mean() < 6
    phone, own, toned = (read_rgb(folder / name)[covered].astype(float) for name in (PHONE, DSLR, TONED))
    assert np.abs(toned - phone).mean() < 0.7 * np.abs(own - phone).mean()


def test_a_large_photo_is_shrunk_but_not_its_details(tmp_path: Path) -> None:
    pair = make_pair(dataclasses.replace(CAMERA, size=(1800, 1350)))
    alignment = align_pair(pair.phone, pair.dslr)
    for name, photo in (("phone.jpg", pair.phone), ("dslr.jpg", pair.dslr)):
        (tmp_path / name).write_bytes(encode_jpeg(photo))
    folder = tmp_path / "pictures"
    draw_aligned(folder, tmp_path / "phone.jpg", tmp_path / "dslr.jpg", alignment, limit_px=10**8)
    assert read_rgb(folder / PHONE).shape == read_rgb(folder / TONED).shape == (1050, 1400, 3)
    place = details(alignment)[0]
    crop = read_rgb(folder / detail_file(PHONE))[:, : place.side]
    wanted = pair.phone[place.y : place.y + place.side, place.x : place.x + place.side]
    assert np.abs(crop.astype(int) - wanted).mean() < 6
