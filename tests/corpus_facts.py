"""What a workspace's corpus holds, to be compared with another's, and how far a stage has come in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from command_line import shards

from dpedkit.db import open_corpus


def facts(ws: Path) -> dict[str, Any]:
    """What align and build-patches leave: alignments, patches with scores and splits, shards."""
    with open_corpus(ws) as corpus:
        pairs, patches, shots = corpus.pairs(), corpus.patches(), corpus.shots()
        models = {key: corpus.alignment_model(key) for key in pairs["alignment"].dropna()}
    return {
        "pairs": pairs.to_dict("records"),
        "models": models,
        "patches": patches.to_dict("records"),
        "splits": shots[["shot", "split"]].to_dict("records"),
        "shards": shards(ws),
    }


def rows_done(ws: Path, stage: str) -> int:
    with open_corpus(ws) as corpus:
        pairs = corpus.pairs()
    return int((pairs["status"] != "new").sum() if stage == "align" else pairs["shard"].notna().sum())
