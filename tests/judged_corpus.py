"""Aligned photos of known scenes, and a run: what methods are judged on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from command_line import CommandLine
from PIL import Image
from scipy.ndimage import gaussian_filter

from dpedkit.db import SplitName, open_corpus
from dpedkit.progress import Silent
from dpedkit.stages.evaluate import evaluate
from dpedkit.types import U8
from dpedkit.workspace import find_workspace

_TEST: tuple[SplitName, ...] = ("test",) * 7
SPLITS: tuple[SplitName, ...] = ("train", "train", "val", *_TEST)
JUDGED = SPLITS.count("test")
SIZE = (240, 320)
TINY = ["train", "--phone", "sony", "--recipe", "small", "--set", "iterations=6", "--set", "eval_every=3"]


def scene(seed: int) -> tuple[U8, U8]:
    """A phone's photo and the DSLR's: the phone's is darker, bluish and noisier, more so from scene to scene."""
    random = np.random.default_rng(seed)
    soft = gaussian_filter(random.normal(size=(*SIZE, 3)), (3, 3, 0)) * 2.2
    wide = gaussian_filter(random.normal(size=(*SIZE, 3)), (30, 30, 0)) * 12
    dslr = np.clip(0.5 + 0.25 * (soft + wide), 0.08, 0.92)
    harder = 1 + seed / len(SPLITS)
    phone = dslr ** (1 + 0.4 * harder) * (0.7, 0.8, 0.9) + random.normal(0, 0.012 * harder, dslr.shape)
    return tuple(np.clip(np.rint(255 * rgb), 0, 255).astype(np.uint8) for rgb in (phone, dslr))  # type: ignore[return-value]


def make_judged(cli: CommandLine, folder: Path) -> Path:
    """Import ten pairs, two to train and seven to judge on, cut patches and train a run; return the workspace."""
    for seed in range(len(SPLITS)):
        for name, rgb in zip(("lq", "gt"), scene(seed), strict=True):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(rgb).save(folder / name / f"{seed:04d}.png")
    cli.run("init", "ws", cwd=folder)
    ws = folder / "ws"
    pairs = ["--input", folder / "lq", "--target", folder / "gt", "--phone", "sony"]
    cli.run("import", "pairs", *pairs, "--jobs", "1", cwd=ws)
    with open_corpus(ws) as corpus:
        corpus.store.keep_splits(dict(zip(corpus.shots()["shot"], SPLITS, strict=True)))
    cli.run("build-patches", "--size", "64", "--jobs", "1", cwd=ws)
    cli.run(*TINY, cwd=ws)
    return ws


def make_given(cli: CommandLine, folder: Path) -> Path:
    """Import a DPED dataset of four patches to train and twelve to judge on, without photos; return the workspace."""
    random = np.random.default_rng(0)
    for part, count in (("training_data", 4), ("test_data/patches", 12)):
        for name in ("iphone", "canon"):
            patches = folder / "dped" / "iphone" / part / name
            patches.mkdir(parents=True)
            for number in range(count):
                rgb = gaussian_filter(random.uniform(0, 255, (100, 100, 3)), (2, 2, 0))
                Image.fromarray(rgb.astype(np.uint8)).save(patches / f"{number}.jpg")
    cli.run("init", "ws", cwd=folder)
    cli.run("import", "dped", folder / "dped", "--jobs", "1", cwd=folder / "ws")
    return folder / "ws"


def photos_of(root: Path, split: str = "test") -> list[Path]:
    with open_corpus(root) as corpus:
        photos = corpus.photos(f"split = '{split}' and role = 'phone'")
    return [root / path for path in photos["path"]]


def dslr_of(photo: Path) -> Path:
    return photo.with_name(photo.name.replace("_sony", "_dslr"))


def scores_of(report: Any) -> dict[str, Any]:
    return {score["name"]: score for score in report["scores"]}


def scored(root: Path, **options: Any) -> dict[str, Any]:
    """`dpedkit evaluate --json` in this process: name -> score."""
    asked = {"phones": [], "split": "test", "protocol": "patches", "device": "cpu", "progress": Silent()}
    return scores_of(asdict(evaluate(find_workspace(root), **(asked | options))))
