"""dpedkit import-weights, export-onnx, vgg calibrate: weights that come from elsewhere, and go elsewhere."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import vgg_files
from command_line import CommandLine, tree
from PIL import Image
from safetensors import safe_open
from small_corpus import make_corpus
from tf_files import authors_tensors, write

from dpedkit.files import sha256_file
from dpedkit.images import read_rgb
from dpedkit.train import enhance, load_generator
from dpedkit.train.networks import Generator

Stages = Callable[[str], Path]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of a small generator as the authors' code saves it; its prefix."""
    generator = Generator(width=2, blocks=1, rng=torch.Generator().manual_seed(3))
    (tmp_path / "models_orig").mkdir()
    return write(tmp_path / "models_orig" / "nokia_orig", authors_tensors(generator))


@pytest.fixture
def root(cli: CommandLine, tmp_path: Path) -> Path:
    """An empty workspace."""
    cli.run("init", "ws", cwd=tmp_path)
    return tmp_path / "ws"


def test_an_imported_checkpoint_is_a_model_of_the_workspace(cli: CommandLine, root: Path, checkpoint: Path) -> None:
    words = ["import-weights", checkpoint]
    before = tree(root)
    plan = cli.json(*words, "--dry-run", cwd=root)
    assert tree(root) == before
    assert not (root / "runs" / "nokia_orig").exists()
    done = cli.json(*words, cwd=root)
    assert done == plan
    assert done["files"] == {path.name: sha256_file(path) for path in checkpoint.parent.iterdir()}
    with safe_open(root / "runs" / "nokia_orig" / "best.safetensors", framework="np") as file:
        source = json.loads(file.metadata()["dpedkit"])["source"]
    assert source == {"origin": "weights that the authors' code saved", "files": done["files"]}
    assert cli.json("status", cwd=root)["models"] == ["nokia_orig"]

    Image.effect_noise((40, 30), 60).convert("RGB").save(root / "photo.png")
    cli.run("enhance", "photo.png", "--model", "nokia_orig", cwd=root)
    photo = read_rgb(root / "photo.png")
    assert np.array_equal(read_rgb(root / "enhanced" / "photo.png"), enhance(load_generator(checkpoint), photo))


def test_nothing_is_overwritten_unasked(cli: CommandLine, root: Path, checkpoint: Path) -> None:
    cli.run("import-weights", checkpoint, "--name", "mine", cwd=root)
    file = root / "runs" / "mine" / "best.safetensors"
    whole = file.read_bytes()
    file.write_bytes(b"mine")
    assert "best.safetensors is there already" in cli.error(
        "import-weights", checkpoint, "--name", "mine", cwd=root, code=2
    )
    assert file.read_bytes() == b"mine"
    cli.run("import-weights", checkpoint, "--name", "mine", "--overwrite", cwd=root)
    assert file.read_bytes() == whole
    (root / "runs" / "mine" / "last.safetensors").write_bytes(b"of a training run")
    told = cli.error("import-weights", checkpoint, "--name", "mine", "--overwrite", cwd=root, code=2)
    assert "mine is a training run of this workspace" in told


def test_what_cannot_be_imported_is_told(cli: CommandLine, root: Path, checkpoint: Path, tmp_path: Path) -> None:
    cases = {
        ("nothing",): (1, "no TensorFlow checkpoint at nothing: there is no nothing.index"),
        ("nothing", "-o", "x.safetensors"): (1, "no TensorFlow checkpoint at nothing"),
        (checkpoint, "--name", "a/b"): (2, "'a/b' is no name for a model"),
        (checkpoint, "-o", "x.pth"): (2, "x.pth does not end with .safetensors"),
        (checkpoint, "--name", "a", "-o", "x.safetensors"): (2, "give one of them"),
        (checkpoint, "-o", "dpedkit.toml/x.safetensors"): (1, "dpedkit.toml"),
    }
    for words, (code, cause) in cases.items():
        assert cause in cli.error("import-weights", *words, cwd=root, code=code)
    told = cli.error("import-weights", checkpoint, cwd=tmp_path, code=2)
    assert "or give -o FILE.safetensors" in told
    assert list((root / "runs").iterdir()) == []


@pytest.mark.parametrize("ending", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_is_refused_in_one_line(
    cli: CommandLine, checkpoint: Path, tmp_path: Path, ending: str
) -> None:
    damaged = checkpoint.with_name(f"{checkpoint.name}.{ending}")
    whole = damaged.read_bytes()
    at = random.Random(ending).randrange(len(whole))
    for content in (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole[:at]):
        damaged.write_bytes(content)
        told = cli.error("import-weights", checkpoint, "-o", "x.safetensors", cwd=tmp_path, code=1)
        assert "is not a whole TensorFlow V2 checkpoint" in told
        assert not (tmp_path / "x.safetensors").exists()


def test_the_authors_files_are_known_by_what_they_hold(cli: CommandLine, shared_data: Path, tmp_path: Path) -> None:
    for file in (shared_data / "dped_models").glob("sony_orig.*"):
        (tmp_path / file.name.replace("sony_orig", "renamed")).write_bytes(file.read_bytes())
    done = cli.json("import-weights", "renamed.index", "-o", "x.safetensors", cwd=tmp_path)
    assert (done["origin"], done["parameters"]) == ("the authors' weights for Sony", 401_475)
    ours, theirs = load_generator(tmp_path / "x.safetensors"), load_generator(tmp_path / "renamed")
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name


def test_an_exported_model_says_what_it_was_made_from(cli: CommandLine, root: Path, checkpoint: Path) -> None:
    cli.run("import-weights", checkpoint, cwd=root)
    plan = cli.json("export-onnx", "nokia_orig", "--dry-run", cwd=root)
    assert (plan["file"], plan["difference"]) == ("nokia_orig.onnx", None)
    assert not (root / "nokia_orig.onnx").exists()
    done = cli.run("export-onnx", "nokia_orig", "-q", cwd=root)
    assert "ONNX Runtime's pictures are PyTorch's to" in done.stdout
    assert done.stderr == ""
    session = onnxruntime.InferenceSession(root / "nokia_orig.onnx", providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata == plan["metadata"]
    source = root / "runs" / "nokia_orig" / "best.safetensors"
    assert (metadata["network"], metadata["source"], metadata["sha256"], metadata["stamp"]) == (
        "dped", "nokia_orig/best.safetensors", sha256_file(source), "",
    )  # fmt: skip
    assert json.loads(metadata["sizes"]) == {"width": 2, "blocks": 1}
    assert "nokia_orig.onnx is there already" in cli.error("export-onnx", "nokia_orig", cwd=root, code=2)


@pytest.mark.parametrize("module", ["onnx", "onnxruntime", "onnxscript"])
def test_without_its_extra_the_export_says_how_to_get_it(cli: CommandLine, checkpoint: Path, module: str) -> None:
    words = ["export-onnx", str(checkpoint)]
    code = f"import sys; sys.modules[{module!r}] = None; from dpedkit.cli import main; main({words!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=checkpoint.parent, env=cli.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'dpedkit[onnx]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_calibrated_content_loss_is_trained_with_and_told(cli: CommandLine, tmp_path: Path) -> None:
    """The features of one file are twice those of the other, so the loss is four times as large."""
    corpus = make_corpus(tmp_path / "ws", ("sony",), each=3, size=32)
    authors = vgg_files.kernels(5), vgg_files.biases(6)
    doubled = vgg_files.scaled(*vgg_files.for_torchvisions_input(*authors), 2)
    vgg_files.write(corpus.root / "authors.mat", *authors)
    vgg_files.write(corpus.root / "doubled.safetensors", *doubled)
    words = ["vgg", "calibrate", "--from", "authors.mat", "--to", "doubled.safetensors"]
    found = cli.json(*words, cwd=corpus.root)
    assert (found["k"], found["content"]) == (pytest.approx(0.25, rel=1e-3), pytest.approx(2.5, rel=1e-3))
    assert found["low"] <= found["k"] <= found["high"]
    assert (found["pairs"], found["of"]) == (9, "training patches of sony")
    assert found["from_sha256"] == sha256_file(corpus.root / "authors.mat")
    assert found["to_sha256"] == sha256_file(corpus.root / "doubled.safetensors")
    *_, said = cli.run(*words, cwd=corpus.root).stdout.split("--vgg doubled.safetensors ")
    (_, content) = said.split()
    small = ["generator.width=4", "discriminator.scale=0.05", "iterations=1", "batch=1", content]
    sets = [word for value in small for word in ("--set", value)]
    train = ["train", "--phone", "sony", *sets]
    run = cli.json(*train, "--vgg-weights", "doubled.safetensors", cwd=corpus.root)
    factor = float(content.partition("=")[2]) / 10
    assert run["stamp"] == f"dped, doubled.safetensors VGG, content x {factor:g}"
    assert cli.json(*train, "--vgg", "authors.mat", cwd=corpus.root)["stamp"] == ""
    status = cli.json("status", cwd=corpus.root)
    assert (status["stamps"], status["models"]) == ({"sony-dped": run["stamp"]}, [])


def test_what_cannot_be_calibrated_is_told(cli: CommandLine, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "ws", ("sony",), each=1, size=32)
    words = ["vgg", "calibrate", "--from", "random:0", "--to", "random:1"]
    assert cli.json(*words, cwd=corpus.root)["stamp"] == "not for results: measured with random:0, random:1"
    assert "recipe small has no content loss" in cli.error(*words, "--recipe", "small", cwd=corpus.root, code=2)
    assert "no kept patches of phone 'nokia'" in cli.error(*words, "--phone", "nokia", cwd=corpus.root, code=1)
    dead = vgg_files.scaled(vgg_files.kernels(5), vgg_files.biases(6), 0)
    vgg_files.write(corpus.root / "dead.pth", *dead)
    told = cli.error("vgg", "calibrate", "--from", "dead.pth", "--to", "random:1", cwd=corpus.root, code=1)
    assert "dead.pth tells no difference between the pictures of a pair" in told


def test_random_vgg_weights_are_told_wherever_they_show(cli: CommandLine, workspace: Stages, tmp_path: Path) -> None:
    root = workspace("patched")
    stamp = "not for results: trained with random:0"
    small = ["generator.width=4", "discriminator.scale=0.02", "iterations=1", "batch=1", "validation_patches=2"]
    sets = [word for value in small for word in ("--set", value)]
    trained = cli.run("train", "--phone", "iphone", *sets, "--vgg", "random:0", cwd=root)
    assert "this run is not for results" in trained.stderr.partition("train iphone-dped")[0]
    assert stamp in trained.stdout
    run = root / "runs" / "iphone-dped"
    assert json.loads((run / "config.json").read_text())["stamp"] == stamp
    (picture,) = (run / "pictures").iterdir()
    caption = read_rgb(picture)[300:]  # below three rows of patches
    assert {tuple(caption[0, 0]), tuple(caption[-1, -1])} == {(255, 255, 255)}
    assert caption.min() < 60

    assert stamp in cli.run("status", cwd=root).stdout
    evaluated = ["evaluate", "--phone", "iphone", "--csv", tmp_path / "scores.csv"]
    assert stamp in cli.run(*evaluated, cwd=root).stdout
    assert stamp in (tmp_path / "scores.csv").read_text()

    photo = sorted((root / "photos").glob("*/*_iphone.jpg"))[0]
    done = cli.run("enhance", photo, "--model", "iphone-dped", cwd=root)
    assert done.stdout.splitlines()[-1] == stamp
    with Image.open(root / "enhanced" / photo.name) as image:
        assert image.info["comment"] == stamp.encode()
    exported = cli.json("export-onnx", run / "last.safetensors", "-o", "x.onnx", cwd=root)
    assert (exported["stamp"], exported["metadata"]["stamp"]) == (stamp, stamp)
    session = onnxruntime.InferenceSession(root / "x.onnx", providers=["CPUExecutionProvider"])
    assert stamp in session.get_modelmeta().description
