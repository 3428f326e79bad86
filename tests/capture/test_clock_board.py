"""Boards are drawn, photographed badly, and read: what is read is true, or nothing is read."""

from __future__ import annotations

import io
import math
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dpedkit.capture.clock_board import FRAME_NS, PERIOD_NS, TICK_NS, BoardReading, clock_page, draw_board, read_board
from dpedkit.capture.times import Window
from dpedkit.images import encode_jpeg, read_rgb
from dpedkit.types import F32, U8

NOW_NS = 1_763_000_123_456_789_000
FRAME = round(FRAME_NS)


@dataclass(frozen=True)
class Snapshot:
    """How a board is photographed: share of the picture's width that it fills, blur in px, noise in levels."""

    size: tuple[int, int] = (512, 384)
    share: float = 0.34
    blur_px: float = 1.2
    noise: float = 6.0
    quality: int = 85
    turn_deg: float = 5.0

    def of(self, light: F32, random: np.random.Generator) -> U8:
        """Return a photo of a picture, [H, W, 3], linear light: tilted, vignetted, of a wrong colour."""
        width, height = self.size
        rows, columns = light.shape[:2]
        scale = self.share * width / columns
        turn = math.radians(self.turn_deg) * random.uniform(-1, 1)
        shear = scale * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        place = np.eye(3)
        place[:2, :2] = shear
        place[:2, 2] = -shear @ np.array([columns, rows]) / 2
        tilt = np.eye(3)
        tilt[2, :2] = random.normal(0, 0.2, 2) / width
        room = max(0.0, 0.9 - self.share) / 2
        shift = np.eye(3)
        shift[:2, 2] = np.array([width, height]) * (0.5 + random.uniform(-room, room, 2))
        soft = cv2.GaussianBlur(light, (0, 0), max(0.1, 0.4 / scale))
        wall = (0.08, 0.1, 0.09)
        seen = cv2.warpPerspective(soft, shift @ tilt @ place, self.size, flags=cv2.INTER_LINEAR, borderValue=wall)
        seen = cv2.GaussianBlur(seen, (0, 0), self.blur_px)
        y, x = np.mgrid[:height, :width]
        radius = np.hypot(x - width / 2, y - height / 2) / math.hypot(width, height) * 2
        cast = np.array([random.uniform(0.7, 1.2), 1, random.uniform(0.6, 1.2)]) * random.uniform(0.4, 1.2)
        exposed = seen * (1 - 0.4 * radius**2)[..., None] * cast
        levels = np.clip(exposed, 0, 1) ** (1 / 2.2) * 255 + random.normal(0, self.noise, seen.shape)
        return jpeg(np.clip(levels, 0, 255).astype(np.uint8), self.quality)


def jpeg(rgb: U8, quality: int) -> U8:
    return np.asarray(Image.open(io.BytesIO(encode_jpeg(rgb, quality=quality))))


def light_of(board: U8) -> F32:
    return np.asarray((board.astype(np.float32) / 255) ** 2.2, np.float32)


def near(reading: BoardReading | None, random: np.random.Generator, true_ns: int) -> Window:
    """Place a reading by a release that is known to two seconds."""
    assert reading is not None
    return reading.near(true_ns + round(random.uniform(-2e9, 2e9)))


HARD = {
    "small and blurred": Snapshot(blur_px=1.6),
    "small and noisy": Snapshot(noise=14),
    "small and compressed": Snapshot(quality=30, blur_px=0.8),
    "filling the frame": Snapshot((640, 480), share=0.85),
    "large": Snapshot((2400, 1800), share=0.5, blur_px=2.5),
    "held askew": Snapshot(turn_deg=40),
}


@pytest.mark.parametrize("kind", HARD)
def test_a_photo_of_the_board_tells_its_time(kind: str) -> None:
    random = np.random.default_rng(len(kind))
    for _ in range(12):
        shown_ns = NOW_NS + int(random.integers(0, 10**12))
        reading = read_board(HARD[kind].of(light_of(draw_board(shown_ns, 8)), random))
        window = near(reading, random, shown_ns)
        assert window.low_ns <= shown_ns < window.low_ns + TICK_NS
        assert window.high_ns - window.low_ns == FRAME + TICK_NS


@pytest.mark.parametrize("late_share", [0.25, 0.4, 0.7, 0.8])
def test_an_exposure_across_two_frames_began_in_the_earlier_one(late_share: float) -> None:
    random = np.random.default_rng(round(late_share * 100))
    narrow = 0
    for _ in range(12):
        early_ns = NOW_NS + int(random.integers(0, 10**12))
        boards = [light_of(draw_board(shown_ns, 8)) for shown_ns in (early_ns, early_ns + FRAME)]
        mixed = np.asarray(boards[0] * (1 - late_share) + boards[1] * late_share, np.float32)
        window = near(read_board(Snapshot(share=0.5, blur_px=0.9).of(mixed, random)), random, early_ns)
        assert window.low_ns <= early_ns + TICK_NS
        assert window.high_ns >= early_ns + FRAME - TICK_NS
        narrow += window.high_ns - window.low_ns <= FRAME + 2 * TICK_NS
    assert narrow >= 4  # where the greys are told apart, the window is as good as any


def test_bands_of_two_frames_make_the_window_wider() -> None:
    random = np.random.default_rng(7)
    upper, lower = draw_board(NOW_NS + FRAME, 8), draw_board(NOW_NS, 8)
    upper[len(upper) // 2 :] = lower[len(lower) // 2 :]
    window = near(read_board(Snapshot().of(light_of(upper), random)), random, NOW_NS)
    assert window.low_ns <= NOW_NS
    assert window.high_ns >= NOW_NS + 2 * FRAME - TICK_NS
    assert window.high_ns - window.low_ns <= 3 * FRAME


def test_a_band_amid_a_redraw_is_not_read_and_leaves_room_for_the_other() -> None:
    random = np.random.default_rng(8)
    board, earlier = draw_board(NOW_NS + FRAME, 8), draw_board(NOW_NS, 8)
    board[45:] = earlier[45:]
    window = near(read_board(Snapshot(share=0.5).of(light_of(board), random)), random, NOW_NS)
    assert window.low_ns <= NOW_NS
    assert window.high_ns >= NOW_NS + 2 * FRAME


def test_bands_that_cannot_stand_on_one_screen_are_no_answer() -> None:
    board, other = draw_board(NOW_NS, 8), draw_board(NOW_NS + 10**9, 8)
    board[len(board) // 2 :] = other[len(other) // 2 :]
    assert read_board(Snapshot().of(light_of(board), np.random.default_rng(9))) is None


def test_nothing_false_is_read_from_photos_that_are_too_bad() -> None:
    random = np.random.default_rng(10)
    read = 0
    for _ in range(150):
        shown_ns = NOW_NS + int(random.integers(0, 10**12))
        boards = [light_of(draw_board(shown_ns + step * FRAME, 8)) for step in range(3)]
        weights = random.dirichlet([0.6] * 3).astype(np.float32)
        mixed = sum(weight * board for weight, board in zip(weights, boards, strict=True))
        bad = Snapshot(share=random.uniform(0.2, 0.5), blur_px=random.uniform(1, 3), noise=random.uniform(5, 25))
        reading = read_board(bad.of(np.asarray(mixed, np.float32), random))
        if reading is not None:
            read += 1
            window = near(reading, random, shown_ns)
            # A frame that was hardly seen may be missed; one that was not shown is never read.
            assert window.low_ns < shown_ns + 3 * FRAME
            assert window.high_ns > shown_ns
    assert read > 10


def test_other_pictures_are_no_board() -> None:
    random = np.random.default_rng(11)
    assert read_board(random.integers(0, 256, (300, 400, 3), dtype=np.uint8)) is None
    assert read_board(np.zeros((300, 400, 3), np.uint8)) is None
    blank = draw_board(NOW_NS, 8)
    blank[8:168, 64:208] = 255  # markers, and no cell between them
    assert read_board(Snapshot().of(light_of(blank), random)) is None


@pytest.mark.parametrize("away_s", [-30, -2, 0, 2, 30])
def test_a_reading_is_placed_across_the_end_of_the_boards_period(away_s: int) -> None:
    shown_ns = NOW_NS // PERIOD_NS * PERIOD_NS + PERIOD_NS - TICK_NS // 2
    reading = read_board(np.pad(draw_board(shown_ns, 8), ((40, 40), (40, 40), (0, 0)), constant_values=90))
    assert reading is not None
    window = reading.near(shown_ns + away_s * 10**9)
    assert window.low_ns <= shown_ns < window.high_ns


def test_a_cell_has_whole_pixels() -> None:
    with pytest.raises(ValueError, match="7"):
        draw_board(NOW_NS, 7)


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium: apt-get install chromium")
@pytest.mark.parametrize("window", ["1280,800", "700,900"])
def test_a_browser_draws_the_board_at_the_hosts_time(tmp_path: Path, window: str) -> None:
    page = tmp_path / "clock.html"
    page.write_text(clock_page(), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += [f"--window-size={window}", f"--screenshot={tmp_path / 'shot.png'}", page.as_uri()]
    before_ns = time.time_ns()
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    after_ns = time.time_ns()
    reading = read_board(read_rgb(tmp_path / "shot.png"))
    assert reading is not None
    shown = reading.near((before_ns + after_ns) // 2)
    assert before_ns - TICK_NS < shown.low_ns < after_ns
