"""dpedkit train, recipes, enhance."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import CommandLine, enlarge, tree, wait_until
from PIL import Image

from dpedkit.db import open_corpus
from dpedkit.images import read_photo, read_rgb
from dpedkit.train.networks import Generator
from dpedkit.train.runlog import read_log
from dpedkit.train.weights import save_generator

Stages = Callable[[str], Path]

TRAIN = ["train", "--phone", "iphone", "--recipe", "small", "--set", "iterations=30", "--set", "eval_every=5"]


def test_train_leaves_a_run_and_its_list_of_patches(cli: CommandLine, finished: Stages) -> None:
    root = finished("trained")
    run = root / "runs" / "iphone-small"
    config = json.loads((run / "config.json").read_text())
    assert config["recipe"]["iterations"] == 6
    assert [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()] == [1, 2, 3, 4, 5, 6]
    with open_corpus(root) as corpus:
        (row,) = corpus.runs().to_dict("records")
        pairs = corpus.pair_source("iphone", "train")
        assert corpus.pair_source(row["snapshot_hash"]).content_hash == pairs.content_hash
    assert (row["run"], row["phone"], row["recipe"], row["status"]) == ("iphone-small", "iphone", "small", "done")
    assert config["pairs"]["content_hash"] == pairs.content_hash


def test_a_dry_run_of_train_writes_nothing(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    before = tree(root)
    plan = cli.json("train", "--phone", "sony", "--recipe", "small", "--dry-run", cwd=root)
    assert (plan["run"], plan["iterations"]) == ("sony-small", 600)
    assert tree(root) == before


def test_processes_that_torchrun_starts_train_what_one_does(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    words = [*TRAIN[:5], "--set", "iterations=6", "--set", "eval_every=3", "--micro-batch", "1", "--tensorboard"]
    cli.run(*words, cwd=root)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    shared = subprocess.run(
        [*command, "-m", "dpedkit", *words],
        cwd=root,
        env=cli.environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not shared.returncode, shared.stderr
    assert shared.stdout.count("run iphone-small-2: validation PSNR") == 1
    one, two = (read_log(root / "runs" / name / "log.jsonl") for name in ("iphone-small", "iphone-small-2"))
    assert len(one) == len(two) == 6
    for ours, theirs in zip(two, one, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    status = cli.json("status", cwd=root)
    assert status["runs"] == {"iphone-small": "done", "iphone-small-2": "done"}
    assert list((root / "runs" / "iphone-small-2" / "tensorboard").iterdir())
    config = json.loads((root / "runs" / "iphone-small-2" / "config.json").read_text())
    assert config["compute"] == "cpu, float32, 1 patches at a time, 2 processes"


def test_a_stopped_run_goes_on_to_the_same_end(cli: CommandLine, workspace: Stages, tmp_path: Path) -> None:
    root = workspace("patched")
    undisturbed = Path(shutil.copytree(root, tmp_path / "undisturbed"))
    cli.run(*TRAIN, cwd=undisturbed)
    log = root / "runs" / "iphone-small" / "log.jsonl"

    def steps() -> int:
        return len(log.read_text().splitlines()) if log.exists() else 0

    killed = cli.stop_when(lambda: steps() >= 7, signal.SIGKILL, *TRAIN, cwd=root)
    assert killed.returncode == -9
    stopped = cli.stop_when(lambda: steps() >= 13, signal.SIGINT, *TRAIN, "--resume", cwd=root)
    assert stopped.returncode == 130
    assert stopped.stderr.splitlines()[-1] == "  its last checkpoint is kept: add --resume to the same command to go on"
    status = cli.json("status", cwd=root)
    assert status["runs"] == {"iphone-small": "stopped"}
    assert status["next_step"] == "dpedkit train --phone iphone --recipe small --resume"

    assert cli.json(*TRAIN, "--resume", cwd=root)["run"] == "iphone-small"
    for name in ("last.safetensors", "best.safetensors"):
        assert tree(root / "runs")[f"iphone-small/{name}"] == tree(undisturbed / "runs")[f"iphone-small/{name}"]
    assert "no unfinished small run" in cli.error(*TRAIN, "--resume", cwd=root, code=2)


def test_two_that_train_at_once_train_two_runs(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    both = [cli.start(*TRAIN, "--json", cwd=root) for _ in range(2)]
    told = [json.loads(one.communicate()[0])["run"] for one in both]
    assert sorted(told) == ["iphone-small", "iphone-small-2"]
    with open_corpus(root) as corpus:
        assert corpus.runs().set_index("run")["status"].to_dict() == dict.fromkeys(told, "done")
    for run in told:
        assert [record["step"] for record in read_log(root / "runs" / run / "log.jsonl")] == list(range(1, 31))


def test_a_run_that_is_being_trained_is_left_alone(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    endless = cli.start(*TRAIN, "--set", "iterations=100000", cwd=root)
    wait_until((root / "runs" / "iphone-small" / "last.safetensors").exists)
    same = (*TRAIN, "--set", "iterations=100000", "--resume")
    said = cli.error(*same, cwd=root, code=1)
    assert "another process is training iphone-small" in said
    endless.send_signal(signal.SIGINT)
    endless.communicate()
    assert cli.json("status", cwd=root)["runs"] == {"iphone-small": "stopped"}


def test_a_run_that_cannot_begin_leaves_no_folder(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    cli.error(*TRAIN[:3], "--recipe", "dped", "--vgg", "missing.safetensors", cwd=root, code=1)
    assert list((root / "runs").iterdir()) == []


def phone_photo(root: Path, name: str = "iphone") -> Path:
    return sorted((root / "photos").glob(f"*/*_{name}.jpg"))[0]


def test_enhance_keeps_exif_and_never_overwrites_unasked(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("trained")
    photo = phone_photo(root)
    original = photo.read_bytes()
    words = ["enhance", photo, "--model", "runs/iphone-small"]
    assert list(cli.json(*words, "--dry-run", cwd=root)["written"].values()) == [f"enhanced/{photo.name}"]
    assert not (root / "enhanced").exists()
    cli.run(*words, cwd=root)
    result = root / "enhanced" / photo.name
    before, after = read_photo(photo), read_photo(result)
    assert after.rgb.shape == before.rgb.shape
    assert (after.meta.model, after.meta.taken_at, after.meta.iso) == (
        before.meta.model,
        before.meta.taken_at,
        before.meta.iso,
    )
    assert not np.array_equal(after.rgb, before.rgb)

    result.write_bytes(b"mine")
    assert cli.json(*words, cwd=root)["skipped"] == [f"enhanced/{photo.name}"]
    assert result.read_bytes() == b"mine"
    assert cli.json(*words, "-o", photo.parent, cwd=root)["skipped"] == [str(photo)]
    assert photo.read_bytes() == original
    cli.run(*words, "--overwrite", cwd=root)
    assert np.array_equal(read_rgb(result), after.rgb)


def test_enhance_with_the_authors_checkpoint(
    cli: CommandLine, shared_data: Path, finished: Stages, tmp_path: Path
) -> None:
    image = Image.open(phone_photo(finished("captured")))
    image.resize((160, 120)).save(tmp_path / "small.jpg", exif=image.getexif(), quality=95)
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "small.jpg").read_bytes()[:2000])
    model = shared_data / "dped_models" / "iphone_orig"
    done = cli.run("enhance", ".", "--model", model, "-o", "out", cwd=tmp_path, code=3)
    assert "failed broken.jpg: " in done.stdout
    before, after = read_photo(tmp_path / "small.jpg"), read_photo(tmp_path / "out" / "small.jpg")
    assert after.meta.model == before.meta.model
    assert 3 < np.abs(after.rgb.astype(int) - before.rgb).mean() < 60
    assert not (tmp_path / "out" / "broken.jpg").exists()


def test_maps_without_room_go_to_the_disk_of_the_results(cli: CommandLine, tmp_path: Path, small_disk: Path) -> None:
    Image.effect_noise((600, 400), 60).convert("RGB").save(tmp_path / "photo.png")
    generator = Generator(width=32, blocks=1, rng=torch.Generator().manual_seed(3))
    save_generator(tmp_path / "model.safetensors", generator, {})
    words = ["enhance", "photo.png", "--model", "model.safetensors"]
    told = cli.error(*words, "--memory", "1MB", "-o", small_disk / "out", cwd=tmp_path, code=1)
    assert " GB free, and a map of this photo takes 0.031 GB" in told
    assert list((small_disk / "out").iterdir()) == []
    enlarge(small_disk)
    cli.run(*words, "--memory", "1MB", "-o", small_disk / "out", cwd=tmp_path)
    cli.run(*words, "-o", "in-memory", cwd=tmp_path)
    of_disk, of_memory = (
        read_rgb(folder / "photo.png").astype(int) for folder in (small_disk / "out", tmp_path / "in-memory")
    )
    assert np.abs(of_disk - of_memory).max() <= 1  # less memory means lower strips, and other roundings of their sums
    assert [path.name for path in (small_disk / "out").iterdir()] == ["photo.png"]
    assert "'lots' is no size: write 1GB or 500MB" in cli.error(*words, "--memory", "lots", cwd=tmp_path, code=2)


def test_results_tell_where_a_photo_was_taken_unless_that_is_stripped(cli: CommandLine, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "Camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 8.0), 3: "E", 4: (8.0, 32.0, 31.0)})
    Image.effect_noise((60, 40), 60).convert("RGB").save(tmp_path / "photo.jpg", quality=80, exif=exif)
    save_generator(tmp_path / "model.safetensors", Generator(width=4, blocks=1), {})
    words = ["enhance", "photo.jpg", "--model", "model.safetensors"]
    cli.run(*words, cwd=tmp_path)
    cli.run(*words, "--strip-gps", "-o", "stripped", cwd=tmp_path)
    before, kept, stripped = (read_photo(tmp_path / folder / "photo.jpg") for folder in ("", "enhanced", "stripped"))
    assert (kept.meta.latitude, kept.jpeg) == (before.meta.latitude, before.jpeg)
    assert (stripped.meta.latitude, stripped.meta.longitude, stripped.meta.model) == (None, None, "Camera")
