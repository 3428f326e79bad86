"""dpedkit align learns the lenses of a session's cameras, and ends the same however often it was killed on the way."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import CommandLine
from pair_truth import DSLR, PHONE, make_pair, random_pose, scene

from dpedkit.db import open_corpus
from dpedkit.images import encode_jpeg

COUNT = 6
SMALL_PHONE, SMALL_DSLR = replace(PHONE, size=(512, 384)), replace(DSLR, size=(684, 456))


@pytest.fixture(scope="module")
def imported(cli: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one session of a phone and a DSLR, and one more pair that does not belong together."""
    base = tmp_path_factory.mktemp("lenses")
    for seed in range(COUNT + 1):
        phone = replace(SMALL_PHONE, view=random_pose(seed))
        pair = make_pair(phone, SMALL_DSLR, seed=seed, texture=scene(411, seed))
        dslr = pair.dslr if seed < COUNT else make_pair(phone, SMALL_DSLR, seed=99, texture=scene(411, 99)).dslr
        for name, photo in (("dslr", dslr), ("sony", pair.phone)):
            (base / name).mkdir(exist_ok=True)
            (base / name / f"{seed}.jpg").write_bytes(encode_jpeg(photo, quality=97))
    cli.run("init", "ws", cwd=base)
    cli.run(
        "import",
        "folder",
        "--pair-by",
        "name",
        "--dslr",
        base / "dslr",
        "--phone",
        f"sony={base / 'sony'}",
        cwd=base / "ws",
    )
    return base / "ws"


@pytest.fixture(scope="module")
def aligned(cli: CommandLine, imported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = shutil.copytree(imported, tmp_path_factory.mktemp("aligned") / "ws")
    text = cli.run("align", "--jobs", 1, cwd=root).stdout
    assert f"lenses of sony and dslr learnt from {COUNT} pairs" in text
    assert f"{COUNT} aligned, 1 rejected, 0 failed" in text
    return root


def models(root: Path) -> dict[str, object]:
    """All that was recorded of the current alignments and of the lenses."""
    with open_corpus(root) as corpus:
        pairs = corpus.pairs()
        found: dict[str, object] = {
            row.phone_sha256: (row.status, row.alignment, corpus.alignment_model(row.alignment))
            for row in pairs.itertuples()
            if row.status != "new"
        }
        for row in corpus.lenses().itertuples():
            found[row.phone] = row.terms
    return found


def test_every_pair_uses_what_all_told(aligned: Path) -> None:
    with open_corpus(aligned) as corpus:
        lenses, pairs = corpus.lenses(), corpus.pairs()
        terms = [
            corpus.alignment_model(key)["warp"]["phone_radial"]
            for key in pairs[pairs["status"] == "aligned"]["alignment"]
        ]
    (lens,) = lenses.itertuples()
    assert (lens.phone, lens.dslr, lens.pairs) == ("sony", "dslr", COUNT)
    assert lens.terms["terms"][0] == pytest.approx(-0.08, abs=0.005)
    k1 = [each[0] for each in terms]
    assert max(k1) - min(k1) < 0.004


def test_nothing_is_left_to_do(cli: CommandLine, aligned: Path) -> None:
    before = models(aligned)
    assert f"{COUNT + 1} done before" in cli.run("align", cwd=aligned).stdout
    assert models(aligned) == before


def test_workers_and_kills_change_nothing(cli: CommandLine, imported: Path, aligned: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(imported, tmp_path / "ws"))
    for share in (2, COUNT + 2):  # in the midst of the pairs, and of those fitted again
        cli.stop_when(lambda share=share: recorded(root) >= share, signal.SIGKILL, "align", "--jobs", 2, cwd=root)
    cli.run("align", cwd=root)
    assert models(root) == models(aligned)


def recorded(root: Path) -> int:
    """How many alignments there are, those that are no longer current included."""
    import sqlite3

    with sqlite3.connect(root / "corpus.db") as database:
        return int(database.execute("select count(*) from alignment").fetchone()[0])
