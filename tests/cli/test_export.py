"""dpedkit export: every layout as its readers read it, whole, the same bytes each time, and nothing private in it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine, tree
from PIL import Image
from small_corpus import SCENE, SERIAL, SESSION, SmallCorpus, make_corpus

from dpedkit.db import open_corpus
from dpedkit.executor import Workers
from dpedkit.progress import Silent
from dpedkit.stages.exporting import Wanted, export
from dpedkit.workspace import find_workspace


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> SmallCorpus:
    return make_corpus(tmp_path_factory.mktemp("export") / "ws")


@pytest.fixture(scope="module")
def exported(corpus: SmallCorpus) -> Any:
    """Exports all that is in use in a layout, once for all tests."""

    def run(layout: str) -> Path:
        target = corpus.root.parent / layout
        if not target.exists():
            export(
                find_workspace(corpus.root),
                target,
                Wanted(layout=layout),
                dry_run=False,
                workers=Workers(1),
                progress=Silent(),
            )
        return target

    return run


def pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.array(image)


def paired_image_dataset(gt: Path, lq: Path, meta_info: Path, template: str = "{}") -> list[tuple[Path, Path]]:
    """BasicSR's rules, basicsr/data/data_util.py, paired_paths_from_meta_info_file."""
    names = [line.strip().split(" ")[0] for line in meta_info.read_text().splitlines()]
    stems = [(Path(name).stem, Path(name).suffix) for name in names]
    return [(lq / f"{template.format(stem)}{ending}", gt / f"{stem}{ending}") for stem, ending in stems]


def test_basicsr_finds_every_pair_and_pixel(corpus: SmallCorpus, exported: Any) -> None:
    out = exported("basicsr")
    for phone in ("iphone", "sony"):
        for split in ("train", "val", "test"):
            home = out / phone / split
            meta_info = out / phone / f"meta_info_{split}.txt"
            found = paired_image_dataset(home / "gt", home / "lq", meta_info)
            wanted = corpus.list(phone, split)
            assert len(found) == len(wanted) == (24 if split == "train" else 8)
            for paths, pair in zip(found, wanted, strict=True):
                assert all((pixels(path) == side).all() for path, side in zip(paths, pair, strict=True))
            assert {path.name for path in (home / "gt").iterdir()} == {path.name for _, path in found}
            assert all(line.endswith(".png (100,100,3)") for line in meta_info.read_text().splitlines())


def test_what_basicsr_got_comes_back_pixel_for_pixel(
    cli: CommandLine, corpus: SmallCorpus, exported: Any, tmp_path: Path
) -> None:
    home = exported("basicsr") / "sony"
    cli.run("init", "ws", cwd=tmp_path)
    folders = ["--input", home / "test" / "lq", "--target", home / "test" / "gt"]
    meta_info = home / "meta_info_test.txt"
    cli.run(
        *["import", "pairs", *folders, "--meta-info", meta_info, "--phone", "sony", "--jobs", "1"],
        cwd=tmp_path / "ws",
    )
    with open_corpus(tmp_path / "ws") as back:
        paths = back.pairs().set_index("scene")[["phone_path", "dslr_path"]].sort_index()
    for names, pair in zip(paths.itertuples(index=False), corpus.list("sony", "test"), strict=True):
        assert all((pixels(tmp_path / "ws" / name) == side).all() for name, side in zip(names, pair, strict=True))


@pytest.mark.parametrize("layout", ["basicsr"])
def test_everything_is_told_and_nothing_private(corpus: SmallCorpus, exported: Any, layout: str) -> None:
    out = exported(layout)
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=False).returncode == 0
    listed = {line.split("  ", 1)[1] for line in (out / "SHA256SUMS").read_text().splitlines()}
    assert listed == tree(out).keys() - {"SHA256SUMS"}
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert {row["patch"]: (row["phone"], row["split"]) for row in rows} == corpus.home
    with open_corpus(corpus.root) as held:
        patches = held.patches("used").set_index("patch")
        pairs = held.pairs().set_index(["shot", "phone"])
    shots = patches["shot"].to_dict()
    assert len({(row["shot"], shots[row["patch"]]) for row in rows}) == 5
    for row in rows:
        own, pair = patches.loc[row["patch"]], pairs.loc[(shots[row["patch"]], row["phone"])]
        assert [row[name] for name in ("x", "y", "ncc", "residual_px")] == [
            own[name] for name in ("x", "y", "ncc", "residual_px")
        ]
        assert row["sharpness_phone"] is None
        assert (row["phone_sha256"], row["dslr_sha256"]) == (pair["phone_sha256"], pair["dslr_sha256"])
    card = (out / "README.md").read_text()
    assert "| iphone | 24 | 8 | 8 |" in card
    assert "default@2#1234" in card
    for path in tree(out):
        data = (out / path).read_bytes()
        assert not any(word.encode() in data for word in (SESSION, SCENE, SERIAL, "Exif", str(corpus.root)))
