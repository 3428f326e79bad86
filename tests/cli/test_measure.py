"""dpedkit measure: what is missing is measured once, and can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from command_line import CommandLine

from dpedkit.db import open_corpus

Make = Callable[[str], Path]


def test_what_is_missing_is_measured_once(cli: CommandLine, workspace: Make) -> None:
    root = workspace("patched")
    with open_corpus(root) as corpus:
        broken = corpus.photos("device = 'sony'")["path"].iloc[0]
    whole = (root / broken).read_bytes()
    (root / broken).write_bytes(whole[: len(whole) // 2])
    would = cli.json("measure", "--dry-run", cwd=root)
    assert (would["photos"], would["pairs"], would["devices"]) == (16, 12, [])
    first = cli.json("measure", cwd=root, code=3)
    assert (first["photos"], first["pairs"]) == (15, 11)
    assert list(first["failures"]) == [f"{broken.removeprefix('photos/').rpartition('_')[0]} sony"]
    (root / broken).write_bytes(whole)
    text = cli.run("measure", cwd=root).stdout
    assert text.splitlines()[-1] == "1 photos and 1 pairs measured, 26 done before"
    with open_corpus(root) as corpus:
        photos, pairs = corpus.photos("picture"), corpus.pairs()
    measures = photos[["sharpness", "clipped", "noise", "mean_red", "mean_green", "mean_blue", "phash"]]
    assert measures.notna().all().all()
    assert photos["phash"].str.len().eq(16).all()
    assert pairs[["gain_ev", "sharpness_ratio", "skew_ms"]].notna().all().all()
    assert pairs["gain_ev"].between(-3, 3).all()
    sony = photos[photos["device"] == "sony"]
    row = next(row for row in cli.json("measure", cwd=root)["devices"] if row["device"] == "sony")
    assert row["noise"] == sony["noise"].median()
    for column in ("exposure_drift_ev", "white_drift", "sharpness_drift"):
        assert row[column] in set(sony[column])
        assert abs(row[column]) == sony[column].abs().max()
    later = ~photos["shot"].str.endswith("/0001")
    assert photos["exposure_drift_ev"].notna().equals(later)
    found = cli.json("query", "pairs", "--where", "sharpness_ratio > 1 and sharpness_dslr > sharpness_phone", cwd=root)
    assert found["count"] == len(pairs.query("sharpness_ratio > 1 and sharpness_dslr > sharpness_phone")) > 0
