"""dpedkit enhance: backends, precision, many photos at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import CommandLine, tree
from PIL import Image

from dpedkit.cli import draw
from dpedkit.images import read_rgb
from dpedkit.train.device import has_bfloat16
from dpedkit.train.inference import BACKENDS
from dpedkit.train.networks import Generator
from dpedkit.train.weights import save_generator

WORDS = ["enhance", "--model", "model.safetensors"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photos, one of them deeper, and a model."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for number, name in enumerate(("one.png", "two.jpg", "deep/three.png")):
        rgb = np.random.default_rng(number).integers(0, 256, (50 + number, 40, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(tmp_path / "photos" / name)
    generator = Generator(width=8, blocks=1, rng=torch.Generator().manual_seed(3))
    save_generator(tmp_path / "model.safetensors", generator, {})
    return tmp_path


def test_photos_side_by_side_become_the_same_bytes(cli: CommandLine, folder: Path) -> None:
    alone = cli.json(*WORDS, "photos/**/*", "-o", "alone", "--jobs", "1", cwd=folder)
    (folder / "photos" / "deep" / "broken.jpg").write_bytes((folder / "photos" / "two.jpg").read_bytes()[:900])
    together = cli.json(*WORDS, "photos/**/*", "-o", "together", "--jobs", "2", cwd=folder, code=3)
    assert (alone["jobs"], together["jobs"]) == (1, 2)
    assert list(together["failures"]) == ["photos/deep/broken.jpg"]
    assert len(tree(folder / "alone")) == 3
    assert tree(folder / "together") == tree(folder / "alone")


def test_a_pattern_finds_photos_but_no_results(cli: CommandLine, folder: Path) -> None:
    (folder / "photos" / "notes.txt").write_text("no photo")
    first = cli.json(*WORDS, "**/*.png", "photos/two.jpg", "photos", "-o", "photos/done", cwd=folder)
    assert sorted(first["written"]) == ["photos/deep/three.png", "photos/one.png", "photos/two.jpg"]
    (folder / "photos" / "done" / "one.png").unlink()
    again = cli.json(*WORDS, "**/*", "-o", "photos/done", cwd=folder)
    assert list(again["written"]) == ["photos/one.png"]
    assert len(again["skipped"]) == 2
    assert "no photos in photos/*.gif" in cli.error(*WORDS, "photos/*.gif", cwd=folder, code=2)


def test_who_computes_is_named(cli: CommandLine, folder: Path) -> None:
    words = [*WORDS, "photos/one.png", "--device", "cpu"]
    told = cli.run(*words, "--backend", "onnxruntime", "-o", "other", cwd=folder).stdout
    assert told.splitlines()[-1] == "1 photo, 0 failed, by onnxruntime in float32 on cpu"
    small = cli.json(*words, cwd=folder)
    assert (small["backend"], small["precision"], small["trial_s"]) == ("torch", "float32", {})
    pictures = [read_rgb(folder / where / "one.png").astype(int) for where in ("enhanced", "other")]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    unknown = cli.error(*words, "--backend", "tflite", cwd=folder, code=2)
    assert "'tflite' is not one of 'auto', " + ", ".join(f"'{name}'" for name in BACKENDS) in unknown
    assert "neither a number from 1 on nor auto" in cli.error(*words, "--jobs", "0", cwd=folder, code=2)


def test_a_large_photo_is_worth_a_trial(cli: CommandLine, folder: Path) -> None:
    save_generator(folder / "model.safetensors", Generator(width=1, blocks=0), {})
    Image.new("RGB", (3000, 2000), "teal").save(folder / "large.jpg")
    told = cli.run(*WORDS, "large.jpg", "--device", "cpu", "-v", cwd=folder).stdout.splitlines()
    assert told[0] == "wrote enhanced/large.jpg"
    head, _, trial = told[1].partition(": ")
    took_s = {name: float(seconds) for name, seconds, _ in (each.split() for each in trial.split(", "))}
    assert head == "tried on the first strips"
    assert set(took_s) == {"torch", "onnxruntime", "openvino"}
    assert f"by {min(took_s, key=took_s.__getitem__)} in" in told[2] or "by torch in" in told[2]


def test_fast_says_what_it_does(cli: CommandLine, folder: Path) -> None:
    done = cli.json(*WORDS, "photos/one.png", "--device", "cpu", "--fast", cwd=folder)
    if has_bfloat16(torch.device("cpu")):
        assert (done["precision"], done["notes"]) == ("bfloat16", [])
    else:
        assert done["precision"] == "float32"
        assert "no bfloat16 arithmetic" in done["notes"][0]
    words = [*WORDS, "photos/one.png", "-o", "other", "--fast", "--backend", "onnxruntime"]
    told = cli.run(*words, cwd=folder)
    assert "--fast changes nothing: " in told.stderr
    assert "by onnxruntime in float32 on cpu" in told.stdout


def test_a_backend_that_is_not_installed_says_what_adds_it(cli: CommandLine, folder: Path) -> None:
    absent = folder / "absent"
    absent.mkdir()
    (absent / "openvino.py").write_text("raise ModuleNotFoundError('No module', name='openvino')")
    words = [*WORDS, "photos/one.png", "--backend", "openvino"]
    told = cli.error(*words, cwd=folder, code=1, env={"PYTHONPATH": str(absent)})
    assert told == (
        "error: this needs the package 'openvino', which is not installed\n  pip install 'dpedkit[openvino]'"
    )


def test_photos_that_kill_their_workers_are_named(cli: CommandLine, folder: Path) -> None:
    deadly = folder / "deadly"
    deadly.mkdir()
    (deadly / "onnxruntime.py").write_text(
        "import multiprocessing, os\n"
        "SessionOptions = lambda: __import__('types').SimpleNamespace(add_session_config_entry=lambda *_: None)\n"
        "if multiprocessing.parent_process():\n    os.kill(os.getpid(), 9)\n"
    )
    words = [*WORDS, "photos", "--backend", "onnxruntime", "--jobs", "2"]
    told = cli.run(*words, cwd=folder, code=1, env={"PYTHONPATH": str(deadly)}).stdout
    for name in ("one.png", "two.jpg"):
        assert f"failed photos/{name}: its worker process died" in told


def test_plain_progress_tells_how_far_a_photo_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "_LINE_EVERY_S", 0.0)
    lines = draw.Lines()
    lines.start("enhance", 2)
    lines.within(0.0)
    lines.within(0.25)
    lines.advance(note="one.png")
    lines.within(0.5)
    told = [line.partition(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert told == [
        "enhance: 0/2",
        "enhance: 0/2 and 25% of the next",
        "enhance: 1/2",
        "enhance: 1/2 and 50% of the next",
    ]
