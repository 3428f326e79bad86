"""A screen with the clock board stands before the simulated cameras, and each of them photographs it legibly."""

from __future__ import annotations

import hashlib
import io
import queue
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpedkit.capture.clock_board import read_board
from dpedkit.capture.simulate.body import Body
from dpedkit.capture.simulate.frame import Order
from dpedkit.capture.simulate.render import develop
from dpedkit.capture.simulate.specs import CAMERAS, SimulatedConfig, camera_spec
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.capture.simulate.truth import load_truth
from dpedkit.images import read_rgb

CONFIG = SimulatedConfig(scale=0.1, seed=4)
FRAME_NS = 16_666_667


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> StateFolder:
    return StateFolder(tmp_path_factory.mktemp("rig"))


@pytest.mark.parametrize("name", CAMERAS)
def test_each_camera_sees_the_frame_of_its_shutter(name: str, state: StateFolder) -> None:
    for shot, shutter_ns in enumerate((1_763_000_123_456_789_000, 1_763_000_187_003_000_000)):
        frame = develop(CONFIG.camera(camera_spec(name)), state, CONFIG, Order(0, shot, board_ns=shutter_ns))
        reading = read_board(np.asarray(Image.open(io.BytesIO(frame.jpeg))))
        assert reading is not None
        window = reading.near(shutter_ns)
        assert window.low_ns <= shutter_ns < window.high_ns <= window.low_ns + FRAME_NS + 1_000_000


def test_the_board_is_photographed_at_the_true_shutter_and_only_while_it_is_shown(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    body = Body(camera_spec("iphone"), tmp_path, CONFIG)
    landed: queue.Queue[Path] = queue.Queue()
    body.subscribe(landed.put)
    try:
        with state.showing_board():
            body.release()
            shown = landed.get(timeout=60)
        body.release()
        after = landed.get(timeout=60)
    finally:
        body.close()
    truth = load_truth(state.truth, hashlib.sha256(shown.read_bytes()).hexdigest())
    reading = read_board(read_rgb(shown))
    assert reading is not None
    window = reading.near(truth.shutter_ns)
    assert window.low_ns <= truth.shutter_ns < window.high_ns
    assert read_board(read_rgb(after)) is None


def test_the_board_is_gone_with_whoever_showed_it(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    assert not state.is_board_shown
    code = f"""
from pathlib import Path
from dpedkit.capture.simulate.state import StateFolder
with StateFolder(Path({str(tmp_path)!r})).showing_board():
    print("shown", flush=True)
    input()
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shown\n"
        assert state.is_board_shown
        process.kill()
    assert not state.is_board_shown
