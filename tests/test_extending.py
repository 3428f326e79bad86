"""What docs/extending.md shows is installed as packages of their own: a camera, a layout of export, a recipe."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine, tree
from small_corpus import make_corpus

from dpedkit.images import read_rgb

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending.md"
RPICAM_STILL = f"""#!{sys.executable}
import sys, time
from datetime import datetime
from PIL import Image
from PIL.ExifTags import IFD, Base

exif, now = Image.Exif(), datetime.now()
exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = now.strftime("%Y:%m:%d %H:%M:%S")
exif.get_ifd(IFD.Exif)[Base.SubsecTimeOriginal] = now.strftime("%f")
Image.effect_noise((64, 48), 60).convert("RGB").save(sys.argv[sys.argv.index("--output") + 1], exif=exif)
"""


def shown(language: str, heading: str) -> str:
    """Return the code block under a heading of the page."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}")[1]
    block = re.search(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert block, heading
    return block[1]


def install(tmp_path: Path, project_heading: str, file_heading: str, file: str = "") -> CommandLine:
    """Return a command line that finds a package of the page as pip would have installed it.

    file  where its file goes; left out: the module of the project's name
    """
    project = tomllib.loads(shown("toml", project_heading))["project"]
    ((group, points),) = project["entry-points"].items()
    site = tmp_path / "site"
    record = site / f"{project['name']}-{project['version']}.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (record / "entry_points.txt").write_text("\n".join(lines) + "\n")
    path = site / (file or f"{project['name']}.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(shown("toml" if path.suffix == ".toml" else "python", file_heading))
    cli = CommandLine(tmp_path / "home")
    cli.environment |= {"PYTHONPATH": str(site)}
    return cli


@pytest.fixture
def installed(tmp_path: Path) -> CommandLine:
    """The camera driver of the page, and the program it fires."""
    cli = install(tmp_path, "The entry point: pyproject.toml", "The file: commandcam.py")
    program = tmp_path / "bin" / "rpicam-still"
    program.parent.mkdir()
    program.write_text(RPICAM_STILL)
    program.chmod(0o755)
    cli.environment |= {"PATH": f"{program.parent}:{cli.environment['PATH']}"}
    return cli


def test_the_example_is_checked_and_takes_photos(installed: CommandLine, tmp_path: Path) -> None:
    root, photos = tmp_path / "ws", tmp_path / "pi"
    installed.run("init", root, cwd=tmp_path)
    rig = shown("toml", "The rig file: rigs/pi.toml")
    (root / "rigs" / "pi.toml").write_text(rig.replace("/tmp/pi", str(photos)))
    assert f"mkdir -p {photos}" in installed.run("rig", "check", "--rig", "pi", cwd=root, code=4).stdout
    photos.mkdir()
    checks = {check["topic"]: check["level"] for check in installed.json("rig", "check", "--rig", "pi", cwd=root)}
    assert checks["present"] == checks["settings"] == checks["clock"] == "ok"
    done = installed.run("capture", "--rig", "pi", "--shots", 3, "-q", cwd=root)
    assert done.stdout.splitlines()[-1].startswith("3 shots, 0 incomplete")
    taken = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in photos.glob("*.jpg"))
    stored = {digest for path, digest in tree(root / "photos").items() if path.endswith(".jpg")}
    assert sorted(stored) == taken
    assert len(taken) == 3


def test_the_examples_mistakes_are_told(installed: CommandLine, tmp_path: Path) -> None:
    root, photos = tmp_path / "ws", tmp_path / "pi"
    photos.mkdir()
    installed.run("init", root, cwd=tmp_path)
    rig = shown("toml", "The rig file: rigs/pi.toml").replace("/tmp/pi", str(photos))
    (root / "rigs" / "pi.toml").write_text(rig.replace("rpicam-still", "no-such-program"))
    assert "no program ['no-such-program']" in installed.run("rig", "check", "--rig", "pi", cwd=root, code=4).stdout
    (root / "rigs" / "pi.toml").write_text(
        rig.replace("rpicam-still", "false").replace("[device.", "timeout_s = 1\n[device.")
    )
    done = installed.run("capture", "--rig", "pi", "-q", cwd=root, code=4).stdout
    assert "its program ended with 1" in done


def test_the_exporter_exports(tmp_path: Path) -> None:
    cli = install(tmp_path, "Its entry point: pyproject.toml", "The exporter: sidebyside.py")
    corpus = make_corpus(tmp_path / "ws")
    cli.run("export", "sidebyside", "../out", "--phone", "sony", "--jobs", "1", cwd=corpus.root)
    for split, name in (("train", "train"), ("val", "val"), ("test", "test")):
        files = sorted((tmp_path / "out" / name).iterdir())
        pairs = corpus.list("sony", split)  # type: ignore[arg-type]
        for path, (phone, dslr) in zip(files, pairs, strict=True):
            assert np.array_equal(read_rgb(path), np.concatenate([phone, dslr], axis=1))
    assert "--dataset_mode aligned" in (tmp_path / "out" / "README.md").read_text()
    rows = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert all((tmp_path / "out" / row["file"]).is_file() for row in rows)
    told = cli.error("export", "sidebysite", "../other", cwd=corpus.root, code=2)
    assert "did you mean 'sidebyside'?" in told
    assert "layouts here: basicsr, dped, hf, sidebyside, webdataset" in told


@pytest.fixture
def recipe(tmp_path: Path) -> CommandLine:
    """The package that brings a recipe."""
    headings = "The package that brings it: pyproject.toml", "The recipe: no_vgg.toml"
    cli = install(tmp_path, *headings, "dped_without_vgg/no_vgg.toml")
    (tmp_path / "site" / "dped_without_vgg" / "__init__.py").write_text("")
    return cli


def test_the_recipe_trains_under_its_name(recipe: CommandLine, tmp_path: Path) -> None:
    (found,) = [one for one in recipe.json("recipes", cwd=tmp_path) if one["name"] == "dped-no-vgg"]
    assert (found["losses"]["content"], found["losses"]["l1"], found["losses"]["texture"]) == (0, 100, 1)
    text = shown("toml", "The recipe: no_vgg.toml")
    assert recipe.run("recipes", "dped-no-vgg", cwd=tmp_path).stdout == text
    corpus = make_corpus(tmp_path / "ws", ("sony",), size=32)
    smaller = ["generator.width=4", "discriminator.scale=0.05", "iterations=2", "batch=2"]
    sets = [word for value in smaller for word in ("--set", value)]
    run = recipe.json("train", "--phone", "sony", "--recipe", "dped-no-vgg", *sets, cwd=corpus.root)["run"]
    assert run == "sony-dped-no-vgg"
    last = json.loads((corpus.root / "runs" / run / "log.jsonl").read_text().splitlines()[-1])
    assert last.keys() >= {"l1", "texture", "discriminator"}
    assert "content" not in last
    assert "did you mean 'dped-no-vgg'?" in recipe.error("recipes", "dped-no-vg", cwd=tmp_path, code=2)


def test_a_broken_package_does_not_hide_the_other_recipes(recipe: CommandLine, tmp_path: Path) -> None:
    package = tmp_path / "site" / "dped_without_vgg"
    others = {one["name"] for one in recipe.json("recipes", cwd=tmp_path)} - {"dped-no-vgg"}
    faults = {
        "is not TOML": lambda: (package / "no_vgg.toml").write_text("losses = ["),
        "cannot be read from dped_without_vgg:no_vgg.toml": (package / "no_vgg.toml").unlink,
        "of its own making": lambda: (package / "__init__.py").write_text("raise RuntimeError('of its own making')"),
    }
    for cause, damage in faults.items():
        damage()
        done = recipe.run("recipes", cwd=tmp_path, code=3)
        assert cause in done.stdout
        assert {line.split()[0] for line in done.stdout.splitlines()[1:-1]} == others
        assert cause in recipe.error("recipes", "dped-no-vgg", cwd=tmp_path, code=2)


def test_listing_the_names_of_recipes_imports_no_package(recipe: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "site" / "dped_without_vgg" / "__init__.py").write_text("raise SystemExit('imported')")
    code = "from dpedkit.train import recipe_names; print(recipe_names())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=recipe.environment, capture_output=True, text=True, check=True
    )
    assert "'dped-no-vgg'" in done.stdout
